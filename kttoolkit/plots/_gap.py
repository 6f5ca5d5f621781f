"""Training against validation: what overfits, and what could train for longer."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kttoolkit.exceptions import ResultError
from kttoolkit.plain import shown
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._style import (
    BLUE,
    GREY,
    ORANGE,
    axes_or_new,
    best_first,
    drawable,
    legend_above,
)
from kttoolkit.plots._words import readable, shortened
from kttoolkit.results import TrialRecord, TuneResult

_SPREADS = 2.0


def gap_frame(result: TuneResult, *, top: int = 8) -> pd.DataFrame:
    """Return training and validation scores of the best trials, and what they mean.

    Args:
        result: of a search whose objective is a validation metric.
        top: how many of the best trials.

    Returns:
        One row a trial: `trial`, `rank`, `train` and `validation` (means over the
        folds at the chosen epochs), `gap` (above 0 where validation is worse), `std`
        of the gap over the folds, and `verdict`: "overfits" where the gap is more than
        two of its standard deviations above 0, "trains on" where most folds were at
        their best in their last epoch, else "fits". Keras's training metrics are
        averages over an epoch, with dropout, so that a small gap below 0 is usual.

    Raises:
        ResultError: if the objective has no counterpart in training, or top is no whole
            number >= 1.
    """
    name = result.study.objective
    rows = []
    for rank, record in enumerate(best_first(result, top), start=1):
        pairs = _pairs(record, name)
        if not len(pairs):
            raise ResultError(
                f"Training is compared with validation by a metric that both have, but "
                f"{shown(name)} has no counterpart {shown(name.removeprefix('val_'))} "
                "in the history."
            )
        sign = 1.0 if result.study.direction == "min" else -1.0
        with np.errstate(over="ignore", invalid="ignore"):
            gaps = sign * (pairs[:, 1] - pairs[:, 0])
            rows.append(
                {
                    "trial": record.trial_id,
                    "rank": rank,
                    "train": float(pairs[:, 0].mean()),
                    "validation": float(pairs[:, 1].mean()),
                    "gap": float(gaps.mean()),
                    "std": float(gaps.std()),
                    "verdict": _verdict(record, gaps),
                }
            )
    return pd.DataFrame(rows)


@legible
def plot_gap(result: TuneResult, *, top: int = 8, ax: Axes | None = None) -> Axes:
    """Draw training and validation scores of the best trials, with a verdict in words.

    Args:
        result: of a search whose objective is a validation metric.
        top: how many of the best trials.
        ax: where to draw; a new figure if left out.

    Returns:
        The axes.

    Raises:
        ResultError: if the objective has no counterpart in training, or top is no whole
            number >= 1.

    Example:
        >>> result.plot.gap()  # doctest: +SKIP
    """
    frame = gap_frame(result, top=top).iloc[::-1]
    frame[["train", "validation"]] = drawable(frame[["train", "validation"]])
    ax = axes_or_new(ax, size=(6.4, 1.4 + 0.36 * len(frame)))
    places = np.arange(len(frame))
    ax.hlines(places, frame["train"], frame["validation"], color=GREY, linewidth=2,
              zorder=1)  # fmt: skip
    ax.scatter(frame["train"], places, 36, color=BLUE, label="training", zorder=2)
    ax.scatter(frame["validation"], places, 36, color=ORANGE, marker="s",
               label="validation", zorder=2)  # fmt: skip
    names = [
        f"{rank}. trial {shortened(trial, 8)}: {verdict}"
        for rank, trial, verdict in zip(
            frame["rank"], frame["trial"], frame["verdict"], strict=True
        )
    ]
    ax.set_yticks(places, names)
    ax.set_xlabel(readable(result.study.objective.removeprefix("val_")))
    ax.margins(y=0.1)
    legend_above(ax)
    return ax


def _pairs(record: TrialRecord, name: str) -> np.ndarray:
    """Return training and validation of each fold at its chosen epoch."""
    plain = name.removeprefix("val_")
    if plain == name:
        return np.empty((0, 2))
    pairs = []
    for fit, epoch in zip(record.fits, record.epochs, strict=False):
        index = epoch - fit.initial_epoch - 1
        train, validation = fit.history.get(plain, ()), fit.history.get(name, ())
        if 0 <= index < min(len(train), len(validation)):
            pairs.append((train[index], validation[index]))
    return np.array(pairs, dtype=float).reshape(-1, 2)


def _verdict(record: TrialRecord, gaps: np.ndarray) -> str:
    if gaps.mean() > _SPREADS * gaps.std() and gaps.mean() > 0:
        return "overfits"
    last = [
        epoch >= fit.initial_epoch + fit.epochs
        for fit, epoch in zip(record.fits, record.epochs, strict=False)
    ]
    return "trains on" if np.mean(last) > 0.5 else "fits"
