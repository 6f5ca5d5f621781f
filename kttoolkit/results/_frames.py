"""Records to pandas frames."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kttoolkit.results._record import TrialRecord, spread

_FOLD_COLUMNS = (
    "trial", "split", "fold", "execution", "seed", "n_train", "n_test", "best_epoch",
    "epochs", "seconds",
)  # fmt: skip


def trials_frame(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return one row a trial, with scikit-learn's column names.

    Args:
        records: the trials in order.

    Returns:
        Columns `trial`, `rank` (1 is best, missing for failed trials), `status`,
        `mean_<metric>`, `std_<metric>`, `split<k>_<metric>`, `param_<name>`,
        `best_epoch` (mean over the splits), `n_parameters` (trainable numbers of the
        model), `seconds` and `reason`; the objective's metrics first.
    """
    rows = [_trial_row(record) for record in records]
    frame = pd.DataFrame(rows)
    if frame.empty:
        return pd.DataFrame(columns=["trial", "rank", "status", "seconds", "reason"])
    frame["rank"] = ranks(records)
    frame["n_parameters"] = frame["n_parameters"].astype("Int64")
    groups: tuple[tuple[str, ...], ...] = (
        ("trial", "rank", "status"),
        tuple(c for c in map(str, frame) if c.startswith(("mean_", "std_"))),
        tuple(c for c in map(str, frame) if c.startswith("param_")),
        tuple(c for c in map(str, frame) if c.startswith("split")),
        ("best_epoch", "n_parameters", "seconds", "reason"),
    )
    return frame[[column for group in groups for column in group]]


def folds_frame(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return one row for each training of each trial.

    Args:
        records: the trials in order.

    Returns:
        Columns `trial`, `split`, `fold`, `execution`, `seed`, `n_train`, `n_test`,
        `best_epoch`, `epochs`, `seconds`, and every metric at the best epoch.
    """
    rows = []
    for record in records:
        for index, fit in enumerate(record.fits):
            row: dict[str, Any] = {
                "trial": record.trial_id,
                "split": fit.split,
                "fold": fit.fold,
                "execution": fit.execution,
                "seed": fit.seed,
                "n_train": fit.n_train,
                "n_test": fit.n_test,
                "best_epoch": record.epochs[index] if record.epochs else pd.NA,
                "epochs": fit.initial_epoch + fit.epochs,
                "seconds": fit.seconds,
            }
            row |= {name: values[index] for name, values in record.splits.items()}
            rows.append(row)
    frame = pd.DataFrame(rows, columns=None if rows else list(_FOLD_COLUMNS))
    return frame.astype({"best_epoch": "Int64"})


def curves_frame(records: Sequence[TrialRecord]) -> pd.DataFrame:
    """Return one row for each epoch of each training.

    Args:
        records: the trials in order.

    Returns:
        Columns `trial`, `split`, `epoch` (from 1; a continued trial goes on where
        the lower rung stopped) and every metric.
    """
    frames = []
    for record in records:
        for fit in record.fits:
            first = fit.initial_epoch + 1
            frame = pd.DataFrame({k: pd.Series(v) for k, v in fit.history.items()})
            frame.insert(0, "trial", record.trial_id)
            frame.insert(1, "split", fit.split)
            frame.insert(2, "epoch", np.arange(first, first + len(frame)))
            frames.append(frame)
    if not frames:
        return pd.DataFrame(columns=["trial", "split", "epoch"])
    return pd.concat(frames, ignore_index=True)


def ranks(records: Sequence[TrialRecord]) -> "pd.Series[Any]":
    """Rank the completed trials, equal scores sharing the better rank.

    Args:
        records: the trials in order.

    Returns:
        Series of dtype Int64, missing where a trial did not complete.
    """
    scores = pd.Series([record.score for record in records], dtype=float)
    done = (record.direction for record in records if record.status == "completed")
    ascending = next(done, "min") == "min"
    return scores.rank(method="min", ascending=ascending).astype("Int64")


def _trial_row(record: TrialRecord) -> dict[str, Any]:
    names = sorted(record.metrics, key=lambda name: name != record.objective)
    row: dict[str, Any] = {"trial": record.trial_id, "rank": 0, "status": record.status}
    for name in names:
        values = record.splits.get(name, ())
        row[f"mean_{name}"] = record.metrics[name]
        row[f"std_{name}"] = spread(values)
        row |= {f"split{k}_{name}": value for k, value in enumerate(values)}
    row |= {f"param_{name}": value for name, value in record.values.items()}
    row["best_epoch"] = float(np.mean(record.epochs)) if record.epochs else np.nan
    row["n_parameters"] = record.n_parameters or pd.NA
    row["seconds"] = record.seconds
    row["reason"] = record.reason
    return row
