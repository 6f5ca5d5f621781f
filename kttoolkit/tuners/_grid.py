"""Grid search."""

import math
from collections.abc import Mapping
from typing import Any

import keras_tuner

from kttoolkit.tuners._base import FoldTuner
from kttoolkit.tuners._compat import MendedOracle
from kttoolkit.tuners._trial import with_direction


class GridSearchOracle(MendedOracle, keras_tuner.oracles.GridSearchOracle):  # type: ignore[misc]
    """Proposes every combination, and knows after a restart where it was.

    Keras Tuner's linked list of trials is kept as the plain order it stands for:
    a trial's next combination goes right behind it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._order: list[str] = []

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Propose the next combination that was not tried."""
        if not self.start_order:
            return self._first(trial_id)
        while self._populate_next:
            parent = self._populate_next.pop(0)
            values = self._get_next_combination(
                self.trials[parent].hyperparameters.values
            )
            if values is None or self._is_tried_after(parent, values):
                continue
            self._order.insert(self._order.index(parent) + 1, trial_id)
            return {"status": "RUNNING", "values": values}
        return {"status": "IDLE" if self.ongoing_trials else "STOPPED", "values": None}

    def planned_trials(self) -> int | None:
        """Return the number of combinations, or None where some are conditional."""
        space = self.hyperparameters.space
        if any(hp.conditions for hp in space):
            return self.max_trials
        combinations = math.prod(len({*hp.values, hp.default}) for hp in space)
        return min(combinations, self.max_trials or combinations)

    def _first(self, trial_id: str) -> dict[str, Any]:
        space = self.get_space()
        values = {hp.name: hp.default for hp in space.space if space.is_active(hp)}
        self._order.append(trial_id)
        self._populate_next.append(trial_id)
        return {"status": "RUNNING", "values": values}

    def _is_tried_after(self, trial_id: str, values: Mapping[str, Any]) -> bool:
        place = self._order.index(trial_id) + 1
        if place == len(self._order):
            return False
        following = self.trials[self._order[place]].hyperparameters.values
        return self._compare(values, following) >= 0

    def get_state(self) -> dict[str, Any]:
        """Return what a restart needs."""
        return {
            **super().get_state(),
            "grid_order": self._order,
            "grid_next": self._populate_next,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` gave."""
        super().set_state(state)
        self._order = list(state["grid_order"])
        self._populate_next = list(state["grid_next"])


class GridSearch(keras_tuner.GridSearch, FoldTuner):  # type: ignore[misc]
    """Grid search, scored by cross-validation.

    Every combination of every value is tried. A range without a step stands for
    ten values on its own scale, both bounds among them.

    Args:
        hypermodel: a build function or `keras_tuner.HyperModel`.
        objective: a Keras metric name or a `keras_tuner.Objective`.
        max_trials: the most combinations to try; all if left out.
        seed: fixes folds, weights, shuffles and dropout.
        hyperparameters: search space to start from or to override with.
        tune_new_entries: whether hyperparameters not in it are searched.
        allow_new_entries: whether the build function may ask for others.
        max_retries_per_trial: how often a failed trial is run again.
        max_consecutive_failed_trials: failures in a row that end the search.
        **kwargs: `cv`, `engine`, `preprocessor` and others of
            `kttoolkit.tuners.FoldTuner`, and those of `keras_tuner.Tuner`.

    Example:
        >>> from kttoolkit import GridSearch
        >>> tuner = GridSearch(build, "val_loss", cv=5)  # doctest: +SKIP
        >>> tuner.search(x, y, epochs=20)  # doctest: +SKIP
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int | None = None,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        oracle = GridSearchOracle(
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
