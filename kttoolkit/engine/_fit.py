"""`fit` of the compiled engine: the epochs, callbacks and history of `model.fit`."""

from collections.abc import Callable
from typing import Any

import keras

from kttoolkit.engine._call import (
    FitCall,
    Rows,
    row_orders,
    training_rows,
    validation_rows,
)
from kttoolkit.engine._keras import first_epoch
from kttoolkit.engine._program import Program, has_plain_optimizer, make_ready, refusing
from kttoolkit.engine._programs import Programs
from kttoolkit.engine._refusals import check

# Callbacks that look at the logs, the learning rate and the weights alone.
_SEE_WEIGHTS_ONLY = (
    keras.callbacks.History, keras.callbacks.EarlyStopping, keras.callbacks.CSVLogger,
    keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler,
    keras.callbacks.ProgbarLogger,
)  # fmt: skip


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
    known = all(sees_weights_only(callback) for callback in call.callbacks)
    if build is None:
        # Described as it will be at the next call, so that this one serves it too.
        with refusing():
            make_ready(model, rows)
    with programs.borrow(model, rows, validation, build) as program:
        if not known or not has_plain_optimizer(model):
            make_ready(model, rows)
        elif not model.built:
            model(keras.utils.unpack_x_y_sample_weight(rows.first())[0])
        epochs = _Epochs(model, call, program, rows, validation, known=known, last=last)
        return epochs.run()


class _Epochs:
    """The loop over epochs of one training."""

    def __init__(
        self,
        model: keras.Model,
        call: FitCall,
        program: Program,
        rows: Rows,
        validation: Rows | None,
        *,
        known: bool,
        last: bool,
    ) -> None:
        self.model = model
        self.call = call
        self.program = program
        self.rows = rows
        self.validation = validation
        self.known = known
        self.last = last
        self.callbacks = keras.callbacks.CallbackList(
            call.callbacks,
            add_history=True,
            add_progbar=call.verbose != 0,
            verbose=call.verbose,
            epochs=call.epochs,
            steps=rows.steps or rows.n_batches,
            model=model,
        )

    def run(self) -> keras.callbacks.History:
        model, call = self.model, self.call
        model.stop_training = False
        self.callbacks.on_train_begin()
        self.program.load(model)
        orders = row_orders(self.rows, call.shuffle)
        logs = None
        for epoch in range(first_epoch(model, call.initial_epoch), call.epochs):
            self.callbacks.on_epoch_begin(epoch)
            self._take_changes()
            logs = dict(self.program.train(self.rows, next(orders)))
            self.program.unload(model)
            if self.validation is not None and self._is_scored(epoch):
                logs.update(self._score(self.validation))
            self.callbacks.on_epoch_end(epoch, logs)
            if model.stop_training:
                break
        if self.known and not self.last:
            self.program.unload_optimizer(model)
        if call.epochs > 0:
            model.optimizer.finalize_variable_values(model.trainable_weights)
        self.callbacks.on_train_end(logs=logs)
        return model.history

    def _take_changes(self) -> None:
        """Take over what callbacks may have changed since the last epoch."""
        if self.known:
            self.program.load_rate(self.model)
        else:
            self.program.load(self.model)

    def _score(self, rows: Rows) -> dict[str, float]:
        self.callbacks.on_test_begin()
        if not self.known:
            self.program.load(self.model)
        scores = as_numbers(self.program.test(rows))
        if not self.known:
            self.program.unload(self.model)
        self.callbacks.on_test_end(scores)
        return {f"val_{name}": value for name, value in scores.items()}

    def _is_scored(self, epoch: int) -> bool:
        frequency = self.call.validation_freq
        if isinstance(frequency, int):
            return (epoch + 1) % frequency == 0
        return epoch + 1 in frequency


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
        array = keras.ops.convert_to_numpy(value)
        numbers[name] = float(array) if array.size == 1 else array
    return numbers
