"""What the engines need of TensorFlow that no public name gives (checked on 2.21)."""

from collections.abc import Sequence
from typing import Any


def call_with(concrete: Any, args: Sequence[Any], captured: Sequence[Any]) -> Any:
    """Call a traced function on other variables than it was traced with.

    Args:
        concrete: a `ConcreteFunction`.
        args: its arguments as a flat list of tensors.
        captured: what takes the place of its `captured_inputs`.

    Returns:
        What the function returns.
    """
    return concrete._call_flat(list(args), list(captured))  # noqa: SLF001
