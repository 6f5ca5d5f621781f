"""The score over two hyperparameters at a time."""

from collections.abc import Mapping, Sequence
from itertools import combinations, islice
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap
from matplotlib.tri import LinearTriInterpolator, Triangulation

from kttoolkit.exceptions import ResultError
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._slice import axes_for, varied_ranges
from kttoolkit.plots._style import ORANGE, completed, drawable, place_of, set_scale
from kttoolkit.plots._style import score_label as label_of
from kttoolkit.plots._words import shortened
from kttoolkit.ranges import Range
from kttoolkit.results import TuneResult

_MOST = 3
_GRID = 80
_CELLS = 12
# Each colour stands for as many trials: a few wild scores do not hide the rest.
_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_MANY = 200
_EVEN = ("linear", "log", "one_minus_log")


def contours_frame(
    result: TuneResult, *, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the score at each pair of values of two hyperparameters.

    Args:
        result: of a search.
        names: of two hyperparameters or more; if left out, the first three pairs of
            those that differ between trials, those on a scale before choices.

    Returns:
        One row for each pair of hyperparameters and pair of values: `x_name`,
        `y_name`, `x`, `y`, `score` (the mean of the trials there) and `n_trials`.
        Pairs that no trial has together are left out.

    Raises:
        ResultError: if there are fewer than two hyperparameters, no trial has two of
            them together, a name is unknown, or no trial completed.
    """
    rows = [
        (one.name, other.name, record.values[one.name], record.values[other.name],
         record.score)
        for one, other in _pairs(result, names)
        for _, record in completed(result)
        if one.has_place(record.values) and other.has_place(record.values)
    ]  # fmt: skip
    keys = ["x_name", "y_name", "x", "y"]
    frame = pd.DataFrame(rows, columns=[*keys, "score"])
    grouped = frame.groupby(keys, sort=False)["score"]
    # Sums of huge scores are infinite, and so are their means.
    with np.errstate(over="ignore"):
        return grouped.agg(score="mean", n_trials="size").reset_index()


@legible
def plot_contours(
    result: TuneResult,
    *,
    names: Sequence[str] | None = None,
    axes: Sequence[Axes] | None = None,
) -> list[Axes]:
    """Draw the score over pairs of hyperparameters, each on its own scale.

    Between the trials, which are the points, the score is interpolated on the
    triangles that they span; where there are no trials nothing is drawn. Of more than
    200 trials, neighbours are averaged first. Each colour stands for as many trials,
    dark is good.

    Args:
        result: of a search.
        names: of two hyperparameters or more, of which all pairs are drawn that a
            trial has together; if left out, the first three such pairs of those that
            differ between trials, those on a scale before choices.
        axes: where to draw, one for each pair; a new figure if left out.

    Returns:
        The axes. The best trial is a star.

    Raises:
        ResultError: if there are fewer than two hyperparameters, no trial has two of
            them together, a name is unknown, no trial completed, or there are not
            enough axes.

    Example:
        >>> result.plot.contours(names=["learning_rate", "units"])  # doctest: +SKIP

    References:
        J. Bergstra and Y. Bengio, "Random search for hyper-parameter optimization",
        JMLR 13, 2012, for why few of the pairs matter.
    """
    pairs = _pairs(result, names)
    frame = contours_frame(result, names=names)
    drawn = axes_for(axes, len(pairs), shared=False)
    norm, cmap = _colors(result)
    for (one, other), ax in zip(pairs, drawn, strict=True):
        is_this = (frame["x_name"] == one.name) & (frame["y_name"] == other.name)
        _draw_pair(ax, one, other, frame[is_this], norm, cmap)
        best = result.best_trial.values
        if one.has_place(best) and other.has_place(best):
            ax.scatter(
                place_of(one, best[one.name]), place_of(other, best[other.name]), 110,
                color=ORANGE, edgecolor="black", linewidth=0.6, marker="*", zorder=4,
            )  # fmt: skip
        ax.set_xlabel(shortened(one.name))
        ax.set_ylabel(shortened(other.name))
    if axes is None:
        bar = drawn[0].figure.colorbar(
            ScalarMappable(norm, cmap), ax=drawn, format="%.3g", pad=0.02
        )
        bar.set_label(label_of(result))
    return drawn


def _pairs(
    result: TuneResult, names: Sequence[str] | None
) -> list[tuple[Range, Range]]:
    ranges = varied_ranges(result, names)
    if names is None:
        # Contours need an order; choices come last.
        ranges = sorted(ranges, key=lambda one: not one.is_numeric)
    if len({one.name for one in ranges}) < 2:
        raise ResultError(
            "Contours are drawn over two hyperparameters, but got "
            f"{[one.name for one in ranges]}. Look at the slice of one."
        )
    pairs = list(combinations(ranges, 2))
    if names is None:
        # All pairs of the first three before any with a fourth.
        pairs.sort(key=lambda pair: ranges.index(pair[1]))
    trials = [record.values for _, record in completed(result)]
    met = (pair for pair in pairs if _are_together(pair, trials))
    found = list(islice(met, _MOST if names is None else None))
    if not found:
        raise ResultError(
            "Contours are drawn over two hyperparameters that a trial has together, "
            f"but no trial has two of {[one.name for one in ranges]}. Look at the "
            "slice of each."
        )
    return found


def _are_together(
    pair: tuple[Range, Range], trials: Sequence[Mapping[str, Any]]
) -> bool:
    return any(all(one.has_place(values) for one in pair) for values in trials)


def _colors(result: TuneResult) -> tuple[BoundaryNorm, Colormap]:
    """Give equal numbers of trials the same colour, dark where the score is good."""
    scores = drawable([record.score for _, record in completed(result)])
    levels = np.unique(np.quantile(scores, _SHARES))
    if len(levels) < 2:
        levels = levels[0] + np.array([0.0, max(abs(levels[0]), 1.0) * 1e-6])
    name = "viridis" if result.study.direction == "min" else "viridis_r"
    cmap = mpl.colormaps[name]
    return BoundaryNorm(levels, cmap.N), cmap


def _draw_pair(
    ax: Axes,
    one: Range,
    other: Range,
    frame: pd.DataFrame,
    norm: BoundaryNorm,
    cmap: Colormap,
) -> None:
    x = np.array([place_of(one, value) for value in frame["x"]])
    y = np.array([place_of(other, value) for value in frame["y"]])
    scores = drawable(frame["score"])
    set_scale(ax, one, list(frame["x"]))
    set_scale(ax, other, list(frame["y"]), axis="y")
    if one.scale in _EVEN and other.scale in _EVEN:
        _fill(ax, (one, other), (x, y), scores, norm, cmap)
    ax.use_sticky_edges = False
    ax.margins(0.06)
    size = 26 if len(frame) <= _MANY else 8
    ax.scatter(x, y, size, c=scores, norm=norm, cmap=cmap, edgecolor="white",
               linewidth=0.6, zorder=3)  # fmt: skip


def _fill(
    ax: Axes,
    ranges: tuple[Range, Range],
    places: tuple[np.ndarray, np.ndarray],
    scores: np.ndarray,
    norm: BoundaryNorm,
    cmap: Colormap,
) -> None:
    """Interpolate on the hyperparameters' own scales, and draw where they are."""
    if len(scores) < 4:
        return
    scaled = [
        np.array([one.to_scale(value) for value in part])
        for one, part in zip(ranges, places, strict=True)
    ]
    spans = [np.ptp(part) for part in scaled]
    if not all(spans):
        return
    x, y = (
        (part - part.min()) / span for part, span in zip(scaled, spans, strict=True)
    )
    if len(x) > _MANY:
        x, y, scores = _averaged(x, y, scores)
    try:
        surface = LinearTriInterpolator(Triangulation(x, y), scores)
    except (RuntimeError, ValueError):
        # All on one line: there is no surface between them.
        return
    grid = np.linspace(0, 1, _GRID)
    heights = surface(*np.meshgrid(grid, grid))
    ticks = [
        [one.from_scale(part.min() + span * place) for place in grid]
        for one, part, span in zip(ranges, scaled, spans, strict=True)
    ]
    ax.contourf(*np.meshgrid(*ticks), heights, levels=norm.boundaries, norm=norm,
                cmap=cmap, alpha=0.75, extend="both")  # fmt: skip


def _averaged(
    x: np.ndarray, y: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average neighbours, of which a surface through each would show the noise."""
    frame = pd.DataFrame({"x": x, "y": y, "score": scores})
    cells = [(part * _CELLS).astype(int).clip(0, _CELLS - 1) for part in (x, y)]
    means = frame.groupby(cells).mean()
    return means["x"].to_numpy(), means["y"].to_numpy(), means["score"].to_numpy()
