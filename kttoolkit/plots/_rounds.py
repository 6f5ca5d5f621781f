"""The rounds of a coarse-to-fine search: where each one looked."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kttoolkit.exceptions import ResultError
from kttoolkit.plain import is_count
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._slice import axes_for, varied_ranges
from kttoolkit.plots._style import BLUE, ORANGE, completed, evenly, place_of, set_scale
from kttoolkit.plots._words import shortened
from kttoolkit.results import TuneResult

_ROUND = "tuner/round"
_MOST = 12


def rounds_frame(
    result: TuneResult, *, names: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return where each round of a coarse-to-fine search drew its trials.

    Args:
        result: of a coarse-to-fine search.
        names: of hyperparameters; all that differ between trials if left out.

    Returns:
        One row for each hyperparameter and trial: `hyperparameter`, `round`, `trial`,
        `value` and `score`.

    Raises:
        ResultError: if the search had no rounds, or a name is unknown.
    """
    trials = [record for _, record in completed(result)]
    in_rounds = [record for record in trials if is_count(record.values.get(_ROUND))]
    # Hyperband numbers its rungs under the same name.
    is_hyperband = any("tuner/bracket" in record.values for record in trials)
    if is_hyperband or not in_rounds:
        raise ResultError(
            "Only a coarse-to-fine search has rounds, but this one was a "
            f"{result.study.tuner}. See kttoolkit.methods.coarse_to_fine."
        )
    rows = [
        (one.name, record.values[_ROUND], record.trial_id, record.values[one.name],
         record.score)
        for one in varied_ranges(result, names)
        for record in in_rounds
        if one.has_place(record.values)
    ]  # fmt: skip
    columns = ["hyperparameter", "round", "trial", "value", "score"]
    return pd.DataFrame(rows, columns=columns)


@legible
def plot_rounds(
    result: TuneResult,
    *,
    names: Sequence[str] | None = None,
    axes: Sequence[Axes] | None = None,
) -> list[Axes]:
    """Draw where each round drew its trials, and the best trial as a star.

    Args:
        result: of a coarse-to-fine search.
        names: of hyperparameters; those that differ if left out, at most twelve.
        axes: where to draw, one for each; a new figure if left out.

    Returns:
        The axes, the first round at the top of each.

    Raises:
        ResultError: if the search had no rounds, or a name is unknown.

    Example:
        >>> result.plot.rounds()  # doctest: +SKIP
    """
    frame = rounds_frame(result, names=names)
    ranges = varied_ranges(result, names)[: None if names else _MOST]
    drawn = axes_for(axes, len(ranges))
    best = result.best_trial
    for one, ax in zip(ranges, drawn, strict=False):
        part = frame[frame["hyperparameter"] == one.name]
        places = np.array([place_of(one, value) for value in part["value"]])
        set_scale(ax, one, list(part["value"]))
        numbers = part["round"].to_numpy(dtype=int)
        for number in sorted(set(numbers.tolist())):
            inside = places[numbers == number]
            ax.hlines(number, inside.min(), inside.max(), color=BLUE, alpha=0.2,
                      linewidth=10)  # fmt: skip
            ax.scatter(inside, [number] * len(inside), 16, color=BLUE, zorder=2)
        if one.has_place(best.values) and is_count(best.values.get(_ROUND)):
            ax.scatter(place_of(one, best.values[one.name]), best.values[_ROUND], 90,
                       color=ORANGE, marker="*", zorder=3)  # fmt: skip
        ax.set_xlabel(shortened(one.name))
        rounds = sorted(set(frame["round"])) or [1]
        ticks = evenly(rounds)
        ax.set_yticks(ticks, [f"round {number}" for number in ticks])
        ax.set_ylim(max(rounds) + 0.6, min(rounds) - 0.6)
    return drawn
