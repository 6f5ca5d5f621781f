"""Learning curves of the best trials, with the band of their folds."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from kttoolkit.exceptions import ObjectiveError, ResultError
from kttoolkit.plain import shown
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._style import CYCLE, axes_or_new, best_first, drawable
from kttoolkit.plots._words import readable, shortened
from kttoolkit.results import TuneResult, worst_of_interest
from kttoolkit.scoring import direction_of


def curves_frame(
    result: TuneResult, *, metric: str | None = None, top: int = 3
) -> pd.DataFrame:
    """Return mean and spread over the folds for each epoch of the best trials.

    Args:
        result: of a search.
        metric: a name in the history; the objective if left out.
        top: how many of the best trials.

    Returns:
        One row for each trial and epoch: `trial`, `rank`, `epoch` (from 1), `mean`,
        `low` and `high` (one standard deviation over the folds apart from the mean)
        and `n_folds` that were trained so long.

    Raises:
        ResultError: if no trial has the metric, or top is no whole number >= 1.
    """
    metric = metric or result.study.objective
    frames = []
    for rank, record in enumerate(best_first(result, top), start=1):
        rows = [
            (fit.initial_epoch + index, value)
            for fit in record.fits
            for index, value in enumerate(fit.history.get(metric, ()), start=1)
        ]
        if not rows:
            continue
        grouped = pd.DataFrame(rows, columns=["epoch", "value"]).groupby("epoch")
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = grouped["value"].mean(), grouped["value"].std(ddof=0)
        frames.append(
            pd.DataFrame(
                {
                    "trial": record.trial_id,
                    "rank": rank,
                    "epoch": mean.index,
                    "mean": mean.to_numpy(),
                    "low": (mean - std).to_numpy(),
                    "high": (mean + std).to_numpy(),
                    "n_folds": grouped["value"].size().to_numpy(),
                }
            )
        )
    if not frames:
        known = sorted(
            {name for r in result.records for f in r.fits for name in f.history}
        )
        raise ResultError(
            f"The metric must be one of {known}, but got {shown(metric)}."
        )
    return pd.concat(frames, ignore_index=True)


@legible
def plot_curves(
    result: TuneResult,
    *,
    metric: str | None = None,
    top: int = 3,
    ax: Axes | None = None,
) -> Axes:
    """Draw the learning curves of the best trials: means and bands of the folds.

    Args:
        result: of a search.
        metric: a name in the history; the objective if left out.
        top: how many of the best trials.
        ax: where to draw; a new figure if left out.

    Returns:
        The axes.

    Raises:
        ResultError: if no trial has the metric, or top is no whole number >= 1.

    Example:
        >>> result.plot.curves(top=1, metric="val_loss")  # doctest: +SKIP
    """
    metric = metric or result.study.objective
    frame = curves_frame(result, metric=metric, top=top)
    frame[["mean", "low", "high"]] = drawable(frame[["mean", "low", "high"]])
    ax = axes_or_new(ax)
    for number, (trial, part) in enumerate(frame.groupby("trial", sort=False)):
        color = CYCLE[number % len(CYCLE)]
        name = f"{number + 1}. trial {shortened(trial, 12)}"
        marker = "o" if len(part) == 1 else None
        ax.plot(part["epoch"], part["mean"], color=color, label=name, marker=marker)
        ax.fill_between(part["epoch"], part["low"], part["high"], color=color,
                        alpha=0.15, linewidth=0)  # fmt: skip
    folds = int(np.max(frame["n_folds"]))
    direction = _direction(metric, result.study.direction)
    limit = worst_of_interest(frame["mean"], direction)
    best = frame["mean"].min() if direction == "min" else frame["mean"].max()
    if limit is not None and limit != best:
        # The first epochs of a large network tell nothing of the last ones.
        ax.set_ylim(*sorted((limit, best - 0.05 * (limit - best))))
    ax.set_xlabel("epoch")
    ax.set_ylabel(readable(metric))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    title = f"mean ± std of {folds} folds" if folds > 1 else None
    ax.legend(frameon=False, title=title)
    return ax


def _direction(metric: str, otherwise: str) -> str:
    try:
        return direction_of(metric)
    except ObjectiveError:
        return otherwise
