"""The fold scores of the best trials, paired, with intervals."""

import pandas as pd
from matplotlib.axes import Axes

from kttoolkit.exceptions import ResultError
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._style import (
    BLUE,
    GREY,
    ORANGE,
    axes_or_new,
    best_first,
    drawable,
    legend_above,
    score_label,
)
from kttoolkit.plots._words import shortened
from kttoolkit.results import TuneResult


def folds_frame(result: TuneResult, *, top: int = 5) -> pd.DataFrame:
    """Return the score of each fold of the best trials.

    Args:
        result: of a search.
        top: how many of the best trials.

    Returns:
        One row for each trial and split: `trial`, `rank`, `split`, `score` and `mean`
        of the trial.

    Raises:
        ResultError: if no trial completed, or top is no whole number >= 1.
    """
    rows = [
        (record.trial_id, rank, split, value, record.score)
        for rank, record in enumerate(best_first(result, top), start=1)
        for split, value in enumerate(record.splits.get(record.objective, ()))
    ]
    return pd.DataFrame(rows, columns=["trial", "rank", "split", "score", "mean"])


@legible
def plot_folds(result: TuneResult, *, top: int = 5, ax: Axes | None = None) -> Axes:
    """Draw the fold scores of the best trials; lines join the same fold.

    Where lines run side by side, folds differ and settings do not. The bar beside a
    trial is the 95 % interval of its difference to the best (corrected resampled
    t-test), drawn around its mean; if it reaches the dashed line of the best mean, the
    folds cannot tell the two apart.

    Args:
        result: of a search.
        top: how many of the best trials.
        ax: where to draw; a new figure if left out.

    Returns:
        The axes.

    Raises:
        ResultError: if no trial completed, or top is no whole number >= 1.

    Example:
        >>> result.plot.folds(top=5)  # doctest: +SKIP
    """
    frame = folds_frame(result, top=top)
    frame[["score", "mean"]] = drawable(frame[["score", "mean"]])
    ax = axes_or_new(ax)
    wide = frame.pivot_table(index="split", columns="rank", values="score")
    for _, row in wide.iterrows():
        ax.plot(wide.columns, row, color=GREY, alpha=0.35, linewidth=1, zorder=1)
    ax.scatter(frame["rank"], frame["score"], 20, color=BLUE, zorder=2, label="fold")
    means = frame.drop_duplicates("rank")
    ax.scatter(means["rank"], means["mean"], 90, color=ORANGE, marker="_", linewidth=3,
               zorder=3, label="mean")  # fmt: skip
    if len(wide) > 1 and len(means) > 1:
        _draw_intervals(ax, result, means)
    ax.set_xticks(
        list(means["rank"]),
        [f"{rank}.\ntrial {shortened(trial, 8)}"
         for rank, trial in zip(means["rank"], means["trial"], strict=True)],
    )  # fmt: skip
    ax.margins(x=0.15)
    ax.set_xlabel("best first")
    ax.set_ylabel(score_label(result))
    legend_above(ax)
    return ax


def _draw_intervals(ax: Axes, result: TuneResult, means: pd.DataFrame) -> None:
    try:
        table = result.compare(top=len(means)).iloc[1:]
    except ResultError:
        # Scores that are not compared, for some diverged or are missing, are seen.
        return
    sign = 1.0 if result.study.direction == "max" else -1.0
    best = float(means["mean"].iloc[0])
    ends = best - sign * drawable(table[["low", "high"]])
    ranks = means["rank"].iloc[1:].to_numpy(dtype=float) + 0.12
    ax.vlines(ranks, ends.min(axis=1), ends.max(axis=1), color=ORANGE, linewidth=2,
              label="95 % of the difference to the best")  # fmt: skip
    ax.axhline(best, color=ORANGE, linewidth=1, linestyle="--", zorder=0)
