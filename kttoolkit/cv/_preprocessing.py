"""Preprocessing that sees only a fold's training part."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.base import clone

from kttoolkit.cv._folds import Fold, Folds
from kttoolkit.data import TrainingData, check_finite_inputs
from kttoolkit.exceptions import DataError
from kttoolkit.plain import shown


@dataclass(frozen=True)
class FoldData:
    """What one training is given: preprocessed rows, cut apart.

    Attributes:
        train: rows to learn from.
        test: rows to score on.
        preprocessor: the transformer that was fitted on `train`, or None.
    """

    train: TrainingData
    test: TrainingData
    preprocessor: Any = None


def prepare(
    fold: Fold, data: TrainingData, folds: Folds, preprocessor: Any, hp: Any
) -> FoldData:
    """Cut a fold out of the data and preprocess it without a look at its test rows.

    Args:
        fold: the row numbers.
        data: all rows.
        folds: the folds this one belongs to, for rows from outside.
        preprocessor: a scikit-learn transformer or pipeline (cloned), a function
            of `hp` that returns one, or None.
        hp: the trial's hyperparameters, for a preprocessor that is tuned.

    Returns:
        The two parts, transformed.

    Raises:
        DataError: if x is not one table, or the transformed rows are not finite
            numbers.
    """
    train = data.take(fold.train)
    test = data.take(fold.test) if folds.validation is None else folds.validation
    transformer = as_transformer(preprocessor, hp)
    if transformer is None:
        return FoldData(train, test)
    if isinstance(train.x, Mapping | list):
        raise DataError(
            "A preprocessor needs x as one array or DataFrame, but got a "
            f"{type(train.x).__name__}. Preprocess the inputs inside the model."
        )
    train_x = as_dense(transformer.fit_transform(train.x, fit_target(train)))
    test_x = as_dense(transformer.transform(test.x))
    for part in (train_x, test_x):
        check_finite_inputs(part, what="The preprocessor's output")
    return FoldData(replace(train, x=train_x), replace(test, x=test_x), transformer)


def as_transformer(preprocessor: Any, hp: Any) -> Any:
    """Return an unfitted transformer of one's own.

    Args:
        preprocessor: a transformer, a function `hp -> transformer`, or None.
        hp: the trial's hyperparameters.

    Returns:
        A clone, or None.

    Raises:
        DataError: if it cannot transform.
    """
    if preprocessor is None:
        return None
    if callable(preprocessor) and not _is_transformer(preprocessor):
        preprocessor = preprocessor(hp)
    if preprocessor is None or preprocessor == "passthrough":
        return None
    if isinstance(preprocessor, type) or not _is_transformer(preprocessor):
        raise DataError(
            "preprocessor must be a scikit-learn transformer or a function "
            f"hp -> transformer, but got {shown(preprocessor)}. Pass an instance, e.g. "
            "StandardScaler()."
        )
    # safe=False: what is no scikit-learn estimator is copied.
    return clone(preprocessor, safe=False)


def as_dense(values: Any) -> np.ndarray:
    """Turn a transformer's output into what Keras takes.

    Args:
        values: array, sparse matrix or DataFrame of shape (n_rows, n_columns).

    Returns:
        Array of dtype float32 (whole numbers keep their dtype, unless they come as a
        sparse matrix, whose columns are counts and marks, and no numbers of words).

    Raises:
        DataError: if they are not numbers.
    """
    if scipy.sparse.issparse(values):
        values = values.toarray().astype("float32", copy=False)
    if isinstance(values, pd.DataFrame):
        values = values.to_numpy()
    array = np.asarray(values)
    if array.dtype.kind in "iu":
        return array
    try:
        with np.errstate(over="ignore"):
            return array.astype("float32", copy=False)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"The preprocessor's output must be numbers, but got dtype {array.dtype}: "
            f"{error}. Add OneHotEncoder() for text columns."
        ) from error


def fit_target(train: TrainingData) -> Any:
    """Return the target that supervised transformers are fitted to."""
    return train.labels if train.labels is not None else _one_target(train)


def _is_transformer(value: Any) -> bool:
    return hasattr(value, "fit_transform") and hasattr(value, "transform")


def _one_target(data: TrainingData) -> Any:
    return data.y if isinstance(data.y, np.ndarray) else None
