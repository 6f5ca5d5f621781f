"""Logits to probabilities, for models that leave this to their loss."""

import keras
import numpy as np


def gives_logits(model: keras.Model) -> bool:
    """Tell whether a model's outputs are logits, by the loss it is compiled with.

    Args:
        model: a compiled model.

    Returns:
        Whether its loss has `from_logits=True`.
    """
    return bool(getattr(model.loss, "from_logits", False))


def as_probabilities(model: keras.Model, outputs: np.ndarray, task: str) -> np.ndarray:
    """Return what a model gives as probabilities, if it gives logits.

    Args:
        model: a compiled model.
        outputs: of shape (n_samples, ...).
        task: what is predicted.

    Returns:
        Array of the same shape.
    """
    return squashed(outputs, task) if gives_logits(model) else outputs


def squashed(logits: np.ndarray, task: str) -> np.ndarray:
    """Turn logits into probabilities: each by itself, or all classes of a row.

    Args:
        logits: of shape (n_samples, ...).
        task: what is predicted.

    Returns:
        Array of the same shape.
    """
    is_single = logits.reshape(len(logits), -1).shape[1] == 1
    if is_single or task == "multilabel":
        found = keras.ops.sigmoid(logits)
    else:
        found = keras.ops.softmax(logits, axis=-1)
    return np.asarray(keras.ops.convert_to_numpy(found))
