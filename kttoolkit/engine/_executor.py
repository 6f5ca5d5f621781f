"""Which of TensorFlow's two executors runs the graph of a model.

The usual one hands operations to a pool of threads, which takes longer than a small
operation does. One thread that does them in turn is then up to 2.4 times as fast. It
does not spread an operation over cores, so that large ones are slower, and its loops
use Eigen's kernels where the pool's use oneDNN's: sums may be rounded otherwise in the
last digit. Layers that make more of such a difference keep the pool: convolutions, and
batch normalization, where the bias before it has a gradient of rounding errors alone.

The limits lie between the last size that gained and the first that lost on two x86-64
cores (tests/benchmarks/executors.py measures them).
"""

import keras
import numpy as np

from kttoolkit.engine._device import has_gpu
from kttoolkit.engine._tensorflow import ONE_THREAD, POOL

# Gained: 192 x 192 with batches of 8. Lost: 256 x 256 with batches of 8.
_MAX_WEIGHT = 48_000
# Gained: 32 x 128 x 128, 128 x 64 x 64. Lost: 128 x 128 x 128, 512 x 64 x 64.
_MAX_PRODUCT = 1_000_000
_L = keras.layers
_LAYERS = (
    _L.InputLayer, _L.Dense, _L.Activation, _L.ReLU, _L.LeakyReLU, _L.ELU, _L.PReLU,
    _L.Softmax, _L.Dropout, _L.AlphaDropout, _L.GaussianDropout, _L.GaussianNoise,
    _L.LayerNormalization, _L.Normalization, _L.Rescaling, _L.Flatten, _L.Reshape,
    _L.Concatenate, _L.Add, _L.Multiply, _L.Average, _L.LSTM, _L.GRU, _L.SimpleRNN,
    _L.Embedding,
)  # fmt: skip


def executor_for(model: keras.Model, batch_size: int) -> str:
    """Choose the executor of a model's training.

    Args:
        model: built and compiled.
        batch_size: rows of a batch.

    Returns:
        `ONE_THREAD` or `POOL`.
    """
    largest = max((int(np.prod(v.shape)) for v in model.weights), default=0)
    fits_one_thread = (
        not has_gpu()
        and largest <= _MAX_WEIGHT
        and largest * batch_size <= _MAX_PRODUCT
        and _is_plain(model)
        and not _has_conditions(model.optimizer)
    )
    return ONE_THREAD if fits_one_thread else POOL


def _has_conditions(optimizer: keras.optimizers.Optimizer) -> bool:
    """Tell whether an optimizer does something in some of the steps only."""
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return scaled or optimizer.use_ema or bool(optimizer.gradient_accumulation_steps)


def _is_plain(model: keras.Model) -> bool:
    return all(
        _is_plain(layer)
        if isinstance(layer, keras.Model)
        else type(layer) in _LAYERS and layer.compute_dtype == "float32"
        for layer in model.layers
    )
