"""The rungs of Hyperband: who was trained for longer, and whether rightly so."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from kttoolkit.exceptions import ResultError
from kttoolkit.plain import counted, is_count
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._slice import axes_for
from kttoolkit.plots._style import (
    BLUE,
    GREY,
    ORANGE,
    completed,
    legend_above,
    score_label,
    within,
)
from kttoolkit.results import TrialRecord, TuneResult

_EPOCHS, _BRACKET, _PARENT = "tuner/epochs", "tuner/bracket", "tuner/trial_id"
_RUNG = "tuner/round"
# Each bracket has more epochs than the one before by a factor of two or more.
_MOST = 12


def rungs_frame(result: TuneResult) -> pd.DataFrame:
    """Return how each setting of a Hyperband search climbed.

    Args:
        result: of a Hyperband search.

    Returns:
        One row a completed trial: `bracket`, `rung` (from 0), `epochs` in all,
        `trial`, `setting` (its trial in the lowest rung), `score` and `is_promoted`.

    Raises:
        ResultError: if the search had no rungs, or no trial completed.
    """
    counted = (_EPOCHS, _BRACKET, _RUNG)
    trials = [
        record
        for _, record in completed(result)
        if all(is_count(record.values.get(name)) for name in counted)
        and record.values[_EPOCHS]
    ]
    if not trials:
        raise ResultError(
            "Only a Hyperband search has rungs, but this one was a "
            f"{result.study.tuner}. Use tuner='hyperband'."
        )
    by_id = {record.trial_id: record for record in trials}
    climbed = {str(record.values.get(_PARENT)) for record in trials}
    rows = [
        {
            "bracket": int(record.values[_BRACKET]),
            "rung": int(record.values[_RUNG]),
            "epochs": int(record.values[_EPOCHS]),
            "trial": record.trial_id,
            "setting": _setting(record, by_id),
            "score": record.score,
            "is_promoted": record.trial_id in climbed,
        }
        for record in trials
    ]
    frame = pd.DataFrame(rows).sort_values("rung", kind="stable")
    return frame.sort_values(
        "bracket", ascending=False, kind="stable", ignore_index=True
    )


@legible
def plot_rungs(result: TuneResult, *, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Draw each bracket of a Hyperband search: scores against epochs.

    A line follows a setting from rung to rung. Where lines cross, a setting that looked
    worse early was better in the end; many crossings call for a larger lowest rung.

    Args:
        result: of a Hyperband search.
        axes: where to draw, one for each bracket; a new figure if left out.

    Returns:
        The axes, the most thrifty bracket first. Grey trials went no further.

    Raises:
        ResultError: if the search had no rungs, no trial completed, or there are not
            enough axes.

    Example:
        >>> result.plot.rungs()  # doctest: +SKIP
    """
    frame = rungs_frame(result)
    frame["score"] = within(result, frame["score"])
    brackets = list(dict.fromkeys(frame["bracket"]))[:_MOST]
    drawn = axes_for(axes, len(brackets))
    best = result.best_trial.trial_id
    for bracket, ax in zip(brackets, drawn, strict=True):
        part = frame[frame["bracket"] == bracket]
        for _, line in part.groupby("setting", sort=False):
            ax.plot(line["epochs"], line["score"], color=BLUE, linewidth=1, alpha=0.5)
        stopped = part[~part["is_promoted"]]
        climbed = part[part["is_promoted"]]
        ax.scatter(stopped["epochs"], stopped["score"], 18, color=GREY, zorder=2,
                   label="went no further")  # fmt: skip
        ax.scatter(climbed["epochs"], climbed["score"], 24, color=BLUE, zorder=3,
                   label="promoted")  # fmt: skip
        winner = part[part["trial"] == best]
        ax.scatter(winner["epochs"], winner["score"], 110, color=ORANGE, marker="*",
                   zorder=4, label="best")  # fmt: skip
        _label(ax, part, bracket)
    drawn[0].set_ylabel(score_label(result))
    legend_above(drawn[0])
    return drawn


def _label(ax: Axes, part: pd.DataFrame, bracket: Any) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(sorted(set(part["epochs"]))))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    ax.margins(x=0.15)
    *above, last = (len(rung) for _, rung in part.groupby("rung"))
    sizes = " > ".join([*map(str, above), counted(last, "trial")])
    ax.set_xlabel(f"epochs (bracket {bracket}: {sizes})")


def _setting(record: TrialRecord, by_id: dict[str, TrialRecord]) -> str:
    """Follow a trial down to the rung where its setting was drawn."""
    seen = {record.trial_id}
    while (parent := str(record.values.get(_PARENT))) in by_id.keys() - seen:
        seen.add(parent)
        record = by_id[parent]
    return record.trial_id
