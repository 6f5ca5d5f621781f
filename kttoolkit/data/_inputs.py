"""Checks and conversions of x: arrays, tables, and dicts or lists of them."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kttoolkit.data._arrays import TEXT_KINDS, as_array, as_float32
from kttoolkit.exceptions import DataError


def is_stream(x: Any) -> bool:
    """Tell whether x yields batches and so cannot be indexed by row.

    Args:
        x: anything handed in as training data.

    Returns:
        True for `tf.data.Dataset`, `keras.utils.PyDataset`, PyTorch loaders,
        generators and iterators.
    """
    if hasattr(x, "element_spec") or hasattr(x, "__next__"):
        return True
    if isinstance(x, Mapping | Sequence | set | frozenset):
        return False
    has_rows = hasattr(x, "shape") or hasattr(x, "__array__")
    return not has_rows and (hasattr(x, "__getitem__") or hasattr(x, "__iter__"))


def needs_rows(x: Any) -> str:
    """Say that folds cannot be cut from a stream, and what to do.

    Args:
        x: a stream.

    Returns:
        Text for an error.
    """
    way = "Pass arrays"
    if hasattr(x, "unbatch"):
        way = (
            "Make arrays of it, x, y = next(iter(x.unbatch().batch(10**6))), read "
            "image folders with kttoolkit.datasets.images_from_directory"
        )
    return (
        f"Folds need rows that can be indexed, but got x of type {type(x).__name__}. "
        f"{way}, or pass cv=None with validation_data=."
    )


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
    """Bring x into arrays; what a preprocessor will see is left as it is."""
    if isinstance(x, Mapping):
        return {name: _as_input(part, f"x[{name!r}]") for name, part in x.items()}
    if isinstance(x, list | tuple) and x and all(getattr(p, "ndim", 0) for p in x):
        return [_as_input(part, f"x[{index}]") for index, part in enumerate(x)]
    if isinstance(x, pd.Series):
        is_text = not preprocessed_later and _is_text(x.to_numpy())
        x = x.to_numpy() if is_text else x.to_frame()
    if not preprocessed_later:
        return _as_input(x, "x")
    if isinstance(x, pd.DataFrame):
        check_names(x)
        return x
    return as_array(x, "x")


def check_names(frame: pd.DataFrame) -> None:
    """Refuse a table with two columns of one name."""
    twice = [name for name, n in Counter(map(str, frame.columns)).items() if n > 1]
    if twice:
        raise DataError(
            f"Columns of x must have different names, but got {twice[:8]} more than "
            "once. Rename them: x.columns = [...]."
        )


def check_finite_inputs_of_frame(frame: pd.DataFrame, *, what: str = "x") -> None:
    """Refuse missing and infinite values in a table, by column name.

    Args:
        frame: of shape (n_samples, n_features).
        what: the name to use in the message.

    Raises:
        DataError: with the count and the columns.
    """
    numeric = frame[[name for name, dtype in frame.dtypes.items() if _is_number(dtype)]]
    infinite = np.isinf(numeric.to_numpy(dtype=float, na_value=np.nan)).sum(axis=0)
    missing = frame.isna().sum()
    bad = Counter(missing[missing > 0].to_dict())
    bad.update({n: int(c) for n, c in zip(numeric.columns, infinite, strict=True) if c})
    if bad:
        shown = ", ".join(
            f"{name!r} ({count})" for name, count in list(bad.items())[:8]
        )
        raise DataError(
            f"{what} must be finite, but got {int(missing.sum())} NaN and "
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
    _check_types(frame)
    categorical = list(frame.select_dtypes("category").columns)
    plain = pd.get_dummies(frame, columns=categorical) if categorical else frame
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(plain.to_numpy(dtype="float32"))
    if np.isinf(array).any():
        as_float32(plain.to_numpy(dtype="float64"), "x")
    return array


def categories_of(frame: pd.DataFrame) -> dict[str, tuple[Any, ...]]:
    """Return the declared values of each categorical column."""
    return {
        str(name): tuple(dtype.categories)
        for name, dtype in frame.dtypes.items()
        if isinstance(dtype, pd.CategoricalDtype)
    }


def _check_types(frame: pd.DataFrame) -> None:
    check_names(frame)
    other = [
        name
        for name, dtype in frame.dtypes.items()
        if not (
            _is_number(dtype)
            or pd.api.types.is_bool_dtype(dtype)
            or isinstance(dtype, pd.CategoricalDtype)
        )
    ]
    if other:
        shown = ", ".join(f"{name!r} ({frame[name].dtype})" for name in other[:8])
        raise DataError(
            "Columns of x must be numeric, boolean or categorical, but got "
            f"{shown}. Use x[column].astype('category'), or pass a preprocessor."
        )


def _is_number(dtype: Any) -> bool:
    numeric = pd.api.types.is_numeric_dtype(dtype)
    return numeric and not pd.api.types.is_complex_dtype(dtype)


def _as_input(part: Any, what: str) -> np.ndarray:
    if isinstance(part, pd.DataFrame):
        _check_types(part)
        check_finite_inputs_of_frame(part, what=what)
        array = frame_to_array(part)
    else:
        array = as_array(part, what)
    if array.ndim == 0 or 0 in array.shape[1:]:
        raise DataError(
            f"{what} must be rows of at least one column, but got shape {array.shape} "
            f"of type {type(part).__name__}.{_if_a_path(part)}"
        )
    kind = array.dtype.kind
    if kind in "iu":
        return array
    if kind in "fb":
        check_finite_inputs(array, what=what)
        return as_float32(array, what)
    if not len(array):
        return array
    if array.ndim == 1 and _is_text(array):
        # Keras takes no other arrays of text than those of Python's strings.
        texts = (one.decode() if isinstance(one, bytes) else str(one) for one in array)
        return np.array(list(texts), dtype=object)
    raise _refusal(array, what)


def _if_a_path(part: Any) -> str:
    if not isinstance(part, str | os.PathLike):
        return ""
    return (
        " Read it first: tables by pandas.read_csv, a directory of images by "
        "kttoolkit.datasets.images_from_directory."
    )


def _is_text(array: np.ndarray) -> bool:
    if array.dtype.kind == "O":
        return all(isinstance(value, str | bytes) for value in array)
    return array.dtype.kind in TEXT_KINDS


def _refusal(array: np.ndarray, what: str) -> DataError:
    first = array.flat[0]
    if array.dtype.kind in "mM":
        return DataError(
            f"{what} must be numbers, but got dates (dtype {array.dtype}). Turn them "
            "into numbers first, e.g. x.dt.year or (x - x.min()).dt.days."
        )
    missing = int(pd.isna(array).sum()) if array.dtype.kind == "O" else 0
    if missing:
        return DataError(
            f"{what} must be known everywhere, but got {missing} missing values among "
            f"{array.size}. Drop those rows, or pass a preprocessor that fills them."
        )
    if isinstance(first, str | bytes):
        return DataError(
            f"{what} must be numbers, but got text (dtype {array.dtype}, first value "
            f"{first!r}). Use a DataFrame with category columns, or pass a "
            "preprocessor, e.g. OneHotEncoder()."
        )
    return DataError(
        f"{what} must be numbers, but got dtype {array.dtype}, whose first value is "
        f"{first!r} of type {type(first).__name__}. Rows of different lengths? Pad "
        "them; mixed columns? Use a DataFrame."
    )


def _bad_columns(x: Any, bad: np.ndarray) -> str:
    if bad.ndim != 2:
        return ""
    columns = np.flatnonzero(bad.any(axis=0))
    names = x.columns[columns] if isinstance(x, pd.DataFrame) else columns
    shown = ", ".join(str(name) for name in list(names)[:8])
    return f" in columns {shown}{', ...' if len(columns) > 8 else ''}"


def n_rows(values: Any) -> int:
    """Count the rows, the same in every part of a dict or list."""
    if isinstance(values, Mapping):
        return _common_length({str(k): n_rows(v) for k, v in values.items()})
    if isinstance(values, list):
        return _common_length({str(i): n_rows(v) for i, v in enumerate(values)})
    return int(values.shape[0]) if getattr(values, "ndim", 0) else 0


def _common_length(lengths: dict[str, int]) -> int:
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {n}" for name, n in list(lengths.items())[:8])
        hint = (
            f", ... of {len(lengths)}. A list counts as several inputs: bring images "
            "to one size, and make one array of them by np.stack"
        )
        raise DataError(
            "All inputs and outputs must have as many rows, but got "
            f"{shown}{hint if len(lengths) > 8 else ''}."
        )
    return next(iter(lengths.values()), 0)
