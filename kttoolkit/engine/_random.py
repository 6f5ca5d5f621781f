"""Random states of Python, NumPy and TensorFlow, kept apart and set when needed.

The two functions of `tensorflow.python.eager.context` and the one of
`tensorflow.python.framework.random_seed` that are stood in for here were checked on
TensorFlow 2.21.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import random_seed

from kttoolkit.exceptions import SearchError

# What TensorFlow takes for the global seed where none was set.
_NO_SEED = 87654321
# They belong to the process: threads that train trials of one search take turns.
_TURN, _IN_TURN = threading.RLock(), threading.local()
_SEARCH = threading.RLock()


@contextmanager
def own_random_state() -> Iterator[None]:
    """Put the random states of Python and NumPy back afterwards.

    Other threads that want one, too, wait until then.

    Yields:
        Nothing.
    """
    with _TURN:
        is_outer = not is_in_turn()
        _IN_TURN.value = True
        state = random_state()
        try:
            yield
        finally:
            put_back(state)
            _IN_TURN.value = not is_outer


def is_in_turn() -> bool:
    """Tell whether this thread is in `own_random_state`.

    Returns:
        Whether it is.
    """
    return getattr(_IN_TURN, "value", False)


@contextmanager
def only_search() -> Iterator[None]:
    """Let no other thread search meanwhile.

    A search may hold others, in its own thread or in one that trains its trials.

    Yields:
        Nothing.

    Raises:
        SearchError: if another thread is searching.
    """
    if is_in_turn():
        yield
        return
    if not _SEARCH.acquire(blocking=False):
        raise SearchError(
            "A process can hold one search at a time, for random states are the "
            "process's, but another thread is searching. Wait until it has ended, or "
            "search in another process; parallel=2 trains two trials at a time."
        )
    try:
        yield
    finally:
        _SEARCH.release()


def random_state() -> tuple[Any, ...]:
    """Return the random states of Python and NumPy.

    Returns:
        What compares equal while nothing has been drawn, for `put_back`.
    """
    numpy: Any = np.random.get_state()  # noqa: NPY002
    kind, keys, place, *gauss = numpy
    return random.getstate(), (kind, keys.tobytes(), place, *gauss)


def put_back(state: tuple[Any, ...]) -> None:
    """Forget what was drawn since.

    Args:
        state: as `random_state` returned it.
    """
    python, (kind, keys, *rest) = state
    random.setstate(python)
    np.random.set_state((kind, np.frombuffer(keys, "uint32"), *rest))  # noqa: NPY002


def global_seed() -> int | None:
    """Return the seed that `keras.utils.set_random_seed` has set for TensorFlow.

    Returns:
        The seed, or None.
    """
    # With an operation's own seed given, asking changes nothing.
    seed, _ = tf.compat.v1.get_seed(0)
    return None if seed == _NO_SEED else int(seed)


@contextmanager
def lazy_tensorflow_seed() -> Iterator[None]:
    """Let TensorFlow's global seed take effect when it is first asked for.

    Setting it throws away every compiled kernel, which costs a traced function 0.1
    to 0.3 s at its next call, and Keras's layers and initializers have no use for it.
    In this context it is remembered; graphs read it, and the first random operation
    that runs outside a graph sets it for good. Every number drawn is the same.

    Yields:
        Nothing.
    """
    waiting: list[int | None] = []
    set_seed, read_seed = context.set_global_seed, context.global_seed
    seed_of_operation = random_seed.get_seed

    def remember(seed: int | None) -> None:
        waiting[:] = [seed]

    def peek() -> int | None:
        return waiting[0] if waiting else read_seed()

    def apply_and_read(op_seed: int | None) -> Any:
        if waiting and tf.executing_eagerly():
            set_seed(waiting.pop())
        return seed_of_operation(op_seed)

    context.set_global_seed, context.global_seed = remember, peek
    random_seed.get_seed = apply_and_read
    try:
        yield
    finally:
        context.set_global_seed, context.global_seed = set_seed, read_seed
        random_seed.get_seed = seed_of_operation
