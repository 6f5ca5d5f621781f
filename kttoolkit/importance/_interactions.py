"""Which hyperparameters matter together, more than each does alone."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from kttoolkit.exceptions import ResultError
from kttoolkit.importance._shares import explained, features, importance, varied
from kttoolkit.plain import shown
from kttoolkit.ranges import Range
from kttoolkit.results import TrialRecord, TuneResult

_TREES = 64
_GRID = 6
_ROWS = 60
_ENOUGH = 500
_FEWEST_LEFT = 3


def interactions(
    result: TuneResult,
    *,
    top: int = 4,
    names: Sequence[str] | None = None,
    n_resamples: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Find pairs of hyperparameters that matter together, more than each does alone.

    A learning rate that is good for small batches may be bad for large ones; no look at
    one of the two can show it. A random forest learns to predict the score; of what it
    predicts over a grid of two hyperparameters, averaged over the trials' values of the
    others, the effects of either alone are taken off. What is left is their
    interaction.

    Args:
        result: of a search.
        top: how many of the most important hyperparameters to pair.
        names: of hyperparameters to pair instead.
        n_resamples: how often the trials are drawn again, with replacement, to see how
            sure the shares are.
        seed: of the forests and the resampling.

    Returns:
        One row a pair, the strongest first: `hyperparameter`, `other`, `interaction`
        (the variance of what is left, as a share of the variance of what the forest
        predicts) and `std`. A share within two `std` of 0 is none.

    Raises:
        ResultError: if fewer than four trials completed, fewer than two
            hyperparameters differ, or a name is unknown.

    Example:
        >>> kttoolkit.importance.interactions(result, top=3)  # doctest: +SKIP

    References:
        J. Friedman and B. Popescu, "Predictive learning via rule ensembles", Annals of
        Applied Statistics 2, 2008, for partial dependence as a measure of interaction.
    """
    chosen = _chosen(result, names, top, seed)
    records = explained(result)
    ranges = varied(result.ranges, records)
    order = [one.name for one in ranges]
    pairs = [(order.index(a), order.index(b)) for a, b in combinations(chosen, 2)]
    rng = np.random.default_rng(seed)
    drawn = [np.arange(len(records))]
    drawn += [rng.integers(len(records), size=len(records)) for _ in range(n_resamples)]
    shares = np.array(
        [
            _shares([records[row] for row in rows], ranges, pairs, seed + number)
            for number, rows in enumerate(drawn)
        ]
    )
    frame = pd.DataFrame(
        {
            "hyperparameter": [order[one] for one, _ in pairs],
            "other": [order[other] for _, other in pairs],
            "interaction": shares[0],
            "std": shares[1:].std(axis=0) if n_resamples else np.nan,
        }
    )
    return frame.sort_values("interaction", ascending=False, ignore_index=True)


def _chosen(
    result: TuneResult, names: Sequence[str] | None, top: int, seed: int
) -> list[str]:
    """Return the names to pair."""
    shares = importance(result, n_resamples=2, seed=seed).frame["hyperparameter"]
    known = list(shares)
    if isinstance(names, str):
        raise ResultError(
            f"names must be a list of hyperparameters, but got {shown(names)}. "
            "Interactions are of two or more."
        )
    for name in names or ():
        if name not in known:
            raise ResultError(
                f"A hyperparameter must be one of {sorted(known)}, which differ "
                f"between trials, but got {shown(name)}."
            )
    chosen = list(dict.fromkeys(names)) if names is not None else known[:top]
    if len(chosen) < 2:
        raise ResultError(
            "Interactions are of two hyperparameters or more, but got "
            f"{chosen}. Search more, or raise top."
        )
    return chosen


def _shares(
    records: Sequence[TrialRecord],
    ranges: Sequence[Range],
    pairs: Sequence[tuple[int, int]],
    seed: int,
) -> list[float]:
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415

    x = features(records, ranges)
    y = np.array([record.score for record in records])
    # Splits of the last few trials would find interactions in noise.
    forest = RandomForestRegressor(
        _TREES, max_samples=min(_ENOUGH, len(x)), min_samples_leaf=_FEWEST_LEFT,
        random_state=seed,
    ).fit(x, y)  # fmt: skip
    total = float(np.var(forest.predict(x))) or 1.0
    others = x[np.linspace(0, len(x) - 1, min(_ROWS, len(x))).astype(int)]
    return [
        float(np.mean(_left_over(_surface(forest, others, x, pair)) ** 2)) / total
        for pair in pairs
    ]


def _surface(
    forest: "object", others: np.ndarray, x: np.ndarray, pair: tuple[int, int]
) -> np.ndarray:
    """Predict over a grid of two columns, averaged over the rows of the others.

    Args:
        forest: predicts scores.
        others: rows of shape (n_rows, n_hyperparameters).
        x: all trials, whose quantiles are the grid.
        pair: two columns.

    Returns:
        Array of shape (values of one, values of the other).
    """
    grids = [np.unique(_quantiles(x[:, column])) for column in pair]
    points = np.stack(np.meshgrid(*grids, indexing="ij"), axis=-1)
    rows = np.repeat(others[None], points[..., 0].size, axis=0)
    # One row of the others for each point: axes are point, row, hyperparameter.
    rows[:, :, list(pair)] = points.reshape(-1, 1, 2)
    predicted = forest.predict(rows.reshape(-1, others.shape[1]))  # type: ignore[attr-defined]
    return np.asarray(
        predicted.reshape(*points.shape[:2], len(others)).mean(axis=-1), dtype=float
    )


def _quantiles(values: np.ndarray) -> np.ndarray:
    known = np.unique(values)
    if len(known) <= _GRID:
        return np.asarray(known)
    middles = (np.arange(_GRID) + 0.5) / _GRID
    return np.asarray(np.quantile(values, middles))


def _left_over(surface: np.ndarray) -> np.ndarray:
    """Take off what either hyperparameter does alone."""
    rows = surface.mean(axis=1, keepdims=True)
    columns = surface.mean(axis=0, keepdims=True)
    return np.asarray(surface - rows - columns + surface.mean(), dtype=float)
