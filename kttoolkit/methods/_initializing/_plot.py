"""Pictures of the signal at the start: histograms by layer, variance by depth."""

import math
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from kttoolkit.exceptions import ResultError
from kttoolkit.methods._initializing._frames import FACTOR, overview_frame
from kttoolkit.plain import meant, one_of, shown
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._words import shortened

_MAX_COLUMNS = 6
# Okabe and Ito's, which colour-blind people can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"
_KEPT, _LOST, _OUTPUT = "#0072B2", "#D55E00", "#999999"
_LIMITS = 1e-4, 1e4
# The share of the values in either tail that need not be seen.
_TAIL = 0.002


@legible
def plot_histograms(
    frame: pd.DataFrame,
    histograms: pd.DataFrame,
    *,
    axes: Any = None,
    of: Literal["activation", "gradient"] = "activation",
) -> np.ndarray:
    """Draw a histogram for each initializer (rows) and hidden layer (columns).

    All of a row have the same range, so that a signal that dies becomes a needle. Blue
    is a variance within twice and half of the reference: the first layer's for
    activations, the last hidden layer's for gradients.

    Args:
        frame: one row for each initializer and layer.
        histograms: one row for each bin.
        axes: of shape (n_initializers, n_columns), or None for a new figure.
        of: "activation" or "gradient".

    Returns:
        The axes, of shape (n_initializers, n_columns).

    Raises:
        ResultError: if `of` is neither.
    """
    _check_of(of)
    names = list(frame["initializer"].unique())
    hidden = frame[~frame["is_output"]]
    depths = np.unique((frame if hidden.empty else hidden)["depth"])
    if axes is None:
        n_columns = min(len(depths), _MAX_COLUMNS)
        size = (1.1 + 1.5 * n_columns, 0.6 + 1.05 * len(names))
        figure, axes = plt.subplots(
            len(names), n_columns, figsize=size, squeeze=False, layout="constrained"
        )
        figure.suptitle(f"{of}s at the start", fontsize=10)
    axes = np.asarray(axes).reshape(len(names), -1)
    verdicts = {} if hidden.empty else _verdicts(frame)
    picked = np.linspace(0, len(depths) - 1, axes.shape[1]).round().astype(int)
    for name, row_axes in zip(names, axes, strict=True):
        rows = frame[frame["initializer"] == name].set_index("depth")
        bins = histograms[
            (histograms["initializer"] == name) & (histograms["of"] == of)
        ]
        drawn = depths[picked]
        limits = _limits(bins[bins["depth"].isin(drawn)])
        for depth, ax in zip(drawn, row_axes, strict=True):
            _draw_cell(ax, bins[bins["depth"] == depth], rows.loc[depth], of)
            _frame_cell(ax, limits)
        told = shortened(name)
        label = f"{told}\n{verdicts[name]}" if name in verdicts else told
        row_axes[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
        row_axes[0].set_xticks(limits, [f"{v:.2g}" for v in limits], fontsize=7)
    for depth, ax in zip(depths[picked], axes[0], strict=True):
        ax.set_title(f"layer {depth}", fontsize=9)
    return axes


@legible
def plot_variance(
    frame: pd.DataFrame,
    *,
    ax: Axes | None = None,
    of: Literal["activation", "gradient"] = "activation",
) -> Axes:
    """Draw the variance of the hidden layers by depth, on a log scale.

    Args:
        frame: one row for each initializer and layer.
        ax: where to draw, or None for a new figure.
        of: "activation" or "gradient".

    Returns:
        The axes.

    Raises:
        ResultError: if `of` is neither.
    """
    _check_of(of)
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    column = "ratio_to_first" if of == "activation" else "gradient_ratio"
    reference = "first" if of == "activation" else "last hidden"
    hidden = frame[~frame["is_output"]]
    ax.axhline(1, color="0.5", linestyle="--", linewidth=1, label="theory: kept")
    ax.axhspan(
        1 / FACTOR, FACTOR, color="0.9", zorder=0, label=f"within {FACTOR:g}x of it"
    )
    drawn = []
    for number, (name, part) in enumerate(hidden.groupby("initializer", sort=False)):
        values = part[column].to_numpy()
        is_positive = (values > 0) & np.isfinite(values)
        drawn += [*values[is_positive]]
        ax.plot(
            part["depth"][is_positive],
            values[is_positive],
            color=_COLOURS[number % len(_COLOURS)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            label=_label(shortened(name), values, of),
        )
    low, high = min([0.1, *drawn]), max([10.0, *drawn])
    ax.set(
        yscale="log",
        ylim=(max(low / 2, _LIMITS[0]), min(high * 2, _LIMITS[1])),
        xlabel="depth",
        ylabel=f"variance of the {of}s,\n{reference} layer = 1",
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return ax


def _check_of(of: Any) -> None:
    if not one_of("activation", "gradient")(of):
        raise ResultError(
            f"of must be 'activation' or 'gradient', but got {shown(of)}."
            f"{meant(of, ['activation', 'gradient'])}"
        )


def _label(name: str, values: np.ndarray, of: str) -> str:
    """Say in the legend what a log scale cannot show."""
    if not (values > 0).any():
        return f"{name}: zero"
    end = values[-1] if of == "activation" else values[0]
    return f"{name}: {'overflows' if math.isinf(end) else f'{end:.2g}x'}"


def _verdicts(frame: pd.DataFrame) -> dict[str, str]:
    overview = overview_frame(frame)
    return dict(zip(overview["initializer"], overview["verdict"], strict=True))


def _limits(bins: pd.DataFrame) -> tuple[float, float]:
    """Return a range that holds nearly all values of every layer of a row."""
    low, high = 0.0, 0.0
    for _, part in bins.groupby("depth"):
        below = part["count"].cumsum() / max(part["count"].sum(), 1)
        low = min(low, part["left"][below >= _TAIL].min())
        high = max(high, part["right"][below.shift(fill_value=0) <= 1 - _TAIL].max())
    return (low, high) if high > low else (-1.0, 1.0)


def _draw_cell(ax: Axes, bins: pd.DataFrame, row: Any, of: str) -> None:
    left, right = bins["left"].to_numpy(), bins["right"].to_numpy()
    counts = bins["count"].to_numpy()
    colour = _colour(row, of)
    if counts.sum():
        # The line keeps a needle visible that is thinner than a pixel.
        ax.bar(
            left,
            counts / counts.max(),
            width=right - left,
            align="edge",
            color=colour,
            edgecolor=colour,
            linewidth=0.5,
        )
    else:
        ax.vlines(0, 0, 1, color=colour, linewidth=1.5)
    zeros = row["zero_share"] if of == "activation" else 0.0
    std = row["std"] if of == "activation" else row["gradient_std"]
    told = "all equal"
    if std:
        told = f"std {std:.2g}" + (f"\n{zeros:.0%} zero" if zeros > 0.005 else "")
    ax.text(
        0.97, 0.95, told, transform=ax.transAxes, ha="right", va="top", fontsize=7
    )  # fmt: skip


def _colour(row: Any, of: str) -> str:
    if row["is_output"]:
        return _OUTPUT
    is_kept = row["verdict"] == "keeps"
    if of == "gradient":
        is_kept = 1 / FACTOR <= row["gradient_ratio"] <= FACTOR
    return _KEPT if is_kept else _LOST


def _frame_cell(ax: Axes, limits: tuple[float, float]) -> None:
    margin = 0.03 * (limits[1] - limits[0])
    ax.set(
        xlim=(limits[0] - margin, limits[1] + margin), ylim=(0, 1.55), yticks=[],
        xticks=[],
    )  # fmt: skip
    ax.spines[["top", "right", "left"]].set_visible(False)
