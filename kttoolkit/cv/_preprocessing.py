"""Preprocessing that sees only a fold's training part."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.base import clone

from kttoolkit.cv._folds import Fold, Folds
from kttoolkit.data import TrainingData, check_finite_inputs
from kttoolkit.exceptions import DataError


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
        DataError: if the transformed rows hold NaN or infinity.
    """
    train = data.take(fold.train)
    test = data.take(fold.test) if folds.validation is None else folds.validation
    transformer = as_transformer(preprocessor, hp)
    if transformer is None:
        return FoldData(train, test)
    fitted_x = as_dense(transformer.fit_transform(train.x, fit_target(train)))
    check_finite_inputs(fitted_x, what="The preprocessor's output")
    return FoldData(
        replace(train, x=fitted_x),
        replace(test, x=as_dense(transformer.transform(test.x))),
        transformer,
    )


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
    is_transformer = hasattr(preprocessor, "fit") and hasattr(preprocessor, "transform")
    if not is_transformer and callable(preprocessor):
        preprocessor = preprocessor(hp)
        is_transformer = hasattr(preprocessor, "transform")
    if preprocessor is None or preprocessor == "passthrough":
        return None
    if not is_transformer or isinstance(preprocessor, type):
        raise DataError(
            "preprocessor must be a scikit-learn transformer or a function "
            f"hp -> transformer, but got {preprocessor!r}. Pass an instance, e.g. "
            "StandardScaler()."
        )
    return clone(preprocessor)


def as_dense(values: Any) -> np.ndarray:
    """Turn a transformer's output into what Keras takes.

    Args:
        values: array, sparse matrix or DataFrame of shape (n_rows, n_columns).

    Returns:
        Array of dtype float32 (whole numbers keep their dtype).
    """
    if scipy.sparse.issparse(values):
        values = values.toarray()
    if isinstance(values, pd.DataFrame):
        values = values.to_numpy()
    array = np.asarray(values)
    return array if array.dtype.kind in "iu" else array.astype("float32", copy=False)


def fit_target(train: TrainingData) -> Any:
    """Return the target that supervised transformers are fitted to."""
    return train.labels if train.labels is not None else _one_target(train)


def _one_target(data: TrainingData) -> Any:
    return data.y if isinstance(data.y, np.ndarray) else None
