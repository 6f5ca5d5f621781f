"""The contract of a builder: a `HyperModel` that takes its shapes from the data."""

import abc
from dataclasses import dataclass
from typing import Any

import keras_tuner
import numpy as np

from kttoolkit.data import Task, TrainingData
from kttoolkit.exceptions import SearchSpaceError


@dataclass(frozen=True)
class Shapes:
    """What a builder has to know of the data.

    Attributes:
        inputs: the shape of one row.
        outputs: numbers to predict a row: classes, or targets of a regression.
        task: what is predicted.
        one_hot: whether classes come as one-hot rows.
    """

    inputs: tuple[int, ...]
    outputs: int
    task: Task
    one_hot: bool = False


class Builder(keras_tuner.HyperModel, abc.ABC):  # type: ignore[misc]
    """A `keras_tuner.HyperModel` whose shapes and loss come from the data.

    `tune` gives it the data; to build by hand, call `for_data` first.
    """

    shapes: Shapes | None = None

    @abc.abstractmethod
    def for_shapes(self, shapes: Shapes) -> "Builder":
        """Return the same builder for data of these shapes.

        Args:
            shapes: of the preprocessed rows.

        Returns:
            A builder that can build.
        """

    def for_data(self, data: TrainingData) -> "Builder":
        """Return the same builder for these rows.

        Args:
            data: preprocessed rows.

        Returns:
            A builder that can build.

        Raises:
            SearchSpaceError: if x is not one array, or y not one vector or matrix.
        """
        return self.for_shapes(shapes_of(data))

    @property
    def bound_shapes(self) -> Shapes:
        """The shapes, or an error that says how to give them."""
        if self.shapes is None:
            raise SearchSpaceError(
                f"{type(self).__name__} must know its data before it can build, but "
                "has seen none. Hand it to kttoolkit.tune, or call for_data first."
            )
        return self.shapes


def shapes_of(data: TrainingData) -> Shapes:
    """Read the shapes that a builder needs off the data.

    Args:
        data: preprocessed rows.

    Returns:
        The shapes.

    Raises:
        SearchSpaceError: if there are several inputs or outputs, or no y.
    """
    if not isinstance(data.x, np.ndarray) or not isinstance(data.y, np.ndarray):
        raise SearchSpaceError(
            "A builder needs x as one array and y as one vector or matrix, but got "
            f"x of type {type(data.x).__name__} and y of type {type(data.y).__name__}. "
            "Write a build function for several inputs or outputs."
        )
    width = 1 if data.y.ndim == 1 else int(data.y.shape[1])
    one_hot = data.task == "multiclass" and width > 1
    outputs = len(data.classes) if data.task == "multiclass" else width
    return Shapes(tuple(data.x.shape[1:]), outputs, data.task, one_hot)


def output_head(shapes: Shapes) -> tuple[str | None, str, list[Any]]:
    """Choose the last activation, the loss and the metrics for a task.

    Args:
        shapes: of the data.

    Returns:
        The activation (None for linear), the loss and the metrics.
    """
    if shapes.task in {"binary", "multilabel"}:
        return "sigmoid", "binary_crossentropy", ["accuracy"]
    if shapes.task == "multiclass":
        loss = "categorical" if shapes.one_hot else "sparse_categorical"
        return "softmax", f"{loss}_crossentropy", ["accuracy"]
    return None, "mse", ["mae"]
