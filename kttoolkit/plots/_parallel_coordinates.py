"""All hyperparameters of all trials at once: one line a trial."""

import math
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from kttoolkit.plots._fonts import legible
from kttoolkit.plots._slice import varied_ranges
from kttoolkit.plots._style import (
    GREY,
    axes_or_new,
    beyond,
    completed,
    evenly,
    place_of,
    score_label,
    within,
)
from kttoolkit.plots._words import breadth, shortened, told_apart, wrapped
from kttoolkit.ranges import Range
from kttoolkit.results import TuneResult

_MOST = 10
_MANY = 200


def parallel_coordinates_frame(
    result: TuneResult, *, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return each trial's values as places between 0 and 1, each on its own scale.

    Args:
        result: of a search.
        names: of hyperparameters; those that differ between trials if left out, at
            most ten.

    Returns:
        One row a completed trial: `trial`, `score`, and a place for each
        hyperparameter, missing where a trial does not have it.

    Raises:
        ResultError: if a name is unknown, or no trial completed.
    """
    ranges = varied_ranges(result, names)[: None if names else _MOST]
    trials = [record for _, record in completed(result)]
    columns: dict[str, object] = {
        "trial": [record.trial_id for record in trials],
        "score": [record.score for record in trials],
    }
    for one in ranges:
        places = np.array([_place(one, record.values) for record in trials])
        columns[one.name] = _between_0_and_1(places)
    return pd.DataFrame(columns)


@legible
def plot_parallel_coordinates(
    result: TuneResult,
    *,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one line a trial through its hyperparameters to its score, dark is good.

    Args:
        result: of a search.
        names: of hyperparameters, in the order to draw them; those that differ
            between trials if left out, at most ten.
        ax: where to draw; a new figure if left out.

    Returns:
        The axes, the objective's last. Lines of bad trials are pale and lie behind
        those of good ones; where a trial does not have a hyperparameter, its line is
        broken. What is far worse than the others ends at the limit of what is of
        interest.

    Raises:
        ResultError: if a name is unknown, or no trial completed.

    Example:
        >>> result.plot.parallel_coordinates()  # doctest: +SKIP
    """
    frame = parallel_coordinates_frame(result, names=names)
    drawn = list(map(str, frame.columns[2:]))
    ranges = {one.name: one for one in varied_ranges(result, names)}
    ax = axes_or_new(ax, size=(2.75 + 1.15 * len(drawn), 4.0))
    sign = 1.0 if result.study.direction == "max" else -1.0
    order = frame.assign(better=sign * frame["score"]).sort_values("better")
    ranks = np.linspace(0.08, 1.0, len(order))
    scores = within(result, order["score"])
    places = np.column_stack([order[drawn], _between_0_and_1(scores)]).astype(float)
    columns = range(len(drawn) + 1)
    lines = [np.column_stack([columns, row]) for row in places]
    # Dark is good, whichever direction that is.
    cmap = mpl.colormaps["viridis_r" if sign > 0 else "viridis"]
    norm = mpl.colors.Normalize(scores.min(), scores.max())
    colors = mpl.cm.ScalarMappable(norm, cmap)
    ax.add_collection(
        LineCollection(
            lines, colors=colors.to_rgba(scores),
            linewidths=0.6 + 1.6 * ranks**4,
            alpha=0.9 if len(order) < _MANY else 0.4,
        )
    )  # fmt: skip
    for column in columns:
        ax.axvline(column, color=GREY, linewidth=0.6, zorder=0)
    off = beyond(result, frame["score"]).any()
    _label(ax, result, [ranges[name] for name in drawn])
    _tell_scores(ax, len(drawn), scores, ("≥ " if sign < 0 else "≤ ") if off else "")
    extend = ("max" if sign < 0 else "min") if off else "neither"
    bar = ax.figure.colorbar(colors, ax=ax, pad=0.02, extend=extend)
    bar.set_label(score_label(result))
    return ax


def _place(one: Range, values: Mapping[str, Any]) -> float:
    if not one.has_place(values):
        return math.nan
    value = values[one.name]
    return one.to_scale(value) if one.is_numeric else place_of(one, value)


def _between_0_and_1(places: np.ndarray) -> np.ndarray:
    known = places[~np.isnan(places)]
    if not len(known):
        return places
    low = known.min()
    # Halves, for between the lowest and the highest number there may be more than any.
    span = (known.max() / 2 - low / 2) or 0.5
    return np.asarray((places / 2 - low / 2) / span, dtype=float)


def _label(ax: Axes, result: TuneResult, ranges: Sequence[Range]) -> None:
    """Write the ends of each hyperparameter's axis, or each choice."""
    names = told_apart([one.name for one in ranges], 16)
    # A broad name would run into the next; a metric has its words on several lines.
    turn = 20 if len(names) > 4 or max(map(breadth, names), default=0) > 16 else 0
    names.append(wrapped(result.study.objective, 16))
    ax.set_xticks(range(len(names)), names, rotation=turn,
                  ha="right" if turn else "center")  # fmt: skip
    ax.set_yticks([])
    ax.set_xlim(-0.25, len(names) - 0.65)
    ax.set_ylim(-0.05, 1.05)
    ax.spines[["left", "bottom"]].set_visible(False)
    trials = [record.values for _, record in completed(result)]
    for column, one in enumerate(ranges):
        has = [values for values in trials if one.has_place(values)]
        if not has:
            continue
        places = _between_0_and_1(np.array([_place(one, values) for values in has]))
        used = [values[one.name] for values in has]
        told = dict(zip(places.round(6).tolist(), used, strict=True))
        if one.is_numeric:
            told = {place: told[place] for place in (min(told), max(told))}
        # Near 1 the last digits are what counts.
        digits = 6 if one.scale == "one_minus_log" else 3
        for place, value in evenly(sorted(told.items(), key=itemgetter(0))):
            is_float = isinstance(value, float)
            text = f"{value:.{digits}g}" if is_float else shortened(value, 12)
            _write(ax, column, place, text)


def _tell_scores(ax: Axes, column: int, scores: np.ndarray, beyond_it: str) -> None:
    """Write the ends of the score's axis, with a sign if some are beyond the worst."""
    low, high = float(scores.min()), float(scores.max())
    # As many digits as tell the two apart.
    digits = 3 if f"{low:.3g}" != f"{high:.3g}" else 6
    worst = high if beyond_it.startswith("≥") else low
    for place, score in {0.0: low, float(high > low): high}.items():
        sign = beyond_it if score == worst else ""
        _write(ax, column, place, f"{sign}{score:.{digits}g}")


def _write(ax: Axes, column: int, place: float, text: str) -> None:
    ax.annotate(
        text, (column, place), (3, 0), textcoords="offset points", fontsize=8,
        va="center",
        bbox={"fc": ax.get_facecolor(), "ec": "none", "alpha": 0.7, "pad": 1},
    )  # fmt: skip
