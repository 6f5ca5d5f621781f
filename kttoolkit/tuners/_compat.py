"""What Keras Tuner does not do right, mended by subclasses.

This is the one module that knows Keras Tuner's private members. It was checked
on Keras Tuner 1.4.8 (`CHECKED`); `tests/test_keras_tuner_faults.py` shows each
fault on plain Keras Tuner and its absence here, and says so when a later version
has mended one.
"""

import hashlib
import inspect
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.src import protos
from keras_tuner.src import utils as kt_utils
from keras_tuner.src.engine import oracle as kt_oracle
from keras_tuner.src.engine import trial as kt_trial
from keras_tuner.src.engine import tuner_utils as kt_tuner_utils
from keras_tuner.src.engine.hyperparameters import hp_types
from keras_tuner.src.engine.metrics_tracking import MetricsTracker

from kttoolkit.exceptions import OversizedModelError, StudyFolderError
from kttoolkit.files import write_json
from kttoolkit.results import RECORD_FILE

CHECKED = ("1.4.8", "1.4.8")
GRID_POINTS = 10

convert_to_metrics_dict = kt_tuner_utils.convert_to_metrics_dict
get_best_step = kt_tuner_utils.get_best_step
validate_trial_results = kt_tuner_utils.validate_trial_results


class _GridValues:
    """Ten values in ascending order, both bounds among them, for a range."""

    @property
    def values(self) -> Any:
        """Return the values that a grid search tries."""
        if self.step is not None:  # type: ignore[attr-defined]
            return super().values  # type: ignore[misc]
        points = (i / (GRID_POINTS - 1) for i in range(GRID_POINTS))
        return tuple(sorted({self.prob_to_value(p) for p in points}))  # type: ignore[attr-defined]


class Int(_GridValues, hp_types.Int):  # type: ignore[misc]
    """An integer range that is never left: `prob_to_value(1.0)` is the maximum."""

    def prob_to_value(self, prob: float) -> int:
        """Convert a cumulative probability in [0, 1] to a value."""
        return min(int(super().prob_to_value(prob)), self.max_value)


class Float(_GridValues, hp_types.Float):  # type: ignore[misc]
    """A range of floats whose steps reach the maximum, however they round."""

    def prob_to_value(self, prob: float) -> float:
        """Convert a cumulative probability in [0, 1] to a value."""
        value = float(super().prob_to_value(prob))
        return min(max(value, self.min_value), self.max_value)

    def _get_n_values(self) -> int:
        if self.sampling == "linear":
            steps = (self.max_value - self.min_value) / self.step
            return int(np.floor(steps + 1e-8)) + 1
        return int(super()._get_n_values())

    def _get_value_by_index(self, index: int) -> float:
        value = float(super()._get_value_by_index(index))
        # 0.1 * 3 is 0.30000000000000004; what is written should read 0.3.
        return min(float(f"{value:.12g}"), self.max_value)

    def _to_prob_with_step(self, value: float) -> float:
        values = list(self.values)
        index = int(np.argmin([abs(value - known) for known in values]))
        return (index + 0.5) / len(values)


class Choice(hp_types.Choice):  # type: ignore[misc]
    """A choice that keeps booleans booleans."""

    def __init__(
        self,
        name: str,
        values: Any,
        ordered: bool | None = None,
        default: Any = None,
        **kwargs: Any,
    ) -> None:
        values = list(values)
        booleans = bool(values) and all(isinstance(value, bool) for value in values)
        super().__init__(name, values, ordered=ordered, default=default, **kwargs)
        if booleans:
            self._values = values
            self._default = None if default is None else bool(default)

    def to_proto(self) -> Any:
        """Return the message that workers are sent."""
        proto = super().to_proto()
        if isinstance(self.values[0], bool):
            value = protos.get_proto().Value
            del proto.values[:]
            proto.values.extend([value(boolean_value=known) for known in self.values])
            proto.default.CopyFrom(value(boolean_value=self.default))
        return proto


_MENDED: dict[str, Any] = {"Int": Int, "Float": Float, "Choice": Choice}


class HyperParameters(keras_tuner.HyperParameters):  # type: ignore[misc]
    """Keras Tuner's `hp` with ranges that hold what they promise.

    Bounds are reached and never left, `Choice([True, False])` gives booleans,
    and copies are reproducible. Anything that works with
    `keras_tuner.HyperParameters` works with it.

    Example:
        >>> hp = HyperParameters()
        >>> hp.Choice("batch_norm", [True, False])
        True
    """

    def Choice(  # noqa: N802
        self,
        name: str,
        values: Any,
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """Choose one of several values; see `keras_tuner.HyperParameters.Choice`."""
        with self._maybe_conditional_scope(parent_name, parent_values):
            choice = Choice(
                self._get_name(name),
                values,
                ordered=ordered,
                default=default,
                conditions=self._conditions,
            )
            return self._retrieve(choice)

    def _exists(self, name: str, conditions: Any = None) -> bool:
        """Find a parent in the scopes around the present one too."""
        if conditions is not None:
            return bool(super()._exists(name, conditions))
        around = (self._conditions[:n] for n in range(len(self._conditions) + 1))
        return any(super(HyperParameters, self)._exists(name, c) for c in around)

    def _register(self, hyperparameter: Any, overwrite: bool = False) -> Any:
        return super()._register(mended(hyperparameter), overwrite)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, keras_tuner.HyperParameters):
            return NotImplemented
        return bool(self.get_config() == other.get_config())

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> "HyperParameters":
        """Return an independent copy."""
        return as_hyperparameters(super().copy())

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "HyperParameters":
        """Rebuild what `get_config` gave, Keras Tuner's own files included."""
        return as_hyperparameters(super().from_config(config))

    def ensure_active_values(self) -> None:
        """Drop inactive values and draw missing ones, the same ones every time."""
        for hp in self.space:
            if not self.is_active(hp):
                self.values.pop(hp.name, None)
            elif hp.name not in self.values:
                known = json.dumps([hp.name, sorted(map(str, self.values.items()))])
                seed = int.from_bytes(hashlib.sha256(known.encode()).digest()[:4])
                self.values[hp.name] = hp.random_sample(seed)


def mended(hyperparameter: Any) -> Any:
    """Return our own kind of a hyperparameter, for those kinds that need it."""
    kind = _MENDED.get(type(hyperparameter).__name__)
    if kind is None or isinstance(hyperparameter, kind):
        return hyperparameter
    return kind.from_config(hyperparameter.get_config())


def as_hyperparameters(hp: keras_tuner.HyperParameters) -> HyperParameters:
    """Return a mended copy of a search space with its values."""
    copy = HyperParameters()
    for hyperparameter in hp.space:
        copy._hps[hyperparameter.name].append(mended(hyperparameter))  # noqa: SLF001
        copy._space.append(copy._hps[hyperparameter.name][-1])  # noqa: SLF001
    copy.values = dict(hp.values)
    return copy


class MendedOracle(keras_tuner.Oracle):  # type: ignore[misc]
    """Mixed into every oracle of ours, in front of Keras Tuner's.

    It keeps a seed of 0, writes files whole or not at all, keeps the reason of
    every failure, counts oversized models apart, forgets the metrics of a failed
    attempt before the next, and gives its lock back when a call fails.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = inspect.signature(super().__init__).bind(*args, **kwargs).arguments
        seed = given.get("seed", kwargs.get("seed"))
        super().__init__(*args, **kwargs)
        self.has_own_seed = seed is not None
        if seed is not None:
            # Keras Tuner takes a seed of 0 for none.
            self.seed = self._seed_state = seed
        self.hyperparameters = as_hyperparameters(self.hyperparameters)
        self._display = Display(oracle=self)

    hyperparameters: HyperParameters
    trials: dict[str, Any]

    def attempts(self, trial_id: str) -> int:
        """Return how often a trial has been run to its end already."""
        return int(self._run_times[trial_id])

    def planned_trials(self) -> int | None:
        """Return how many trials there will be at most, or None."""
        return self.max_trials

    def create_trial(self, tuner_id: str) -> Any:
        """Propose a trial."""
        with released_on_error(self):
            return super().create_trial(tuner_id)

    def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Any:
        """Take the metrics of a trial."""
        with released_on_error(self):
            return super().update_trial(trial_id, metrics, step=step)

    def end_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        """Take note that a trial is over, with whatever it failed of."""
        with released_on_error(self):
            if getattr(trial, "message", "") is None:
                trial.message = read_reason(Path(self._get_trial_dir(trial.trial_id)))
            super().end_trial(trial, *args, **kwargs)
            trial_id = getattr(trial, "trial_id", trial)
            if trial_id in self._retry_queue:
                forget_metrics(self.trials[trial_id])
                self._save_trial(self.trials[trial_id])

    def score_trial(self, trial: Any) -> None:
        """Score a completed trial, an infinite score counting as none."""
        super().score_trial(trial)
        if trial.score is not None and not np.isfinite(trial.score):
            trial.message = trial.message or (
                f"The objective must be finite, but it is {trial.score}."
            )
            trial.score = float("nan")

    def _check_consecutive_failures(self) -> None:
        """Save the failed trial first: the error that may follow must not lose it."""
        last = self.trials[self.end_order[-1]]
        self._save_trial(last)
        self.save()
        limit = self.max_consecutive_failed_trials
        recent = [self.trials[trial_id] for trial_id in self.end_order]
        recent = [trial for trial in recent if not is_oversized(trial)][-limit:]
        if len(recent) == limit and all(t.status == "FAILED" for t in recent):
            raise RuntimeError(
                "Number of consecutive failures exceeded the limit of "
                f"{limit}.\n{recent[0].message or ''}"
            )

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """Return the best of the trials that completed, never a failed one."""
        completed = [t for t in self.trials.values() if t.status == "COMPLETED"]
        return super().get_best_trials(min(num_trials, len(completed)))

    def save(self) -> None:
        """Write the oracle's state, whole or not at all."""
        write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        folder = Path(self._get_trial_dir(trial.trial_id))
        write_json(folder / "trial.json", trial.get_state())

    def reload(self) -> None:
        """Take up a project where it stopped, at whatever moment that was."""
        try:
            super().reload()
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise StudyFolderError(
                "A study folder must hold what Keras Tuner wrote, but "
                f"{self._project_dir} cannot be read: {error!r}. Restore it from a "
                "copy, or start another one with overwrite=True or another "
                "project_name."
            ) from error
        # In the order of their proposal, as before. A trial whose files were
        # written when the oracle's state was not is left out: it will be proposed
        # again, with the same values.
        self.trials = {name: self.trials[name] for name in self.start_order}
        for trial_id in list(self._retry_queue):
            trial = self.trials[trial_id]
            if trial.status in {"COMPLETED", "FAILED"}:
                self._retry_queue.remove(trial_id)
                self.end_trial(trial)
            else:
                forget_metrics(trial)

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` gave."""
        super().set_state(state)
        self.hyperparameters = as_hyperparameters(self.hyperparameters)


class Display(kt_oracle.Display):  # type: ignore[misc]
    """Keras Tuner's printed lines, which clear the output in notebooks only."""

    def on_trial_end(self, trial: Any) -> None:
        """Print the score of a trial."""
        if self.verbose < 1 or trial.trial_id not in self.trial_start:
            return
        told = kt_utils.IS_NOTEBOOK
        kt_utils.IS_NOTEBOOK = told and in_notebook()
        try:
            super().on_trial_end(trial)
        finally:
            kt_utils.IS_NOTEBOOK = told


def in_notebook() -> bool:
    """Tell whether output goes to a Jupyter cell, not merely IPython installed."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "Terminal" not in type(shell).__name__


@contextmanager
def released_on_error(oracle: Any) -> Iterator[None]:
    """Give an oracle's lock back when a synchronized call raises.

    Keras Tuner's decorator releases it only on the way past the last line.
    """
    name = threading.current_thread().name
    is_outermost = kt_oracle.THREADS[oracle] != name
    try:
        yield
    except BaseException:
        if is_outermost and kt_oracle.THREADS[oracle] == name:
            kt_oracle.THREADS[oracle] = None
            kt_oracle.LOCKS[oracle].release()
        raise


def forget_metrics(trial: Any) -> None:
    """Make a trial as if it had never been run."""
    trial.metrics = MetricsTracker()
    trial.score = None
    trial.message = None
    trial.status = kt_trial.TrialStatus.RUNNING


def is_oversized(trial: Any) -> bool:
    """Tell whether a trial was skipped because its model is too large."""
    return OversizedModelError.__name__ in (trial.message or "")


def read_reason(folder: Path) -> str | None:
    """Return why a trial failed, as the worker that ran it wrote it down."""
    record = folder / RECORD_FILE
    if not record.exists():
        return None
    return json.loads(record.read_text("utf-8")).get("message") or None
