"""The variables of one training, for a program to run on."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def variables_of(model: keras.Model) -> list[tf.Variable]:
    """List everything that training a model changes.

    Args:
        model: compiled.

    Returns:
        Weights and random states, metrics, optimizer, in this order.
    """
    return [*map(_value, _weights_and_metrics(model)), *map(_value, _slots(model))]


class Spares:
    """Variables that stand for those which a model has not made yet.

    Args:
        like: a model with everything made and never trained.
        scratch: variables beside the model's.
        idle: those of the model's that no graph has a use for.
    """

    def __init__(
        self,
        like: keras.Model,
        scratch: Sequence[tf.Variable] = (),
        idle: Iterable[tf.Variable] = (),
    ) -> None:
        ignored = {id(variable) for variable in idle}
        self._n_made = len(_weights_and_metrics(like))
        self._metrics = [*map(_value, like.metrics_variables)]
        slots = map(_value, _slots(like))
        self._slots = [None if id(slot) in ignored else slot for slot in slots]
        self._scratch = list(scratch)
        # Variables take longer to make than to assign to.
        self._free: dict[tuple[int, ...], list[list[tf.Variable | None]]] = {}

    @contextmanager
    def seat(self, model: keras.Model) -> Iterator[list[tf.Variable | None]]:
        """Lend what a model lacks, with the values of an untrained model.

        Args:
            model: compiled, of the same description; about to be trained.

        Yields:
            What `variables_of` gives for an untrained model of the kind, with the
            model's own variables wherever it has them and None for idle ones; behind
            them the scratch variables.
        """
        made, stepped = _weights_and_metrics(model), _slots(model)
        metrics = self._metrics if len(made) != self._n_made else []
        made = model.variables if metrics else made
        wanted = [*metrics, *self._slots[len(stepped) :], *self._scratch]
        free = self._free.setdefault((len(metrics), len(wanted)), [])
        lent = free.pop() if free else [None] * len(wanted)
        lent = [_copied(*pair) for pair in zip(wanted, lent, strict=True)]
        n = len(metrics)
        yield [*map(_value, made), *lent[:n], *map(_value, stepped), *lent[n:]]
        free.append(lent)


def share_state(one: keras.Model, other: keras.Model) -> bool:
    """Tell whether training one model changes another.

    Args:
        one: built or not.
        other: the same.

    Returns:
        Whether they have variables in common that trainings write to.
    """
    return not _written(one).keys().isdisjoint(_written(other))


def _written(model: keras.Model) -> dict[int, keras.Variable]:
    found = {id(variable): variable for variable in model.variables}
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) or not layer.trainable:
            for weight in layer.weights:
                found.pop(id(weight), None)
    return found


def n_bytes_of(variables: Iterable[Any]) -> int:
    """Add up how much variables take.

    Args:
        variables: TensorFlow's.

    Returns:
        Bytes.
    """
    return sum(int(np.prod(v.shape)) * v.dtype.size for v in variables)


def _weights_and_metrics(model: keras.Model) -> Sequence[Any]:
    return [*model.variables, *model.metrics_variables]


def _slots(model: keras.Model) -> Sequence[Any]:
    return list(model.optimizer.variables)


def _value(variable: Any) -> tf.Variable:
    return variable.value if isinstance(variable, keras.Variable) else variable


def _copied(
    value: tf.Variable | None, variable: tf.Variable | None
) -> tf.Variable | None:
    if value is None:
        return None
    if variable is None:
        return tf.Variable(value, trainable=False)
    variable.assign(value)
    return variable
