"""Checks and conversions of x: arrays, tables, and dicts or lists of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from kttoolkit.exceptions import DataError


def is_stream(x: Any) -> bool:
    """Tell whether x yields batches and so cannot be indexed by row.

    Args:
        x: anything handed in as training data.

    Returns:
        True for `tf.data.Dataset`, `keras.utils.PyDataset`, PyTorch loaders,
        generators and iterators.
    """
    if isinstance(x, np.ndarray | pd.DataFrame | pd.Series | Mapping | list | tuple):
        return False
    has_rows = hasattr(x, "shape") or scipy.sparse.issparse(x)
    is_batches = hasattr(x, "element_spec") or hasattr(x, "__next__")
    return is_batches or (not has_rows and hasattr(x, "__getitem__"))


def take(values: Any, rows: np.ndarray) -> Any:
    """Index arrays, frames, and dicts or lists of them by row number.

    Args:
        values: of `n_samples` rows, or None.
        rows: row numbers of shape (n_rows,).

    Returns:
        The same form with `n_rows` rows, or None.
    """
    if values is None:
        return None
    if isinstance(values, Mapping):
        return {name: take(part, rows) for name, part in values.items()}
    if isinstance(values, list):
        return [take(part, rows) for part in values]
    if isinstance(values, pd.DataFrame | pd.Series):
        return values.iloc[rows]
    return values[rows]


def check_finite_inputs(x: Any, *, what: str = "x") -> None:
    """Refuse NaN and infinity in inputs.

    Args:
        x: array, DataFrame, or a dict or list of arrays.
        what: the name to use in the message.

    Raises:
        DataError: with the count and the columns.
    """
    if isinstance(x, Mapping | list):
        parts = x.items() if isinstance(x, Mapping) else enumerate(x)
        for name, part in parts:
            check_finite_inputs(part, what=f"{what}[{name!r}]")
        return
    array = np.asarray(x)
    if array.dtype.kind not in "fc":
        return
    bad = ~np.isfinite(array)
    if not bad.any():
        return
    nans, infs = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    raise DataError(
        f"{what} must be finite, but got {nans} NaN and {infs} infinite values"
        f"{_bad_columns(x, bad)}. Drop those rows, or pass a preprocessor that "
        "fills them, e.g. make_pipeline(SimpleImputer(), StandardScaler())."
    )


def as_inputs(x: Any, *, preprocessed_later: bool) -> Any:
    if scipy.sparse.issparse(x):
        raise DataError(
            "x must be dense, but got a sparse matrix of type "
            f"{type(x).__name__} and shape {x.shape}. Pass x.toarray()."
        )
    if isinstance(x, Mapping):
        return {name: _checked(_as_array(part, name)) for name, part in x.items()}
    if isinstance(x, list | tuple) and x and all(hasattr(p, "shape") for p in x):
        return [_checked(_as_array(part, index)) for index, part in enumerate(x)]
    if isinstance(x, pd.Series):
        x = x.to_frame()
    if preprocessed_later:
        return x if isinstance(x, pd.DataFrame) else np.asarray(x)
    if isinstance(x, pd.DataFrame):
        check_finite_inputs_of_frame(x)
        return frame_to_array(x)
    return _checked(_as_array(x, None))


def check_finite_inputs_of_frame(frame: pd.DataFrame) -> None:
    """Refuse missing and infinite values in a table, by column name.

    Args:
        frame: of shape (n_samples, n_features).

    Raises:
        DataError: with the count and the columns.
    """
    numeric = frame.select_dtypes("number")
    infinite = np.isinf(numeric.to_numpy(dtype=float, na_value=np.nan)).sum(axis=0)
    missing = frame.isna().sum()
    bad = {**missing[missing > 0].to_dict()}
    for name, count in zip(numeric.columns, infinite, strict=True):
        if count:
            bad[name] = bad.get(name, 0) + int(count)
    if bad:
        shown = ", ".join(
            f"{name!r} ({count})" for name, count in list(bad.items())[:8]
        )
        raise DataError(
            f"x must be finite, but got {int(missing.sum())} NaN and "
            f"{int(infinite.sum())} infinite values in columns {shown}. Drop those "
            "rows, or pass a preprocessor that fills them, e.g. "
            "make_pipeline(SimpleImputer(), StandardScaler())."
        )


def frame_to_array(frame: pd.DataFrame) -> np.ndarray:
    """Turn a table into floats: booleans to 0 and 1, categories to one-hot.

    The categories are those that the column's dtype declares, so nothing is
    learned from the rows and nothing can leak between folds.

    Args:
        frame: of shape (n_samples, n_features).

    Returns:
        Array of dtype float32 and shape (n_samples, n_columns), where a
        categorical column takes as many columns as it has categories.

    Raises:
        DataError: if a column is neither numeric, boolean nor categorical.
    """
    categorical = list(frame.select_dtypes("category").columns)
    other = [
        name
        for name in frame.select_dtypes(exclude=["number", "bool", "category"]).columns
        if frame[name].dtype != "boolean"
    ]
    if other:
        shown = ", ".join(f"{name!r} ({frame[name].dtype})" for name in other[:8])
        raise DataError(
            "Columns of x must be numeric, boolean or categorical, but got "
            f"{shown}. Use x[column].astype('category'), or pass a preprocessor."
        )
    plain = pd.get_dummies(frame, columns=categorical) if categorical else frame
    return np.ascontiguousarray(plain.to_numpy(dtype="float32"))


def _as_array(part: Any, name: Any) -> np.ndarray:
    if scipy.sparse.issparse(part):
        raise DataError(
            f"x[{name!r}] must be dense, but got a sparse matrix of shape "
            f"{part.shape}. Pass {name!r}: x.toarray()."
        )
    if isinstance(part, pd.DataFrame):
        return frame_to_array(part)
    array = np.asarray(part)
    if array.dtype.kind == "f" or array.dtype.kind == "b":
        return array.astype("float32", copy=False)
    if array.dtype.kind == "O" and array.size and not isinstance(array.flat[0], str):
        raise DataError(
            "x must be numbers, but got an array of Python objects whose first "
            f"value is {array.flat[0]!r} of type {type(array.flat[0]).__name__}. "
            "Rows of different lengths? Pad them; mixed columns? Use a DataFrame."
        )
    if array.dtype.kind in "mM":
        raise DataError(
            f"x must be numbers, but got dates (dtype {array.dtype}). Turn them "
            "into numbers first, e.g. x.dt.year or (x - x.min()).dt.days."
        )
    if array.ndim > 1 and array.dtype.kind in "OUS":
        raise DataError(
            f"x must be numbers, but got text (dtype {array.dtype}, first value "
            f"{array.flat[0]!r}). Use a DataFrame with category columns, or pass a "
            "preprocessor, e.g. OneHotEncoder()."
        )
    return array


def _checked(array: np.ndarray) -> np.ndarray:
    check_finite_inputs(array)
    return array


def _bad_columns(x: Any, bad: np.ndarray) -> str:
    if bad.ndim != 2:
        return ""
    columns = np.flatnonzero(bad.any(axis=0))
    names = x.columns[columns] if isinstance(x, pd.DataFrame) else columns
    shown = ", ".join(str(name) for name in list(names)[:8])
    return f" in columns {shown}{', ...' if len(columns) > 8 else ''}"


def n_rows(values: Any) -> int:
    if isinstance(values, Mapping):
        return _common_length({str(k): n_rows(v) for k, v in values.items()})
    if isinstance(values, list):
        return _common_length({str(i): n_rows(v) for i, v in enumerate(values)})
    return int(values.shape[0]) if getattr(values, "ndim", 0) else 0


def _common_length(lengths: dict[str, int]) -> int:
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {n}" for name, n in lengths.items())
        raise DataError(f"All inputs must have as many rows, but got {shown}.")
    return next(iter(lengths.values()), 0)
