"""How the folds of one trial are trained."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from kttoolkit.scoring import ObjectiveLike


@dataclass(frozen=True)
class FitPlan:
    """How the folds of one trial are trained; plain data that can be pickled.

    Attributes:
        objective: what decides which epoch is best.
        seed: the search's seed, from which every training's own is drawn.
        attempt: how often the trial has failed before.
        executions: trainings of each fold, each with other initial weights.
        preprocessor: fitted on each fold's training part, or None.
        fit_args: positional arguments of `fit` behind x and y.
        fit_kwargs: keyword arguments of `fit`, `callbacks` apart.
        callbacks: copied for each training.
        label: the trial's name, for folders that callbacks write to.
        directory: where weights are kept, or None to keep none.
        continue_from: the directory of a trial whose trainings go on here.
        keep_last: whether to keep weights and optimizer state of the last epoch.
        timeout: seconds after which the trial fails, at the end of an epoch; or None.
        scored_later: whether the objective may be missing, for a tuner's own
            `run_trial` is to make it of what the trainings report.
    """

    objective: ObjectiveLike
    seed: int
    attempt: int = 0
    executions: int = 1
    preprocessor: Any = None
    fit_args: tuple[Any, ...] = ()
    fit_kwargs: Mapping[str, Any] = field(default_factory=dict)
    callbacks: tuple[keras.callbacks.Callback, ...] = ()
    label: str = ""
    directory: str | None = None
    continue_from: str | None = None
    keep_last: bool = False
    timeout: float | None = None
    scored_later: bool = False

    @property
    def initial_epoch(self) -> int:
        """Epochs that the weights have behind them."""
        return int(self.fit_kwargs.get("initial_epoch", 0))

    def fold_seed(self, fold: int, execution: int) -> int:
        """Return the seed of one training.

        It is the same for every trial of a search, so that trials are compared
        on the same initial draws (common random numbers), and another one when a
        failed trial is tried again or a training is continued.

        Args:
            fold: the fold's number.
            execution: the initialisation's number.

        Returns:
            A whole number of 31 bits.
        """
        key = (fold, execution, self.initial_epoch, self.attempt)
        sequence = np.random.SeedSequence(self.seed, spawn_key=key)
        return int(sequence.generate_state(1)[0] >> 1)
