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
    """

    def __init__(self, like: keras.Model) -> None:
        self._n_made = len(_weights_and_metrics(like))
        self._metrics = [*map(_value, like.metrics_variables)]
        self._slots = [*map(_value, _slots(like))]
        # Variables take longer to make than to assign to.
        self._free: dict[tuple[int, ...], list[list[tf.Variable]]] = {}

    @contextmanager
    def seat(self, model: keras.Model) -> Iterator[list[tf.Variable]]:
        """Lend what a model lacks, with the values of an untrained model.

        Args:
            model: compiled, of the same description; about to be trained.

        Yields:
            What `variables_of` gives for an untrained model of the kind, with the
            model's own variables wherever it has them.
        """
        made, stepped = _weights_and_metrics(model), _slots(model)
        metrics = self._metrics if len(made) != self._n_made else []
        made = model.variables if metrics else made
        wanted = [*metrics, *self._slots[len(stepped) :]]
        free = self._free.setdefault((len(metrics), len(wanted)), [])
        if free:
            lent = free.pop()
            for variable, value in zip(lent, wanted, strict=True):
                variable.assign(value)
        else:
            lent = [tf.Variable(value, trainable=False) for value in wanted]
        n = len(metrics)
        yield [*map(_value, made), *lent[:n], *map(_value, stepped), *lent[n:]]
        free.append(lent)


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
