"""Hyperparameters of the training: batches, epochs, patience, class weights."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal

import keras
import keras_tuner
import numpy as np

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.space._conditions import ask_kind
from kttoolkit.space._scales import choice, integer

CLASS_WEIGHTS = ("none", "balanced", "square_root")
_LARGEST_BATCH = 512


def batch_size(
    hp: keras_tuner.HyperParameters,
    *,
    n_samples: int | None = None,
    min_value: int = 16,
    max_value: int | None = None,
    default: int = 32,
    name: str = "batch_size",
) -> int:
    """Ask for the rows of a step, by doubling.

    They are powers of two where `min_value` is one. Small batches are slow and noisy,
    which often generalises well; large ones use the device better and update rarely.

    Args:
        hp: the trial's hyperparameters.
        n_samples: rows to train on; no batch is larger.
        min_value: the smallest, at least 1.
        max_value: the largest, `min_value` doubled some times; 512, or as many as
            the rows allow, if left out.
        default: before any search, Keras's; the nearest bound if it is outside.
        name: what it is called in tables.

    Returns:
        The size of this trial.

    Raises:
        SearchSpaceError: if a bound is larger than `n_samples`, or 1 <= min_value <=
            max_value does not hold.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> batch_size(HyperParameters(), n_samples=768)
        32

    References:
        D. Masters and C. Luschi, "Revisiting small batch training for deep neural
        networks", arXiv:1804.07612.
    """
    if min_value < 1:
        raise SearchSpaceError(
            f"min_value >= 1 must hold for {name}, but got {min_value=}: a step needs "
            "a row."
        )
    given = max_value or min_value
    if n_samples is not None and given > n_samples:
        raise SearchSpaceError(
            f"A batch cannot be larger than the data, but {name} goes from "
            f"{given if max_value is None else min_value} to "
            f"{_LARGEST_BATCH if max_value is None else max_value} and there are "
            f"n_samples={n_samples} rows to train on. Lower its bounds."
        )
    if max_value is None:
        rows = _LARGEST_BATCH if n_samples is None else min(n_samples, _LARGEST_BATCH)
        doublings = int(math.log2(max(rows / min_value, 1)))
        max_value = min_value * 2**doublings
    sampling: Literal["linear", "log"] = "linear" if min_value == max_value else "log"
    return integer(
        hp,
        name=name,
        min_value=min_value,
        max_value=max_value,
        step=1 if sampling == "linear" else 2,
        sampling=sampling,
        default=min(max(default, min_value), max_value),
    )


def epochs(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: int = 10,
    max_value: int = 100,
    step: int = 10,
    default: int = 30,
    name: str = "epochs",
) -> int:
    """Ask for the number of epochs.

    Where each epoch is scored, as in `kttoolkit.tune`, the best number is found
    without a search; ask for it where a schedule depends on it.

    Args:
        hp: the trial's hyperparameters.
        min_value: the fewest, at least 1.
        max_value: the most.
        step: distance of two numbers.
        default: before any search.
        name: what it is called in tables.

    Returns:
        The number of this trial.

    Raises:
        SearchSpaceError: if 1 <= min_value <= default <= max_value does not hold, or
            the steps miss `max_value`.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> epochs(HyperParameters())
        30
    """
    _check_positive(name, min_value)
    return integer(
        hp,
        name=name,
        min_value=min_value,
        max_value=max_value,
        step=step,
        default=default,
    )


def early_stopping(
    hp: keras_tuner.HyperParameters,
    *,
    monitor: str = "val_loss",
    mode: Literal["auto", "min", "max"] = "auto",
    values: Sequence[int] = (3, 5, 10, 20),
    default: int = 10,
    name: str = "patience",
) -> keras.callbacks.EarlyStopping:
    """Ask for the patience of early stopping.

    Args:
        hp: the trial's hyperparameters.
        monitor: the metric that has to improve.
        mode: whether it is to fall or to rise; Keras tells by the name.
        values: epochs to wait for an improvement, each as likely; they grow by
            ratios, since one more epoch counts less the longer one has waited.
        default: before any search; the first value if it is none of them.
        name: what it is called in tables.

    Returns:
        A Keras callback that puts the weights of the best epoch back.

    Raises:
        SearchSpaceError: if a patience is below 1.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> early_stopping(HyperParameters()).patience
        10
    """
    for value in values:
        _check_positive(name, value)
    default = default if default in values else next(iter(values), default)
    patience = choice(hp, name=name, values=values, default=default)
    return keras.callbacks.EarlyStopping(
        monitor,
        mode=mode,
        patience=default if patience is None else patience,
        restore_best_weights=True,
    )


def class_weight(
    hp: keras_tuner.HyperParameters,
    *,
    y: Any,
    kinds: Sequence[str] = CLASS_WEIGHTS,
    default: str = "none",
    name: str = "class_weight",
) -> dict[int, float] | None:
    """Ask whether rare classes count for more.

    "balanced" weighs a class by n_samples / (n_classes · its rows), as scikit-learn
    does, so that all classes count alike; "square_root" takes the root of that,
    halfway there.

    Args:
        hp: the trial's hyperparameters.
        y: classes counted from 0, of shape (n_samples,), or one-hot rows of shape
            (n_samples, n_classes).
        kinds: of "none", "balanced", "square_root".
        default: before any search; the first kind if it is none of them.
        name: what it is called in tables.

    Returns:
        What `fit` takes as `class_weight`: class numbers to weights, or None.

    Raises:
        SearchSpaceError: if a kind is unknown, or y holds no classes.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> class_weight(HyperParameters(), y=[0, 0, 0, 1], kinds=["balanced"])
        {0: 0.6666666666666666, 1: 2.0}
    """
    counts = _class_counts(np.asarray(y), name)
    kind = ask_kind(hp, name=name, kinds=kinds, known=CLASS_WEIGHTS, default=default)
    if kind not in CLASS_WEIGHTS[1:]:
        return None
    n_samples, present = sum(counts.values()), len(counts)
    power = 0.5 if kind == "square_root" else 1.0
    return {
        label: (n_samples / (present * count)) ** power
        for label, count in counts.items()
    }


def _class_counts(y: np.ndarray, name: str) -> dict[int, int]:
    if y.ndim == 2 and y.shape[1] > 1:
        y = y.argmax(axis=1)
    y = y.reshape(-1)
    is_numbers = y.dtype.kind in "biuf" or all(isinstance(one, Real) for one in y)
    if not is_numbers or not len(y) or (y < 0).any() or (y != np.floor(y)).any():
        raise SearchSpaceError(
            f"{name} counts the rows of classes numbered from 0, but got y of shape "
            f"{y.shape} and dtype {y.dtype} with other values. It is for "
            "classification alone, and number names of classes by "
            "np.unique(y, return_inverse=True)[1]."
        )
    labels, counts = np.unique(y.astype(int), return_counts=True)
    return dict(zip(labels.tolist(), counts.tolist(), strict=True))


def _check_positive(name: str, value: int) -> None:
    if value < 1:
        raise SearchSpaceError(f"{name} >= 1 must hold, but got {value}.")
