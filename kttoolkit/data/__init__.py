"""x and y in every accepted form, checked and made ready to be indexed.

`as_training_data` is the one door. What comes out is frozen, knows its task,
can be cut by row numbers, and has a fingerprint by which a study folder
recognises its data.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kttoolkit.data._inputs import (
    as_inputs,
    check_finite_inputs,
    frame_to_array,
    is_stream,
    n_rows,
    take,
)
from kttoolkit.data._targets import Task, as_targets
from kttoolkit.exceptions import DataError

__all__ = [
    "CLASSIFICATION_TASKS",
    "Task",
    "TrainingData",
    "as_training_data",
    "check_finite_inputs",
    "frame_to_array",
    "is_stream",
    "n_rows",
    "take",
]

CLASSIFICATION_TASKS: tuple[Task, ...] = ("binary", "multiclass")


@dataclass(frozen=True)
class TrainingData:
    """Rows that a model can be trained on.

    Attributes:
        x: array of shape (n_samples, ...), a DataFrame of shape (n_samples,
            n_features) that a preprocessor will turn into one, a dict or list of
            arrays (multi-input models), or a stream that cannot be indexed.
        y: array of shape (n_samples,) or (n_samples, n_outputs), a dict of
            arrays (multi-output models), or None.
        task: what is predicted.
        labels: class number of every row, of shape (n_samples,), where the task
            has classes; folds are stratified by it.
        classes: the names that the class numbers stand for, in order.
        sample_weight: of shape (n_samples,) or None.
        groups: of shape (n_samples,) or None; rows of a group stay together.
        feature_names: column names of a table, else empty.
    """

    x: Any
    y: Any = None
    task: Task = "other"
    labels: np.ndarray | None = None
    classes: tuple[Any, ...] = ()
    sample_weight: np.ndarray | None = None
    groups: np.ndarray | None = None
    feature_names: tuple[str, ...] = ()
    indexable: bool = True

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return n_rows(self.x)

    @property
    def is_classification(self) -> bool:
        """Whether every row belongs to exactly one class."""
        return self.task in CLASSIFICATION_TASKS

    def take(self, rows: np.ndarray) -> "TrainingData":
        """Return the data of some rows only.

        Args:
            rows: row numbers of shape (n_rows,).

        Returns:
            Data of the same form with `n_rows` rows.
        """
        return TrainingData(
            x=take(self.x, rows),
            y=take(self.y, rows),
            task=self.task,
            labels=take(self.labels, rows),
            classes=self.classes,
            sample_weight=take(self.sample_weight, rows),
            groups=take(self.groups, rows),
            feature_names=self.feature_names,
        )

    def decode(self, predictions: np.ndarray) -> np.ndarray:
        """Turn a model's output into the values that y had.

        Args:
            predictions: probabilities of shape (n_rows, n_classes) or, for a
                binary task, (n_rows, 1); for regression any shape.

        Returns:
            Class names of shape (n_rows,), or the predictions as they are.
        """
        if not self.is_classification:
            return predictions
        if predictions.ndim == 2 and predictions.shape[1] > 1:
            numbers = predictions.argmax(axis=1)
        else:
            numbers = (predictions.reshape(len(predictions)) > 0.5).astype(int)
        return np.asarray(self.classes, dtype=_class_dtype(self.classes))[numbers]

    def fingerprint(self) -> str:
        """Return a SHA-256 over every value of x, y, weights and groups."""
        digest = hashlib.sha256()
        for part in (self.x, self.y, self.sample_weight, self.groups):
            _update_digest(digest, part)
        return digest.hexdigest()


def as_training_data(
    x: Any,
    y: Any = None,
    *,
    task: str | None = None,
    sample_weight: Any = None,
    groups: Any = None,
    preprocessed_later: bool = False,
    like: "TrainingData | None" = None,
) -> TrainingData:
    """Check x and y and bring them into the form that training needs.

    Args:
        x: array-like of shape (n_samples, ...), a DataFrame (numeric, boolean
            and categorical columns), a dict or list of arrays, or a
            `tf.data.Dataset`/generator (kept as it is).
        y: vector of shape (n_samples,), one-hot of shape (n_samples,
            n_classes), strings or categories (encoded to 0 ... n_classes - 1),
            or a dict of arrays.
        task: "classification", "regression", or None to tell from y.
        sample_weight: array of shape (n_samples,).
        groups: array of shape (n_samples,).
        preprocessed_later: whether a preprocessor will see x, so that text
            columns and missing values are its business.
        like: data that these rows are more of: columns come in its order, classes
            are numbered as there, and one class alone is no error.

    Returns:
        The checked data.

    Raises:
        DataError: for sparse matrices, empty data, lengths that differ, NaN or
            infinity (with count and columns), one class only, text without a
            preprocessor.

    Example:
        >>> data = as_training_data([[0.0], [1.0], [2.0]], ["no", "yes", "no"])
        >>> data.task, data.classes, data.y.tolist()
        ('binary', ('no', 'yes'), [0, 1, 0])
    """
    if isinstance(x, TrainingData):
        return x
    if is_stream(x):
        if y is not None:
            raise DataError(
                "y must be None when x yields its own targets, but got "
                f"x of type {type(x).__name__} and y of type {type(y).__name__}. "
                "Leave y out."
            )
        return TrainingData(x=x, indexable=False)
    if like is not None:
        x = _in_order(x, like.feature_names)
    feature_names = tuple(map(str, x.columns)) if isinstance(x, pd.DataFrame) else ()
    x = as_inputs(x, preprocessed_later=preprocessed_later)
    n_samples = n_rows(x)
    if n_samples == 0:
        raise DataError("x must hold at least one row, but got n_samples=0.")
    y, task_, labels, classes = (
        as_targets(y, task) if like is None else _targets_like(y, like)
    )
    sample_weight = _as_row_values("sample_weight", sample_weight)
    groups = None if groups is None else np.asarray(groups)
    for name, part in (("y", y), ("sample_weight", sample_weight), ("groups", groups)):
        if part is not None and n_rows(part) != n_samples:
            raise DataError(
                f"x and {name} must have the same number of rows, but got "
                f"x: {n_samples}, {name}: {n_rows(part)}."
            )
    return TrainingData(
        x, y, task_, labels, classes, sample_weight, groups, feature_names
    )


def _in_order(x: Any, names: tuple[str, ...]) -> Any:
    if not names or not isinstance(x, pd.DataFrame):
        return x
    missing = [name for name in names if name not in map(str, x.columns)]
    if missing:
        raise DataError(
            f"x must have the columns that were trained on, but {missing} are missing."
        )
    by_name = {str(column): column for column in x.columns}
    return x[[by_name[name] for name in names]]


def _targets_like(
    y: Any, like: TrainingData
) -> tuple[Any, Task, np.ndarray | None, tuple[Any, ...]]:
    if y is None or not like.is_classification or np.ndim(y) > np.ndim(like.y):
        kind = "regression" if like.task == "regression" else None
        return as_targets(y, kind) if y is not None else (None, like.task, None, ())
    if np.ndim(like.y) == 2 and like.y.shape[1] > 1:
        array = np.asarray(y, dtype="float32")
        return array, like.task, array.argmax(axis=1), like.classes
    flat = np.asarray(y).reshape(len(y))
    numbers = pd.Categorical(flat, categories=like.classes).codes.astype("int64")
    if (numbers < 0).any():
        unknown = sorted(set(map(str, flat[numbers < 0])))[:5]
        raise DataError(
            f"y must hold classes that were trained on, {list(like.classes)[:10]}, "
            f"but got {unknown}."
        )
    return numbers, like.task, numbers, like.classes


def _as_row_values(name: str, values: Any) -> np.ndarray | None:
    if values is None:
        return None
    array = np.asarray(values, dtype="float32")
    if not np.isfinite(array).all() or (array < 0).any():
        raise DataError(
            f"{name} must be finite and not negative, but got a minimum of "
            f"{np.nanmin(array):g} and {int((~np.isfinite(array)).sum())} values "
            "that are not finite."
        )
    return array


def _class_dtype(classes: tuple[Any, ...]) -> Any:
    return object if classes and isinstance(classes[0], str) else None


def _update_digest(digest: Any, part: Any) -> None:
    if isinstance(part, Mapping):
        for name, value in part.items():
            digest.update(str(name).encode())
            _update_digest(digest, value)
    elif isinstance(part, list):
        for value in part:
            _update_digest(digest, value)
    else:
        digest.update(_as_bytes(part))


def _as_bytes(part: Any) -> bytes:
    if part is None:
        return b"none"
    if isinstance(part, pd.DataFrame):
        values = pd.util.hash_pandas_object(part, index=False).to_numpy()
        return repr(tuple(part.columns)).encode() + values.tobytes()
    if not isinstance(part, np.ndarray):
        return type(part).__name__.encode()
    if part.dtype.kind == "O":
        return repr(part.tolist()).encode()
    return f"{part.dtype}{part.shape}".encode() + part.tobytes()
