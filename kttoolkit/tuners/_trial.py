"""What a tuner and a trial say to each other: arguments, progress, reasons."""

import re
import textwrap
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import keras_tuner

from kttoolkit.exceptions import ObjectiveError, SearchError
from kttoolkit.plain import shown
from kttoolkit.results import TrialRecord
from kttoolkit.scoring import FoldFit, TrialScore, direction_of
from kttoolkit.trackers import Trackers
from kttoolkit.tuners._budget import Budget

# What `keras.Model.fit` takes by position, in its order.
_FIT_POSITIONS = ("x", "y", "batch_size", "epochs", "verbose", "callbacks",
                  "validation_split", "validation_data", "shuffle", "class_weight",
                  "sample_weight")  # fmt: skip
_REASON_WIDTH = 400


class _Watched(Protocol):
    trackers: Trackers
    budget: Budget

    def check_deadline(self) -> None:
        """End the search if its time is over."""


class TrialObserver:
    """Passes a trial's progress on to trackers, hooks and the clock."""

    def __init__(self, tuner: _Watched, trial: Any) -> None:
        self.tuner = tuner
        self.trial = trial

    def callbacks(self) -> Sequence[keras.callbacks.Callback]:
        """Return what calls the hooks of a tuner, where a subclass overrides them."""
        if _overrides(self.tuner, "on_batch_begin", "on_batch_end"):
            return (_BatchHooks(self.tuner, self.trial),)
        if _overrides(self.tuner, "on_epoch_begin", "on_epoch_end"):
            return (_EpochHooks(self.tuner, self.trial),)
        return ()

    def fold_started(self, split: int, n_splits: int) -> None:
        """Tell the trackers."""
        self.tuner.trackers.fold_started(self.trial.trial_id, split, n_splits)

    def epoch_ended(self, split: int, epoch: int, logs: Mapping[str, float]) -> None:
        """Tell the trackers, then look at what is spent."""
        self.tuner.trackers.epoch_ended(self.trial.trial_id, split, epoch, logs)
        self.tuner.budget.spend_epoch()
        self.tuner.check_deadline()

    def fold_ended(self, fit: FoldFit) -> None:
        """Tell the trackers."""
        self.tuner.trackers.fold_ended(self.trial.trial_id, fit)


class _EpochHooks(keras.callbacks.Callback):
    """Calls a tuner's hooks for each epoch."""

    def __init__(self, tuner: Any, trial: Any) -> None:
        super().__init__()
        self.tuner = tuner
        self.trial = trial

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.tuner.on_epoch_begin(self.trial, self.model, epoch, logs=logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.tuner.on_epoch_end(self.trial, self.model, epoch, logs=logs)


class _BatchHooks(_EpochHooks):
    """Calls a tuner's hooks for each batch too, which only `model.fit` can do."""

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.tuner.on_batch_begin(self.trial, self.model, batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.tuner.on_batch_end(self.trial, self.model, batch, logs)


def _overrides(tuner: Any, *hooks: str) -> bool:
    return any(
        getattr(type(tuner), hook) is not getattr(keras_tuner.Tuner, hook)
        for hook in hooks
    )


def with_direction(objective: Any) -> Any:
    """Give objectives named by strings the direction that Keras means.

    Args:
        objective: a name, a `keras_tuner.Objective`, a list of them, or None.

    Returns:
        The same with every name made an Objective.

    Raises:
        ObjectiveError: if it is something else.
    """
    if isinstance(objective, str):
        return keras_tuner.Objective(objective, direction_of(objective))
    if isinstance(objective, list):
        return [with_direction(part) for part in objective]
    if objective is not None and not isinstance(objective, keras_tuner.Objective):
        raise ObjectiveError(
            "objective must be a metric name, a keras_tuner.Objective or a list of "
            f"them, but got {shown(objective)}."
        )
    return objective


def named_arguments(
    args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """Tell the rows from the other arguments of `fit`.

    Args:
        args: positional ones, in the order of `keras.Model.fit`.
        kwargs: those by name.

    Returns:
        Inputs (x, y, sample_weight, validation_data, validation_split), groups,
        and all other arguments by name.
    """
    named = {**dict(zip(_FIT_POSITIONS, args, strict=False)), **kwargs}
    groups = named.pop("groups", None)
    rows = ("x", "y", "sample_weight", "validation_data", "validation_split")
    inputs = {name: named.pop(name) for name in rows if name in named}
    return inputs, groups, named


def rung_epochs(values: Mapping[str, Any]) -> dict[str, int]:
    """Return the epochs that a Hyperband oracle asks for, under any tuner."""
    if "tuner/epochs" not in values:
        return {}
    return {
        "epochs": values["tuner/epochs"],
        "initial_epoch": values.get("tuner/initial_epoch", 0),
    }


def as_history(fit: FoldFit) -> Any:
    """Return a training as the `History` that `fit` would have returned."""
    history = keras.callbacks.History()
    history.history = {name: list(values) for name, values in fit.history.items()}
    history.epoch = list(range(fit.initial_epoch, fit.initial_epoch + fit.epochs))
    return history


def reason(error: BaseException) -> str:
    """Return the kind and text of an error on one line, the trace behind it."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", f"{type(error).__name__}: {error}")
    first = textwrap.shorten(text, _REASON_WIDTH, placeholder=" ...")
    trace = "".join(traceback.format_exception(error))
    here = f"{Path.cwd()}/"
    return f"{first}\n{trace.replace(here, '')}"


def record_of(
    trial: Any,
    objective: Any,
    fits: tuple[FoldFit, ...],
    score: TrialScore | None,
    reported: Any,
    outcome: tuple[str, str, int, float],
) -> TrialRecord:
    """Put a trial that ended on record.

    Args:
        trial: Keras Tuner's.
        objective: with name and direction.
        fits: its trainings, none where a tuner runs trials in its own way.
        score: made of them, or None.
        reported: Keras Tuner's metrics, which stand where there is no score.
        outcome: status, message, attempt and seconds.

    Returns:
        The record.
    """
    status, message, attempt, seconds = outcome
    metrics = {} if score is None else dict(score.means)
    if score is None and status == "completed":
        names = reported.metrics
        metrics = {name: float(reported.get_best_value(name)) for name in names}
    return TrialRecord(
        trial_id=trial.trial_id,
        values=dict(trial.hyperparameters.values),
        status=status,
        message=message,
        attempt=attempt,
        seconds=seconds,
        ended=time.time(),
        objective=objective.name,
        direction=objective.direction,
        metrics=metrics,
        splits={} if score is None else dict(score.splits),
        epochs=() if score is None else score.epochs,
        fits=fits,
    )


def overrides_build_and_fit(tuner: Any, *, uses_folds: bool) -> bool:
    """Tell whether a subclass took Keras Tuner's private hook, as AutoKeras does.

    Args:
        tuner: any of ours.
        uses_folds: whether it scores by folds.

    Returns:
        Whether it did.

    Raises:
        SearchError: if it did and uses folds.
    """
    hook = getattr(tuner._build_and_fit_model, "__func__", None)  # noqa: SLF001
    if hook is keras_tuner.Tuner._build_and_fit_model:  # noqa: SLF001
        return False
    if uses_folds:
        raise SearchError(
            "Folds are trained through HyperModel.fit, but "
            f"{type(tuner).__name__} overrides _build_and_fit_model. Override "
            "HyperModel.fit instead, or pass cv=None."
        )
    return True
