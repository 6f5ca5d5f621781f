"""The random states of Python and NumPy, kept apart."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def own_random_state() -> Iterator[None]:
    """Put the random states of Python and NumPy back afterwards.

    Yields:
        Nothing.
    """
    python: Any = random.getstate()
    numpy: Any = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
