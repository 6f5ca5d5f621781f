"""How many combinations a search space has."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kttoolkit.ranges._range import Range

_FEW = 3


@dataclass(frozen=True)
class Shrunk:
    """A grid with fewer values of one hyperparameter.

    Attributes:
        name: the hyperparameter.
        n_values: values that it has.
        n_kept: values that it would have.
        grid_size: combinations that would be left.
    """

    name: str
    n_values: int
    n_kept: int
    grid_size: int


def grid_size(
    ranges: Sequence[Range], *, at_most: Mapping[str, int] | None = None
) -> int:
    """Count the combinations of a grid, conditional ones only where they exist.

    Args:
        ranges: of a search space, parents in front.
        at_most: names to numbers of values, where a grid is to have fewer.

    Returns:
        The number of different settings.
    """
    size = 1
    for group in _groups(ranges):
        size *= _count(group, {}, at_most or {})
    return size


def ways_to_shrink(ranges: Sequence[Range]) -> list[Shrunk]:
    """Try fewer values of each hyperparameter, and sort by what is left.

    Args:
        ranges: of a search space.

    Returns:
        For each that has several values the grid with three of them (or one, where it
        has no more than three), the smallest grid first.
    """
    ways = []
    for name, n_values in n_active_values(ranges).items():
        kept = _FEW if n_values > _FEW else 1
        if n_values > 1:
            left = grid_size(ranges, at_most={name: kept})
            ways.append(Shrunk(name, n_values, kept, left))
    return sorted(ways, key=lambda way: way.grid_size)


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


def _count(
    group: Sequence[Range], values: Mapping[str, Any], at_most: Mapping[str, int]
) -> int:
    """Count the combinations of a group, its first members having values."""
    if not group:
        return 1
    first, rest = group[0], group[1:]
    if not first.is_active(values) or first.name in values:
        return _count(rest, values, at_most)
    tried = first.grid()[: at_most.get(first.name)]
    is_parent = any(first.name in dict(one.conditions) for one in rest)
    if not is_parent:
        return len(tried) * _count(rest, values, at_most)
    return sum(_count(rest, {**values, first.name: v}, at_most) for v in tried)
