"""What a data set is."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy.typing as npt
import pandas as pd

Array = npt.NDArray[Any]
Task = Literal["binary", "multiclass", "regression"]


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A data set, ready for `kttoolkit.tune(build, dataset.x, dataset.y)`.

    Attributes:
        x: float32 of shape (n_samples, n_features), a frame with `as_frame`; or uint8
            images of shape (n_samples, height, width), with a fourth axis for channels
            if they come from files.
        y: Shape (n_samples,), a series with `as_frame`: int64 codes into
            `target_names` for classes, float32 for regression.
        feature_names: One name a column of `x`; empty for images.
        target_names: The classes by code, or the one name of a regression's target.
        description: What the columns mean and what to know before using them.
        licence: The licence of the package that the data come from.
        name: The name it was loaded by, or the directory's.
        task: "binary", "multiclass" or "regression".
        source: Where these data were read from.
        x_test: The images of the original test split; None for tables.
        y_test: The target of the original test split; None for tables.
        files: The file of each image, relative to `source`, for those read from a
            directory; empty for all else.
    """

    x: Array | pd.DataFrame
    y: "Array | pd.Series[Any]"
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    description: str
    licence: str
    name: str
    task: Task
    source: str
    x_test: Array | None = None
    y_test: Array | None = None
    files: tuple[str, ...] = ()

    def __repr__(self) -> str:
        test = "" if self.x_test is None else f", x_test={self.x_test.shape}"
        return (
            f"Dataset({self.name!r}, {self.task}, "
            f"x={self.x.shape}, y={self.y.shape}{test})"
        )


def task_of(classes: tuple[str, ...]) -> Task:
    """Return the task that a target poses.

    Args:
        classes: their names; none for a regression.

    Returns:
        The task.
    """
    if not classes:
        return "regression"
    return "binary" if len(classes) == 2 else "multiclass"
