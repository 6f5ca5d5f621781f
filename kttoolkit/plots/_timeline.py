"""When each trial ran, and what the time went on."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kttoolkit.exceptions import ResultError
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._style import (
    BLUE,
    GREY,
    ORANGE,
    RED,
    axes_or_new,
    legend_above,
    name_trials,
)
from kttoolkit.results import TuneResult

_PAUSE = 60.0
_ROWS = 150
_COLORS = {"completed": BLUE, "failed": RED, "skipped": GREY}


def timeline_frame(result: TuneResult) -> pd.DataFrame:
    """Return when each trial ran.

    Args:
        result: of a search.

    Returns:
        One row a trial in the order of their start: `trial`, `number` (from 0, in the
        order of their proposal), `status`, `start` and `end` (seconds since the search
        began; time in which nothing ran, as between a stop and its continuation, is
        left out where it is more than a minute), `is_resumed` (whether such a pause
        came before it) and `at_once` (how many trials ran when it started).

    Raises:
        ResultError: if it is not known when trials ran.
    """
    rows = [
        (record.trial_id, number, record.status, record.ended - record.seconds,
         record.ended)
        for number, record in enumerate(result.records)
        if record.ended
    ]  # fmt: skip
    if not rows:
        raise ResultError(
            "A timeline needs trials that tell when they ended, but none of the "
            f"{len(result.records)} does; those of older study folders do not."
        )
    columns = ["trial", "number", "status", "start", "end"]
    frame = pd.DataFrame(rows, columns=columns)
    frame = frame.sort_values("start", kind="stable", ignore_index=True)
    latest = frame["end"].cummax().shift(fill_value=frame["start"].iloc[0])
    idle = (frame["start"] - latest).clip(lower=0)
    frame["is_resumed"] = idle > _PAUSE
    away = frame["start"].iloc[0] + idle.where(frame["is_resumed"], 0.0).cumsum()
    frame["start"] -= away
    frame["end"] -= away
    ends = np.sort(frame["end"].to_numpy())
    before = np.searchsorted(ends, frame["start"].to_numpy(), side="right")
    frame["at_once"] = np.arange(1, len(frame) + 1) - before
    return frame


@legible
def plot_timeline(result: TuneResult, *, ax: Axes | None = None) -> Axes:
    """Draw when each trial ran: one bar a trial, as long as it took.

    Args:
        result: of a search.
        ax: where to draw; a new figure if left out.

    Returns:
        The axes. A dashed line is where the search was stopped and resumed.

    Raises:
        ResultError: if it is not known when trials ran.

    Example:
        >>> result.plot.timeline()  # doctest: +SKIP
    """
    frame = timeline_frame(result)
    size = (6.4, float(np.clip(1.2 + 0.12 * len(frame), 2.2, 5.0)))
    ax = axes_or_new(ax, size=size)
    # Thousands of bars are still to be seen.
    height = max(0.8, len(frame) / _ROWS)
    unit, name = _unit(frame["end"].max())
    for status, part in frame.groupby("status", sort=False):
        ax.barh(
            part["number"], (part["end"] - part["start"]) / unit, height,
            left=part["start"] / unit, color=_COLORS[str(status)], label=str(status),
        )  # fmt: skip
    if result.study.objective and (frame["status"] == "completed").any():
        best = frame[frame["trial"] == result.best_trial.trial_id]
        ax.scatter(best["end"] / unit, best["number"], 90, color=ORANGE, marker="*",
                   zorder=4, label="best")  # fmt: skip
    for start in frame.loc[frame["is_resumed"], "start"]:
        ax.axvline(start / unit, color=GREY, linestyle="--", linewidth=1)
    most = int(frame["at_once"].max())
    told = f", up to {most} at a time" if most > 1 else ""
    ax.set_xlabel(f"{name} of search{told}")
    ax.set_ylabel("trial")
    ax.set_ylim(frame["number"].max() + 0.6, -0.6)
    name_trials(ax.yaxis, result)
    legend_above(ax)
    return ax


def _unit(seconds: float) -> tuple[float, str]:
    """Choose the unit in which the whole is a number one can grasp."""
    if seconds >= 2 * 3600:
        return 3600.0, "hours"
    return (60.0, "minutes") if seconds >= 120 else (1.0, "seconds")
