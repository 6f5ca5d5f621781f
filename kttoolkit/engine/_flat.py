"""One update for all weights at once, in place of one for each.

Adam takes 22 operations for every weight of a network, which in a small one is most
of what a step does. Optimizers that treat every number by itself compute the same, to
the bit, on one long vector of all weights.
"""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kttoolkit.engine._call import RefusedError
from kttoolkit.engine._keras import is_own
from kttoolkit.engine._stack import check_optimizer

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


def flatten(model: keras.Model) -> None:
    """Let a model's optimizer update all weights at once.

    Args:
        model: never trained, its optimizer not built yet; only ever to be traced.
    """
    optimizer, weights = model.optimizer, model.trainable_variables
    sizes = _sizes(weights)
    whole = optimizer.add_variable((sum(sizes),), name="whole")
    optimizer.build([whole])

    def apply(gradients: Any, trainable_variables: Any = None) -> None:
        _check(weights, gradients, trainable_variables)
        whole.assign(_joined(weight.value for weight in weights))
        type(optimizer).apply(optimizer, [_joined(gradients)], [whole])
        for weight, part in zip(weights, tf.split(whole.value, sizes), strict=True):
            weight.assign(tf.reshape(part, weight.shape))

    optimizer.apply = apply


def _check(weights: Any, gradients: Any, trained: Any) -> None:
    if [id(w) for w in trained or weights] != [id(w) for w in weights]:
        raise RefusedError("not all weights are trained in every step")
    if not all(isinstance(gradient, tf.Tensor) for gradient in gradients):
        raise RefusedError("a gradient is sparse, or there is none")


def _joined(tensors: Iterable[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], 0)


def _sizes(weights: Iterable[keras.Variable]) -> list[int]:
    return [int(np.prod(weight.shape)) for weight in weights]
