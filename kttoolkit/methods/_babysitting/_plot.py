"""The curves of babysat models, with every intervention where it was made."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from kttoolkit.methods._babysitting._frames import (
    check_metric,
    shared_steps,
    undone_trainings,
)
from kttoolkit.methods._babysitting._log import Intervention, SessionLog, Training
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._words import shortened

# Okabe and Ito's colours, which the colour-blind can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_VALIDATION: dict[str, Any] = {"linestyle": "-", "linewidth": 1.8}
_TRAINING: dict[str, Any] = {"linestyle": "--", "linewidth": 1.2}
_FAINT: dict[str, Any] = {"alpha": 0.3, "zorder": 1}
_LABEL_SIZE = 8.5
_LONGEST = 60


@legible
def plot_sessions(
    *logs: SessionLog, metric: str = "loss", ax: Axes | None = None
) -> Axes:
    """Draw a metric over the epochs, training dashed and validation drawn through.

    Args:
        *logs: of branches; each is drawn from where it leaves those before it.
        metric: as Keras has it, without `val_`.
        ax: where to draw.

    Returns:
        The axes. Epochs that were taken back are faint, and do not set the scale.

    Raises:
        SearchError: if a model has no such metric.
    """
    for log in logs:
        check_metric(log, metric)
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for number, log in enumerate(logs):
        n_shared = shared_steps(log, logs[:number])
        _draw_curves(ax, log, n_shared, metric, _colour(number))
    ax.set_ylim(*ax.get_ylim())
    seen: Counter[int] = Counter()
    for number in range(len(logs)):
        _draw_interventions(ax, logs, number, metric, seen)
        _draw_undone(ax, logs, number, metric)
    _finish(ax, logs, metric)
    return ax


def _draw_curves(
    ax: Axes, log: SessionLog, n_shared: int, metric: str, colour: str
) -> None:
    # The last shared epoch is drawn again, so that the branch hangs on to it.
    first = max(_epochs(log.steps[:n_shared]) - 1, 0)
    for name, style in _curves(log, metric):
        values = log.history[name][first:]
        epochs = np.arange(first + 1, first + 1 + len(values))
        marker = "." if log.epochs <= 30 else ""
        ax.plot(epochs, values, color=colour, marker=marker, **style)


def _draw_interventions(
    ax: Axes,
    logs: Sequence[SessionLog],
    number: int,
    metric: str,
    seen: Counter[int],
) -> None:
    log, colour = logs[number], _colour(number)
    name = next((name for name, _ in _curves(log, metric)), None)
    texts: dict[int, list[str]] = {}
    for step in log.steps[shared_steps(log, logs[:number]) :]:
        if isinstance(step, Intervention):
            texts.setdefault(step.epoch, []).extend(step.words)
    for epoch, lines in texts.items():
        ax.axvline(epoch, color=colour, linewidth=0.8, linestyle=":", zorder=1)
        if epoch and name:
            value = log.history[name][epoch - 1]
            ax.plot(epoch, value, "D", color=colour, mec="white", ms=7, zorder=4)
        is_above = _has_room_above(ax, logs, metric, epoch)
        ax.annotate(
            "\n".join(shortened(line, _LONGEST) for line in lines),
            (epoch, 0.985 if is_above else 0.015),
            xycoords=("data", "axes fraction"),
            xytext=(3 + 1.4 * _LABEL_SIZE * seen[epoch], 0),
            textcoords="offset points",
            rotation=90,
            ha="left",
            va="top" if is_above else "bottom",
            fontsize=_LABEL_SIZE,
            color=colour,
            path_effects=[withStroke(linewidth=3, foreground="white")],
            zorder=5,
        )
        seen[epoch] += len(lines)


def _has_room_above(
    ax: Axes, logs: Sequence[SessionLog], metric: str, epoch: int
) -> bool:
    """Tell on which side of the curves a label beside an epoch hides less."""
    width = max(1, round(0.08 * max(log.epochs for log in logs)))
    values = [
        value
        for log in logs
        for name, _ in _curves(log, metric)
        for value in log.history[name][max(epoch - 1, 0) : epoch + width]
        if np.isfinite(value)
    ]
    low, high = ax.get_ylim()
    return not values or high - max(values) >= min(values) - low


def _draw_undone(
    ax: Axes, logs: Sequence[SessionLog], number: int, metric: str
) -> None:
    drawn = [training for log in logs[:number] for training in undone_trainings(log)]
    for training in undone_trainings(logs[number]):
        if training in drawn:
            continue
        for name, style in _curves(logs[number], metric, training):
            values = training.metrics[name]
            first = training.first_epoch
            epochs = np.arange(first, first + len(values))
            ax.plot(epochs, values, color=_colour(number), **style, **_FAINT)


def _curves(
    log: SessionLog, metric: str, training: Training | None = None
) -> list[tuple[str, dict[str, Any]]]:
    known = log.history if training is None else training.metrics
    both = ((f"val_{metric}", _VALIDATION), (metric, _TRAINING))
    return [(name, style) for name, style in both if name in known]


def _finish(ax: Axes, logs: Sequence[SessionLog], metric: str) -> None:
    ax.set_xlabel("epoch")
    ax.set_ylabel(shortened(metric.replace("_", " ")))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    low, high = ax.get_xlim()
    has_early = any(not step.epoch for log in logs for step in log.interventions)
    ax.set_xlim(min(low, 0) if has_early else low, high + 0.03 * (high - low))
    ax.spines[["top", "right"]].set_visible(False)
    is_alone = len(logs) == 1
    grey = _COLOURS[0] if is_alone else "0.3"
    handles = [Line2D([], [], color=grey, label="training", **_TRAINING)]
    if any(f"val_{metric}" in log.history for log in logs):
        handles.append(Line2D([], [], color=grey, label="validation", **_VALIDATION))
    if any(undone_trainings(log) for log in logs):
        faint = {"alpha": _FAINT["alpha"], **_VALIDATION}
        handles.append(Line2D([], [], color=grey, label="taken back", **faint))
    if not is_alone:
        handles += [
            Line2D([], [], color=_colour(k), lw=4, label=shortened(log.name))
            for k, log in enumerate(logs)
        ]
    ax.legend(
        handles=handles,
        frameon=False,
        fontsize=_LABEL_SIZE,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=len(handles),
    )


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _epochs(steps: Sequence[Any]) -> int:
    return sum(step.epochs for step in steps if isinstance(step, Training))
