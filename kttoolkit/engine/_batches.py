"""How the rows of several folds go into batches that advance together."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Batches:
    """The rows of every fold, batch by batch.

    Folds differ in size by a row or so, and with them their last batches: those are
    grouped by size.

    Attributes:
        size: rows of a full batch.
        full: numbers of the rows in full batches, of shape (n_folds, n_full).
        groups: numbers of the folds whose last batches are of one size, for each size.
        last: for each group the rows of those batches, of shape (n_in_group, size).
    """

    size: int
    full: np.ndarray
    groups: tuple[tuple[int, ...], ...]
    last: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, orders: Sequence[np.ndarray], size: int) -> "Batches":
        """Cut the rows.

        Args:
            orders: row numbers of each fold in the order to take them; all make the
                same number of batches.
            size: rows of a batch.

        Returns:
            The batches.

        Example:
            >>> batches = Batches.of([np.arange(7), np.arange(8), np.arange(7)], 3)
            >>> batches.full.shape, batches.groups, [p.shape for p in batches.last]
            ((3, 6), ((0, 2), (1,)), [(2, 1), (1, 2)])
        """
        n_full = min(map(len, orders)) // size * size
        rest = [order[n_full:] for order in orders]
        groups = tuple(
            tuple(fold for fold, part in enumerate(rest) if len(part) == n)
            for n in sorted({len(part) for part in rest} - {0})
        )
        last = tuple(np.stack([rest[fold] for fold in group]) for group in groups)
        return cls(size, np.stack([order[:n_full] for order in orders]), groups, last)

    @property
    def n_folds(self) -> int:
        """Return how many folds there are."""
        return len(self.full)

    @functools.cached_property
    def tensors(self) -> list[tf.Tensor]:
        """Return as tensors what a graph is given: `size`, `full`, each of `last`."""
        return [tf.constant(numbers) for numbers in (self.size, self.full, *self.last)]

    def kind(self, *, xla: bool) -> tuple[object, ...]:
        """Return what a graph of these batches depends on.

        Args:
            xla: whether XLA compiles it, for one size of everything.

        Returns:
            Equal for batches that may use one graph.
        """
        shapes = [tuple(tensor.shape) for tensor in self.tensors]
        exact = (self.size, *shapes) if xla else ()
        return self.n_folds, self.groups, *exact

    @property
    def places(self) -> np.ndarray:
        """Return where each fold stands when all groups stand in a row."""
        return np.argsort([fold for group in self.groups for fold in group])
