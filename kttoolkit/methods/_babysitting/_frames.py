"""Babysat models as tables: curves, and branches side by side."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kttoolkit import plain
from kttoolkit.exceptions import NonFiniteScoreError, SearchError
from kttoolkit.methods._babysitting._log import (
    Intervention,
    SessionLog,
    Training,
    shown,
)
from kttoolkit.scoring import best_index, direction_of

_ALWAYS_SHOWN = ("learning_rate", "momentum", "weight_decay", "dropout", "l2")


def history_frame(*logs: SessionLog) -> pd.DataFrame:
    """Return one row for each epoch that holds.

    Args:
        *logs: of the branches.

    Returns:
        Columns `branch`, `epoch` (from 1), the metrics, `learning_rate`.
    """
    frames = []
    for log in logs:
        frame = pd.DataFrame(log.history)
        frame.insert(0, "branch", log.name)
        frame.insert(1, "epoch", np.arange(1, len(frame) + 1))
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def comparison_frame(*logs: SessionLog, by: str | None = None) -> pd.DataFrame:
    """Return one row for each branch.

    Args:
        *logs: of the branches.
        by: the metric whose best epoch is meant; validation loss where there is
            one, else the loss.

    Returns:
        Columns `branch`, `epochs`, `best_epoch`, every metric as `best_<metric>` (at
        that epoch) and `last_<metric>`, the settings as they are now, and
        `interventions` in words.
    """
    names = shown_settings(*logs)
    rows: list[dict[str, Any]] = []
    for log in logs:
        history = log.history
        metric = main_metric(log) if by is None else check_metric(log, by)
        best = best_epoch(log, metric)
        row: dict[str, Any] = {"branch": log.name, "epochs": log.epochs}
        row["best_epoch"] = pd.NA if best is None else best
        for name in metrics_of(log):
            at = float("nan") if best is None else history[name][best - 1]
            row[f"best_{name}"], row[f"last_{name}"] = at, history[name][-1]
        row.update({name: log.settings.get(name) for name in names})
        row["interventions"] = "; ".join(
            f"epoch {step.epoch}: {step}" for step in log.interventions
        )
        rows.append(row)
    return pd.DataFrame(rows).astype({"best_epoch": "Int64"})


def undone_trainings(log: SessionLog) -> list[Training]:
    """Return the trainings that were taken back.

    Args:
        log: of a branch.

    Returns:
        Their entries, in the order in which they were taken back.
    """
    return [step for step in log.undone if isinstance(step, Training)]


def shared_steps(log: SessionLog, others: Sequence[SessionLog]) -> int:
    """Count the first steps that a log has in common with one of others.

    Args:
        log: of a branch.
        others: of branches.

    Returns:
        The largest number of steps.
    """
    most = 0
    for other in others:
        same = 0
        for mine, theirs in zip(log.steps, other.steps, strict=False):
            if mine != theirs:
                break
            same += 1
        most = max(most, same)
    return most


def shown_settings(*logs: SessionLog) -> list[str]:
    """Choose the settings that are worth telling: the usual, and those changed.

    Args:
        *logs: of the branches.

    Returns:
        Names, the usual ones first.
    """
    settings = [log.settings for log in logs]
    usual = [
        name
        for name in (*_ALWAYS_SHOWN, "batch_size")
        if any(each.get(name) is not None for each in settings)
    ]
    interventions: list[Intervention] = [s for log in logs for s in log.interventions]
    changed = [name for step in interventions for name in step.new]
    return list(dict.fromkeys([*usual, *changed]))


def metrics_of(log: SessionLog) -> list[str]:
    """Return the metrics that a session has, empty before its first epoch.

    Args:
        log: of a branch.

    Returns:
        Names as Keras has them.
    """
    return [name for name in log.history if name != "learning_rate"]


def main_metric(log: SessionLog) -> str:
    """Return the metric that a session is judged by.

    Args:
        log: of a branch.

    Returns:
        "val_loss", or "loss" where nothing is validated.
    """
    return "val_loss" if "val_loss" in log.history else "loss"


def best_epoch(log: SessionLog, metric: str) -> int | None:
    """Return the epoch at which a metric was best.

    Args:
        log: of a branch.
        metric: the metric.

    Returns:
        An epoch, counted from 1, or None where no epoch has a finite value.
    """
    try:
        values = log.history.get(metric, [])
        return best_index(values, direction_of(metric)) + 1
    except NonFiniteScoreError:
        return None


def check_metric(log: SessionLog, metric: str) -> str:
    """Refuse a metric that a session does not have.

    Args:
        log: of a branch.
        metric: its name.

    Returns:
        The name.

    Raises:
        SearchError: if it is none of the branch's.
    """
    known = metrics_of(log)
    if metric in known or not known:
        return metric
    names = plain.visible(", ".join(known))
    raise SearchError(
        f"A metric must be one that the model reports ({names}), but got "
        f"{plain.shown(metric)} for branch {plain.shown(log.name)}. Take one of these."
    )


def summary(log: SessionLog) -> str:
    """Return a session in a few lines of text.

    Args:
        log: of the session.

    Returns:
        Epochs, last and best score, settings, interventions.
    """
    lines = [f"{log.name}: {plain.counted(log.epochs, 'epoch')}"]
    if log.epochs:
        metric = main_metric(log)
        lines[0] += f", {metric} {log.history[metric][-1]:.4g}"
        best = best_epoch(log, metric)
        if best is not None:
            lines[0] += f" (best {log.history[metric][best - 1]:.4g} in epoch {best})"
    settings = log.settings
    told = [f"{name}={shown(settings[name])}" for name in shown_settings(log)]
    lines.append(f"{log.start.optimizer}: {', '.join(told)}")
    lines += [f"after epoch {step.epoch}: {step}" for step in log.interventions]
    return "\n".join(map(plain.visible, lines))
