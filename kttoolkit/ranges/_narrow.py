"""Narrower ranges around what went best, each on its own scale."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kttoolkit.exceptions import SearchSpaceError
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
    optimum may lie outside: numbers that were positive stay so, and shares stay below
    1. The kept range is never a point, and its default is the best value. Of a choice
    without order, values are dropped that are clearly worse: tried three times or
    more, not among the best trials, and worse on average than the best value by two
    standard errors.

    Args:
        space: configurations of the hyperparameters, as Keras Tuner writes them.
        trials: those that completed.
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
    if not trials:
        raise SearchSpaceError(
            "A space is narrowed around its best trials, but none has completed."
        )
    ordered = sorted(trials, key=lambda trial: trial.score)
    n_kept = min(max(math.ceil(keep * len(ordered)), _FEWEST_KEPT), len(ordered))
    best = ordered[:n_kept]
    return [_narrowed(one, ordered, best) for one in ranges_of(space)]


def _narrowed(
    one: Range, trials: Sequence[Scored], best: Sequence[Scored]
) -> dict[str, Any]:
    """Narrow one range, if the best trials have it at all."""
    entry = copy.deepcopy(dict(one.config))
    has = [t for t in best if one.is_active(t.values) and one.name in t.values]
    if not has or one.scale == "fixed":
        return entry
    if not one.is_numeric:
        return _fewer_values(one, trials, has, entry)
    places = [one.to_scale(trial.values[one.name]) for trial in has]
    if any(map(math.isnan, places)) or (one.kind != "Choice" and one.low == one.high):
        return entry
    if one.kind == "Choice" and not one.is_laid_out:
        return _fewer_in_order(one, has, entry)
    low, high = _cut(one, places)
    config = entry["config"]
    winner = has[0].values[one.name]
    if one.kind == "Choice":
        config["values"] = _laid_out_again(one, low, high, winner)
    else:
        config["min_value"], config["max_value"] = _bounds(one, low, high)
        winner = min(max(winner, config["min_value"]), config["max_value"])
    config["default"] = winner
    return entry


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
    """Turn bounds on the scale into values: on the steps, positive, shares below 1."""
    first, last = one.from_scale(low), one.from_scale(high)
    if one.scale == "linear":
        if one.low >= 0:
            first = max(first, min(one.low, 1.0 if one.kind == "Int" else 0.0))
        if one.kind == "Float" and one.low >= 0 and one.high < 1:
            last = min(last, (1 + one.high) / 2)
    if not one.step:
        if one.kind == "Int":
            return max(round(first), 1 if one.low >= 1 else round(first)), round(last)
        return _short(first), _short(last)
    number: Any = int if one.kind == "Int" else _short
    lower, upper = _on_steps(one, first, last)
    return number(lower), number(upper)


def _on_steps(one: Range, first: float, last: float) -> tuple[float, float]:
    """Move bounds outward to the next step, counted from the old lower bound."""
    if one.scale == "log":
        ratio = math.log(one.step)
        below = math.floor(math.log(first / one.low) / ratio + 1e-6)
        above = math.ceil(math.log(last / one.low) / ratio - 1e-6)
        lower, upper = one.low * one.step**below, one.low * one.step**above
        if one.kind == "Int":
            while lower != int(lower) or lower < 1:
                lower *= one.step
        return lower, max(upper, lower * one.step)
    below = math.floor((first - one.low) / one.step + 1e-6)
    above = math.ceil((last - one.low) / one.step - 1e-6)
    least = min(one.low, 0.0)
    lower = max(one.low + below * one.step, least if one.low <= 0 else one.step)
    upper = one.low + max(above, below + 1) * one.step
    if one.kind == "Float" and one.low >= 0 and one.high < 1 <= upper:
        upper -= one.step
    return lower, upper


def _laid_out_again(one: Range, low: float, high: float, winner: Any) -> list[Any]:
    """Lay as many values over the new range as there were, the best one among them."""
    places = np.linspace(low, high, len(one.values)).tolist()
    values = [float(f"{one.from_scale(place):.6g}") for place in places]
    is_share = one.low >= 0 and one.high < 1
    if is_share:
        values = [value for value in values if 0 <= value < 1]
    return sorted({*values, winner})


def _fewer_in_order(
    one: Range, best: Sequence[Scored], entry: dict[str, Any]
) -> dict[str, Any]:
    """Keep the values between the best ones, and a neighbour on either side."""
    order = sorted(one.values)
    found = [order.index(trial.values[one.name]) for trial in best
             if trial.values[one.name] in order]  # fmt: skip
    if not found:
        return entry
    first, last = max(min(found) - 1, 0), min(max(found) + 1, len(order) - 1)
    kept = set(order[first : last + 1])
    entry["config"]["values"] = [value for value in one.values if value in kept]
    entry["config"]["default"] = order[found[0]]
    return entry


def _fewer_values(
    one: Range, trials: Sequence[Scored], best: Sequence[Scored], entry: dict[str, Any]
) -> dict[str, Any]:
    """Drop the values that are clearly worse than the best one."""
    winner = best[0].values[one.name]
    if one.kind == "Boolean":
        entry["config"]["default"] = winner
        return entry
    among_best = {trial.values[one.name] for trial in best}
    scores = {
        value: np.array([t.score for t in trials if t.values.get(one.name) == value])
        for value in one.values
    }
    kept = [
        value
        for value in one.values
        if value in among_best or not _is_clearly_worse(scores[value], scores[winner])
    ]
    entry["config"]["values"] = kept
    entry["config"]["default"] = winner if winner in kept else kept[0]
    return entry


def _is_clearly_worse(scores: np.ndarray, others: np.ndarray) -> bool:
    if min(len(scores), len(others)) < _ENOUGH:
        return False
    error = math.hypot(_error(scores), _error(others))
    return bool(scores.mean() - others.mean() > _ERRORS * error)


def _error(scores: np.ndarray) -> float:
    return float(scores.std(ddof=1) / math.sqrt(len(scores)))


def _short(value: float) -> float:
    """Leave out digits that stand for nothing."""
    return float(f"{value:.6g}")
