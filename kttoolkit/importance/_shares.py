"""Which hyperparameters mattered, and how sure that is."""

import html
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from kttoolkit.exceptions import ResultError
from kttoolkit.plain import counted, shown, visible, visible_lines
from kttoolkit.ranges import Range
from kttoolkit.results import (
    TrialRecord,
    TuneResult,
    capped,
    how_many,
    needs_optuna,
    optuna_study,
)

Method = Literal["permutation", "fanova", "ped_anova"]
METHODS: tuple[Method, ...] = ("permutation", "fanova", "ped_anova")
_TREES = 64
_REPEATS = 5
_TRIALS_EACH = 10
_FEWEST = 4
# Rows for each tree and each shuffling: more take longer and tell no more.
_ENOUGH = 500
_LARGEST = 1e30


@dataclass(frozen=True)
class Importance:
    """What each hyperparameter did to the score.

    Attributes:
        frame: one row a hyperparameter, the most important first: `hyperparameter`,
            `importance` (shares that sum to 1), `std` (over resampled trials) and
            `n_trials` that had it.
        method: how it was found.
        n_trials: completed trials.
        note: what to mind when reading it; empty if nothing.
    """

    frame: pd.DataFrame
    method: str
    n_trials: int
    note: str = ""

    def __repr__(self) -> str:
        table = visible_lines(self.frame.to_string(index=False, float_format="%.3f"))
        return (
            f"<Importance ({self.method}, {counted(self.n_trials, 'trial')})\n{table}"
            + (f"\n{visible(self.note)}>" if self.note else ">")
        )

    def _repr_html_(self) -> str:
        table = self.frame.to_html(
            index=False, float_format=lambda share: f"{share:.3f}", border=0
        )
        note = f"<p>{html.escape(visible(self.note))}</p>" if self.note else ""
        return f"{visible_lines(table)}{note}"


def importance(
    result: TuneResult,
    *,
    method: Method = "permutation",
    n_resamples: int = 10,
    seed: int = 0,
) -> Importance:
    """Find out which hyperparameters the score depends on.

    Args:
        result: of a search.
        method: "permutation" (how much worse a random forest predicts the score when
            one column is shuffled; sees interactions), "fanova" (the share of the
            forest's variance that one hyperparameter alone explains) or "ped_anova"
            (how differently the best trials are distributed; quick, and about what
            makes a trial good rather than about the whole space). The last two are
            Optuna's and look only at hyperparameters that every trial has.
        n_resamples: how often the trials are drawn again, with replacement, to see how
            sure the shares are; at least 2.
        seed: of the forests and the resampling.

    Returns:
        Shares with their spread. With fewer than ten trials a hyperparameter they say
        little, and the note says so. Diverged trials count as the worst of interest;
        see `kttoolkit.results.worst_of_interest`.

    Raises:
        ResultError: if the method is unknown, fewer than four trials completed, the
            trials are drawn again less than twice, or numbers are too large for fANOVA.
        MissingDependencyError: if Optuna is needed and missing.

    Example:
        >>> kttoolkit.importance.importance(result)  # doctest: +SKIP

    References:
        L. Breiman, "Random forests", Machine Learning 45, 2001; F. Hutter, H. Hoos and
        K. Leyton-Brown, "An efficient approach for assessing hyperparameter
        importance", ICML 2014; S. Watanabe et al., "PED-ANOVA", arXiv:2304.10255.
    """
    if method not in METHODS:
        raise ResultError(f"method must be one of {METHODS}, but got {shown(method)}.")
    n_resamples = how_many("n_resamples", n_resamples, 2)
    records = explained(result)
    if len(records) < _FEWEST:
        raise ResultError(
            f"Importance needs {_FEWEST} completed trials or more, and ten for each "
            f"hyperparameter to mean something, but got {len(records)}."
        )
    ranges = varied(result.ranges, records)
    if method == "fanova":
        _check_single_precision(ranges, records)
    find = _by_permutation if method == "permutation" else _by_optuna
    rng = np.random.default_rng(seed)
    drawn = [np.arange(len(records))]
    drawn += [rng.integers(len(records), size=len(records)) for _ in range(n_resamples)]
    shares = [
        find([records[row] for row in rows], ranges, method, seed + number)
        for number, rows in enumerate(drawn)
    ]
    frame = pd.DataFrame(
        {
            "hyperparameter": list(shares[0]),
            "importance": list(shares[0].values()),
            "std": [
                float(np.std([found.get(name, 0.0) for found in shares[1:]]))
                for name in shares[0]
            ],
            "n_trials": [
                sum(name in record.values for record in records) for name in shares[0]
            ],
        }
    )
    frame = frame.sort_values("importance", ascending=False, ignore_index=True)
    return Importance(frame, method, len(records), _note(frame, len(records)))


def explained(result: TuneResult) -> list[TrialRecord]:
    """Return the trials whose scores are to be explained.

    Args:
        result: of a search.

    Returns:
        Those that completed with a finite score, none scored worse than is of
        interest, for no diverged trial shall be all that there is to explain; with
        the values that have a place among others.
    """
    records = [r for r in result.records if math.isfinite(r.score)]
    scores = capped([record.score for record in records], result.study.direction)
    largest = np.abs(scores).max(initial=0.0)
    # Squares of larger ones are infinite; shares are the same in any unit.
    unit = largest if largest > _LARGEST else 1.0
    names = [{o.name for o in result.ranges if o.has_place(r.values)} for r in records]
    return [
        replace(
            record,
            values={k: v for k, v in record.values.items() if k in known},
            metrics={**record.metrics, record.objective: float(score / unit)},
        )
        for record, score, known in zip(records, scores, names, strict=True)
    ]


def varied(ranges: Sequence[Range], records: Sequence[TrialRecord]) -> list[Range]:
    """Leave out what had the same value in every trial, and doubles of a name.

    Args:
        ranges: of a search.
        records: of its completed trials.

    Returns:
        One range for each hyperparameter that differs.

    Raises:
        ResultError: if none does.
    """
    kept: dict[str, Range] = {}
    for one in ranges:
        values = {str(record.values.get(one.name)) for record in records}
        if len(values) > 1:
            kept.setdefault(one.name, one)
    if not kept:
        raise ResultError(
            "Importance is about what differs between trials, but every hyperparameter "
            f"had one value in all {len(records)} trials."
        )
    return list(kept.values())


def features(records: Sequence[TrialRecord], ranges: Sequence[Range]) -> np.ndarray:
    """Bring the trials' values to scales on which a tree can cut them.

    Args:
        records: trials.
        ranges: one for each hyperparameter.

    Returns:
        Array of shape (n_trials, n_hyperparameters): numbers on their scale, choices
        by their place. Where a trial does not have one, there is the median of those
        that do, so that it does not take the credit of the choice it depends on.
    """
    columns = [[_feature(one, record) for record in records] for one in ranges]
    matrix = np.array(columns, dtype=float).T
    # A resampling may have left no trial that has it.
    known = np.where(np.isnan(matrix).all(axis=0), 0.0, matrix)
    with np.errstate(over="ignore"):
        filled = np.where(np.isnan(matrix), np.nanmedian(known, axis=0), matrix)
    # Forests count in single precision.
    largest = np.abs(filled).max(axis=0, initial=0.0)
    return filled / np.where(largest > _LARGEST, largest, 1.0)


def _feature(one: Range, record: TrialRecord) -> float:
    value = record.values.get(one.name)
    if value is None:
        return float("nan")
    if one.is_numeric:
        return one.to_scale(value)
    known = list(one.values)
    return float(known.index(value)) if value in known else float(len(known))


def _by_permutation(
    records: Sequence[TrialRecord], ranges: Sequence[Range], method: str, seed: int
) -> dict[str, float]:
    del method
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415
    from sklearn.inspection import permutation_importance  # noqa: PLC0415

    x = features(records, ranges)
    y = np.array([record.score for record in records])
    n_rows = min(_ENOUGH, len(x))
    forest = RandomForestRegressor(_TREES, max_samples=n_rows, random_state=seed)
    found = permutation_importance(
        forest.fit(x, y), x, y, n_repeats=_REPEATS, max_samples=n_rows,
        random_state=seed,
    )  # fmt: skip
    shares = np.clip(found.importances_mean, 0, None)
    total = shares.sum() or 1.0
    names = [one.name for one in ranges]
    return dict(zip(names, (shares / total).tolist(), strict=True))


def _by_optuna(
    records: Sequence[TrialRecord], ranges: Sequence[Range], method: str, seed: int
) -> dict[str, float]:
    optuna = needs_optuna()
    study = optuna_study(records, ranges)
    module = optuna.importance
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # That there are too few trials is told once, in the note.
        warnings.simplefilter("ignore", UserWarning)
        if method == "fanova":
            evaluator = module.FanovaImportanceEvaluator(n_trees=_TREES, seed=seed)
        else:
            evaluator = module.PedAnovaImportanceEvaluator()
        try:
            found = module.get_param_importances(study, evaluator=evaluator)
        except RuntimeError:
            # No tree can tell these trials apart.
            found = dict.fromkeys((one.name for one in ranges), 0.0)
    return {name: float(share) for name, share in found.items()}


def _check_single_precision(
    ranges: Sequence[Range], records: Sequence[TrialRecord]
) -> None:
    for one in ranges:
        used = [record.values.get(one.name, 0) for record in records]
        numbers = [one.low, one.high, *used] if one.is_numeric else []
        largest = max(map(abs, numbers), default=0)
        # Optuna takes them as they are, on whatever scale they were drawn.
        if largest > _LARGEST:
            raise ResultError(
                "fANOVA calculates in single precision, so that numbers must lie "
                f"within ±{_LARGEST:g}, but {shown(one.name)} reaches {largest:g}. Use "
                "method='permutation'."
            )


def _note(frame: pd.DataFrame, n_trials: int) -> str:
    wanted = _TRIALS_EACH * len(frame)
    notes = []
    if n_trials < wanted:
        notes.append(
            f"{n_trials} trials are too few to tell {len(frame)} hyperparameters "
            f"apart; about {wanted} would do."
        )
    if len(frame) > 1:
        first, second = frame.iloc[0], frame.iloc[1]
        if first["importance"] - second["importance"] < first["std"] + second["std"]:
            notes.append(
                f"{first['hyperparameter']} and {second['hyperparameter']} may well "
                "change places."
            )
    return " ".join(notes)
