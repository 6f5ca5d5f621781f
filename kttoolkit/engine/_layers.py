"""Layers of which many may be one."""

import keras

from kttoolkit.engine._call import RefusedError

# Layers that were compared with `model.fit`, fold by fold (tests/test_stacked.py).
_L = keras.layers
_LAYERS = (
    _L.InputLayer, _L.Dense, _L.Dropout, _L.AlphaDropout, _L.GaussianNoise,
    _L.BatchNormalization, _L.LayerNormalization, _L.Normalization, _L.Activation,
    _L.ReLU, _L.LeakyReLU, _L.ELU, _L.PReLU, _L.Softmax, _L.Flatten, _L.Reshape,
    _L.Rescaling, _L.Concatenate, _L.Add, _L.Multiply, _L.Average,
)  # fmt: skip


def check_layers(model: keras.Model) -> None:
    """Refuse layers that were never compared.

    Args:
        model: any.

    Raises:
        RefusedError: with the first such layer.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            check_layers(layer)
        elif type(layer) not in _LAYERS:
            kind = type(layer).__name__
            raise RefusedError(f"{kind} layers are not among those that are stacked")
        elif layer.compute_dtype != layer.variable_dtype:
            raise RefusedError("half precision rounds otherwise when it is batched")
