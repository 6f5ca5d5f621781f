"""`fit` of the compiled engine: the epochs, callbacks and history of `model.fit`."""

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kttoolkit.engine._call import (
    DrawsError,
    FitCall,
    RefusedError,
    training_rows,
    validation_rows,
)
from kttoolkit.engine._describe import describe
from kttoolkit.engine._jobs import Job, Steps, run
from kttoolkit.engine._keras import (
    compiled_parts,
    first_epoch,
    given_metrics,
    is_kerass,
    settle_direction,
)
from kttoolkit.engine._program import Program, Seat
from kttoolkit.engine._programs import Programs
from kttoolkit.engine._random import put_back, random_state
from kttoolkit.engine._ready import (
    has_plain_optimizer,
    make_layers,
    make_ready,
    trace_step,
)
from kttoolkit.engine._refusals import check, refusing
from kttoolkit.engine._rows import Rows, row_orders
from kttoolkit.engine._seat import variables_of

# Callbacks that look at the logs, the learning rate and the weights alone.
_SEE_WEIGHTS_ONLY = (
    keras.callbacks.History, keras.callbacks.EarlyStopping, keras.callbacks.CSVLogger,
    keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler,
    keras.callbacks.ProgbarLogger,
)  # fmt: skip
# A program, and the numbers of the model that it is to be given.
_Found = tuple[Program, Sequence[float]]
_ATTRIBUTE = "_kttoolkit_traced"
_KINDS_KEPT = 2


def fit_compiled(
    model: keras.Model,
    call: FitCall,
    programs: Programs,
    build: Callable[[], keras.Model] | None = None,
    *,
    last: bool = False,
) -> keras.callbacks.History:
    """Train as `model.fit` does, whole epochs at a time.

    Args:
        model: compiled.
        call: the arguments of `fit`.
        programs: where traced programs are kept.
        build: makes another model of the kind, or None.
        last: whether nobody needs the optimizer's slots afterwards; they are not
            made then, which takes as long as an epoch of a small model.

    Returns:
        The history.

    Raises:
        RefusedError: if this training has to be left to `model.fit`; nothing has
            been changed then.
    """
    check(model, call)
    rows, validation = training_rows(call), validation_rows(call)
    return run(fit_steps(model, call, rows, validation, programs, build, last=last))


def fit_steps(
    model: keras.Model,
    call: FitCall,
    rows: Rows,
    validation: Rows | None,
    programs: Programs,
    build: Callable[[], keras.Model] | None = None,
    *,
    last: bool = False,
) -> Steps[keras.callbacks.History]:
    """Prepare a training that hands out what has to run on the device.

    Args:
        model: compiled, and found fit to be trained so (`check`).
        call: the arguments of `fit`.
        rows: to train on.
        validation: to score on, or None.
        programs: where traced programs are kept.
        build: makes another model of the kind, or None.
        last: whether nobody needs the optimizer's slots afterwards.

    Returns:
        The steps, each an epoch of training or of scoring; at their end the history.

    Raises:
        RefusedError: before anything has been changed, but for what callbacks have.
    """
    state = random_state() if model.built else None
    known = _known_variables(model)
    try:
        return _prepared(model, call, rows, validation, programs, build, last=last)
    except RefusedError as refusal:
        if state is not None:
            # A layer may have drawn numbers, which `model.fit` is to draw again.
            put_back(state)
            if isinstance(refusal, DrawsError) and _known_variables(model) - known:
                # It traces twice where that makes variables, which are made by now.
                trace_step(model, rows)
        raise


def _known_variables(model: keras.Model) -> set[int]:
    given = [each.value for metric in given_metrics(model) for each in metric.variables]
    return {id(variable) for variable in (*variables_of(model), *given)}


def _prepared(
    model: keras.Model,
    call: FitCall,
    rows: Rows,
    validation: Rows | None,
    programs: Programs,
    build: Callable[[], keras.Model] | None,
    *,
    last: bool,
) -> Steps[keras.callbacks.History]:
    if build is None:
        # Described as it will be at the next call, so that this one serves it too.
        with refusing():
            make_ready(model, rows)
    unseen = last and all(sees_weights_only(callback) for callback in call.callbacks)
    lent = unseen and has_plain_optimizer(model) and not model.optimizer.built
    resets = not any(map(_may_count, call.callbacks))
    find: Callable[[], _Found] = functools.partial(
        programs.find, model, rows, validation, build, is_fresh=lent, resets=resets
    )
    if not last:
        specs = [part and part.batch_spec() for part in (rows, validation)]
        key = describe(specs, keras.config.floatx(), model.jit_compile, resets)
        find = _Traced.of(model).finder(key, find)
    found = find()
    if not lent:
        with refusing():
            make_ready(model, rows)
    make_layers(model, rows)
    return _Training(model, call, rows, validation).steps(found, find)


@dataclass(frozen=True)
class _Traced:
    """What a model was trained by before, and is until it is compiled again.

    `model.fit` traces once for rows of one kind: what is changed in a model between two
    trainings has no effect on the second, but for the values of variables.
    """

    compiled: tuple[Any, ...]
    found: dict[Any, _Found] = field(default_factory=dict)

    @classmethod
    def of(cls, model: keras.Model) -> "_Traced":
        known: _Traced | None = vars(model).get(_ATTRIBUTE)
        compiled = compiled_parts(model)
        if known is None or any(map(operator.is_not, known.compiled, compiled)):
            known = cls(compiled)
            object.__setattr__(model, _ATTRIBUTE, known)
        return known

    def finder(self, key: Any, find: Callable[[], _Found]) -> Callable[[], _Found]:
        """Return what finds the program of an earlier training, or a new one."""
        if key in self.found:
            return functools.partial(self.found.__getitem__, key)

        def find_and_keep() -> _Found:
            while len(self.found) >= _KINDS_KEPT:
                self.found.pop(next(iter(self.found)))
            self.found[key] = find()
            return self.found[key]

        return find_and_keep


class _Training:
    """The loop over epochs of one training."""

    def __init__(
        self,
        model: keras.Model,
        call: FitCall,
        rows: Rows,
        validation: Rows | None,
    ) -> None:
        self.model = model
        self.call = call
        self.rows = rows
        self.validation = validation
        self.callbacks = keras.callbacks.CallbackList(
            call.callbacks,
            add_history=True,
            add_progbar=call.verbose != 0,
            verbose=call.verbose,
            epochs=call.epochs,
            steps=rows.steps or rows.n_batches,
            model=model,
        )
        self._resets = True

    def steps(
        self, found: _Found, find: Callable[[], _Found]
    ) -> Steps[keras.callbacks.History]:
        self.model.stop_training = False
        begin_training(self.callbacks, found[0].model)
        begin = first_epoch(self.model, self.call.initial_epoch)
        epochs = range(begin, self.call.epochs)
        self._resets = found[0].resets
        for first in epochs[:1]:
            self._begin_epoch(first)
        if not all(map(sees_weights_only, self.callbacks.callbacks)):
            # `model.fit` traces now, when callbacks may have changed the model.
            found = find()
        program, numbers = found
        with program.seat(self.model, numbers) as seat:
            return (yield from self._epochs(epochs, program, seat))

    def _epochs(
        self, epochs: range, program: Program, seat: Seat
    ) -> Steps[keras.callbacks.History]:
        model, call = self.model, self.call
        compiled = compiled_parts(model)
        orders = row_orders(self.rows, call.shuffle)
        logs = None
        for epoch in epochs:
            if epoch != epochs[0]:
                self._begin_epoch(epoch)
            if any(map(operator.is_not, compiled, compiled_parts(model))):
                raise RuntimeError(
                    "A model is compiled before it is trained, but a callback called "
                    "model.compile while fit was running. Set what is to change, as "
                    "model.optimizer.learning_rate, or call fit once more."
                )
            train = program.train(seat, self.rows, self._until_stopped(next(orders)))
            if self.validation is None or not self._is_scored(epoch):
                logs = dict((yield train))
            else:
                test = program.test(seat, self.validation)
                logs = yield from self._train_and_score(train, test)
            self.callbacks.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        if call.epochs > 0:
            model.optimizer.finalize_variable_values(model.trainable_weights)
        self.callbacks.on_train_end(logs=logs)
        return model.history

    def _begin_epoch(self, epoch: int) -> None:
        if not self._resets:
            self.model.reset_metrics()
        self.callbacks.on_epoch_begin(epoch)

    def _until_stopped(self, order: np.ndarray) -> np.ndarray:
        """Take what `model.fit` does before it sees that it was stopped."""
        if not self.model.stop_training:
            return order
        return order[: self.rows.batch_size * self.model.steps_per_execution]

    def _train_and_score(self, train: Job, test: Job) -> Steps[dict[str, Any]]:
        if self._watches_scoring:
            logs = dict((yield train))
            self.callbacks.on_test_begin()
            scores = as_numbers((yield test))
            self.callbacks.on_test_end(scores)
        else:
            # A job less to wait for.
            trained, tested = yield lambda: (train(), test())
            logs, scores = dict(trained), as_numbers(tested)
        logs.update({f"val_{name}": value for name, value in scores.items()})
        return logs

    @functools.cached_property
    def _watches_scoring(self) -> bool:
        return any(map(_watches_scoring, self.callbacks.callbacks))

    def _is_scored(self, epoch: int) -> bool:
        frequency = self.call.validation_freq
        if isinstance(frequency, int):
            return (epoch + 1) % frequency == 0
        return epoch + 1 in frequency


def _watches_scoring(callback: keras.callbacks.Callback) -> bool:
    usual = keras.callbacks.Callback
    return any(
        name in vars(callback)
        or getattr(type(callback), name) is not getattr(usual, name)
        for name in ("on_test_begin", "on_test_end")
    )


def _may_count(callback: keras.callbacks.Callback) -> bool:
    """Tell whether a callback may look at new metrics, or evaluate into them."""
    hook = getattr(callback, "on_epoch_begin", None)
    return not is_kerass(hook) and not sees_weights_only(callback)


def begin_training(
    callbacks: keras.callbacks.CallbackList, template: keras.Model
) -> None:
    """Tell callbacks that a training begins.

    Args:
        callbacks: of a model that may not have made its metrics.
        template: a model of the kind that has.
    """
    for callback in callbacks.callbacks:
        if sees_weights_only(callback):
            settle_direction(callback, template)
    callbacks.on_train_begin()


def sees_weights_only(callback: keras.callbacks.Callback) -> bool:
    """Tell whether a callback has no use for the optimizer and the metrics.

    Args:
        callback: any.

    Returns:
        Whether it looks at logs, learning rate and weights alone.
    """
    kind = type(callback)
    return kind in _SEE_WEIGHTS_ONLY or getattr(kind, "sees_weights_only", False)


def as_numbers(logs: Any) -> dict[str, float]:
    """Return logs as `evaluate` does: numbers, sorted by name.

    Args:
        logs: names to tensors.

    Returns:
        Names to numbers, or to arrays where a metric has several values.
    """
    numbers: dict[str, Any] = {}
    for name, value in sorted(logs.items()):
        if isinstance(value, dict):
            numbers.update(as_numbers(value))
            continue
        array = np.asarray(value.numpy() if tf.is_tensor(value) else value)
        # Keras's own way fails with a single bfloat16.
        numbers[name] = float(array.item()) if array.ndim == 0 else array
    return numbers
