"""How often Python looks for garbage while models train."""

import contextlib
import gc
from collections.abc import Iterator

# Objects made before Python looks for unreachable ones: a few models.
_MANY_OBJECTS = 50_000


@contextlib.contextmanager
def rare_collections() -> Iterator[None]:
    """Look for garbage after a few models, and not thrice in each.

    Beside TensorFlow's objects that takes a twentieth of a search over small networks.
    At the end, what was made meanwhile is looked through, and what is older is left for
    its time: all objects take 0.2 s.

    Yields:
        Nothing.
    """
    held = gc.get_threshold()
    if 0 < held[0] < _MANY_OBJECTS:
        gc.set_threshold(_MANY_OBJECTS, *held[1:])
    try:
        yield
    finally:
        gc.collect(1)
        gc.set_threshold(*held)
