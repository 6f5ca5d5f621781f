"""Checks and conversions of y: numbers, classes, one-hot, several outputs."""

from collections.abc import Hashable, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from kttoolkit.data._arrays import as_array, as_float32
from kttoolkit.exceptions import DataError
from kttoolkit.plain import shown

Task = Literal["binary", "multiclass", "multilabel", "regression", "other"]
Targets = tuple[Any, Task, np.ndarray | None, tuple[Any, ...]]

_TASKS = ("classification", "regression")


def as_targets(y: Any, task: str | None) -> Targets:
    """Return y as numbers, its task, the class of each row, and the classes."""
    if task is not None and task not in _TASKS:
        raise DataError(f"task must be one of {_TASKS} or None, but got {shown(task)}.")
    if y is None:
        return None, "other", None, ()
    if isinstance(y, Mapping):
        parts = {name: _as_output(part, f"y[{name!r}]") for name, part in y.items()}
        return parts, "other", None, ()
    if isinstance(y, list | tuple) and y and all(getattr(p, "ndim", 0) for p in y):
        outputs = [_as_output(part, f"y[{index}]") for index, part in enumerate(y)]
        return outputs, "other", None, ()
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        y = y.iloc[:, 0]
    return _classify(as_known_array(y), task, _declared(y))


def as_targets_like(
    y: Any, known: Any, task: Task, classes: tuple[Any, ...]
) -> Targets:
    """Code y as the targets `known` of other rows were coded."""
    if y is None:
        return None, task, None, classes
    if not classes:
        coded = as_targets(y, "regression")[0]
        if isinstance(coded, np.ndarray) and isinstance(known, np.ndarray):
            coded = coded.astype(known.dtype, copy=False)
        return coded, task, None, ()
    one_hot = known.ndim == 2 and known.shape[1] > 1
    if one_hot and isinstance(y, pd.DataFrame):
        y = _in_order_of(classes, y)
    array = as_known_array(y)
    if one_hot and array.shape[1:] == known.shape[1:]:
        coded = as_float32(array, "y")
        return coded, task, coded.argmax(axis=1), classes
    if one_hot or array.size != len(array):
        trained = "".join(f", {size}" for size in known.shape[1:])
        raise DataError(
            "y must have the form that was trained on, shape "
            f"(n_samples{trained}), but got shape {array.shape}."
        )
    flat = array.reshape(-1)
    numbers = _class_numbers(flat, classes)
    if (numbers < 0).any():
        unknown = sorted(set(map(str, flat[numbers < 0])))[:5]
        raise DataError(
            f"y must hold classes that were trained on, {list(classes)[:10]}, but got "
            f"{unknown}."
        )
    return numbers.reshape(-1, *known.shape[1:]), task, numbers, classes


def as_known_array(y: Any, what: str = "y") -> np.ndarray:
    """Convert to an array that holds a known value for every row."""
    array = as_array(y, what)
    if array.ndim == 0 or not array.size:
        raise DataError(
            f"{what} must hold a value for every row, but got shape {array.shape} of "
            f"type {type(y).__name__}."
        )
    if array.dtype.kind in "mMcV":
        raise DataError(
            f"{what} must be numbers, text or categories, but got dtype {array.dtype}. "
            "Turn dates into numbers first, e.g. (y - y.min()).days."
        )
    missing = int(pd.isna(array).sum())
    infinite = int(np.isinf(array).sum()) if array.dtype.kind == "f" else 0
    if missing or infinite:
        raise DataError(
            f"{what} must be known and finite for every row, but got {missing} NaN and "
            f"{infinite} infinite values among {array.size}. Drop those rows."
        )
    return array


def _classify(y: np.ndarray, task: str | None, declared: tuple[Any, ...]) -> Targets:
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] > 1):
        return _classify_matrix(y, task, declared)
    flat = y.reshape(-1)
    is_text = y.dtype.kind not in "iuf"
    if task == "regression" or (
        task is None and not is_text and not declared and not _looks_discrete(flat)
    ):
        if is_text:
            raise DataError(
                "y must be numbers for regression, but got values like "
                f"{flat.tolist()[0]!r} (dtype {y.dtype})."
            )
        return as_float32(y, "y"), "regression", None, ()
    if y.dtype.kind == "f" and not declared and not _are_whole(flat):
        return _as_probabilities(y)
    names = declared or _class_names(flat)
    numbers = _class_numbers(flat, names)
    if (numbers == numbers[0]).all():
        raise DataError(
            "y must hold at least two classes, but got only "
            f"{flat.tolist()[0]!r} in all {len(flat)} rows."
        )
    kind: Task = "binary" if len(names) == 2 else "multiclass"
    return numbers.reshape(y.shape), kind, numbers, names


def _classify_matrix(
    y: np.ndarray, task: str | None, names: tuple[Any, ...]
) -> Targets:
    if y.dtype.kind not in "biufO":
        raise DataError(
            "y of several columns must be numbers, but got text (dtype "
            f"{y.dtype}). Encode it first, or pass one column."
        )
    numbers = as_float32(y, "y")
    is_binary = y.ndim == 2 and np.isin(numbers, (0, 1)).all()
    if task == "regression" or (task is None and y.ndim == 2 and not is_binary):
        return numbers, "regression", None, ()
    if not is_binary:
        # Probabilities, or the class of every step or pixel: for the loss to read.
        return y if y.dtype.kind in "iu" else numbers, "other", None, ()
    if not (numbers.sum(axis=1) == 1).all():
        return numbers, "multilabel", None, ()
    labels = numbers.argmax(axis=1)
    if len(np.unique(labels)) < 2:
        raise DataError(
            "y must hold at least two classes, but every one-hot row marks column "
            f"{int(labels[0])}."
        )
    return numbers, "multiclass", labels, names or tuple(range(y.shape[1]))


def _declared(y: Any) -> tuple[Any, ...]:
    """Return the classes that y itself names, if it does."""
    if isinstance(y, pd.DataFrame):
        return _column_names(y)
    return tuple(getattr(getattr(y, "dtype", None), "categories", ()))


def _column_names(y: pd.DataFrame) -> tuple[Any, ...]:
    """Return what the columns of a one-hot table are called, if that can name classes.

    As `pandas.get_dummies` makes them, from labels that are text or whole numbers.
    """
    names = tuple(y.columns.tolist())
    can_name = len(set(names)) == len(names) and {*map(type, names)} in ({str}, {int})
    return names if can_name else ()


def _in_order_of(classes: tuple[Any, ...], y: pd.DataFrame) -> pd.DataFrame:
    """Bring one-hot columns into the order trained on; a class may have no row."""
    names = _column_names(y)
    were_numbered = classes == tuple(range(len(classes)))
    if not names or (were_numbered and isinstance(names[0], str)):
        return y
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise DataError(
            f"y must have the columns that were trained on, {list(classes)[:10]}, but "
            f"got {shown(unknown[0])}."
        )
    return y.reindex(columns=list(classes), fill_value=0)


def _as_probabilities(y: np.ndarray) -> Targets:
    if y.min() < 0 or y.max() > 1:
        raise DataError(
            "y must hold classes for classification, but got continuous values from "
            f"{y.min():g} to {y.max():g}. Pass task='regression', or cut them into "
            "classes (pandas.cut)."
        )
    return as_float32(y, "y"), "other", None, ()


def _class_names(flat: np.ndarray) -> tuple[Any, ...]:
    try:
        return tuple(sorted(set(flat.tolist())))
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in flat})
        raise DataError(
            f"Classes must be all text or all numbers, but y holds {kinds}. Use "
            "y.astype(str)."
        ) from error


def _class_numbers(flat: np.ndarray, names: tuple[Any, ...]) -> np.ndarray:
    """Return the position of each value in `names`, -1 where it is not there."""
    numbers = {name: number for number, name in enumerate(names)}
    values = flat.tolist()
    return np.array(
        [numbers.get(v, -1) if isinstance(v, Hashable) else -1 for v in values],
        dtype="int64",
    )


def _looks_discrete(values: np.ndarray) -> bool:
    """Whole numbers with few different values are taken for classes."""
    if not _are_whole(values):
        return False
    n_unique = len(np.unique(values))
    limit = 2 if values.dtype.kind == "f" else max(2, min(100, len(values) // 5))
    return n_unique <= limit


def _are_whole(values: np.ndarray) -> bool:
    return values.dtype.kind != "f" or bool(np.equal(np.mod(values, 1), 0).all())


def _as_output(part: Any, what: str) -> np.ndarray:
    array = as_known_array(part, what)
    if array.dtype.kind not in "iufb":
        raise DataError(
            f"{what} must be numbers, but got dtype {array.dtype}. Encode the outputs "
            "of a multi-output model first, e.g. with LabelEncoder()."
        )
    return array
