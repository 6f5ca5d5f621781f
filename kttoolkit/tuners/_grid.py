"""Grid search."""

import math
import warnings
from collections.abc import Mapping
from functools import cmp_to_key
from pathlib import Path
from typing import Any, ClassVar

import keras_tuner

from kttoolkit.exceptions import SearchError, StudyFolderError
from kttoolkit.hyperparameters import Float
from kttoolkit.options import OF_A_TUNER, checked
from kttoolkit.plain import shown
from kttoolkit.ranges import Range, grid_size, ranges_of, ways_to_shrink
from kttoolkit.results import TrialRecord
from kttoolkit.tuners._base import FoldTuner
from kttoolkit.tuners._compat import MendedOracle
from kttoolkit.tuners._trial import with_direction


class GridSearchOracle(MendedOracle, keras_tuner.oracles.GridSearchOracle):  # type: ignore[misc]
    """Proposes every combination, and knows after a restart where it was.

    Keras Tuner's linked list of trials is kept as the plain order it stands for:
    a trial's next combination goes right behind it. A trial is asked for its next
    combination as soon as it was proposed, and again when it has ended and brought
    new hyperparameters, so that the order does not depend on how many run at a time.

    What Keras Tuner's own search has left is gone on with: its order follows from the
    values that were tried.
    """

    _populate_next: list[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._order: list[str] = []
        # How many hyperparameters a trial had when asked for its next combination.
        self._n_names: dict[str, int] = {}
        # What Keras Tuner has tried and is not on this grid.
        self._off_grid: dict[str, Any] = {}

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Propose the next combination that was not tried."""
        if self._off_grid:
            self._refuse_to_go_on()
        if not self.start_order:
            return self._first(trial_id)
        while self._populate_next:
            parent = self._populate_next.pop(0)
            known = self.trials[parent].hyperparameters.values
            self._n_names[parent] = len(known)
            values = self._get_next_combination(self._completed(known))
            if values is None or self._is_tried_after(parent, values):
                continue
            self._order.insert(self._order.index(parent) + 1, trial_id)
            self._populate_next.append(trial_id)
            return {"status": "RUNNING", "values": values}
        return {"status": "IDLE" if self.ongoing_trials else "STOPPED", "values": None}

    def end_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        """Take note that a trial is over."""
        waiting = list(self._populate_next)
        super().end_trial(trial, *args, **kwargs)
        trial_id = getattr(trial, "trial_id", trial)
        n_names = len(self.trials[trial_id].hyperparameters.values)
        if trial_id in waiting or self._n_names.get(trial_id) == n_names:
            self._populate_next = waiting

    def planned_trials(self) -> int | None:
        """Return the number of combinations, conditional ones where they exist."""
        combinations = grid_size(self.ranges())
        return min(combinations, self.max_trials or combinations)

    def ranges(self) -> list[Range]:
        """Return the search space as it is known so far."""
        return ranges_of(self.hyperparameters.get_config()["space"])

    def _first(self, trial_id: str) -> dict[str, Any]:
        space = self.get_space()
        values = {hp.name: hp.default for hp in space.space if space.is_active(hp)}
        self._order.append(trial_id)
        self._populate_next.append(trial_id)
        return {"status": "RUNNING", "values": values}

    def _completed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trial's values, with defaults for what was found since then."""
        space = self.get_space()
        space.values = dict(values)
        for hp in space.space:
            if space.is_active(hp):
                value = space.values.setdefault(hp.name, hp.default)
                space.values[hp.name] = _on_grid(value, hp)
        return dict(space.values)

    def _is_tried_after(self, trial_id: str, values: Mapping[str, Any]) -> bool:
        place = self._order.index(trial_id) + 1
        if place == len(self._order):
            return False
        following = self.trials[self._order[place]].hyperparameters.values
        return self._compare(values, self._completed(following)) >= 0

    def get_state(self) -> dict[str, Any]:
        """Return what a restart needs."""
        if self._off_grid:
            # As it was found, so that Keras Tuner goes on with it.
            return dict(super().get_state())
        return {
            **super().get_state(),
            "grid_order": self._order,
            "grid_next": self._populate_next,
            "grid_names": self._n_names,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` gave."""
        super().set_state(state)
        if state.keys() == super().get_state().keys():
            self._find_order()
            return
        self._order = list(state["grid_order"])
        self._populate_next = list(state["grid_next"])
        self._n_names = dict(state.get("grid_names", {}))

    def _find_order(self) -> None:
        """Put what Keras Tuner's own search has tried in order, and go on from each.

        It writes neither down, and what was tried already is not proposed again.

        Raises:
            ValueError: if it was no grid search.
        """
        tried = {
            name: self._completed(self.trials[name].hyperparameters.values)
            for name in self.start_order
        }
        for number, values in enumerate(tried.values()):
            space = self.get_space()
            space.values = values
            active = [hp for hp in space.space if space.is_active(hp)]
            if number == 0 and any(values[hp.name] != hp.default for hp in active):
                raise ValueError("a grid begins with all defaults")
            self._off_grid |= {
                hp.name: values[hp.name]
                for hp in active
                if values[hp.name] not in {hp.default, *hp.values}
            }
        if not self._off_grid:
            by_value = cmp_to_key(lambda a, b: self._compare(tried[a], tried[b]))
            self._order = sorted(self.start_order, key=by_value)
            self._populate_next = list(self.start_order)

    def _refuse_to_go_on(self) -> None:
        name, value = next(iter(self._off_grid.items()))
        raise StudyFolderError(
            "A grid search goes on along its own grid, but keras_tuner's own "
            f"GridSearch, which wrote {self._project_dir}, has tried "
            f"{name}={shown(value)}, which is not on that of kttoolkit (a range "
            "without a step is ten values, both bounds among them). Its "
            "trials can be read. Finish the search with keras_tuner, or begin anew: "
            "another project_name, or overwrite=True."
        )


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
        max_combinations: how many may be tried at all: a larger grid is refused
            before it starts, unless `max_trials` is lower. No limit if left out;
            `kttoolkit.tune` has one of 1000.
        **kwargs: `cv`, `engine`, `preprocessor` and others of
            `kttoolkit.tuners.FoldTuner`, and those of `keras_tuner.Tuner`.

    Example:
        >>> from kttoolkit import GridSearch
        >>> tuner = GridSearch(build, "val_loss", cv=5)  # doctest: +SKIP
        >>> tuner.search(x, y, epochs=20)  # doctest: +SKIP
    """

    # What `kttoolkit.tune` adds to Keras Tuner's defaults.
    tune_options: ClassVar[Mapping[str, Any]] = {"max_combinations": 1000}

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
        *,
        max_combinations: int | None = None,
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
        limits = checked({"max_combinations": max_combinations}, OF_A_TUNER)
        FoldTuner.__init__(self, oracle, hypermodel, **kwargs)
        _check_size(oracle, limits["max_combinations"])

    def on_trial_end(self, trial: Any) -> None:
        """Close a trial; after the first, hold the whole grid against the timeout."""
        super().on_trial_end(trial)
        oracle = self.oracle
        # A worker has no more than a line to the chief, which has the grid.
        if self.timeout is None or not isinstance(oracle, GridSearchOracle):
            return
        planned = oracle.planned_trials()
        if planned is None or len(oracle.end_order) != 1:
            return
        record = TrialRecord.read(Path(self.get_trial_dir(trial.trial_id)))
        at_once = 1 if self.parallel is None else self.parallel.width
        needed = 0.0 if record is None else planned * record.seconds / at_once
        if needed > self.timeout:
            warnings.warn(
                f"The grid of {planned:,} combinations takes about {needed:,.0f} s, as "
                f"the first one shows, but timeout={self.timeout:g} s. The search ends "
                "there, with the first combinations alone.",
                UserWarning,
                stacklevel=2,
            )


def _on_grid(value: Any, hp: Any) -> Any:
    """Return the value of a grid that another one stands for, however it rounds."""
    if not isinstance(hp, Float) or value == hp.default:
        return value
    return next((v for v in hp.values if math.isclose(v, value, rel_tol=1e-9)), value)


def _check_size(oracle: GridSearchOracle, limit: int | None) -> None:
    """Refuse a grid that is too large, with the cheapest ways to shrink it."""
    planned = oracle.planned_trials() or 0
    if limit is None or planned <= limit:
        return
    ways = "; ".join(
        f"{way.name} with {way.n_kept} instead of {way.n_values} values leaves "
        f"{way.grid_size:,}"
        for way in ways_to_shrink(oracle.ranges())[:3]
    )
    raise SearchError(
        f"A grid may have max_combinations={limit:,}, but this one has {planned:,}. "
        f"The cheapest ways to shrink it: {ways}. Or draw some of them: "
        f"tuner='random', max_trials=..., or raise max_combinations."
    )
