"""What may be asked of a result."""

from numbers import Integral
from typing import Any

from kttoolkit.exceptions import ResultError
from kttoolkit.plain import shown


def how_many(name: str, value: Any, least: int = 1) -> int:
    """Hold a number of things against its rule.

    Args:
        name: of the argument.
        value: as it was given.
        least: the fewest.

    Returns:
        The number.

    Raises:
        ResultError: if it is no whole number, or below the fewest.
    """
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not is_whole or value < least:
        raise ResultError(
            f"{name} must be a whole number >= {least}, but got {shown(value)}."
        )
    return int(value)
