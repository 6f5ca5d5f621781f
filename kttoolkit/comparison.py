"""Is the difference of two settings real? Paired statistics over folds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from kttoolkit.exceptions import ResultError
from kttoolkit.plain import shown

# Of larger ones the square is infinite.
_LARGEST = 1e150


@dataclass(frozen=True)
class PairedDifference:
    """How two settings differ on the same folds.

    Attributes:
        mean: of the first scores minus the second ones.
        low: lower end of the confidence interval.
        high: its upper end.
        p_value: of the hypothesis that they do not differ.
        n: pairs.
        confidence: of the interval.
    """

    mean: float
    low: float
    high: float
    p_value: float
    n: int
    confidence: float = 0.95

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return not self.low <= 0 <= self.high


def signed_rank(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray
) -> float:
    """Return the p-value of Wilcoxon's signed-rank test.

    It asks for no normal distribution, but five folds cannot bring it below 0.06.

    Args:
        first: one score a fold, of shape (n,).
        second: those of the other setting in the same order, of shape (n,).

    Returns:
        The p-value; 1 where the scores are all equal.

    Raises:
        ResultError: if the scores are not two or more pairs of finite numbers.

    References:
        F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics 1, 1945.
    """
    a, b = _pairs(first, second)
    differences = a - b
    if not differences.any():
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def paired_difference(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    *,
    test_share: float,
    confidence: float = 0.95,
) -> PairedDifference:
    """Compare two settings by their scores on the same folds.

    Folds share training rows, so that a plain paired t-test finds differences where
    there are none. The corrected resampled t-test multiplies the variance by
    1 / n + n_test / n_train in place of 1 / n.

    Args:
        first: one score a fold, over all repeats, of shape (n,).
        second: those of the other setting in the same order, of shape (n,).
        test_share: rows of a fold that are scored, divided by those trained on.
        confidence: of the interval, between 0 and 1.

    Returns:
        Mean difference, interval and p-value. Without any spread, the interval is the
        mean itself.

    Raises:
        ResultError: if the scores are not two or more pairs of finite numbers, or
            the confidence is none.

    Example:
        >>> found = paired_difference(
        ...     [0.80, 0.82, 0.81], [0.78, 0.81, 0.80], test_share=0.5
        ... )
        >>> round(found.mean, 4), found.is_clear
        (0.0133, False)

    References:
        C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine
        Learning 52, 2003.
    """
    a, b = _pairs(first, second)
    if not 0 < confidence < 1:
        raise ResultError(
            f"0 < confidence < 1 must hold, but got {shown(confidence)}. Take 0.95."
        )
    differences = a - b
    n, mean = len(a), float(differences.mean())
    error = math.sqrt((1 / n + test_share) * float(differences.var(ddof=1)))
    if error == 0:
        return PairedDifference(mean, mean, mean, float(mean == 0), n, confidence)
    width = float(stats.t.ppf(0.5 + confidence / 2, n - 1)) * error
    p_value = float(2 * stats.t.sf(abs(mean) / error, n - 1))
    return PairedDifference(mean, mean - width, mean + width, p_value, n, confidence)


def _pairs(first: Any, second: Any) -> tuple[np.ndarray, np.ndarray]:
    """Check scores of which the differences can be squared."""
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise ResultError(
            "A paired comparison needs two scores or more of each setting, as many of "
            f"one as of the other, but got {a.shape} and {b.shape}."
        )
    largest = max(np.abs(a).max(), np.abs(b).max())
    # Also false where there is a NaN.
    if not largest < _LARGEST:
        raise ResultError(
            "A paired comparison needs finite scores below 1e150, but the largest is "
            f"{largest}. Compare trials that did not diverge."
        )
    return a, b
