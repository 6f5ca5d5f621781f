"""Colours, axes and scales that all pictures have in common."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from kttoolkit.exceptions import ResultError
from kttoolkit.plain import counted
from kttoolkit.plots._words import breadth, readable, shortened, told_apart
from kttoolkit.ranges import Range
from kttoolkit.results import TrialRecord, TuneResult, how_many, worst_of_interest

# Okabe and Ito's colours, which all kinds of eyes can tell apart.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
GREY = "#767676"
CYCLE = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", RED, "#000000")
_WIDTH, _HEIGHT = 6.4, 4.0
_FEW_TICKS = 7
_CROWDED = 28
_MANY_TICKS = 30
# Beyond it the arithmetic of axes, margins and contours comes to infinity.
_FARTHEST = 1e100


def axes_or_new(ax: Axes | None, *, size: tuple[float, float] | None = None) -> Axes:
    """Return where to draw: the axes given, or those of a new figure.

    Args:
        ax: the user's, or None.
        size: of a new figure, in inches.

    Returns:
        Axes without the frame's upper and right line.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=size or (_WIDTH, _HEIGHT), layout="constrained")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def completed(result: TuneResult) -> list[tuple[int, TrialRecord]]:
    """Return the completed trials whose score is finite, with their numbers, in order.

    Args:
        result: of a search.

    Returns:
        Pairs of number, from 0 as trials are named, and trial.

    Raises:
        ResultError: if there are none.
    """
    found = [
        (number, record)
        for number, record in enumerate(result.records)
        if math.isfinite(record.score)
    ]
    if not found:
        raise ResultError(
            "A picture needs completed trials with finite scores, but got "
            f"{counted(len(result.records), 'trial')} and none that completed so. "
            "Look at result.failures."
        )
    return found


def best_first(result: TuneResult, top: int) -> list[TrialRecord]:
    """Return the best of the completed trials, best first.

    Args:
        result: of a search.
        top: how many of them.

    Returns:
        The trials; equals in their order.

    Raises:
        ResultError: if there are none, or top is no whole number >= 1.
    """
    n_trials = how_many("top", top)
    sign = 1.0 if result.study.direction == "min" else -1.0
    records = [record for _, record in completed(result)]
    return sorted(records, key=lambda record: sign * record.score)[:n_trials]


def name_trials(axis: Axis, result: TuneResult) -> None:
    """Name the trials on an axis as tables name them.

    Args:
        axis: on which a trial is drawn at its number, from 0.
        result: of a search.
    """
    names = [shortened(record.trial_id, 8) for record in result.records]
    few = 5 if max(map(len, names), default=0) > 6 else 10
    axis.set_major_locator(MaxNLocator(few, integer=True, min_n_ticks=1))
    axis.set_major_formatter(
        FuncFormatter(lambda at, _: names[int(at)] if at in range(len(names)) else "")
    )


def score_label(result: TuneResult) -> str:
    """Return the objective's name with the direction that is better.

    Args:
        result: of a search.

    Returns:
        Text for an axis.
    """
    better = "lower" if result.study.direction == "min" else "higher"
    return f"{readable(result.study.objective)} ({better} is better)"


def beyond(result: TuneResult, scores: ArrayLike) -> np.ndarray:
    """Tell which scores are so bad that they would hide the others.

    Args:
        result: of a search.
        scores: of some of its trials.

    Returns:
        Array of booleans, of shape (n_scores,).
    """
    found = np.asarray(scores, dtype=float)
    limit = score_limit(result)
    if limit is None:
        return np.zeros(found.shape, dtype=bool)
    return found > limit if result.study.direction == "min" else found < limit


def score_limit(result: TuneResult) -> float | None:
    """Return the score at whose place all that are worse are drawn.

    Args:
        result: of a search.

    Returns:
        The limit, or None where there is no need of one.
    """
    scores = [record.score for _, record in completed(result)]
    return worst_of_interest(scores, result.study.direction)


def within(result: TuneResult, scores: ArrayLike) -> np.ndarray:
    """Return scores of which those too bad to be drawn stand at the limit.

    Args:
        result: of a search.
        scores: of some of its trials.

    Returns:
        Array of shape (n_scores,).
    """
    found = np.asarray(scores, dtype=float)
    limit = score_limit(result) or 0.0
    return drawable(np.where(beyond(result, found), limit, found))


def drawable(numbers: ArrayLike) -> np.ndarray:
    """Return numbers that an axis can show.

    Args:
        numbers: of any size.

    Returns:
        Array of the same shape, in which numbers beyond all measure stand at the
        farthest place there is, those next to 0 are 0, and those that are not finite
        are NaN, of which nothing is drawn.
    """
    found = np.asarray(numbers, dtype=float)
    near = np.clip(found, -_FARTHEST, _FARTHEST)
    seen = np.where(np.abs(near) < 1 / _FARTHEST, 0.0, near)
    return np.where(np.isfinite(found), seen, np.nan)


def evenly(items: Sequence[Any]) -> list[Any]:
    """Choose some of many items, no more than there is room to name.

    Args:
        items: in their order.

    Returns:
        All of a few; of many the first, the last, and others between them.
    """
    count = min(len(items), _MANY_TICKS)
    places = np.linspace(0, len(items) - 1, count).round().astype(int)
    return [items[place] for place in places]


def worse_marker(result: TuneResult) -> str:
    """Return the marker of trials that are worse than where they are drawn.

    Args:
        result: of a search.

    Returns:
        A triangle that points to where they would be.
    """
    return "^" if result.study.direction == "min" else "v"


def set_scale(ax: Axes, one: Range, values: Sequence[Any], *, axis: str = "x") -> None:
    """Put a hyperparameter's axis on its own scale.

    Args:
        ax: where it is drawn.
        one: its range.
        values: that are drawn.
        axis: "x" or "y".
    """
    if one.scale == "log":
        _set_log(ax, one, values, axis)
    elif one.scale == "one_minus_log":
        _set_one_minus_log(ax, values, axis)
    elif not one.is_numeric:
        places = evenly(range(len(one.values)))
        names = told_apart([one.values[place] for place in places], 14)
        is_crowded = axis == "x" and breadth("".join(names)) > _CROWDED
        turned = {"rotation": 25, "ha": "right"} if is_crowded else {}
        getattr(ax, f"set_{axis}ticks")(places, names, **turned)
        getattr(ax, f"set_{axis}lim")(-0.5, len(one.values) - 0.5)
    elif one.kind == "Int":
        getattr(ax, f"{axis}axis").set_major_locator(
            MaxNLocator(6, integer=True, min_n_ticks=1)
        )


def _set_log(ax: Axes, one: Range, values: Sequence[float], axis: str) -> None:
    """Draw ratios as distances; name the values themselves where they are few."""
    getattr(ax, f"set_{axis}scale")("log")
    which = getattr(ax, f"{axis}axis")
    if not len(values):
        return
    span = one.to_scale(one.high) - one.to_scale(one.low)
    is_few = span < _FEW_TICKS * one.step_on_scale
    ticks = sorted({float(v) for v in (one.grid() if is_few else one.values)})
    decades = math.log10(max(values)) - math.log10(min(values))
    if not 1 < len(ticks) <= _FEW_TICKS and decades >= 1:
        return
    if not 1 < len(ticks) <= _FEW_TICKS:
        low, high = min(values), max(values)
        middle = math.sqrt(low) * math.sqrt(high)
        ticks = sorted({float(f"{value:.2g}") for value in (low, middle, high)})
    which.set_major_locator(FixedLocator(ticks))
    which.set_minor_locator(NullLocator())
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))


def legend_above(ax: Axes, **options: Any) -> None:
    """Put the legend in a line above the axes, where it hides nothing.

    Args:
        ax: whose artists are named.
        **options: of `Axes.legend`.
    """
    legend = ax.legend(
        frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.2, handletextpad=0.4, columnspacing=1.2, **options,
    )  # fmt: skip
    if len(ax.figure.axes) > 1:
        # It may reach over the panels beside, which are not to make room for it.
        legend.set_in_layout(False)
        ax.set_title(" ")


def _set_one_minus_log(ax: Axes, values: Sequence[float], axis: str) -> None:
    """Draw 0.9, 0.99 and 0.999 at equal distances."""
    getattr(ax, f"set_{axis}scale")(
        "function",
        functions=(
            lambda value: -np.log10(np.clip(1 - np.asarray(value), 1e-12, None)),
            lambda place: 1 - 10.0 ** -np.asarray(place),
        ),
    )
    low = math.floor(-math.log10(1 - min(values)))
    high = math.ceil(-math.log10(1 - max(values)))
    ticks = [
        1 - digit * 10.0**-decade
        for decade in range(low, high + 1)
        for digit in ((1, 2, 5) if high - low < 2 else (1,))
    ]
    which = getattr(ax, f"{axis}axis")
    which.set_major_locator(FixedLocator(sorted({round(t, 10) for t in ticks})))
    which.set_minor_locator(NullLocator())
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))


def place_of(one: Range, value: Any) -> float:
    """Return where a value is drawn.

    Args:
        one: its range.
        value: of a trial.

    Returns:
        The number itself, or the place of a choice.
    """
    if one.is_numeric:
        place = float(drawable(value))
        return max(place, 1 / _FARTHEST) if one.scale == "log" else place
    known = list(one.values)
    return float(known.index(value)) if value in known else float(len(known))
