"""Narrower ranges around what went best, each on its own scale."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import counted
from kttoolkit.ranges._range import Range, ranges_of

# A best value this close to a bound, as a share of the range, lies at the edge.
_EDGE = 0.05
# Towards an edge where the best value lies, by this share of the new width.
_WIDER = 0.25
# A range is never narrowed to less than this share of what it was.
_LEAST = 0.1
# A choice is dropped if it is worse by this many standard errors, of so many trials.
_ERRORS = 2.0
_ENOUGH = 3
# Of three values drawn at random, the span and a margin of half of it on either side
# are on average the whole range: what does not matter is not narrowed.
_FEWEST_KEPT = 3
# Beyond them a range is left as it is: whole numbers and floats end there.
_MOST, _LARGEST = 2**53, 1e307


@dataclass(frozen=True)
class Scored:
    """A trial that completed.

    Attributes:
        values: hyperparameter names to values.
        score: lower is better.
    """

    values: Mapping[str, Any]
    score: float


def narrowed(
    space: Sequence[Mapping[str, Any]], trials: Sequence[Scored], *, keep: float = 0.2
) -> list[dict[str, Any]]:
    """Shrink every range to where the best trials lie.

    A range is cut to the values of the best trials and as much beyond them as these
    lie apart, on its own scale. Where the best value of all lies at an edge, the
    range is widened there, by a step or by a quarter of its new width, for the
    optimum may lie outside: numbers that were positive stay so, and shares (from 0 to
    below 1, on no log scale) stay below 1. The kept range is never a point, and its
    default is the best value. Of a choice without order, values are dropped that are
    clearly worse: tried three times or more, not among the best trials, and worse on
    average than the best value by two standard errors.

    Args:
        space: configurations of the hyperparameters, as Keras Tuner writes them.
        trials: those that completed; scores that are not finite do not count, nor do
            values that are none of their hyperparameter's kind.
        keep: share of the trials that count as the best, above 0, at most 1.

    Returns:
        Configurations of the same hyperparameters with other bounds.

    Raises:
        SearchSpaceError: if keep is no such share, or no trial completed.
    """
    if not 0 < keep <= 1:
        raise SearchSpaceError(
            f"0 < keep <= 1 must hold, the share of trials to keep, but got {keep=}."
        )
    scored = [trial for trial in trials if math.isfinite(trial.score)]
    if not scored:
        raise SearchSpaceError(
            "A space is narrowed around its best trials, but none has completed with a "
            f"finite score, of {counted(len(trials), 'trial')}."
        )
    ordered = sorted(scored, key=lambda trial: trial.score)
    n_kept = min(max(math.ceil(keep * len(ordered)), _FEWEST_KEPT), len(ordered))
    best = ordered[:n_kept]
    return [_narrowed(one, ordered, best) for one in ranges_of(space)]


def _narrowed(
    one: Range, trials: Sequence[Scored], best: Sequence[Scored]
) -> dict[str, Any]:
    """Narrow one range, if the best trials have it at all."""
    entry = copy.deepcopy(dict(one.config))
    values = [t.values.get(one.name) for t in best if one.is_active(t.values)]
    values = [value for value in values if one.is_value(value)]
    if not values or one.scale == "fixed":
        return entry
    if not one.is_numeric:
        return _fewer_values(one, trials, values, entry)
    if one.kind == "Choice" and not one.is_laid_out:
        return _fewer_in_order(one, values, entry)
    with np.errstate(over="ignore", invalid="ignore"):
        entry["config"] |= _around(one, values)
    return entry


def _around(one: Range, values: Sequence[Any]) -> dict[str, Any]:
    """Return bounds around numbers, or the values of a choice, and the default."""
    low, high = _cut(one, [one.to_scale(value) for value in values])
    winner: Any = int(values[0]) if one.is_whole else values[0]
    if one.kind == "Choice":
        kept = _laid_out_again(one, low, high, winner)
        return {"values": kept, "default": winner}
    config = one.config["config"]
    first, last = config["min_value"], config["max_value"]
    if first < last and math.isfinite(high - low):
        first, last = _bounds(one, low, high)
    if not _is_sound(one, first, last):
        first, last = config["min_value"], config["max_value"]
    default = min(max(winner, first), last)
    return {"min_value": first, "max_value": last, "default": default}


def _is_sound(one: Range, first: float, last: float) -> bool:
    """Tell whether bounds are numbers that a range can have, and apart."""
    largest = _MOST if one.is_whole else _LARGEST
    is_signed = one.low <= 0 or first > 0
    return first < last and max(abs(first), abs(last)) <= largest and is_signed


def _cut(one: Range, places: Sequence[float]) -> tuple[float, float]:
    """Return the bounds on the scale: the best values, a margin, and open edges."""
    low, high = min(places), max(places)
    # Trials of a range that was widened before may lie outside of it.
    start, end = min(one.to_scale(one.low), low), max(one.to_scale(one.high), high)
    whole = end - start
    margin = (high - low) / max(len(places) - 1, 1)
    missing = max(_LEAST * whole - (high - low + 2 * margin), 0) / 2
    low, high = low - margin - missing, high + margin + missing
    winner = places[0]
    width = min(high, end) - max(low, start)
    at_low, at_high = (
        (abs(winner - edge) <= _EDGE * whole and one.step <= 0) or winner == edge
        for edge in (start, end)
    )
    wider = one.step_on_scale or _WIDER * width
    low = start - wider if at_low else max(low, start)
    high = end + wider if at_high else min(high, end)
    return low, high


def _bounds(one: Range, low: float, high: float) -> tuple[float, float]:
    """Turn bounds on the scale into values: on the steps, positive, shares up to 1."""
    first, last = one.from_scale(low), one.from_scale(high)
    if not math.isfinite(last - first) or (one.scale == "log" and first <= 0):
        return math.nan, math.nan  # beyond the numbers that there are
    if one.scale == "linear" and one.low >= 0:
        half = one.low / 2 or one.low
        first = max(first, min(one.low, 1.0) if one.kind == "Int" else half)
    if one.kind == "Float" and one.low >= 0:
        last = min(last, _most(one))
    if not one.step:
        if one.kind == "Int":
            return _whole_bounds(first, last, least=1 if one.low >= 1 else -math.inf)
        return _short(first), _short(last)
    number: Any = int if one.kind == "Int" else _short
    lower, upper = _on_steps(one, first, last)
    return number(lower), number(upper)


def _most(one: Range) -> float:
    """Return how far what may be a share is widened; a rate from 1 on is none."""
    if one.scale == "log":
        return 1.0 if one.high < 1 else math.inf
    if one.high < 1:
        return (1 + one.high) / 2
    return 1.0 if one.high == 1 else math.inf


def _whole_bounds(first: float, last: float, *, least: float) -> tuple[int, int]:
    """Round bounds to the nearest whole numbers, or apart where these are one."""
    first, last = max(first, least), max(last, least)
    lower, upper = round(first), round(last)
    return (lower, upper) if lower < upper else (math.floor(first), math.ceil(last))


def _on_steps(one: Range, first: float, last: float) -> tuple[float, float]:
    """Move bounds outward to the next step, counted from the old lower bound."""
    place, value = _steps_of(one)
    below, above = math.floor(place(first) + 1e-6), math.ceil(place(last) - 1e-6)
    # What was positive stays so, and whole numbers stay whole.
    while below < 0 <= one.low and not _is_kept(one, value(below)):
        below += 1
    above = max(above, below + 1)
    is_share = one.kind == "Float" and one.low >= 0 and one.high < 1
    while is_share and value(above) >= 1 and above > below:
        above -= 1
    return value(below), value(above)


def _steps_of(one: Range) -> tuple[Callable[[float], float], Callable[[int], float]]:
    """Return how to count the steps up to a value, and its inverse."""
    if one.scale != "log":
        return (
            lambda value: (value - one.low) / one.step,
            lambda number: one.low + number * one.step,
        )
    ratio = math.log(one.step)

    def power(number: int) -> float:
        try:
            return one.low * one.step**number
        except OverflowError:
            return math.inf

    return lambda value: (math.log(value) - math.log(one.low)) / ratio, power


def _is_kept(one: Range, value: float) -> bool:
    if one.scale == "log" and one.kind == "Int":
        return value >= 1 and value == int(value)
    return value > 0 or value == one.low == 0


def _laid_out_again(one: Range, low: float, high: float, winner: Any) -> list[Any]:
    """Lay as many values over the new range as there were, the best one among them."""
    places = np.linspace(low, high, len(one.values)).tolist()
    values: list[Any] = [_short(one.from_scale(place)) for place in places]
    values = [value for value in values if math.isfinite(value)]
    if one.is_whole:
        values = [round(value) for value in values]
    is_share = one.low >= 0 and one.high < 1
    if is_share:
        values = [value for value in values if 0 <= value < 1]
    # What the scale gives back of the winner may differ in its last digit.
    slack = 1e-12 * max(map(abs, values), default=0.0)
    return sorted({winner, *(v for v in values if abs(v - winner) > slack)})


def _fewer_in_order(
    one: Range, best: Sequence[Any], entry: dict[str, Any]
) -> dict[str, Any]:
    """Keep the values between the best ones, and a neighbour on either side."""
    order = sorted(one.values)
    found = [order.index(value) for value in best]
    first, last = max(min(found) - 1, 0), min(max(found) + 1, len(order) - 1)
    kept = set(order[first : last + 1])
    entry["config"]["values"] = [value for value in one.values if value in kept]
    entry["config"]["default"] = order[found[0]]
    return entry


def _fewer_values(
    one: Range, trials: Sequence[Scored], best: Sequence[Any], entry: dict[str, Any]
) -> dict[str, Any]:
    """Drop the values that are clearly worse than the best one."""
    winner = one.values[one.values.index(best[0])]
    entry["config"]["default"] = winner
    if one.kind == "Boolean":
        return entry
    scores = {
        value: np.array([t.score for t in trials if t.values.get(one.name) == value])
        for value in one.values
    }
    entry["config"]["values"] = [
        value
        for value in one.values
        if value in best or not _is_clearly_worse(scores[value], scores[winner])
    ]
    return entry


def _is_clearly_worse(scores: np.ndarray, others: np.ndarray) -> bool:
    if min(len(scores), len(others)) < _ENOUGH:
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        error = math.hypot(_error(scores), _error(others))
        return bool(scores.mean() - others.mean() > _ERRORS * error)


def _error(scores: np.ndarray) -> float:
    return float(scores.std(ddof=1) / math.sqrt(len(scores)))


def _short(value: float) -> float:
    """Leave out digits that stand for nothing."""
    return float(f"{value:.6g}")
