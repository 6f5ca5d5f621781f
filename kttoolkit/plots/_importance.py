"""Which hyperparameters mattered, in a picture."""

import textwrap

import pandas as pd
from matplotlib.axes import Axes

from kttoolkit.importance import Importance, Method, importance
from kttoolkit.plain import counted
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._style import BLUE, GREY, axes_or_new
from kttoolkit.plots._words import shortened
from kttoolkit.results import TuneResult

_NOTE_WIDTH = 64


def importance_frame(
    result: TuneResult, *, method: Method = "permutation", seed: int = 0
) -> pd.DataFrame:
    """Return the share of each hyperparameter, and its spread.

    Args:
        result: of a search.
        method: as in `kttoolkit.importance.importance`.
        seed: of the forests and the resampling.

    Returns:
        Columns `hyperparameter`, `importance`, `std` and `n_trials`.
    """
    return importance(result, method=method, seed=seed).frame


@legible
def plot_importance(
    result: "TuneResult | Importance",
    *,
    method: Method = "permutation",
    seed: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw the share of each hyperparameter, with its spread over resampled trials.

    Args:
        result: of a search, or what `importance` found.
        method: as in `kttoolkit.importance.importance`.
        seed: of the forests and the resampling.
        ax: where to draw; a new figure if left out.

    Returns:
        The axes. What to mind is written below.

    Example:
        >>> result.plot.importance()  # doctest: +SKIP
    """
    found = result
    if not isinstance(found, Importance):
        found = importance(found, method=method, seed=seed)
    frame = found.frame.iloc[::-1]
    ax = axes_or_new(ax, size=(6.4, 1.2 + 0.36 * len(frame)))
    names = [shortened(name) for name in frame["hyperparameter"]]
    # Names that are the same when they are cut are bars of their own.
    places = range(len(names))
    ax.barh(places, frame["importance"], color=BLUE, height=0.6)
    ax.set_yticks(places, names)
    ax.errorbar(
        frame["importance"], places, xerr=frame["std"], fmt="none", ecolor=GREY,
        elinewidth=1, capsize=3,
    )  # fmt: skip
    ax.set_xlim(0, min(1.0, 1.05 * float((frame["importance"] + frame["std"]).max())))
    label = f"share of importance ({found.method.replace('_', '-')}"
    label += f", {counted(found.n_trials, 'trial')})"
    note = "\n".join(textwrap.wrap(found.note.replace("$", r"\$"), _NOTE_WIDTH))
    ax.set_xlabel(f"{label}\n{note}" if note else label)
    ax.tick_params(axis="y", length=0)
    return ax
