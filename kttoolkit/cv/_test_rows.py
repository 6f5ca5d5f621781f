"""Rows set aside before a search."""

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.model_selection import PredefinedSplit, TimeSeriesSplit, train_test_split

from kttoolkit.cv._folds import Folds
from kttoolkit.data import TrainingData
from kttoolkit.exceptions import CrossValidationError
from kttoolkit.plain import shown, visible


def split_off_test(
    data: TrainingData, test_size: float, *, seed: int | None, cv: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Set rows aside that no trial will ever see.

    Where the rows are in the order of time (`TimeSeriesSplit`) they are the last ones,
    with the splitter's gap before them.

    Args:
        data: all rows.
        test_size: fraction of the rows, between 0 and 1, or their number; of the
            groups where groups are given.
        seed: fixes which rows.
        cv: that cuts the other rows into folds, as `as_folds` takes it.

    Returns:
        Sorted row numbers of shape (n_development,) and (n_test,), stratified by
        class for classification, and by group where groups are given (whole
        groups go to either side).

    Raises:
        CrossValidationError: if it is no number, leaves a side empty, or `cv` numbers
            all rows.
    """
    if not _is_number(test_size):
        raise CrossValidationError(
            "test_size must leave rows of every class on both sides, as a share or a "
            f"number of rows, but got {shown(test_size)}."
        )
    if isinstance(cv, PredefinedSplit) or _is_pairs(cv):
        raise CrossValidationError(
            "test_size sets rows aside before folds are cut, but cv numbers all rows: "
            f"got test_size={shown(test_size)} and cv={shown(cv)}. Leave the test rows "
            "out of x, and score them with result.evaluate(x_test, y_test)."
        )
    rows = np.arange(data.n_samples)
    in_time = isinstance(cv, TimeSeriesSplit)
    units = rows if data.groups is None or in_time else np.unique(data.groups)
    how: dict[str, Any] = {"random_state": seed}
    if in_time:
        how = {"shuffle": False}
    elif data.groups is None:
        how["stratify"] = data.labels
    try:
        kept, test = train_test_split(units, test_size=test_size, **how)
    except ValueError as error:
        raise CrossValidationError(
            f"test_size must leave rows of every class on both sides, but got "
            f"test_size={shown(test_size)} for {data.n_samples} rows: "
            f"{visible(str(error))}"
        ) from error
    if in_time:
        return kept[: len(kept) - cv.gap], test
    if data.groups is not None:
        kept = rows[np.isin(data.groups, kept)]
        test = rows[np.isin(data.groups, test)]
    return np.sort(kept), np.sort(test)


def _is_pairs(cv: Any) -> bool:
    is_plain = isinstance(cv, str | Folds) or hasattr(cv, "split")
    return isinstance(cv, Iterable) and not is_plain


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
