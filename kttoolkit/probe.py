"""What a built model tells about itself before any training."""

import re
from typing import Any

import keras
import numpy as np

from kttoolkit.data import TrainingData, take

_CLASSIFICATION = ("crossentropy", "focal", "hinge", "ctc", "circle")
_PROBE_ROWS = 2


def task_of(model: keras.Model) -> str | None:
    """Tell classification from regression by the loss a model is compiled with.

    Args:
        model: a compiled model.

    Returns:
        "classification", "regression", or None where the loss does not tell
        (several outputs, a function of one's own, no loss).
    """
    loss = getattr(model, "loss", None)
    if loss is None or isinstance(loss, dict | list | tuple):
        return None
    name = _name_of(loss)
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    if any(word in snake.replace("_", "") for word in _CLASSIFICATION):
        return "classification"
    return "regression" if hasattr(keras.losses, name) else None


def reported_metrics(model: keras.Model, data: TrainingData) -> dict[str, float]:
    """Return what a model reports of a batch, without training it.

    Args:
        model: a compiled model.
        data: preprocessed rows; the first two are used.

    Returns:
        Metric names, without `val_`, to values.
    """
    rows = np.arange(min(_PROBE_ROWS, data.n_samples))
    logs = model.test_on_batch(take(data.x, rows), take(data.y, rows), return_dict=True)
    return {name: float(value) for name, value in logs.items()}


def default_objective(reported: dict[str, float], *, is_classification: bool) -> str:
    """Choose the objective that people mean when they name none.

    Args:
        reported: what the model reports.
        is_classification: whether an accuracy makes sense.

    Returns:
        The validation accuracy for classification where the model reports one,
        else "val_loss".

    Example:
        >>> default_objective({"loss": 1.0, "acc": 0.5}, is_classification=True)
        'val_acc'
    """
    if is_classification:
        for name in reported:
            if name == "acc" or name.endswith("accuracy"):
                return f"val_{name}"
    return "val_loss"


def _name_of(loss: Any) -> str:
    """Return the full name, which short ones like "bce" stand for."""
    function = keras.losses.get(loss) if isinstance(loss, str) else loss
    return str(getattr(function, "__name__", type(function).__name__))
