"""The compiled engine: `fit` runs whole epochs on the device.

On processors folds train side by side where nothing can tell the difference. A
`HyperModel.fit` of the user's own trains one after the other: the model it is handed
carries the engine as its `fit`.

Folds, and trials that differ in the batch size or in numbers alone (learning rate,
momentum, decay, dropout rate, factor of a penalty), share one traced graph.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from kttoolkit.engine._base import Assignment, Engine
from kttoolkit.engine._call import (
    FitCall,
    RefusedError,
    TooLargeError,
    in_host_memory,
)
from kttoolkit.engine._fit import fit_compiled
from kttoolkit.engine._folds import instead_of_fit, train_folds
from kttoolkit.engine._garbage import rare_collections
from kttoolkit.engine._programs import PROGRAMS, Programs
from kttoolkit.engine._random import lazy_tensorflow_seed
from kttoolkit.engine._refusals import ENGINE, warn
from kttoolkit.engine._together import train_together
from kttoolkit.scoring import FoldFit

# Kept with the model, for they would keep the model.
_ATTRIBUTE = "_kttoolkit_programs"


class CompiledEngine(Engine):
    """Trains with `HyperModel.fit` and a `model.fit` of its own."""

    name = "compiled"

    def fit_folds(self, assignment: Assignment) -> tuple[FoldFit, ...]:
        """Train every fold and execution."""
        PROGRAMS.tidy()
        with lazy_tensorflow_seed():
            if assignment.factory.has_own_fit:
                return train_folds(assignment, _carry)
            return train_together(assignment)


def fit(model: keras.Model, *args: Any, **kwargs: Any) -> keras.callbacks.History:
    """Train a model as `model.fit` does, whole epochs on the device.

    Histories and weights are those of `model.fit`: the same batches in the same
    order, the same random numbers, callbacks, class weights and metrics. What has
    to be done batch by batch from Python (batch-level callbacks, generators,
    `tf.data`, `run_eagerly`, several replicas) is left to `model.fit`, and a warning
    says why.

    Three things differ. A callback that compiles the model while it is trained is an
    error. A metric that returns its variable itself, as `TruePositives` with several
    thresholds does, has its own value in the history, where `model.fit` puts that of
    the validation rows for both. And what a layer of yours counts in Python while it
    is traced (`self.n += 1`) comes out otherwise, for it is traced another number of
    times.

    Small models gain most, for there `model.fit` spends its time between steps. On
    processors they run in one thread, where sums may be rounded otherwise in the last
    digit of 32-bit numbers; models with batch normalization or convolutions do not,
    and are equal to the bit.

    Args:
        model: compiled.
        *args: as `keras.Model.fit` takes them: x of shape (n_samples, ...), y, ...
        **kwargs: as `keras.Model.fit` takes them.

    Returns:
        The history, as `model.fit` returns it.

    Example:
        >>> import keras
        >>> import kttoolkit
        >>> x, y = keras.random.normal((64, 3)), keras.random.normal((64, 1))
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> history = kttoolkit.fit(model, x, y, epochs=2, verbose=0)
        >>> sorted(history.history)
        ['loss']
    """
    if _ATTRIBUTE not in vars(model):
        object.__setattr__(model, _ATTRIBUTE, Programs(max_programs=2))
    programs = vars(model)[_ATTRIBUTE]
    return _fit_or_leave(model, args, kwargs, programs)


def _fit_or_leave(
    model: keras.Model,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    programs: Programs,
    build: Callable[[], keras.Model] | None = None,
    *,
    last: bool = False,
) -> keras.callbacks.History:
    try:
        call = FitCall.of(args, kwargs)
        with rare_collections():
            return fit_compiled(model, call, programs, build, last=last)
    except RefusedError as refusal:
        warn(refusal)
        if isinstance(refusal, TooLargeError):
            args, kwargs = in_host_memory(args, kwargs)
    own = vars(model).get("fit")
    if own is not None and not hasattr(own, ENGINE):
        return own(*args, **kwargs)
    return type(model).fit(model, *args, **kwargs)


@contextmanager
def _carry(
    model: keras.Model, build: Callable[[], keras.Model], *, last: bool
) -> Iterator[None]:
    def engine_fit(*args: Any, **kwargs: Any) -> keras.callbacks.History:
        return _fit_or_leave(model, args, kwargs, PROGRAMS, build, last=last)

    setattr(engine_fit, ENGINE, True)
    with instead_of_fit(model, engine_fit):
        yield
