"""How the best score improved in the course of the search."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kttoolkit.plots._fonts import legible
from kttoolkit.plots._style import (
    BLUE,
    ORANGE,
    RED,
    axes_or_new,
    beyond,
    drawable,
    legend_above,
    name_trials,
    score_label,
    within,
    worse_marker,
)
from kttoolkit.results import TuneResult

# Of more trials than this, the spread of each would hide the others.
_MANY = 200
_MARGIN = 0.04


def history_frame(result: TuneResult) -> pd.DataFrame:
    """Return the score of every trial and the best so far.

    Args:
        result: of a search.

    Returns:
        One row a trial in the order of their proposal: `number` (from 0), `trial`,
        `status`, `score` and `std` (missing for trials that did not complete) and
        `best` (the best score so far, missing before the first).
    """
    frame = pd.DataFrame(
        {
            "number": range(len(result.records)),
            "trial": [record.trial_id for record in result.records],
            "status": [record.status for record in result.records],
            "score": [record.score for record in result.records],
            "std": [
                record.std if record.status == "completed" else float("nan")
                for record in result.records
            ],
        }
    )
    grown = frame["score"].astype(float)
    best = grown.cummin() if result.study.direction == "min" else grown.cummax()
    frame["best"] = best.ffill()
    return frame


@legible
def plot_history(result: TuneResult, *, ax: Axes | None = None) -> Axes:
    """Draw the score of every trial, the spread of its folds, and the best so far.

    Args:
        result: of a search.
        ax: where to draw; a new figure if left out.

    Returns:
        The axes. Trials that failed are crosses at the lower edge; what is far worse
        than the others is a triangle at the limit of what is of interest.

    Example:
        >>> result.plot.history()  # doctest: +SKIP
    """
    frame = history_frame(result)
    frame[["score", "std", "best"]] = drawable(frame[["score", "std", "best"]])
    ax = axes_or_new(ax)
    done = frame[frame["score"].notna()]
    is_off = beyond(result, done["score"]) if len(done) else np.zeros(0, dtype=bool)
    off, done = done[is_off], done[~is_off]
    has_spread = done["std"].notna() & (done["std"] > 0) & (len(frame) <= _MANY)
    spread = done[has_spread]
    ax.errorbar(
        spread["number"], spread["score"], spread["std"], fmt="none",
        ecolor=BLUE, elinewidth=1, alpha=0.3,
    )  # fmt: skip
    size = 28 if len(frame) <= _MANY else 8
    ax.scatter(done["number"], done["score"], size, color=BLUE, label="trial", zorder=3)
    limits = within(result, off["score"]) if len(off) else np.zeros(0)
    if len(off):
        ax.scatter(
            off["number"], limits, size, color=BLUE, alpha=0.5,
            marker=worse_marker(result), label="far worse", zorder=3,
        )  # fmt: skip
    known = frame[frame["best"].notna() & ~frame["number"].isin(off["number"])]
    ax.step(known["number"], known["best"], where="post", color=ORANGE, linewidth=2,
            label="best so far")  # fmt: skip
    failed = frame[frame["score"].isna()]
    if len(failed):
        ax.scatter(
            failed["number"], [0.02] * len(failed), 28, color=RED, marker="x",
            transform=ax.get_xaxis_transform(), label="failed", clip_on=False,
        )  # fmt: skip
    _keep_in_view(ax, done["score"], limits)
    ax.set_xlabel("trial")
    ax.set_ylabel(score_label(result))
    name_trials(ax.xaxis, result)
    ax.margins(x=0.04)
    ax.set_xlim(min(-0.5, ax.get_xlim()[0]), max(len(frame), 1) - 0.5)
    legend_above(ax)
    return ax


def _keep_in_view(ax: Axes, done: "pd.Series[float]", limits: np.ndarray) -> None:
    """Let the bars of a few restless trials run out of the picture, but no trial."""
    if not len(done):
        return
    low, high = ax.get_ylim()
    lowest, highest = done.min(), done.max()
    room = 0.5 * (highest - lowest) or abs(highest) or 1.0
    places = np.array([lowest - room, highest + room, *limits])
    # A triangle at the limit has some room, too, or its half would be cut off.
    margin = _MARGIN * np.ptp(places)
    edges = [*places[:2], *(limits - margin), *(limits + margin)]
    ax.set_ylim(max(low, min(edges)), min(high, max(edges)))
