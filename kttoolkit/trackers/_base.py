"""The one contract of everything that watches a search."""

import contextlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kttoolkit.results import TrialRecord
from kttoolkit.scoring import FoldFit


@dataclass(frozen=True)
class SearchInfo:
    """What is known when a search begins.

    Attributes:
        tuner: its class.
        objective: name of what is optimised.
        direction: "min" or "max".
        n_trials: how many trials there will be at most, or None.
        directory: the study folder.
        ended: trials that an earlier run of the same study finished.
        max_epochs: the most epochs of a setting, or None.
    """

    tuner: str
    objective: str
    direction: str
    n_trials: int | None
    directory: str
    ended: tuple[TrialRecord, ...] = ()
    max_epochs: int | None = None


class Tracker:
    """Is told what happens; every method does nothing until overridden.

    Calls come in this order: `search_started`, then for each trial
    `trial_started`, for each of its trainings `fold_started`, `epoch_ended` and
    `fold_ended`, then `trial_ended`; last `best_found`, if a trial completed, and
    `search_ended`. Trainings of one trial may run side by side, and their events
    alternate; with `parallel=` so do those of several trials, and a trial whose worker
    died starts its folds again. A trial that failed and is retried starts and ends
    again. All calls come from the process and thread that searches. A tracker that
    raises is closed and switched off with one warning, and the search goes on.
    """

    def search_started(self, info: SearchInfo) -> None:
        """Be told that a search begins or is resumed."""

    def trial_started(self, trial_id: str, values: Mapping[str, Any]) -> None:
        """Be told which hyperparameters are tried."""

    def fold_started(self, trial_id: str, split: int, n_splits: int) -> None:
        """Be told that a training begins, `split` counted from 0."""

    def epoch_ended(
        self, trial_id: str, split: int, epoch: int, logs: Mapping[str, float]
    ) -> None:
        """Be told of an epoch, counted from 1."""

    def fold_ended(self, trial_id: str, fit: FoldFit) -> None:
        """Be told that a training is over."""

    def trial_ended(self, record: TrialRecord) -> None:
        """Be told that a trial completed, failed or was skipped."""

    def best_found(self, record: TrialRecord, save: Callable[[Path], None]) -> None:
        """Be told the best trial; `save` writes its best fold's model to a file."""

    def search_ended(self) -> None:
        """Be told that the search is over, for whatever reason."""

    def close(self) -> None:
        """Let go of all that is open, after a failure of one's own."""


class Trackers:
    """Tells several trackers at once.

    Args:
        trackers: are told in this order.
    """

    def __init__(self, trackers: Sequence[Tracker] = ()) -> None:
        self._trackers = list(trackers)

    def search_started(self, info: SearchInfo) -> None:
        """Tell that a search begins."""
        self._tell("search_started", info)

    def trial_started(self, trial_id: str, values: Mapping[str, Any]) -> None:
        """Tell which hyperparameters are tried."""
        self._tell("trial_started", trial_id, values)

    def fold_started(self, trial_id: str, split: int, n_splits: int) -> None:
        """Tell that a training begins."""
        self._tell("fold_started", trial_id, split, n_splits)

    def epoch_ended(
        self, trial_id: str, split: int, epoch: int, logs: Mapping[str, float]
    ) -> None:
        """Tell of an epoch."""
        self._tell("epoch_ended", trial_id, split, epoch, logs)

    def fold_ended(self, trial_id: str, fit: FoldFit) -> None:
        """Tell that a training is over."""
        self._tell("fold_ended", trial_id, fit)

    def trial_ended(self, record: TrialRecord) -> None:
        """Tell that a trial is over."""
        self._tell("trial_ended", record)

    @property
    def wants_best(self) -> bool:
        """Whether there is one who listens to `best_found`."""
        idle = Tracker.best_found
        return any(type(one).best_found is not idle for one in self._trackers)

    def best_found(self, record: TrialRecord, save: Callable[[Path], None]) -> None:
        """Tell the best trial."""
        self._tell("best_found", record, save)

    def search_ended(self) -> None:
        """Tell that the search is over."""
        self._tell("search_ended")

    def __len__(self) -> int:
        return len(self._trackers)

    def _tell(self, event: str, *args: Any) -> None:
        for tracker in list(self._trackers):
            try:
                getattr(tracker, event)(*args)
            except Exception as error:
                self._trackers.remove(tracker)
                with contextlib.suppress(Exception):
                    tracker.close()
                warnings.warn(
                    f"{type(tracker).__name__} failed in {event} and is switched off; "
                    f"the search goes on. {type(error).__name__}: {error}",
                    RuntimeWarning,
                    stacklevel=2,
                )
