"""The score against each hyperparameter."""

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kttoolkit.exceptions import ResultError
from kttoolkit.plain import shown
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._style import (
    BLUE,
    ORANGE,
    beyond,
    completed,
    drawable,
    place_of,
    set_scale,
    within,
    worse_marker,
)
from kttoolkit.plots._words import readable, shortened
from kttoolkit.ranges import Range
from kttoolkit.results import TuneResult

_COLUMNS = 3
_MOST = 12
_GOLDEN = 0.6180339887


def slice_frame(
    result: TuneResult, *, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return each trial's value of each hyperparameter, and its score.

    Args:
        result: of a search.
        names: of hyperparameters; all that differ between trials if left out.

    Returns:
        One row for each trial and hyperparameter that it has: `hyperparameter`,
        `trial`, `number` (from 0), `value` and `score`.

    Raises:
        ResultError: if a name is unknown, or no trial completed.
    """
    ranges = varied_ranges(result, names)
    rows = [
        (one.name, record.trial_id, number, record.values[one.name], record.score)
        for one in ranges
        for number, record in completed(result)
        if one.has_place(record.values)
    ]
    columns = ["hyperparameter", "trial", "number", "value", "score"]
    return pd.DataFrame(rows, columns=columns)


@legible
def plot_slice(
    result: TuneResult,
    *,
    names: Sequence[str] | None = None,
    axes: Sequence[Axes] | None = None,
) -> list[Axes]:
    """Draw the score against each hyperparameter, on its own scale.

    Args:
        result: of a search.
        names: of hyperparameters; those that differ between trials if left out, at
            most twelve.
        axes: where to draw, one for each; a new figure if left out.

    Returns:
        The axes. Later trials are darker; what is far worse than the others is a
        triangle at the limit of what is of interest.

    Raises:
        ResultError: if a name is unknown, no trial completed, or there are not enough
            axes.

    Example:
        >>> result.plot.slice(names=["learning_rate"])  # doctest: +SKIP
    """
    ranges = varied_ranges(result, names)[: None if names else _MOST]
    frame = slice_frame(result, names=[one.name for one in ranges])
    drawn = axes_for(axes, len(ranges))
    numbers = frame["number"].max() + 1 if len(frame) else 1
    for one, ax in zip(ranges, drawn, strict=False):
        part = frame[frame["hyperparameter"] == one.name]
        places = np.array([place_of(one, value) for value in part["value"]])
        width = 0.0 if one.is_numeric else 0.5
        # Multiples of the golden ratio fill an interval evenly.
        shift = width * ((np.arange(len(places)) * _GOLDEN) % 1 - 0.5)
        set_scale(ax, one, list(part["value"]))
        is_off = beyond(result, part["score"])
        for mask, marker in ((~is_off, "o"), (is_off, worse_marker(result))):
            ax.scatter(
                (places + shift)[mask], within(result, part["score"])[mask], 22,
                c=part["number"][mask] + 1, cmap="Blues", marker=marker,
                vmin=-0.5 * numbers, vmax=numbers, edgecolor=BLUE, linewidth=0.5,
            )  # fmt: skip
        _mark_best(ax, one, result)
        ax.set_xlabel(shortened(one.name))
    for ax in drawn[::_COLUMNS]:
        ax.set_ylabel(readable(result.study.objective))
    return drawn


def varied_ranges(result: TuneResult, names: Sequence[str] | None) -> list[Range]:
    """Return the ranges to draw.

    Args:
        result: of a search.
        names: that the user asked for, or None for all that differ between trials.

    Returns:
        One range a name, in the order of the search space or of `names`.

    Raises:
        ResultError: if a name is unknown, or there is a single text for a list.
    """
    known: dict[str, Range] = {}
    for one in result.ranges:
        known.setdefault(one.name, one)
    if not known:
        raise ResultError(
            "A picture of hyperparameters needs a search space, but the trials of "
            f"{result.directory} had none."
        )
    if isinstance(names, str):
        raise ResultError(
            f"names must be a list of hyperparameters, but got {shown(names)}. Pass "
            f"names=[{shown(names)}]."
        )
    if names is not None:
        for name in names:
            if name not in known:
                raise ResultError(
                    f"A hyperparameter must be one of {sorted(known)}, but got "
                    f"{shown(name)}."
                )
        return [known[name] for name in names]
    trials = [record.values for _, record in completed(result)]
    varied = [
        one
        for one in known.values()
        if len({str(values.get(one.name)) for values in trials}) > 1
    ]
    return varied or list(known.values())


def axes_for(
    axes: Sequence[Axes] | None, count: int, *, shared: bool = True
) -> list[Axes]:
    """Return axes to draw on, one for each panel.

    Args:
        axes: the user's, or None for a new figure.
        count: how many are needed.
        shared: whether the panels of a new figure have the same y axis.

    Returns:
        As many axes.

    Raises:
        ResultError: if there are not enough.
    """
    if axes is not None:
        found = list(np.ravel(np.asarray(axes, dtype=object)))
        if len(found) < count:
            raise ResultError(
                f"There must be axes for {count} panels, but got {len(found)}."
            )
        return found[:count]
    columns = min(count, _COLUMNS)
    rows = math.ceil(count / columns)
    _, grid = plt.subplots(
        rows, columns, squeeze=False, sharey=shared, layout="constrained",
        figsize=(3.0 * columns + 0.6, 2.7 * rows + 0.3),
    )  # fmt: skip
    found = list(grid.ravel())
    for ax in found[count:]:
        ax.remove()
    for ax in found[:count]:
        ax.spines[["top", "right"]].set_visible(False)
    return found[:count]


def _mark_best(ax: Axes, one: Range, result: TuneResult) -> None:
    best = result.best_trial
    if one.has_place(best.values):
        ax.scatter(
            [place_of(one, best.values[one.name])], drawable([best.score]), 90,
            color=ORANGE, marker="*", zorder=4,
        )  # fmt: skip
