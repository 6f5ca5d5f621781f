"""Hyperband."""

from typing import Any

import keras_tuner

from kttoolkit.options import OF_A_TUNER, checked
from kttoolkit.tuners._base import FoldTuner
from kttoolkit.tuners._compat import MendedOracle
from kttoolkit.tuners._trial import with_direction


class HyperbandOracle(MendedOracle, keras_tuner.oracles.HyperbandOracle):  # type: ignore[misc]
    """Proposes by successive halving, in brackets of growing patience.

    A rung is `(rounds[k])`, the list of its trials. A rung promotes its best
    trials as soon as no running trial can overtake them; a trial that failed takes
    no promotion from the others, and where a small search space runs out of
    settings, a bracket goes on with those it has.
    """

    _brackets: list[dict[str, Any]]

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Promote a trial if one is ready, else draw one, else open a bracket."""
        self._brackets = [b for b in self._brackets if not self._is_done(b)]
        for bracket in self._brackets:
            if self._wants_random_trials(bracket):
                response = self._draw(trial_id, bracket)
                if response is not None:
                    return response
            response = self._promote(trial_id, bracket)
            if response is not None:
                return response
        if not self._is_last_bracket():
            self._increment_bracket_num()
            self._start_new_bracket()
            response = self._draw(trial_id, self._brackets[-1])
            if response is not None:
                return response
            return self.populate_space(trial_id)
        return {"status": "IDLE" if self.ongoing_trials else "STOPPED"}

    def planned_trials(self) -> int:
        """Return how many trials all rungs of all brackets hold."""
        iterations = int(min(self.hyperband_iterations, 1_000_000))
        one = sum(
            int(self._get_size(bracket, rung))
            for bracket in range(self._get_num_brackets())
            for rung in range(self._get_num_rounds(bracket))
        )
        return min(one * iterations, self.max_trials or one * iterations)

    def _is_last_bracket(self) -> bool:
        return (
            self._current_bracket == 0
            and self._current_iteration + 1 >= self.hyperband_iterations
        )

    def _wants_random_trials(self, bracket: dict[str, Any]) -> bool:
        full = self._get_size(bracket["bracket_num"], 0)
        return not bracket.get("exhausted") and len(bracket["rounds"][0]) < full

    def _draw(self, trial_id: str, bracket: dict[str, Any]) -> dict[str, Any] | None:
        number = bracket["bracket_num"]
        values = self._random_values()
        if values is None:
            bracket["exhausted"] = True
            return None
        bracket["rounds"][0].append({"past_id": None, "id": trial_id})
        return self._running(values, number, 0)

    def _promote(self, trial_id: str, bracket: dict[str, Any]) -> dict[str, Any] | None:
        number, rounds = bracket["bracket_num"], bracket["rounds"]
        for rung in range(1, len(rounds)):
            if len(rounds[rung]) >= self._room(bracket, rung):
                continue
            taken = {entry["past_id"] for entry in rounds[rung]}
            lower = [self.trials[e["id"]] for e in rounds[rung - 1]]
            ready = [
                t for t in lower if t.status == "COMPLETED" and t.trial_id not in taken
            ]
            room = self._room(bracket, rung)
            failed = sum(t.status == "FAILED" for t in lower)
            thrown_out = max(0, self._entrants(bracket, rung - 1) - failed - room)
            if len(ready) > thrown_out:
                sign = -1 if self.objective.direction == "max" else 1
                best = min(ready, key=lambda trial: sign * trial.score)
                rounds[rung].append({"past_id": best.trial_id, "id": trial_id})
                values = {
                    **best.hyperparameters.values,
                    "tuner/trial_id": best.trial_id,
                }
                return self._running(values, number, rung)
        return None

    def _running(
        self, values: dict[str, Any], bracket: int, rung: int
    ) -> dict[str, Any]:
        start = self._get_epochs(bracket, rung - 1) if rung else 0
        schedule = {
            "tuner/epochs": self._get_epochs(bracket, rung),
            "tuner/initial_epoch": start,
            "tuner/bracket": bracket,
            "tuner/round": rung,
        }
        return {"status": "RUNNING", "values": {**values, **schedule}}

    def _entrants(self, bracket: dict[str, Any], rung: int) -> int:
        """Return how many trials a rung will have had when it is complete."""
        if rung:
            return self._room(bracket, rung)
        if bracket.get("exhausted"):
            return len(bracket["rounds"][0])
        return int(self._get_size(bracket["bracket_num"], 0))

    def _room(self, bracket: dict[str, Any], rung: int) -> int:
        """Return how many trials a rung takes, no more than can come from below."""
        size = int(self._get_size(bracket["bracket_num"], rung))
        if rung == 0:
            return size
        lower = [self.trials[e["id"]] for e in bracket["rounds"][rung - 1]]
        failed = sum(trial.status == "FAILED" for trial in lower)
        return min(size, self._entrants(bracket, rung - 1) - failed)

    def _is_done(self, bracket: dict[str, Any]) -> bool:
        last = len(bracket["rounds"]) - 1
        if last == 0:
            return not self._wants_random_trials(bracket)
        return all(
            len(bracket["rounds"][rung]) >= self._entrants(bracket, rung)
            for rung in range(last + 1)
        ) and not self._has_running(bracket, last - 1)

    def _has_running(self, bracket: dict[str, Any], rung: int) -> bool:
        entries = bracket["rounds"][rung]
        return any(
            self.trials[e["id"]].status not in {"COMPLETED", "FAILED"} for e in entries
        )


class Hyperband(keras_tuner.Hyperband, FoldTuner):  # type: ignore[misc]
    """Hyperband, scored by cross-validation.

    Many settings are trained for few epochs, the best of them for longer. A
    promoted setting continues each fold from that fold's own weights and optimizer
    state at the end of the lower rung, and counts its epochs on.

    Args:
        hypermodel: a build function or `keras_tuner.HyperModel`.
        objective: a Keras metric name or a `keras_tuner.Objective`.
        max_epochs: the most epochs that one setting is trained for; a little more
            than the largest model needs.
        factor: how many times fewer settings, and more epochs, the next rung has.
        hyperband_iterations: how often all brackets are run.
        seed: fixes proposals, folds, weights, shuffles and dropout.
        hyperparameters: search space to start from or to override with.
        tune_new_entries: whether hyperparameters not in it are searched.
        allow_new_entries: whether the build function may ask for others.
        max_retries_per_trial: how often a failed trial is run again.
        max_consecutive_failed_trials: failures in a row that end the search.
        max_trials: the most trials, all rungs together; no cap if left out.
        **kwargs: `cv`, `engine`, `preprocessor` and others of
            `kttoolkit.tuners.FoldTuner`, and those of `keras_tuner.Tuner`.

    Example:
        >>> from kttoolkit import Hyperband
        >>> tuner = Hyperband(build, "val_loss", max_epochs=30, cv=5)  # doctest: +SKIP
        >>> tuner.search(x, y)  # doctest: +SKIP

    References:
        L. Li et al., "Hyperband: a novel bandit-based approach to hyperparameter
        optimization", JMLR 18, 2018.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int = 1,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        *,
        max_trials: int | None = None,
        **kwargs: Any,
    ) -> None:
        oracle = HyperbandOracle(
            objective=with_direction(objective),
            max_epochs=max_epochs,
            factor=factor,
            hyperband_iterations=hyperband_iterations,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        limits = checked({"max_trials": max_trials}, OF_A_TUNER)
        oracle.max_trials = limits["max_trials"]
        FoldTuner.__init__(self, oracle, hypermodel, **kwargs)
