"""The Keras callbacks through which an engine follows a training."""

import copy
import functools
import importlib.util
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np

from kttoolkit.engine._base import Assignment, Observer, Training
from kttoolkit.engine._plan import FitPlan
from kttoolkit.engine._tensorflow import put_values, values_of
from kttoolkit.engine._wandb_callbacks import give_own_run
from kttoolkit.exceptions import MissingDependencyError, SearchError
from kttoolkit.scoring import ObjectiveLike, numbers_of


class CallbackError(SearchError, keras_tuner.errors.FatalValueError):
    """A callback cannot be used in a search; Keras Tuner's error too."""


class EpochRecorder(keras.callbacks.Callback):
    """Keeps every epoch's metrics and, in memory, the weights of the best epoch.

    Args:
        objective: decides which epoch is best.
    """

    sees_weights_only = True

    def __init__(self, objective: ObjectiveLike) -> None:
        super().__init__()
        self.objective = objective
        self.epochs = 0
        self.best_weights: list[np.ndarray] | None = None
        self._best = np.inf
        self._logs: list[dict[str, float]] = []

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Record an epoch and stop a training whose loss is no longer finite."""
        values = numbers_of(logs or {})
        self._logs.append(values)
        self.epochs += 1
        if not np.isfinite(values.get("loss", 0.0)):
            self.model.stop_training = True
        score = self._signed_score(values)
        if score < self._best:
            self._best = score
            self.best_weights = values_of(self._weights)

    @functools.cached_property
    def _weights(self) -> list[keras.Variable]:
        """List the weights once, which takes as long as reading them."""
        return list(self.model.weights)

    def history(self) -> dict[str, tuple[float, ...]]:
        """Return each metric with one value an epoch, NaN where it was not told."""
        columns: dict[str, list[float]] = defaultdict(list)
        names = dict.fromkeys(name for logs in self._logs for name in logs)
        for logs in self._logs:
            for name in names:
                columns[name].append(logs.get(name, np.nan))
        return {name: tuple(values) for name, values in columns.items()}

    def restore_best(self) -> None:
        """Give the model the weights of its best epoch, if one was seen."""
        if self.best_weights is not None:
            put_values(self._weights, self.best_weights)

    def _signed_score(self, logs: Mapping[str, float]) -> float:
        if not self.objective.has_value(logs):  # type: ignore[attr-defined]
            return np.inf
        value = float(self.objective.get_value(logs))
        return value if self.objective.direction == "min" else -value


class _EpochReporter(keras.callbacks.Callback):
    """Passes each epoch on to the observer."""

    sees_weights_only = True

    def __init__(self, observer: Observer, split: int) -> None:
        super().__init__()
        self.observer = observer
        self.split = split

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Pass the epoch on, counted from 1."""
        self.observer.epoch_ended(self.split, epoch + 1, numbers_of(logs or {}))


def assemble_callbacks(
    assignment: Assignment, training: Training, recorder: EpochRecorder
) -> list[keras.callbacks.Callback]:
    """Make the list of callbacks for one training.

    Args:
        assignment: holds the user's callbacks, which are copied, and the observer.
        training: which fold it is.
        recorder: comes last, so that it sees what the others add to the logs.

    Returns:
        Fresh callbacks, each writing where no other training writes.
    """
    plan, observer = assignment.plan, assignment.observer
    callbacks = copy_callbacks(plan.callbacks)
    _separate_outputs(callbacks, plan, training, assignment.hp)
    reporter = _EpochReporter(observer, training.split)
    return [*callbacks, *observer.callbacks(), reporter, recorder]


def copy_callbacks(
    callbacks: Iterable[keras.callbacks.Callback],
) -> list[keras.callbacks.Callback]:
    """Copy callbacks deeply, since one object cannot serve two trainings.

    Args:
        callbacks: as the user gave them.

    Returns:
        Copies.

    Raises:
        CallbackError: if one cannot be copied.
    """
    copies = []
    for callback in callbacks:
        try:
            copies.append(copy.deepcopy(callback))
        except Exception as error:
            raise CallbackError(
                "All callbacks used during a search should be deep-copyable, because "
                f"every fold gets its own, but {callback!r} is not: {error}. Open "
                "files and connections in its on_train_begin, not in its constructor."
            ) from error
    return copies


def _separate_outputs(
    callbacks: list[keras.callbacks.Callback],
    plan: FitPlan,
    training: Training,
    hp: keras_tuner.HyperParameters,
) -> None:
    """Send what callbacks write to a folder of this training's own."""
    place = Path(plan.label) / f"execution{training.execution}"
    if training.n_test:
        place = Path(plan.label) / f"split{training.split}"
    for callback in list(callbacks):
        if isinstance(callback, keras.callbacks.TensorBoard):
            callback.log_dir = str(Path(callback.log_dir) / place)
            callbacks.append(_hparams_callback(callback.log_dir, plan.label, hp))
        elif isinstance(callback, keras.callbacks.CSVLogger) and training.n_test:
            callback.filename = _into_folder(callback.filename, place)
        elif isinstance(callback, keras.callbacks.ModelCheckpoint) and training.n_test:
            callback.filepath = _into_folder(callback.filepath, place)
    give_own_run(callbacks, plan, training, hp)


def _into_folder(path: Any, place: Path) -> str:
    target = Path(path).parent / place / Path(path).name
    target.parent.mkdir(parents=True, exist_ok=True)
    return str(target)


def _hparams_callback(
    log_dir: str, label: str, hp: keras_tuner.HyperParameters
) -> keras.callbacks.Callback:
    if importlib.util.find_spec("tensorboard") is None:
        raise MissingDependencyError(
            "keras.callbacks.TensorBoard needs the package tensorboard, which "
            "TensorFlow no longer installs. Run: pip install tensorboard"
        )
    from tensorboard.plugins.hparams import api  # noqa: PLC0415

    return api.KerasCallback(writer=log_dir, hparams=dict(hp.values), trial_id=label)
