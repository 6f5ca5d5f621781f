"""The stacked engine: all folds of a trial advance together, one epoch at a time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import numpy as np

from kttoolkit.cv import Folds
from kttoolkit.data import TrainingData
from kttoolkit.engine._base import (
    Engine,
    FitPlan,
    ModelFactory,
    Observer,
    Training,
    TrainingSource,
    trainings,
)
from kttoolkit.engine._call import (
    FitCall,
    RefusedError,
    Rows,
    row_order,
    training_rows,
)
from kttoolkit.engine._callbacks import EpochRecorder, assemble_callbacks
from kttoolkit.engine._describe import describe
from kttoolkit.engine._fit import as_numbers, sees_weights_only
from kttoolkit.engine._folds import as_history, finished, keep
from kttoolkit.engine._keras import reset_names
from kttoolkit.engine._program import is_own
from kttoolkit.engine._programs import PROGRAMS, unused
from kttoolkit.engine._random import lazy_tensorflow_seed
from kttoolkit.engine._refusals import check
from kttoolkit.engine._stack import Stack, check_layers, check_optimizer
from kttoolkit.scoring import FoldFit

_STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics",
          "get_metrics_result", "metrics")  # fmt: skip
_ONLY_DEFAULT = ("steps_per_epoch", "validation_steps", "validation_split")


@dataclass
class _Run:
    """One fold under way."""

    training: Training
    model: keras.Model
    recorder: EpochRecorder
    callbacks: keras.callbacks.CallbackList
    order: np.ndarray
    test: np.ndarray
    active: bool = True

    def end_epoch(self, epoch: int, logs: Any, scores: Any) -> None:
        values = as_numbers(scores)
        self.callbacks.on_test_begin()
        self.callbacks.on_test_end(values)
        named = {f"val_{name}": value for name, value in values.items()}
        self.callbacks.on_epoch_end(epoch, {**logs, **named})
        self.active = not self.model.stop_training


class StackedEngine(Engine):
    """Trains all folds and executions in one program.

    A fold that stops early is frozen while the others go on.
    """

    name = "stacked"

    def fit_folds(
        self,
        factory: ModelFactory,
        hp: keras_tuner.HyperParameters,
        data: TrainingData | None,
        folds: Folds | None,
        plan: FitPlan,
        observer: Observer,
    ) -> tuple[FoldFit, ...]:
        """Train every fold and execution side by side."""
        if data is None or folds is None:
            raise RefusedError("there are no folds")
        _check(factory, folds, plan)
        start = time.perf_counter()
        with lazy_tensorflow_seed():
            call, rows, validation = _rows(data, plan)
            runs = [
                _run(factory, hp, source, plan, observer, rows)
                for source in trainings(folds, plan)
            ]
            _check_runs(runs, call, rows, validation)
            key = _key(runs, rows, validation)
            make = _maker(factory, hp, len(runs), rows, validation)
            with PROGRAMS.borrow_stack(key, make) as stack:
                for run in runs:
                    observer.fold_started(run.training.split, len(runs))
                _train(stack, runs, call, rows, validation)
        seconds = (time.perf_counter() - start) / len(runs)
        return tuple(_finish(run, plan, seconds, observer) for run in runs)


def _check(factory: ModelFactory, folds: Folds, plan: FitPlan) -> None:
    reasons = {
        "HyperModel.fit is overridden": factory.has_own_fit,
        "a distribution strategy is used": factory.distribution_strategy is not None,
        "each fold has a preprocessor of its own": plan.preprocessor is not None,
        "rows to score on came from outside": folds.validation is not None,
        "trainings are continued": plan.keep_last or plan.continue_from is not None,
        "there is one training only": len(folds) * plan.executions < 2,
        "validation_freq is not 1": plan.fit_kwargs.get("validation_freq", 1) != 1,
    }
    for reason, holds in reasons.items():
        if holds:
            raise RefusedError(reason)
    for name in _ONLY_DEFAULT:
        if plan.fit_kwargs.get(name):
            raise RefusedError(f"{name} is given")


def _rows(data: TrainingData, plan: FitPlan) -> tuple[FitCall, Rows, Rows]:
    """Put all rows on the device once; folds are row numbers."""
    weighted = {"sample_weight": data.sample_weight}
    arrays = (data.x,) if data.y is None else (data.x, data.y)
    call = FitCall.of((*arrays, *plan.fit_args), {**weighted, **plan.fit_kwargs})
    size = call.validation_batch_size or call.batch_size
    scored = FitCall.of(arrays, {**weighted, "batch_size": size})
    return call, training_rows(call), training_rows(scored)


def _run(
    factory: ModelFactory,
    hp: keras_tuner.HyperParameters,
    source: TrainingSource,
    plan: FitPlan,
    observer: Observer,
    rows: Rows,
) -> _Run:
    fold: Any = source.fold
    seed = plan.fold_seed(source.fold_number, source.execution)
    training = Training(
        source.split, source.fold_number, source.execution, seed, (), {},
        len(fold.train), len(fold.test),
    )  # fmt: skip
    reset_names()
    keras.utils.set_random_seed(seed)
    model = factory.build(hp)
    recorder = EpochRecorder(plan.objective)
    listening = assemble_callbacks(plan, training, hp, observer, recorder)
    for callback in listening:
        if not sees_weights_only(callback):
            raise RefusedError(f"{type(callback).__name__} may look at the optimizer")
    shuffle = plan.fit_kwargs.get("shuffle", True)
    order = row_order(len(fold.train), rows.batch_size, shuffle)
    epochs = plan.fit_kwargs.get("epochs", 1)
    callbacks = keras.callbacks.CallbackList(
        listening, add_history=True, model=model, verbose=0, epochs=epochs,
        steps=-(-len(fold.train) // rows.batch_size),
    )  # fmt: skip
    taken = fold.train[order].astype("int32"), fold.test.astype("int32")
    return _Run(training, model, recorder, callbacks, *taken)


def _check_runs(
    runs: Sequence[_Run], call: FitCall, rows: Rows, validation: Rows
) -> None:
    model = runs[0].model
    check(model, call)
    check_layers(model)
    check_optimizer(model)
    if is_own(model, *_STEPS):
        raise RefusedError(f"{type(model).__name__} has training steps of its own")
    if model.jit_compile:
        raise RefusedError("the model is compiled with XLA")
    if not model.built:
        raise RefusedError("the model has no input shape before it is called")
    for what, size in (("order", rows.batch_size), ("test", validation.batch_size)):
        counts = {-(-len(getattr(run, what)) // size) for run in runs}
        if len(counts) > 1:
            raise RefusedError(f"folds have different numbers of batches: {counts}")


def _key(runs: Sequence[_Run], rows: Rows, validation: Rows) -> tuple[Any, ...]:
    kinds = {describe(run.model) for run in runs}
    if len(kinds) > 1:
        raise RefusedError("folds have different models")
    specs = describe(rows.spec(), validation.spec(), keras.config.floatx())
    return ("stack", len(runs), kinds.pop(), specs)


def _maker(
    factory: ModelFactory,
    hp: keras_tuner.HyperParameters,
    n_folds: int,
    rows: Rows,
    validation: Rows,
) -> Any:
    def make() -> Stack:
        template = unused(lambda: factory.build(hp.copy()))
        return Stack(template, n_folds, rows, validation)

    return make


def _train(
    stack: Stack, runs: Sequence[_Run], call: FitCall, rows: Rows, validation: Rows
) -> None:
    models = [run.model for run in runs]
    for run in runs:
        run.model.stop_training = False
        run.callbacks.on_train_begin()
    stack.load(models)
    for epoch in range(call.initial_epoch, call.epochs):
        going = [run for run in runs if run.active]
        if not going:
            break
        for run in going:
            run.callbacks.on_epoch_begin(epoch)
        stack.load_rates(models)
        logs = stack.train(rows, [run.order for run in runs])
        scores = stack.test(validation, [run.test for run in runs])
        stack.unload([run.model if run.active else None for run in runs])
        for run, log, score in zip(runs, logs, scores, strict=True):
            if run.active:
                run.end_epoch(epoch, log, score)
    for run in runs:
        run.callbacks.on_train_end()


def _finish(run: _Run, plan: FitPlan, seconds: float, observer: Observer) -> FoldFit:
    history = as_history(run.model.history, run.recorder, plan.objective)
    if plan.directory is not None:
        keep(run.model, run.recorder, plan, run.training.split)
    return finished(run.training, history, plan, seconds, observer)
