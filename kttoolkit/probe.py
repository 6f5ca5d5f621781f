"""What a built model tells about itself before any training."""

import re
from typing import Any

import keras
import numpy as np

from kttoolkit.data import TrainingData, take
from kttoolkit.exceptions import DataError
from kttoolkit.scoring import numbers_of

_CLASSIFICATION = ("crossentropy", "focal", "hinge", "ctc", "circle")
_PROBE_ROWS = 2
# Names of losses as functions and as classes, without what tells them apart.
_BINARY = ("binarycrossentropy", "binaryfocalcrossentropy")
_SPARSE = "sparsecategoricalcrossentropy"


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


def has_own_step(model: keras.Model) -> bool:
    """Tell whether a model trains by a step of its own, whatever its loss.

    Args:
        model: any.

    Returns:
        Whether its class defines `train_step`.
    """
    return not type(model).train_step.__module__.startswith("keras.")


def check_given(model: keras.Model, data: TrainingData) -> None:
    """Refuse rows without the targets that a model's loss needs.

    Args:
        model: compiled, or with a `fit` of its own.
        data: its rows.

    Raises:
        DataError: if there are none.
    """
    loss = getattr(model, "loss", None)
    if data.y is None and data.indexable and loss and not has_own_step(model):
        raise DataError(
            f"y must be given to train with loss={loss!r}, but got y=None. Pass the "
            "targets; an autoencoder's are its x."
        )


def check_targets(model: keras.Model, data: TrainingData) -> None:
    """Refuse to guess what whole numbers mean to a loss of one's own.

    Args:
        model: whose loss does not tell classes from measurements (`task_of`).
        data: its rows, of which nobody has said either.

    Raises:
        DataError: if numbers would be taken for classes and counted anew from 0.
    """
    classes = list(data.classes)
    is_numeric = all(isinstance(c, int | float) and c is not True for c in classes)
    if task_of(model) is None and is_numeric and classes != list(range(len(classes))):
        raise DataError(
            "y of whole numbers must be classes counted from 0 where a loss of one's "
            f"own does not tell classes from measurements, but got {classes[:6]}. Pass "
            "task='regression' to tune to train on the numbers as they are, "
            "task='classification' to count them from 0, or change y."
        )


def reported_metrics(model: keras.Model, data: TrainingData) -> dict[str, float]:
    """Return what a model reports of a batch, without training it.

    Args:
        model: a compiled model.
        data: preprocessed rows; the first two are used.

    Returns:
        Metric names, without `val_`, to values.

    Raises:
        DataError: if the model cannot take the rows.
    """
    _check_classes(model, data.y)
    inputs = getattr(model, "inputs", None) or []
    fixed = max((tensor.shape[0] or 0 for tensor in inputs), default=0)
    n_rows = fixed or min(_PROBE_ROWS, data.n_samples)
    rows = np.arange(n_rows) % data.n_samples
    x, y = take(data.x, rows), take(data.y, rows)
    was_eager = model.run_eagerly
    # A graph of two rows costs more than it saves, and a process that has made some of
    # them is warned of too many.
    model.run_eagerly = True
    try:
        # Without y, `test_on_batch` shows a `test_step` other rows than `fit` does.
        logs = (
            model.evaluate(x, batch_size=n_rows, verbose=0, return_dict=True)
            if y is None
            else model.test_on_batch(x, y, return_dict=True)
        )
    except Exception as error:
        raise DataError(
            "The model must be able to take the data, but its first batch failed with "
            f"{_shapes(x)} for x, {_shapes(y)} for y and loss={model.loss!r}."
            f"{_hint(model, data)} Keras says: {error}"
        ) from error
    finally:
        model.run_eagerly, model.test_function = was_eager, None
    return numbers_of(logs)


def _check_classes(model: keras.Model, y: Any) -> None:
    """Refuse classes that no output stands for: losses take them, and mean nothing."""
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) != 1 or model.loss is None or not isinstance(y, np.ndarray):
        return
    name = _name_of(model.loss).replace("_", "").lower()
    ignored = getattr(model.loss, "ignore_class", None)
    known = y if ignored is None else y[y != ignored]
    if not known.size or known.dtype.kind not in "iuf":
        return
    lowest, highest, n_outputs = known.min(), known.max(), outputs[0].shape[-1]
    if name in _BINARY and not 0 <= lowest <= highest <= 1:
        raise DataError(
            f"0 <= y <= 1 must hold for loss={model.loss!r}, but got {lowest} to "
            f"{highest}. More than two classes need one output each, softmax and "
            "sparse_categorical_crossentropy."
        )
    if name == _SPARSE and n_outputs and not 0 <= lowest <= highest < n_outputs:
        raise DataError(
            "0 <= class < outputs must hold for every class number, but got "
            f"{lowest} to {highest} and {n_outputs} outputs. Give the last layer as "
            "many units as there are classes."
        )


def _shapes(values: Any) -> str:
    """Return the shape of a row of each array."""
    if values is None:
        return "nothing"
    return str(keras.tree.map_structure(lambda v: ("n", *np.shape(v)[1:]), values))


def _hint(model: keras.Model, data: TrainingData) -> str:
    """Return the way out of the commonest mistake."""
    is_one_hot = isinstance(data.y, np.ndarray) and data.y.ndim > 1
    name = "" if model.loss is None else _name_of(model.loss)
    if (
        name in {"categorical_crossentropy", "CategoricalCrossentropy"}
        and not is_one_hot
    ):
        return " Class numbers need sparse_categorical_crossentropy."
    return ""


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
