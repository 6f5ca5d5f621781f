"""Wild scores: a few of them must not hide what the others tell."""

from collections.abc import Iterable

import numpy as np

_SPANS = 5.0
_SHOWN = 0.8
_WILD = 3.0


def worst_of_interest(scores: Iterable[float], direction: str) -> float | None:
    """Return the score beyond which a trial is just bad.

    A diverged trial may score a thousand times worse than the rest, and on an axis or
    in a variance nothing else could be seen beside it. Of interest is what lies within
    five times the distance from the best score to the median, and four fifths of the
    scores in any case. Where this would be more than a third of the whole range, all of
    it is.

    Args:
        scores: of completed trials; what is not finite does not count.
        direction: "min" or "max".

    Returns:
        The limit, or None where no score is beyond it.

    Example:
        >>> worst_of_interest([1.0, 2.0, 3.0, 4.0, 5000.0, 2.5, 3.5], "min")
        13.0
        >>> worst_of_interest([0.9, 0.8, 0.7], "max") is None
        True
    """
    sign = 1.0 if direction == "min" else -1.0
    costs = sign * np.asarray(list(scores), dtype=float)
    costs = costs[np.isfinite(costs)]
    if not len(costs):
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        best, median = costs.min(), np.median(costs)
        most = np.quantile(costs, _SHOWN, method="lower")
        limit = max(median + _SPANS * (median - best), most)
        is_wild = costs.max() - best > _WILD * (limit - best)
    return float(sign * limit) if is_wild else None


def capped(scores: Iterable[float], direction: str) -> np.ndarray:
    """Return scores of which none is worse than is of interest.

    Args:
        scores: of completed trials.
        direction: "min" or "max".

    Returns:
        Array of the same shape.

    Example:
        >>> capped([1.0, 2.0, 3.0, 900.0], "min").tolist()
        [1.0, 2.0, 3.0, 10.0]
    """
    values = np.asarray(list(scores), dtype=float)
    limit = worst_of_interest(values, direction)
    if limit is None:
        return values
    cap = np.minimum if direction == "min" else np.maximum
    return np.asarray(cap(values, limit), dtype=float)
