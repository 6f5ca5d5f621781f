"""Anything array-like to NumPy, without losing what is missing on the way."""

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from kttoolkit.exceptions import DataError

TEXT_KINDS = "UST"


def as_array(values: Any, what: str) -> np.ndarray:
    """Convert lists, pandas objects and tensors, or say why they are no array."""
    if scipy.sparse.issparse(values):
        raise DataError(
            f"{what} must be dense, but got a sparse matrix of type "
            f"{type(values).__name__} and shape {values.shape}. Pass its .toarray()."
        )
    if np.ma.is_masked(values):
        raise DataError(
            f"{what} must be known everywhere, but got {np.ma.count_masked(values)} "
            "masked values. Pass .filled(value), or leave those rows out."
        )
    try:
        array = _converted(values)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{what} must be an array, but got rows that make none: {error}. Rows of "
            "different lengths? Pad them."
        ) from error
    # Python's numbers in an object array, and pandas's nullable ones, are numbers.
    if array.dtype.kind == "O" and array.ndim:
        array = _inferred(array.ravel(), what).reshape(array.shape)
    return array


def as_float32(array: np.ndarray, what: str) -> np.ndarray:
    """Cast to what Keras computes in, and refuse what does not fit."""
    if array.dtype.kind == "O" and any(isinstance(v, str | bytes) for v in array.flat):
        raise DataError(f"{what} must be numbers, but got text (dtype object).")
    try:
        with np.errstate(over="ignore"):
            result = array.astype("float32", copy=False)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"{what} must be numbers, but got dtype {array.dtype}: {error}."
        ) from error
    if array.dtype.itemsize > result.dtype.itemsize and np.isinf(result).any():
        raise DataError(
            f"{what} must fit into float32, at most 3.4e+38, but got "
            f"{array[np.isinf(result)][0]}. Scale it first."
        )
    return result


def _inferred(array: np.ndarray, what: str) -> np.ndarray:
    try:
        for value in array:
            if isinstance(value, str):
                value.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"Text in {what} must be Unicode, but got {error.object!r}, where one half "
            "of a character is missing. Read the file with its own encoding."
        ) from error
    try:
        return pd.Series(array).infer_objects().to_numpy()
    except OverflowError:
        # pandas 2 says so of numbers that no float can hold.
        return array


def _converted(values: Any) -> np.ndarray:
    if isinstance(values, pd.DataFrame | pd.Series | pd.Index):
        return values.to_numpy()
    if isinstance(values, pd.api.extensions.ExtensionArray):
        return values.to_numpy()
    array = np.asarray(values)
    # Of a list with text and NaN, NumPy would make the text "nan".
    if array.dtype.kind in TEXT_KINDS and not hasattr(values, "dtype"):
        return np.asarray(values, dtype=object)
    return array
