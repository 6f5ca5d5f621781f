"""The rows that a babysat model is trained on, as `model.fit` takes them."""

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from kttoolkit.data import check_finite_inputs, is_stream
from kttoolkit.exceptions import DataError
from kttoolkit.methods._babysitting._state import digest
from kttoolkit.plain import shown


@dataclass(frozen=True)
class FitData:
    """What every `model.fit` of a session is given.

    Attributes:
        x: rows of shape (n_samples, ...).
        y: targets of shape (n_samples, ...).
        validation_data: (x, y) to score on, or None.
        validation_split: the share at the end of x that is scored on instead.
        sample_weight: of shape (n_samples,) or None.
        class_weight: class number to weight, or None.
        verbose: as `keras.Model.fit` takes it.
    """

    x: Any
    y: Any
    validation_data: Any = None
    validation_split: float = 0.0
    sample_weight: Any = None
    class_weight: Mapping[int, float] | None = None
    verbose: int | str = 0

    def checked(self) -> "FitData":
        """Refuse what `fit` or a change of the batch size cannot take.

        Returns:
            The data; without a share to score on where there are rows for it.

        Raises:
            DataError: for streams, NaN and infinity, no rows, numbers of rows that
                differ, targets that are text, a share that is none.
        """
        if is_stream(self.x) or not self.n_samples or not self._are_arrays():
            given = {"x": self.x, "y": self.y, "sample_weight": self.sample_weight}
            kinds = [f"{k}: {type(v).__name__}" for k, v in given.items()]
            raise DataError(
                "x, y and sample_weight must be arrays with at least one row, for the "
                f"batch size may change while a model is babysat, but got {kinds} "
                f"({self.n_samples} rows). Load the rows into NumPy arrays."
            )
        check_finite_inputs(self.x)
        for part in keras.tree.flatten(self.y):
            _check_target(part)
        rows = {len(part) for part in self._parts()}
        if len(rows) > 1:
            raise DataError(
                f"x, y and sample_weight must have as many rows, but got {sorted(rows)}"
                ". Pass the targets of these rows."
            )
        if self.validation_data is not None:
            return replace(self, validation_split=0.0)
        is_number = isinstance(self.validation_split, numbers.Real)
        if not is_number or not 0 <= self.validation_split < 1 or not self.n_train:
            raise DataError(
                "0 <= validation_split < 1 must hold and leave rows to train on, but "
                f"got {shown(self.validation_split)} of {self.n_samples} rows. Take "
                "0.2, or pass validation_data=(x, y)."
            )
        return self

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        parts = keras.tree.flatten(self.x)
        return len(parts[0]) if parts and getattr(parts[0], "ndim", 0) else 0

    @property
    def n_train(self) -> int:
        """Number of rows that are trained on, counted as Keras does."""
        return math.floor(self.n_samples * (1.0 - self.validation_split))

    def fingerprint(self) -> str:
        """Return a SHA-256 over all that decides the weights."""
        weights = sorted((self.class_weight or {}).items())
        return digest([*self._parts(), np.array(weights), self.validation_split])

    def _are_arrays(self) -> bool:
        return all(getattr(part, "ndim", 0) for part in self._parts())

    def _parts(self) -> list[Any]:
        given = (self.x, self.y, self.sample_weight)
        return [part for part in keras.tree.flatten(given) if part is not None]


def _check_target(y: Any) -> None:
    if y is None:
        return
    values = np.asarray(y)
    if values.dtype.kind not in "fiub":
        raise DataError(
            f"y must be numbers, as model.fit takes it, but got dtype {values.dtype}. "
            "Number the classes: y = np.unique(y, return_inverse=True)[1]."
        )
    n_bad = int((~np.isfinite(values)).sum())
    if n_bad:
        raise DataError(
            f"y must be finite, but got {n_bad} NaN or infinite values of {y.size}. "
            "Drop those rows."
        )
