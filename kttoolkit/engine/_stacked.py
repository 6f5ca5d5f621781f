"""The stacked engine: all folds of a trial advance together, one epoch at a time."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kttoolkit.engine._base import Assignment, Engine, Training
from kttoolkit.engine._batches import Batches
from kttoolkit.engine._call import FitCall, RefusedError
from kttoolkit.engine._describe import Description, describe
from kttoolkit.engine._fit import as_numbers, begin_training, sees_weights_only
from kttoolkit.engine._folds import Run, finish, start
from kttoolkit.engine._keras import is_own
from kttoolkit.engine._layers import check_layers
from kttoolkit.engine._optimizers import check_optimizer
from kttoolkit.engine._placed import PlacedRows
from kttoolkit.engine._programs import PROGRAMS, unused
from kttoolkit.engine._random import lazy_tensorflow_seed
from kttoolkit.engine._refusals import check
from kttoolkit.engine._rows import Rows, row_orders
from kttoolkit.engine._seat import share_state
from kttoolkit.engine._stack import Stack
from kttoolkit.scoring import FoldFit

_STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics",
          "get_metrics_result", "metrics")  # fmt: skip
_Batched = tuple[Rows, Batches]


@dataclass
class _Fold:
    """One fold under way."""

    run: Run
    callbacks: keras.callbacks.CallbackList
    order: np.ndarray
    test: np.ndarray
    active: bool = True

    @property
    def model(self) -> keras.Model:
        return self.run.model

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

    def fit_folds(self, assignment: Assignment) -> tuple[FoldFit, ...]:
        """Train every fold and execution side by side."""
        began = time.perf_counter()
        PROGRAMS.tidy()
        waiting = assignment.trainings()
        _check(assignment, len(waiting))
        placed = PlacedRows.of(assignment)
        with lazy_tensorflow_seed():
            runs = [_begin(assignment, waiting[0], placed)]
            _check_model(runs[0].model, placed)
            runs += [_begin(assignment, training, placed) for training in waiting[1:]]
            _check_apart([run.model for run in runs])
            train = _batched(placed.train, [run.order for run in runs])
            test = _batched(placed.test, [run.test for run in runs])
            description = _description(runs)
            make = _maker(assignment, description, train, test)
            key = _key(runs[0].model, description, train, test)
            with PROGRAMS.borrow_stack(key, make) as stack:
                for number in range(len(runs)):
                    assignment.observer.fold_started(number, len(runs))
                _train(stack, runs, placed.call, description.numbers, train, test)
        seconds = (time.perf_counter() - began) / len(runs)
        return tuple(
            finish(assignment, fold.run, fold.model.history, seconds) for fold in runs
        )


def _check(assignment: Assignment, n_trainings: int) -> None:
    factory, plan = assignment.factory, assignment.plan
    reasons = {
        "HyperModel.fit is overridden": factory.has_own_fit,
        "a distribution strategy is used": factory.distribution_strategy is not None,
        "trainings are continued": plan.keep_last or plan.continue_from is not None,
        "there is one training only": n_trainings < 2,
        "validation_freq is not 1": plan.fit_kwargs.get("validation_freq", 1) != 1,
    }
    for reason, holds in reasons.items():
        if holds:
            raise RefusedError(reason)


def _begin(assignment: Assignment, training: Training, placed: PlacedRows) -> _Fold:
    run = start(assignment, training, None)
    for callback in run.callbacks:
        if not sees_weights_only(callback):
            raise RefusedError(f"{type(callback).__name__} may look at the optimizer")
    rows, validation = placed.of_fold(training)
    order = next(row_orders(rows, placed.call.shuffle))
    callbacks = keras.callbacks.CallbackList(
        run.callbacks, add_history=True, model=run.model, verbose=0,
        epochs=placed.call.epochs, steps=rows.n_batches,
    )  # fmt: skip
    return _Fold(run, callbacks, order, validation.in_order())


def _check_model(model: keras.Model, placed: PlacedRows) -> None:
    check(model, placed.call)
    check_layers(model)
    check_optimizer(model)
    if model.jit_compile and len(model.outputs) > 1:
        # `model.fit` weighs them by rows in some of its graphs, and not in others.
        raise RefusedError("XLA compiles the losses of several outputs")
    if is_own(model, *_STEPS):
        raise RefusedError(f"{type(model).__name__} has training steps of its own")
    if not model.built:
        raise RefusedError("the model has no input shape before it is called")


def _check_apart(models: Sequence[keras.Model]) -> None:
    first, *others = models
    if any(share_state(first, other) for other in others):
        raise RefusedError("models of several folds share variables")
    if any(int(model.optimizer.iterations) for model in models):
        raise RefusedError("an optimizer has made steps before")


def _batched(rows: Rows, orders: Sequence[np.ndarray]) -> _Batched:
    counts = {-(-len(order) // rows.batch_size) for order in orders}
    if len(counts) > 1:
        raise RefusedError(f"folds have different numbers of batches: {counts}")
    return rows, Batches.of(orders, rows.batch_size)


def _description(runs: Sequence[_Fold]) -> Description:
    first, *others = (describe(run.model) for run in runs)
    if any(other != first for other in others):
        raise RefusedError("folds have different models")
    return first


def _key(
    model: keras.Model, description: Description, *batched: _Batched
) -> tuple[Any, ...]:
    xla = model.jit_compile
    kinds = tuple(
        (batches.kind(xla=xla), rows.shapes if xla else None)
        for rows, batches in batched
    )
    specs = describe([rows.spec() for rows, _ in batched], keras.config.floatx(), xla)
    # Kept for long, and without the slots, which hold the models.
    return ("stack", description.form, specs, kinds)


def _maker(
    assignment: Assignment, wanted: Description, train: _Batched, test: _Batched
) -> Callable[[], Stack]:
    def make() -> Stack:
        model = unused(assignment.build)
        description = describe(model)
        if description != wanted:
            raise RefusedError("models have been changed since they were built")
        return Stack(model, description, train, test)

    return make


def _train(
    stack: Stack,
    runs: Sequence[_Fold],
    call: FitCall,
    numbers: Sequence[float],
    train: _Batched,
    test: _Batched,
) -> None:
    models = [run.model for run in runs]
    for run in runs:
        run.model.stop_training = False
        begin_training(run.callbacks, stack.model)
    stack.load(models, numbers)
    for epoch in range(call.initial_epoch, call.epochs):
        going = [run for run in runs if run.active]
        if not going:
            break
        for run in going:
            run.callbacks.on_epoch_begin(epoch)
        stack.load_rates(models)
        logs, scores = stack.train(*train), stack.test(*test)
        stack.unload([run.model if run.active else None for run in runs])
        for run, log, score in zip(runs, logs, scores, strict=True):
            if run.active:
                run.end_epoch(epoch, log, score)
    for run in runs:
        run.callbacks.on_train_end()
