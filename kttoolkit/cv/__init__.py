"""Folds, and preprocessing that cannot leak between their parts.

Every scikit-learn splitter, a number, a name, or an iterable of index pairs
becomes `Folds`: frozen, the same for every trial.
"""

from kttoolkit.cv._folds import Fold, Folds, as_folds
from kttoolkit.cv._preprocessing import (
    FoldData,
    as_dense,
    as_transformer,
    fit_transformed,
    prepare,
    takes_documents,
    transformed,
)
from kttoolkit.cv._test_rows import split_off_test

__all__ = [
    "Fold",
    "FoldData",
    "Folds",
    "as_dense",
    "as_folds",
    "as_transformer",
    "fit_transformed",
    "prepare",
    "split_off_test",
    "takes_documents",
    "transformed",
]
