"""Is the winner real? Trials compared over their folds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kttoolkit.exceptions import ResultError
from kttoolkit.results._record import TrialRecord


def comparison_frame(
    records: Sequence[TrialRecord], *, confidence: float = 0.95
) -> pd.DataFrame:
    """Compare trials with the first of them, fold by fold.

    Args:
        records: completed trials of one study, the best one first.
        confidence: of the intervals, between 0 and 1.

    Returns:
        One row a trial: `trial`, `mean_<objective>`, `std_<objective>`, `difference`
        to the first (above 0 where the first is better), `low` and `high` of its
        interval, `p_value` (corrected resampled t-test), `p_wilcoxon` (signed-rank
        test) and `is_clear` (whether the interval leaves out 0).

    Raises:
        ResultError: if there are fewer than two folds.
    """
    # scipy's statistics take longer to import than a result to open.
    from kttoolkit.comparison import paired_difference, signed_rank  # noqa: PLC0415

    best = records[0]
    name = best.objective
    sign = 1.0 if best.direction == "max" else -1.0
    reference = sign * _splits(best)
    rows = []
    for record in records:
        mine = sign * _splits(record)
        found = paired_difference(
            reference, mine, test_share=best.test_share, confidence=confidence
        )
        rows.append(
            {
                "trial": record.trial_id,
                f"mean_{name}": record.score,
                f"std_{name}": record.std,
                "difference": found.mean,
                "low": found.low,
                "high": found.high,
                "p_value": found.p_value,
                "p_wilcoxon": signed_rank(reference, mine),
                "is_clear": found.is_clear,
            }
        )
    return pd.DataFrame(rows)


def within_one_standard_error(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials as good as the best but for one standard error.

    Args:
        records: completed trials, the best one first.

    Returns:
        Those whose score is no worse than the best one's by more than its standard
        error over the folds, the smallest model first.

    Raises:
        ResultError: if there are fewer than two folds, or sizes are unknown.
    """
    best = records[0]
    values = _splits(best)
    with np.errstate(invalid="ignore", over="ignore"):
        error = float(values.std(ddof=1) / np.sqrt(len(values)))
    sign = 1.0 if best.direction == "min" else -1.0
    near = [r for r in records if r is best or sign * (r.score - best.score) <= error]
    if any(record.n_parameters == 0 for record in near):
        raise ResultError(
            "The simplest trial is the one with the fewest parameters, but they are "
            "not known of trials "
            f"{[r.trial_id for r in near if r.n_parameters == 0]}: a subclassed model "
            "that was not built, or a study of an earlier version."
        )
    return sorted(near, key=lambda record: (record.n_parameters, sign * record.score))


def _splits(record: TrialRecord) -> np.ndarray:
    values: Any = record.splits.get(record.objective, ())
    if len(values) < 2:
        raise ResultError(
            "Trials are compared over two folds or more, but trial "
            f"{record.trial_id} has {len(values)} scores. Search with cv=5."
        )
    return np.asarray(values, dtype=float)
