"""A vectorization that TensorFlow lacks: `Bitcast`, which Keras's argmax uses.

Without it every accuracy would fall back to a loop over folds. Registered with
`tensorflow.python.ops.parallel_for.pfor`, as checked on TensorFlow 2.21.
"""

from typing import Any

import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor


def register() -> None:
    """Teach `tf.vectorized_map` to cast bits, unless TensorFlow has learnt it."""
    try:
        pfor.RegisterPFor("Bitcast")(_convert_bitcast)
    except AssertionError:
        return


def _convert_bitcast(pfor_input: Any) -> Any:
    stacked = pfor_input.stacked_input(0)
    return pfor.wrap(tf.bitcast(stacked, pfor_input.get_attr("type")), True)
