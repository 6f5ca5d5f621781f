"""Rows on the device, and the order in which `model.fit` takes them."""

import functools
import itertools
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kttoolkit.engine._random import global_seed


@dataclass(frozen=True)
class Rows:
    """Rows on the device, and how they go into batches.

    Attributes:
        tensors: what a step is given, each of shape (n_rows, ...).
        n_samples: how many of the rows are used.
        batch_size: rows a step.
        steps: batches an epoch, or None for all of them.
        taken: numbers of the rows that are used, of shape (n_samples,), or None
            for all of them.
    """

    tensors: Any
    n_samples: int
    batch_size: int
    steps: int | None = None
    taken: np.ndarray | None = None

    @property
    def n_batches(self) -> int:
        """Return how many batches the rows make."""
        return math.ceil(self.n_samples / self.batch_size)

    @property
    def n_bytes(self) -> int:
        """Return how much the tensors take."""
        leaves = keras.tree.flatten(self.tensors)
        return sum(int(np.prod(t.shape)) * t.dtype.size for t in leaves)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Return the shape of each tensor."""
        return tuple(tuple(t.shape) for t in keras.tree.flatten(self.tensors))

    def first(self) -> Any:
        """Return a batch of the first row."""
        return keras.tree.map_structure(lambda tensor: tensor[:1], self.tensors)

    def spec(self, n: int | None = None) -> Any:
        """Return the shapes and dtypes of a part.

        Args:
            n: how many rows it has; any number if left out.

        Returns:
            `tf.TensorSpec`s in the structure of `tensors`.
        """
        return keras.tree.map_structure(
            lambda t: tf.TensorSpec([n, *t.shape[1:]], t.dtype), self.tensors
        )

    def batch_spec(self) -> Any:
        """Return the shapes and dtypes of a batch, as `model.fit` shows it a model.

        Returns:
            `tf.TensorSpec`s, of a known number of rows where all batches have it.
        """
        return self.spec(self.batch_size if self.is_even else None)

    @property
    def is_even(self) -> bool:
        """Whether all batches have as many rows, those that steps leave out too."""
        return self.n_samples % self.batch_size == 0

    def part(self, taken: np.ndarray) -> "Rows":
        """Use some of the rows only, without copying them.

        Args:
            taken: their numbers, of shape (n_samples,).

        Returns:
            Rows on the same tensors.
        """
        numbers = taken.astype("int32")
        return Rows(self.tensors, len(taken), self.batch_size, self.steps, numbers)

    def numbers(self, order: np.ndarray) -> np.ndarray:
        """Look up where rows lie in the tensors.

        Args:
            order: numbers below `n_samples`.

        Returns:
            Row numbers of the tensors.
        """
        return order if self.taken is None else self.taken[order]

    def in_order(self) -> np.ndarray:
        """Return the numbers of the rows of one epoch as they stand."""
        n = self.n_samples
        if self.steps is not None:
            n = min(n, self.steps * self.batch_size)
        return self.numbers(np.arange(n, dtype="int32"))


def row_orders(rows: Rows, shuffle: Any) -> Iterator[np.ndarray]:
    """Return the rows of each epoch in the order in which `model.fit` takes them.

    With a global seed `model.fit` shuffles every epoch alike, since each begins a
    new iterator of the same seeded pipeline; without one, orders are drawn anew.

    Args:
        rows: how many there are.
        shuffle: as `fit` was given it.

    Returns:
        Row numbers of one epoch after the other, each of shape (n_samples,).
    """
    return _orders(rows, _draws(rows, shuffle))


def _orders(rows: Rows, draws: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    left = np.empty(0, "int32")
    while True:
        if not len(left):
            left = next(draws)
        steps = rows.steps or rows.n_batches
        if steps > math.ceil(len(left) / rows.batch_size):
            warnings.warn(
                "Your input ran out of data: steps_per_epoch must be a divisor of the "
                f"number of batches, but got {steps} of {rows.n_batches}. This epoch "
                "is shorter.",
                stacklevel=2,
            )
        now = steps * rows.batch_size
        yield rows.numbers(left[:now])
        left = left[now:]


def _draws(rows: Rows, shuffle: Any) -> Iterator[np.ndarray]:
    """Return an endless supply, drawn here and now where there is a seed."""
    n = rows.n_samples
    if not shuffle:
        return itertools.repeat(np.arange(n, dtype="int32"))
    within = rows.batch_size if shuffle == "batch" else None
    seed = global_seed()
    if seed is None:
        return (_any_order(n, within) for _ in itertools.count())
    return itertools.repeat(_seeded_order(seed, n, within))


def _any_order(n: int, within: int | None) -> np.ndarray:
    """Draw without a seed, where no two runs are alike in `model.fit` either."""
    rng = np.random.default_rng()
    order = np.arange(n, dtype="int32")
    for start in range(0, n, within or n):
        rng.shuffle(order[start : start + (within or n)])
    return order


@functools.lru_cache(maxsize=256)
def _seeded_order(seed: int, n: int, within: int | None) -> np.ndarray:
    """Draw once for each seed; the seed is TensorFlow's and only names the draw."""
    del seed
    return _draw(n, within)


def _draw(n: int, within: int | None) -> np.ndarray:
    """Draw from a pipeline whose random operation has the seed that Keras's has."""
    if within is None:
        source = tf.data.Dataset.range(1)
        shuffled = source.map(lambda _: tf.random.shuffle(tf.range(n, dtype=tf.int64)))
    else:
        source = tf.data.Dataset.range(n).batch(within)
        shuffled = source.map(tf.random.shuffle)
    return np.concatenate([part.numpy() for part in shuffled]).astype("int32")
