"""Checks and conversions of y: numbers, classes, one-hot, several outputs."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
import scipy.sparse

from kttoolkit.exceptions import DataError

Task = Literal["binary", "multiclass", "multilabel", "regression", "other"]


def as_targets(
    y: Any, task: str | None
) -> tuple[Any, Task, np.ndarray | None, tuple[Any, ...]]:
    if y is None:
        return None, "other", None, ()
    if scipy.sparse.issparse(y):
        raise DataError(
            f"y must be dense, but got a sparse matrix of shape {y.shape}. "
            "Pass y.toarray()."
        )
    if isinstance(y, Mapping):
        parts = {name: _as_output(part, str(name)) for name, part in y.items()}
        return parts, "other", None, ()
    if isinstance(y, list) and y and all(isinstance(p, np.ndarray) for p in y):
        return [_as_output(p, str(i)) for i, p in enumerate(y)], "other", None, ()
    declared: tuple[Any, ...] = ()
    if isinstance(y, pd.DataFrame):
        y = y.iloc[:, 0] if y.shape[1] == 1 else y.to_numpy()
    if isinstance(y, pd.Series):
        if isinstance(y.dtype, pd.CategoricalDtype):
            declared = tuple(y.cat.categories)
        _check_no_missing(int(y.isna().sum()), len(y))
        y = y.to_numpy()
    array = np.asarray(y)
    _check_finite_targets(array)
    return _classify(array, task, declared)


def _classify(
    y: np.ndarray, task: str | None, declared: tuple[Any, ...]
) -> tuple[Any, Task, np.ndarray | None, tuple[Any, ...]]:
    if y.ndim == 2 and y.shape[1] > 1:
        return _classify_matrix(y, task)
    flat = y.reshape(len(y))
    is_text = y.dtype.kind not in "iuf"
    if task == "regression" or (
        task is None and not is_text and not declared and not _looks_discrete(flat)
    ):
        if is_text:
            raise DataError(
                "y must be numbers for regression, but got values like "
                f"{flat[0]!r} (dtype {y.dtype})."
            )
        return y.astype("float32", copy=False), "regression", None, ()
    names = declared or tuple(np.unique(flat).tolist())
    if len(set(flat.tolist())) < 2:
        raise DataError(
            "y must hold at least two classes, but got only "
            f"{flat[0]!r} in all {len(flat)} rows."
        )
    numbers = pd.Categorical(flat, categories=names).codes.astype("int64")
    kind: Task = "binary" if len(names) == 2 else "multiclass"
    return numbers.reshape(y.shape), kind, numbers, names


def _classify_matrix(
    y: np.ndarray, task: str | None
) -> tuple[Any, Task, np.ndarray | None, tuple[Any, ...]]:
    is_binary = np.isin(y, (0, 1)).all()
    if task == "regression" or not is_binary:
        return y.astype("float32", copy=False), "regression", None, ()
    if not (y.sum(axis=1) == 1).all():
        return y.astype("float32", copy=False), "multilabel", None, ()
    labels = y.argmax(axis=1)
    if len(np.unique(labels)) < 2:
        raise DataError(
            "y must hold at least two classes, but every one-hot row marks column "
            f"{int(labels[0])}."
        )
    return (
        y.astype("float32", copy=False),
        "multiclass",
        labels,
        tuple(range(y.shape[1])),
    )


def _looks_discrete(values: np.ndarray) -> bool:
    """Whole numbers with few different values are taken for classes."""
    if values.dtype.kind == "f" and not np.equal(np.mod(values, 1), 0).all():
        return False
    n_unique = len(np.unique(values))
    limit = 2 if values.dtype.kind == "f" else max(2, min(100, len(values) // 5))
    return n_unique <= limit


def _as_output(part: Any, name: str) -> np.ndarray:
    array = np.asarray(part)
    if array.dtype.kind not in "iufb":
        raise DataError(
            f"y[{name!r}] must be numbers, but got dtype {array.dtype}. Encode the "
            "outputs of a multi-output model first, e.g. with LabelEncoder()."
        )
    _check_finite_targets(array, f"y[{name!r}]")
    return array


def _check_finite_targets(y: np.ndarray, what: str = "y") -> None:
    if y.dtype.kind == "O":
        _check_no_missing(int(pd.isna(y).sum()), len(y))
        return
    if y.dtype.kind != "f":
        return
    nans, infs = int(np.isnan(y).sum()), int(np.isinf(y).sum())
    if nans or infs:
        raise DataError(
            f"{what} must be finite, but got {nans} NaN and {infs} infinite values "
            f"among {y.size}. Drop those rows."
        )


def _check_no_missing(missing: int, size: int) -> None:
    if missing:
        raise DataError(
            f"y must be known for every row, but got {missing} NaN among {size}. "
            "Drop those rows."
        )
