"""Trackers by name."""

import inspect
from collections.abc import Sequence
from typing import Any, TypeAlias

from kttoolkit.exceptions import SearchError
from kttoolkit.plain import meant, shown
from kttoolkit.trackers._base import Tracker
from kttoolkit.trackers._csv import CSVTracker
from kttoolkit.trackers._mlflow import MLflowTracker
from kttoolkit.trackers._optuna import OptunaTracker
from kttoolkit.trackers._tensorboard import TensorBoardTracker
from kttoolkit.trackers._wandb import WandbTracker

TRACKERS: dict[str, type[Tracker]] = {
    "csv": CSVTracker,
    "mlflow": MLflowTracker,
    "optuna": OptunaTracker,
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
}

TrackersLike: TypeAlias = str | Tracker | Sequence[str | Tracker]


def as_trackers(trackers: TrackersLike) -> list[Tracker]:
    """Make trackers of names, and check that their libraries are there.

    Args:
        trackers: a name of `TRACKERS`, a tracker, or several of both.

    Returns:
        The trackers, those made of names with their defaults.

    Raises:
        SearchError: if a name is unknown, or something is no tracker.
        MissingDependencyError: if a tracker's library is not installed.

    Example:
        >>> as_trackers("csv")
        [<kttoolkit.trackers._csv.CSVTracker object at ...>]
    """
    if isinstance(trackers, str | Tracker):
        trackers = [trackers]
    if not isinstance(trackers, Sequence):
        raise SearchError(
            f"trackers must be a name of {sorted(TRACKERS)}, a tracker, or a list of "
            f"them, but got {shown(trackers)}."
        )
    return [_as_tracker(one) for one in trackers]


def _as_tracker(one: Any) -> Tracker:
    if isinstance(one, Tracker):
        return one
    if isinstance(one, str) and one in TRACKERS:
        return TRACKERS[one]()
    hint = ""
    if inspect.isclass(one) and issubclass(one, Tracker):
        hint = f" Pass an object: {one.__name__}()."
    elif isinstance(one, str):
        hint = meant(one, TRACKERS)
    raise SearchError(
        f"A tracker must be one of {sorted(TRACKERS)} or a kttoolkit.trackers.Tracker, "
        f"but got {shown(one)}.{hint}"
    )
