"""The variables of one training, for a program to run on."""

from collections.abc import Iterable, Sequence
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


def seat(model: keras.Model, like: keras.Model) -> list[tf.Variable]:
    """List the same where a model may not have made all of it yet.

    Args:
        model: compiled; about to be trained.
        like: of the same description, with everything made and never trained.

    Returns:
        What `variables_of` gives for `like`, with the model's own variables wherever
        it has them and copies apart where it lacks metrics or optimizer slots.
    """
    measured = _weights_and_metrics(model)
    if len(measured) != len(_weights_and_metrics(like)):
        measured = [*model.variables, *_copies(like.metrics_variables)]
    stepped = _slots(model)
    missing = _copies(_slots(like)[len(stepped) :])
    return [*map(_value, [*measured, *stepped, *missing])]


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


def _copies(variables: Sequence[Any]) -> list[tf.Variable]:
    return [tf.Variable(_value(v), trainable=False) for v in variables]


def _value(variable: Any) -> tf.Variable:
    return variable.value if isinstance(variable, keras.Variable) else variable
