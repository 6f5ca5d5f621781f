"""Splitters to folds, checked against the data before training starts."""

import hashlib
import numbers
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import (
    KFold,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
)

from kttoolkit.data import TrainingData, needs_rows
from kttoolkit.exceptions import CrossValidationError, KttoolkitError
from kttoolkit.plain import shown, visible

NAMES = ("stratified", "kfold")
DEFAULT_SPLITS = 5
_MOST_FOLDS = 100_000
DEFAULT_VALIDATION_SPLIT = 0.2


@dataclass(frozen=True)
class Fold:
    """One train/validation split: row numbers of shape (n_train,), (n_test,)."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Folds:
    """The splits of a search, the same for every trial.

    Attributes:
        splits: the folds in order.
        description: the splitter as one would write it.
        validation: rows from outside that score every fold (a hold-out), or None.
    """

    splits: tuple[Fold, ...]
    description: str
    validation: TrainingData | None = None

    def __len__(self) -> int:
        return len(self.splits)

    def __iter__(self) -> Iterator[Fold]:
        return iter(self.splits)

    def fingerprint(self) -> str:
        """Return a SHA-256 over all row numbers, and over validation rows."""
        digest = hashlib.sha256()
        for fold in self.splits:
            digest.update(fold.train.astype("int64").tobytes())
            digest.update(b"|")
            digest.update(fold.test.astype("int64").tobytes())
        if self.validation is not None:
            digest.update(self.validation.fingerprint().encode())
        return digest.hexdigest()


def as_folds(
    cv: Any,
    data: TrainingData,
    *,
    seed: int | None = None,
    validation_split: float | None = None,
    validation: TrainingData | None = None,
) -> Folds:
    """Cut the data into folds and check them.

    An integer or a name shuffles the rows with `seed` first: tables are often
    sorted by their target. A splitter that is passed as an object is used as
    it is.

    Args:
        cv: number of folds (stratified for classification, else plain, the
            same choice as scikit-learn's `check_cv`), "stratified", "kfold", a
            scikit-learn splitter, an iterable of (train, test) row numbers, or
            None for one hold-out.
        data: the rows to cut.
        seed: fixes the shuffling.
        validation_split: for `cv=None`, the fraction of the rows held out; the
            last ones, as in `keras.Model.fit`. 0.2 if neither this nor
            `validation` is given.
        validation: for `cv=None`, rows from outside to score on.

    Returns:
        The folds.

    Raises:
        CrossValidationError: if the folds cannot be cut from these data.

    Warns:
        UserWarning: if a class is missing from a fold's training part.

    Example:
        >>> from kttoolkit.data import as_training_data
        >>> data = as_training_data(np.zeros((6, 2)), ["a", "b"] * 3)
        >>> folds = as_folds(3, data, seed=0)
        >>> len(folds), folds.description
        (3, 'StratifiedKFold(n_splits=3, random_state=0, shuffle=True)')
    """
    if isinstance(cv, Folds):
        return cv
    if not data.indexable:
        raise CrossValidationError(needs_rows(data.x))
    if cv is None:
        return _holdout(data, validation_split, validation)
    if validation_split is not None or validation is not None:
        raise CrossValidationError(
            "validation_split and validation_data need cv=None, but got "
            f"cv={shown(cv)}: with folds, each fold's own rows are the validation data."
        )
    splitter, description = _as_splitter(cv, data, seed)
    pairs = _cut(splitter, data) if hasattr(splitter, "split") else splitter
    splits = _as_splits(pairs, data.n_samples)
    _check_rows(splits, data.n_samples)
    _warn_of_missing_classes(splits, data)
    return Folds(splits, description)


def _holdout(
    data: TrainingData, fraction: float | None, validation: TrainingData | None
) -> Folds:
    rows = np.arange(data.n_samples)
    if validation is not None:
        if fraction is not None:
            raise CrossValidationError(
                "Only one of validation_split and validation_data may be given, but "
                f"got both (validation_split={shown(fraction)})."
            )
        none = np.array([], dtype=int)
        return Folds((Fold(rows, none),), "validation_data", validation)
    fraction = DEFAULT_VALIDATION_SPLIT if fraction is None else fraction
    if not (_is_real(fraction) and 0 < fraction < 1):
        raise CrossValidationError(
            f"0 < validation_split < 1 must hold, but got {shown(fraction)}."
        )
    cut = int(np.floor(data.n_samples * (1 - fraction)))
    splits = (Fold(rows[:cut], rows[cut:]),)
    _check_rows(splits, data.n_samples)
    _warn_of_missing_classes(splits, data)
    return Folds(splits, f"validation_split={fraction:g}")


def _is_real(value: object) -> bool:
    return isinstance(value, numbers.Real)


def _as_splitter(cv: Any, data: TrainingData, seed: int | None) -> tuple[Any, str]:
    if isinstance(cv, type):
        raise CrossValidationError(
            f"cv must be a splitter, but got the class {cv.__name__}. Pass an "
            f"instance: {cv.__name__}()."
        )
    if isinstance(cv, bool) or (isinstance(cv, int | np.integer) and int(cv) < 2):
        raise CrossValidationError(
            f"cv must be at least 2 folds, but got cv={shown(cv)}. For one hold-out "
            "pass cv=None with validation_split=0.2 or validation_data."
        )
    if isinstance(cv, int | np.integer):
        kind = "stratified" if data.is_classification else "kfold"
        splitter = _named(kind, int(cv), data, seed)
    elif isinstance(cv, str):
        if cv not in NAMES:
            raise CrossValidationError(
                f"cv must be a number, a splitter, or one of {NAMES}, but got "
                f"{shown(cv)}."
            )
        splitter = _named(cv, DEFAULT_SPLITS, data, seed)
    else:
        splitter = cv
    _check_class_sizes(splitter, data)
    if hasattr(splitter, "split"):
        return splitter, _described(splitter)
    if isinstance(splitter, Iterable):
        return splitter, "index pairs"
    raise CrossValidationError(
        "cv must be a number, a name, a scikit-learn splitter or an iterable of "
        f"(train, test) index pairs, but got {shown(cv)} of type {type(cv).__name__}."
    )


def _described(splitter: Any) -> str:
    try:
        return " ".join(repr(splitter).split())
    # Of a user's own splitter.
    except Exception:
        return shown(splitter)


def _named(
    kind: str,
    n_splits: int,
    data: TrainingData,
    seed: int | None,
) -> KFold | StratifiedKFold:
    if n_splits > data.n_samples:
        raise CrossValidationError(
            f"n_splits <= n_samples must hold, but got n_splits={shown(n_splits)}, "
            f"n_samples={data.n_samples}. The largest that works is {data.n_samples}."
        )
    if kind == "kfold":
        return KFold(n_splits, shuffle=True, random_state=seed)
    if not data.is_classification:
        raise CrossValidationError(
            "Stratified folds need one class a row, but the task is "
            f"{data.task!r}. Use cv='kfold'."
        )
    return StratifiedKFold(n_splits, shuffle=True, random_state=seed)


def _check_class_sizes(splitter: Any, data: TrainingData) -> None:
    if isinstance(splitter, RepeatedStratifiedKFold):
        n_splits = splitter.cvargs["n_splits"]
    elif isinstance(splitter, StratifiedKFold | StratifiedGroupKFold):
        n_splits = splitter.get_n_splits()
    else:
        return
    if data.labels is None:
        return
    name, smallest = min(_class_sizes(data.labels, data).items(), key=lambda i: i[1])
    if n_splits <= smallest:
        return
    way_out = (
        f"The largest that works is {smallest}."
        if smallest > 1
        else "No number of folds works: add rows of that class, or drop it."
    )
    if all(isinstance(one, numbers.Number) for one in data.classes):
        way_out += " If y is a quantity and no class, pass task='regression'."
    raise CrossValidationError(
        "n_splits <= members of the smallest class must hold for stratified folds, "
        f"but got {n_splits=} and class {shown(name)} has {smallest}. {way_out}"
    )


def _class_sizes(labels: np.ndarray, data: TrainingData) -> dict[Any, int]:
    counts = Counter(labels.tolist())
    return {data.classes[number]: counts[number] for number in sorted(counts)}


def _cut(splitter: Any, data: TrainingData) -> list[Any]:
    target = data.labels if data.labels is not None else _plain_target(data)
    is_table = isinstance(data.x, np.ndarray | pd.DataFrame)
    rows = data.x if is_table else np.zeros((data.n_samples, 1))
    try:
        return list(splitter.split(rows, target, data.groups))
    except KttoolkitError:
        raise
    # A splitter of the user's own may fail of anything.
    except Exception as error:
        raise CrossValidationError(
            f"{shown(splitter)} cannot cut {data.n_samples} rows: {visible(str(error))}"
        ) from error


def _plain_target(data: TrainingData) -> Any:
    return data.y if isinstance(data.y, np.ndarray) else None


def _as_splits(pairs: Iterable[Any], n_samples: int) -> tuple[Fold, ...]:
    splits = [
        Fold(*(_as_rows(part, n_samples) for part in pair)) for pair in _pairs(pairs)
    ]
    if not splits:
        raise CrossValidationError("cv must yield at least one fold, but got none.")
    return tuple(splits)


def _pairs(cv: Iterable[Any]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield what an iterable yields, one that never ends or fails refused."""
    pair: Any = cv
    try:
        for number, pair in enumerate(cv, start=1):
            train, test = map(np.asarray, pair)
            if number > _MOST_FOLDS:
                raise CrossValidationError(
                    f"cv must yield no more than {_MOST_FOLDS:,} folds, but "
                    f"{shown(cv)} yields others still."
                )
            yield train, test
    except KttoolkitError:
        raise
    except Exception as error:
        raise CrossValidationError(
            "cv as an iterable must yield (train, test) index pairs, but got "
            f"{shown(pair)} ({type(error).__name__}: {visible(str(error))})."
        ) from error


def _as_rows(array: np.ndarray, n_samples: int) -> np.ndarray:
    if array.dtype == bool and array.shape == (n_samples,):
        return np.flatnonzero(array)
    if array.ndim == 1 and (array.dtype.kind in "iu" or not array.size):
        return array.astype(int)
    raise CrossValidationError(
        f"A part of a fold must be row numbers of shape (n_rows,) or a mask of shape "
        f"({n_samples},), but got dtype {array.dtype} and shape {array.shape}."
    )


def _check_rows(splits: tuple[Fold, ...], n_samples: int) -> None:
    for number, fold in enumerate(splits):
        for part, rows in (("training", fold.train), ("validation", fold.test)):
            if not len(rows):
                raise CrossValidationError(
                    f"Every fold must hold rows, but the {part} part of fold {number} "
                    f"is empty (n_samples={n_samples})."
                )
            if rows.min() < 0 or rows.max() >= n_samples:
                raise CrossValidationError(
                    f"Row numbers must lie in 0 ... {n_samples - 1}, but the {part} "
                    f"part of fold {number} has {rows.min()} ... {rows.max()}."
                )
        both = np.intersect1d(fold.train, fold.test)
        if len(both):
            raise CrossValidationError(
                "A row must not be in both parts of a fold, but "
                f"{len(both)} rows of fold {number} are, the first is {both[0]}."
            )


def _warn_of_missing_classes(splits: tuple[Fold, ...], data: TrainingData) -> None:
    if data.labels is None:
        return
    present = np.unique(data.labels)
    for number, fold in enumerate(splits):
        missing = np.setdiff1d(present, data.labels[fold.train])
        if len(missing):
            names = ", ".join(repr(data.classes[label]) for label in missing)
            warnings.warn(
                f"Class {names} is missing from the training part of fold {number}: "
                "the model cannot learn it there. Use cv='stratified'.",
                UserWarning,
                stacklevel=3,
            )
