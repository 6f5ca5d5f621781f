"""The evaluation of a trial: one call that can be pickled and run anywhere."""

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import keras_tuner

from kttoolkit.cv import Folds
from kttoolkit.data import TrainingData
from kttoolkit.engine import (
    Assignment,
    FitPlan,
    ModelFactory,
    Observer,
    choose,
    own_random_state,
    prepare_devices,
    rare_collections,
)
from kttoolkit.exceptions import TrialTimeoutError
from kttoolkit.scoring import FoldFit


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        hyperparameters: as they are after building and training, with those that
            were first asked for there.
        fits: one for each fold and execution.
    """

    hyperparameters: keras_tuner.HyperParameters
    fits: tuple[FoldFit, ...]


class SilentObserver:
    """Takes note of nothing; for evaluations in another process."""

    def callbacks(self) -> Sequence[keras.callbacks.Callback]:
        """Return no callbacks."""
        return ()

    def fold_started(self, split: int, n_splits: int) -> None:
        """Take no note."""

    def epoch_ended(self, split: int, epoch: int, logs: Mapping[str, float]) -> None:
        """Take no note."""

    def fold_ended(self, fit: FoldFit) -> None:
        """Take no note."""


class _Timed:
    """An observer that ends a trial whose time is over, between two epochs.

    Args:
        observer: is told first.
        timeout: seconds from now on.
    """

    def __init__(self, observer: Observer, timeout: float) -> None:
        self.observer = observer
        self.timeout = timeout
        self.callbacks = observer.callbacks
        self.fold_started = observer.fold_started
        self.fold_ended = observer.fold_ended
        self._began = time.monotonic()

    def epoch_ended(self, split: int, epoch: int, logs: Mapping[str, float]) -> None:
        """Tell it, then look at the clock."""
        self.observer.epoch_ended(split, epoch, logs)
        if time.monotonic() - self._began > self.timeout:
            # The same words for every trial, so that failures are counted as one.
            raise TrialTimeoutError(
                f"A trial must end within trial_timeout={self.timeout:g} seconds, but "
                "this one had epochs left. Raise it, or keep the search space to "
                "smaller models and larger batches."
            )


def evaluate(
    factory: ModelFactory,
    hp: keras_tuner.HyperParameters,
    data: TrainingData | None,
    folds: Folds | None,
    plan: FitPlan,
    *,
    engine: str = "auto",
    observer: Observer | None = None,
) -> Outcome:
    """Train all folds of one setting of the hyperparameters.

    The call knows nothing of tuner or oracle. Everything but `observer` can be
    pickled (with cloudpickle, for functions from a notebook), so that it may run
    in another process. The random states of Python and NumPy are put back
    afterwards; a caller's own random numbers do not change. Calls in several threads
    of a process take turns, for random states are the process's.

    Args:
        factory: builds the models.
        hp: the setting; it is copied.
        data: the rows, or None where the plan's arguments hold everything.
        folds: how to cut them, or None.
        plan: how to train.
        engine: which engine trains.
        observer: is told how it gets on.

    Returns:
        The outcome.

    Raises:
        TrialTimeoutError: if it takes longer than the plan allows.
    """
    prepare_devices()
    _free_memory()
    hp = hp.copy()
    plan = factory.planned(plan, hp)
    with own_random_state(), rare_collections():
        watched = observer or SilentObserver()
        if plan.timeout is not None:
            watched = _Timed(watched, plan.timeout)
        assignment = Assignment(factory, hp, data, folds, plan, watched)
        fits = choose(engine).fit_folds(assignment)
    return Outcome(hp, fits)


# Of the time that passes, collections may take one part in this many.
_SHARE = 50
_next_collection = time.monotonic() + 10


def _free_memory() -> None:
    """Collect what trials left behind, models being full of cycles.

    A collection takes 0.15 s beside TensorFlow's objects, so that it has to wait
    until as much has been trained that it does not count.
    """
    global _next_collection
    began = time.monotonic()
    if began >= _next_collection:
        gc.collect()
        took = time.monotonic() - began
        _next_collection = began + _SHARE * took
