"""How many combinations a search space has."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from kttoolkit.ranges._range import Range


def grid_size(ranges: Sequence[Range]) -> int:
    """Count the combinations of a grid, conditional ones only where they exist.

    Args:
        ranges: of a search space, parents in front.

    Returns:
        The number of different settings.
    """
    size = 1
    for group in _groups(ranges):
        size *= _count(group, {})
    return size


def n_active_values(ranges: Sequence[Range]) -> dict[str, int]:
    """Count the values of each hyperparameter on a grid.

    Args:
        ranges: of a search space.

    Returns:
        Names to numbers, the largest of those that share a name.
    """
    counts: dict[str, int] = defaultdict(int)
    for one in ranges:
        counts[one.name] = max(counts[one.name], len(one.grid()))
    return dict(counts)


def _groups(ranges: Sequence[Range]) -> list[list[Range]]:
    """Put together what hangs together by conditions."""
    groups: list[list[Range]] = []
    for one in ranges:
        names = {one.name, *(name for name, _ in one.conditions)}
        linked = [g for g in groups if any(other.name in names for other in g)]
        groups = [g for g in groups if g not in linked]
        groups.append([*(member for g in linked for member in g), one])
    return groups


def _count(group: Sequence[Range], values: Mapping[str, Any]) -> int:
    """Count the combinations of a group, its first members having values."""
    if not group:
        return 1
    first, rest = group[0], group[1:]
    if not first.is_active(values) or first.name in values:
        return _count(rest, values)
    is_parent = any(first.name in dict(one.conditions) for one in rest)
    if not is_parent:
        return len(first.grid()) * _count(rest, values)
    return sum(_count(rest, {**values, first.name: v}) for v in first.grid())
