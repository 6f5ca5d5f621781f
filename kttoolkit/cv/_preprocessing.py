"""Preprocessing that sees only a fold's training part."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

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
    train_x = fit_transformed(transformer, train.x, fit_target(train))
    test_x = transformed(transformer, test.x)
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


def fit_transformed(transformer: Any, x: Any, target: Any) -> np.ndarray:
    """Fit a transformer and transform the rows that it is fitted to.

    Args:
        transformer: of one's own.
        x: array or DataFrame of `n_rows` rows.
        target: of shape (n_rows, ...), or None.

    Returns:
        Array of `n_rows` rows.

    Raises:
        DataError: if the output is not numbers, or has another number of rows.
    """
    return _checked(transformer.fit_transform(_rows(transformer, x), target), x)


def transformed(transformer: Any, x: Any) -> np.ndarray:
    """Transform rows.

    Args:
        transformer: fitted.
        x: array or DataFrame of `n_rows` rows.

    Returns:
        Array of `n_rows` rows.

    Raises:
        DataError: if the output is not numbers, or has another number of rows.
    """
    return _checked(transformer.transform(_rows(transformer, x)), x)


def takes_documents(transformer: Any) -> bool:
    """Tell whether a transformer takes texts, and not a table with a column of them.

    Args:
        transformer: a text vectorizer, a pipeline that begins with one, or any other.

    Returns:
        Whether it does.
    """
    if isinstance(transformer, Pipeline):
        return takes_documents(transformer.steps[0][1])
    if not isinstance(transformer, BaseEstimator):
        return False
    takes = get_tags(transformer).input_tags
    return bool(takes.string and not takes.two_d_array)


def _rows(transformer: Any, x: Any) -> Any:
    is_column = isinstance(x, pd.DataFrame) and x.shape[1] == 1
    return x.iloc[:, 0] if is_column and takes_documents(transformer) else x


def _checked(values: Any, x: Any) -> np.ndarray:
    array = as_dense(values)
    n_rows = len(array) if array.ndim else 0
    if n_rows != len(x):
        raise DataError(
            f"A preprocessor must give a row for each row, but of {len(x)} rows came "
            f"{n_rows}. Text vectorizers take one column; give others to a "
            "ColumnTransformer, e.g. ColumnTransformer([('words', TfidfVectorizer(), "
            "'text')], remainder='passthrough')."
        )
    return array


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
