"""One update for all weights at once, in place of one for each.

Adam takes 22 operations for every weight of a network, which in a small one is most
of what a step does. Optimizers that treat every number by itself compute the same, to
the bit, on one long vector of all weights. What the optimizer keeps of every weight
(its slots) lies in such vectors too: for an epoch, or for a whole training where nobody
asks for it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kttoolkit.engine._call import RefusedError
from kttoolkit.engine._keras import is_own, on_one_weight, slots_of
from kttoolkit.engine._optimizers import check_optimizer

# Beyond that the copies take longer than the operations that they save: an epoch of
# 43,000 weights gained a sixth, one of 300,000 lost a fifth.
_MAX_WEIGHTS = 64_000


def can_be_flat(model: keras.Model) -> bool:
    """Tell whether one update for all weights is possible, and faster.

    Args:
        model: compiled.

    Returns:
        Whether it is.
    """
    try:
        check_optimizer(model)
    except RefusedError:
        return False
    weights = model.trainable_variables
    return (
        model.built
        and not model.jit_compile
        # It takes two operations a weight, which TensorFlow fuses with the gradient's.
        and not isinstance(model.optimizer, keras.optimizers.SGD)
        and not is_own(model, "train_step")
        and len(weights) > 1
        and sum(_sizes(weights)) <= _MAX_WEIGHTS
        and all(w.dtype == "float32" and w.constraint is None for w in weights)
    )


class Flat:
    """All weights of a model as one vector, and each kind of its optimizer's slots.

    Args:
        model: with all its variables made (`make_ready`).
        keeps_slots: whether the optimizer's own slots are read before each epoch, and
            written behind it; otherwise the vectors hold them from epoch to epoch.

    Raises:
        ValueError: if the optimizer was made for other weights.
    """

    def __init__(self, model: keras.Model, *, keeps_slots: bool) -> None:
        self._optimizer = model.optimizer
        self._weights = model.trainable_variables
        self._sizes = _sizes(self._weights)
        slots = slots_of(self._optimizer, self._weights)
        self._kept, self._replaced = (slots, {}) if keeps_slots else ({}, slots)
        self._whole = _vector(self._weights)
        self._whole_slots = {name: _vector(parts) for name, parts in slots.items()}
        self._n_writing = 0

    @property
    def variables(self) -> list[tf.Variable]:
        """Return the vectors, as they are before a training."""
        return [v.value for v in (self._whole, *self._whole_slots.values())]

    @property
    def idle(self) -> list[tf.Variable]:
        """Return the slots that the vectors stand for all the time."""
        return [slot.value for slot in chain(*self._replaced.values())]

    @contextmanager
    def updating(self, step: Callable[[Any], Any]) -> Iterator[Callable[[Any], Any]]:
        """Let the optimizer update all weights at once, in the graph traced here.

        Args:
            step: trains one batch.

        Yields:
            The step, which updates all weights at once.

        Raises:
            RefusedError: if a step does more to the weights than that.
        """
        self._gather()
        for name, slots in self._kept.items():
            self._whole_slots[name].assign(_joined(slots))
        vars(self._optimizer)["apply"] = self._apply
        try:
            yield lambda batch: self._checked(step(batch))
        finally:
            del vars(self._optimizer)["apply"]
        for name, slots in self._kept.items():
            self._scatter(self._whole_slots[name], slots)

    def _apply(self, gradients: Any, trainable_variables: Any = None) -> None:
        _check(self._weights, gradients, trainable_variables)
        if _n_writing(self._weights):
            # A layer has changed its own weights, as SpectralNormalization does.
            self._gather()
        with on_one_weight(self._optimizer, self._whole, self._whole_slots):
            apply = type(self._optimizer).apply
            apply(self._optimizer, [_joined(gradients)], [self._whole])
        self._scatter(self._whole, self._weights)
        self._n_writing = _n_writing(self._weights)

    def _checked(self, logs: Any) -> Any:
        if _n_writing(self._weights) != self._n_writing:
            raise RefusedError("weights are changed behind the optimizer's back")
        return logs

    def _gather(self) -> None:
        self._whole.assign(_joined(self._weights))

    def _scatter(self, whole: keras.Variable, parts: list[keras.Variable]) -> None:
        split = tf.split(whole.value, self._sizes)
        for variable, part in zip(parts, split, strict=True):
            variable.assign(tf.reshape(part, variable.shape))


def _check(weights: Any, gradients: Any, trained: Any) -> None:
    if [id(w) for w in trained or weights] != [id(w) for w in weights]:
        raise RefusedError("not all weights are trained in every step")
    if not all(isinstance(gradient, tf.Tensor) for gradient in gradients):
        raise RefusedError("a gradient is sparse, or there is none")


def _n_writing(variables: Iterable[keras.Variable]) -> int:
    """Count what the graph traced here does to variables other than reading them."""
    graph = tf.compat.v1.get_default_graph()
    handles = (graph.capture(variable.value.handle) for variable in variables)
    users = (user for handle in handles for user in handle.consumers())
    return sum(user.type != "ReadVariableOp" for user in users)


def _vector(parts: Iterable[keras.Variable]) -> keras.Variable:
    return keras.Variable(np.concatenate([part.numpy().ravel() for part in parts]))


def _joined(tensors: Iterable[Any]) -> tf.Tensor:
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)


def _sizes(weights: Iterable[keras.Variable]) -> list[int]:
    return [int(np.prod(weight.shape)) for weight in weights]
