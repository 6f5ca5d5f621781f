"""What a worker process does: load once what all trials share, then train trials."""

import pickle
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cloudpickle
import keras
import keras_tuner
import tensorflow as tf

from kttoolkit.cv import Folds
from kttoolkit.data import TrainingData
from kttoolkit.engine import FitPlan, ModelFactory, prepare_devices
from kttoolkit.evaluate import Outcome, SilentObserver, evaluate
from kttoolkit.exceptions import (
    KttoolkitError,
    OversizedModelError,
    SearchError,
    TrialError,
    UnwritableError,
)
from kttoolkit.files import told_if_unwritable
from kttoolkit.scoring import FoldFit
from kttoolkit.workers._events import EventLog, Events
from kttoolkit.workers._process import borrowed

__all__ = ["Events", "Payload", "Report", "Task", "alone", "pack", "prepare", "run"]

PAYLOAD_FILE = "payload.pickle"

# How one library calls another is nobody's business here.
_QUIET = (DeprecationWarning, PendingDeprecationWarning, ResourceWarning)

# Keras and its random states belong to a whole process; threads take turns.
_turn = threading.RLock()
_loaded: tuple[str, "Payload"] | None = None


class _Stopped(BaseException):
    """Ends a trial between two epochs; not an error of the trial."""


@dataclass(frozen=True)
class Payload:
    """What all trials of a search share; sent to each worker once.

    Attributes:
        factory: builds the models.
        data: the rows, or None.
        folds: how to cut them, or None.
        plan: how to train, as far as all trials have it in common.
        engine: which engine trains.
        keras: Keras's global settings.
    """

    factory: ModelFactory
    data: TrainingData | None
    folds: Folds | None
    plan: FitPlan
    engine: str = "auto"
    keras: Mapping[str, Any] = field(default_factory=lambda: _keras_settings())


@dataclass(frozen=True)
class Task:
    """One trial; small.

    Attributes:
        payload: the file that holds what all trials share.
        hp: the trial's hyperparameters.
        plan: what this trial's plan adds to the common one.
        events: the file that progress is written to.
    """

    payload: str
    hp: keras_tuner.HyperParameters
    plan: FitPlan
    events: str


@dataclass(frozen=True)
class StandIn:
    """An error that does not outlive being pickled.

    Attributes:
        kind: what decides, as a base class, what becomes of the search.
        name: of the error's class.
        text: its message.
    """

    kind: type[Exception]
    name: str
    text: str

    def made(self) -> Exception:
        """Make an error that reads like the original.

        Returns:
            The error.
        """
        made: Exception = type(self.name, (self.kind,), {})(self.text)
        return made


@dataclass(frozen=True)
class Report:
    """What came of a task, whatever it was.

    Attributes:
        outcome: of a trial that completed.
        error: of one that failed.
        trace: where it failed.
        stopped: whether its time was over.
        seconds: how long it took.
        warnings: category and text of each.
    """

    outcome: Outcome | None = None
    error: "Exception | StandIn | None" = None
    trace: str = ""
    stopped: bool = False
    seconds: float = 0.0
    warnings: tuple[tuple[type[Warning], str], ...] = ()

    def result(self) -> Outcome:
        """Return the outcome, or raise the error with the worker's trace behind it.

        Returns:
            The outcome.

        Raises:
            SearchError: if there is neither.
            Exception: what the trial failed of.
        """
        if self.error is not None:
            made = self.error.made() if isinstance(self.error, StandIn) else self.error
            raise made from _RemoteError(self.trace)
        if self.outcome is None:
            raise SearchError("A trial that was stopped has no outcome.")
        return self.outcome


class _RemoteError(Exception):
    """Shows a trace from another process."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


@contextmanager
def alone() -> Iterator[None]:
    """Have Keras for oneself while models are built or trained.

    Yields:
        Nothing.
    """
    with _turn:
        yield


def prepare() -> None:
    """Find the devices, which takes a while and is told at length."""
    prepare_devices()
    tf.config.list_logical_devices()


def pack(payload: Payload, folder: Path) -> str:
    """Write what all trials share to a file.

    Args:
        payload: what they share.
        folder: a private one.

    Returns:
        The file.

    Raises:
        SearchError: if something in it cannot be pickled.
        UnwritableError: if the disk does not take it.
    """
    path = folder / PAYLOAD_FILE
    try:
        with told_if_unwritable(path), path.open("wb") as file:
            cloudpickle.dump(payload, file, protocol=pickle.HIGHEST_PROTOCOL)
    except UnwritableError:
        raise
    except Exception as error:
        name, cause = _culprit(payload) or ("the search", error)
        raise SearchError(
            "With parallel=, what trials need is pickled and sent to other processes, "
            f"but {name} cannot be pickled: {type(cause).__name__}: {cause}. "
            "Open files, connections and datasets inside of build, fit or "
            "on_train_begin, pass arrays instead of streams, or leave parallel out."
        ) from error
    return str(path)


def _culprit(payload: Payload) -> tuple[str, Exception] | None:
    plan = payload.plan
    parts = {
        "the build function": payload.factory.hypermodel,
        "what the tuner compiles with (optimizer, loss, metrics)": (
            payload.factory.compile_overrides
        ),
        "the data": (payload.data, plan.fit_args),
        "the preprocessor": plan.preprocessor,
        "the objective": plan.objective,
        **{f"the callback {callback!r}": callback for callback in plan.callbacks},
        **{f"fit's {k}={v!r}": v for k, v in plan.fit_kwargs.items()},
    }
    for name, part in parts.items():
        try:
            cloudpickle.dumps(part)
        except Exception as error:
            return name, error
    return None


def run(task: Task) -> Report:
    """Train one trial; everything it may end with is in the report.

    Args:
        task: which trial.

    Returns:
        The report.
    """
    with _turn, warnings.catch_warnings(record=True) as caught:
        began = time.perf_counter()
        report = _attempt(task)
        seconds = time.perf_counter() - began
    told = [w for w in caught if not issubclass(w.category, _QUIET)]
    return replace(report, seconds=seconds, warnings=tuple(map(_sendable, told)))


def _attempt(task: Task) -> Report:
    try:
        payload = _load(task.payload)
        with _Reporter(task) as observer:
            outcome = evaluate(
                payload.factory,
                task.hp,
                payload.data,
                payload.folds,
                _joined(payload.plan, task.plan),
                engine=payload.engine,
                observer=observer,
            )
    except _Stopped:
        return Report(stopped=True)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        return Report(error=_portable(error), trace=trace)
    return Report(outcome)


def _load(path: str) -> Payload:
    global _loaded
    if _loaded is None or _loaded[0] != path:
        _loaded = None
        try:
            with Path(path).open("rb") as file:
                payload = cloudpickle.load(file)
        except Exception as error:
            raise SearchError(
                "A worker must be able to load what it is sent, but this one cannot: "
                f"{type(error).__name__}: {error}. Workers need the disk and the "
                "modules of the process that called tune."
            ) from error
        _loaded = (path, payload)
        borrowed.add(Path(path).parent)
    _use_keras_settings(_loaded[1].keras)
    return _loaded[1]


def _joined(common: FitPlan, own: FitPlan) -> FitPlan:
    return replace(
        common,
        attempt=own.attempt,
        fit_kwargs={**common.fit_kwargs, **own.fit_kwargs},
        label=own.label,
        directory=own.directory,
        continue_from=own.continue_from,
        keep_last=own.keep_last,
    )


def _portable(error: Exception) -> Exception | StandIn:
    """Return an error as one that arrives in another process."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
    try:
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    except Exception:
        pass
    known = (
        keras_tuner.errors.FatalError, keras_tuner.errors.FailedTrialError,
        OversizedModelError, TrialError, KttoolkitError,
    )  # fmt: skip
    kind = next((k for k in known if isinstance(error, k)), RuntimeError)
    return StandIn(kind, type(error).__name__, str(error))


def _sendable(warning: warnings.WarningMessage) -> tuple[type[Warning], str]:
    is_sent = warning.category.__module__ != "__main__"
    return (warning.category if is_sent else UserWarning), str(warning.message)


class _Reporter(SilentObserver):
    """Writes down how a trial gets on and stops it when it has to."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._log = EventLog(task.events)

    def __enter__(self) -> "_Reporter":
        return self

    def __exit__(self, *error: object) -> None:
        self._log.close()

    def fold_started(self, split: int, n_splits: int) -> None:
        """Write it down."""
        self._log.write("fold_started", split, n_splits)

    def epoch_ended(self, split: int, epoch: int, logs: Mapping[str, float]) -> None:
        """Write it down; stop when nobody waits for the trial any more."""
        self._log.write("epoch_ended", split, epoch, dict(logs))
        if not Path(self.task.payload).exists():
            raise _Stopped

    def fold_ended(self, fit: FoldFit) -> None:
        """Write it down."""
        self._log.write("fold_ended", fit)


_SETTINGS: Mapping[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "floatx": (keras.config.floatx, keras.config.set_floatx),
    "epsilon": (keras.config.epsilon, keras.config.set_epsilon),
    "image_data_format": (
        keras.config.image_data_format, keras.config.set_image_data_format,
    ),
    "dtype_policy": (
        lambda: keras.config.dtype_policy().name, keras.config.set_dtype_policy,
    ),
}  # fmt: skip


def _keras_settings() -> dict[str, Any]:
    return {name: read() for name, (read, _) in _SETTINGS.items()}


def _use_keras_settings(settings: Mapping[str, Any]) -> None:
    for name, (read, write) in _SETTINGS.items():
        if read() != settings[name]:
            write(settings[name])
