"""Coarse to fine: rounds of random search, each around the best of those before."""

import math
from collections.abc import Mapping
from typing import Any

import keras_tuner

from kttoolkit.exceptions import SearchError
from kttoolkit.hyperparameters import HyperParameters
from kttoolkit.options import OF_A_TUNER, checked
from kttoolkit.ranges import Scored, narrowed
from kttoolkit.tuners._base import FoldTuner
from kttoolkit.tuners._compat import MendedOracle
from kttoolkit.tuners._trial import with_direction

ROUND = "tuner/round"


class CoarseToFineOracle(MendedOracle, keras_tuner.oracles.RandomSearchOracle):  # type: ignore[misc]
    """Draws at random from ranges that get narrower from round to round.

    A round begins when all trials of the one before have ended, so that the
    proposals do not depend on how many run at a time.

    Args:
        rounds: how many.
        keep: share of all trials so far that the ranges are cut around.
        **kwargs: arguments of `keras_tuner.oracles.RandomSearchOracle`.
    """

    def __init__(self, *, rounds: int = 3, keep: float = 0.2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        own = checked({"rounds": rounds, "keep": keep}, OF_A_TUNER)
        self.rounds: int = own["rounds"]
        self.keep: float = own["keep"]
        _check(self.rounds, self.keep, self.max_trials)
        self.spaces: list[list[dict[str, Any]]] = []

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Propose a setting of the present round."""
        number = self._round_of(len(self.start_order))
        if number > len(self.spaces):
            if self.ongoing_trials:
                return {"status": "IDLE", "values": None}
            self.spaces.append(self._narrowed())
        whole = self.hyperparameters
        self.hyperparameters = self._space_of(number)
        try:
            values = self._random_values()
        finally:
            self.hyperparameters = whole
        if values is None:
            return {"status": "STOPPED", "values": None}
        return {"status": "RUNNING", "values": {**values, ROUND: number + 1}}

    def _round_of(self, n_started: int) -> int:
        """Return the round, from 0, that the next trial belongs to."""
        size = math.ceil(self.max_trials / self.rounds)
        return min(n_started // size, self.rounds - 1)

    def _space_of(self, number: int) -> HyperParameters:
        if number == 0:
            return self.hyperparameters
        config = {"space": self.spaces[number - 1], "values": {}}
        space = HyperParameters.from_config(config)
        # What a build function has asked for since then.
        space.merge(self.hyperparameters, overwrite=False)
        return space

    def _narrowed(self) -> list[dict[str, Any]]:
        """Cut the latest ranges around the best trials, whichever round they are of."""
        sign = -1.0 if self.objective.direction == "max" else 1.0
        trials = [
            Scored(trial.hyperparameters.values, sign * trial.score)
            for trial in self.trials.values()
            if trial.status == "COMPLETED" and math.isfinite(trial.score)
        ]
        latest: list[dict[str, Any]]
        latest = self._space_of(len(self.spaces)).get_config()["space"]
        return narrowed(latest, trials, keep=self.keep) if trials else latest

    def _compute_values_hash(self, values: Mapping[str, Any]) -> str:
        """Recognise a setting whichever round it was proposed in."""
        known = {name: value for name, value in values.items() if name != ROUND}
        return super()._compute_values_hash(known)

    def get_state(self) -> dict[str, Any]:
        """Return what a restart needs."""
        return {**super().get_state(), "narrowed_spaces": self.spaces}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` gave."""
        super().set_state(state)
        self.spaces = list(state["narrowed_spaces"])


class CoarseToFine(FoldTuner):
    """Random search in rounds, each around the best trials of all before.

    The first round samples widely. Then every range is cut, on its own scale, to
    where the best trials lie; see `kttoolkit.ranges.narrowed` for the rule. A best
    value at the edge of a range widens it there instead. Each trial notes its round
    as `tuner/round`.

    Args:
        hypermodel: a build function or `keras_tuner.HyperModel`.
        objective: a Keras metric name or a `keras_tuner.Objective`.
        max_trials: trials of all rounds together.
        rounds: how many; all have as many trials, the last may have fewer. Three
            leave a third of the trials for the wide look.
        keep: share of the trials that the next ranges are cut around.
        seed: fixes proposals, folds, weights, shuffles and dropout.
        hyperparameters: search space to start from or to override with.
        tune_new_entries: whether hyperparameters not in it are searched.
        allow_new_entries: whether the build function may ask for others.
        max_retries_per_trial: how often a failed trial is run again.
        max_consecutive_failed_trials: failures in a row that end the search.
        **kwargs: `cv`, `engine`, `preprocessor` and others of
            `kttoolkit.tuners.FoldTuner`, and those of `keras_tuner.Tuner`.

    Raises:
        SearchError: if there are fewer than two trials a round, or `keep` is no
            share.

    Example:
        >>> from kttoolkit import CoarseToFine
        >>> tuner = CoarseToFine(build, "val_loss", cv=5)  # doctest: +SKIP
        >>> tuner.search(x, y, epochs=20)  # doctest: +SKIP
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int = 30,
        rounds: int = 3,
        keep: float = 0.2,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        oracle = CoarseToFineOracle(
            rounds=rounds,
            keep=keep,
            objective=with_direction(objective),
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        FoldTuner.__init__(self, oracle, hypermodel, **kwargs)


def _check(rounds: int, keep: float, max_trials: int | None) -> None:
    if rounds < 1 or rounds * 2 > (max_trials or 0):
        raise SearchError(
            "Each round needs two trials or more, but got "
            f"rounds={rounds} and max_trials={max_trials}. Take fewer rounds or more "
            "trials."
        )
    if not 0 < keep <= 1:
        raise SearchError(
            f"0 < keep <= 1 must hold, the share of trials to keep, but got {keep=}."
        )
