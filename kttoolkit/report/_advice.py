"""What to make of a search, in sentences with their figures."""

import math
from collections.abc import Callable, Iterator

from kttoolkit.exceptions import ResultError
from kttoolkit.importance import Importance
from kttoolkit.plots import gap_frame
from kttoolkit.ranges import Range
from kttoolkit.results import TrialRecord, TuneResult

_EDGE = 0.03
_LATE = 0.8
_MANY_FAILED = 0.1
_ENOUGH = 10
_NEXT = 10
_UNIMPORTANT = 0.02
_SPREADS = 2.0


def advice(result: TuneResult, importance: Importance | None = None) -> list[str]:
    """Tell what the search has shown and what to do next.

    Args:
        result: of a search.
        importance: found before, or None to leave it out.

    Returns:
        Sentences, the most pressing first; none where no trial completed.

    Example:
        >>> for line in kttoolkit.report.advice(result):  # doctest: +SKIP
        ...     print("-", line)
    """
    if not any(record.status == "completed" for record in result.records):
        return []
    asked: tuple[Callable[[TuneResult], Iterator[str]], ...] = (
        _of_failures, _of_untouched_rows, _of_edges, _of_the_gap, _of_convergence,
        _of_the_winner,
    )  # fmt: skip
    told = [sentence for ask in asked for sentence in ask(result)]
    return told + list(_of_importance(result, importance))


def _of_failures(result: TuneResult) -> Iterator[str]:
    failed = int(result.failures.sum())
    if failed > _MANY_FAILED * len(result.records):
        yield (
            f"{failed} of {len(result.records)} trials did not complete. The most "
            f"frequent reason: {result.failures.index[0]}"
        )


def _of_untouched_rows(result: TuneResult) -> Iterator[str]:
    """Compare the promise of the folds with rows that no trial saw."""
    study, best = result.study, result.best_trial
    score = result.test_metrics.get(study.objective.removeprefix("val_"))
    if score is None or not study.n_test:
        return
    sign = 1.0 if study.direction == "min" else -1.0
    worse = sign * (score - best.score)
    if best.std > 0 and worse > _SPREADS * best.std:
        common = (
            " With epoch_selection='common' the folds promise less."
            if study.epoch_selection == "per_fold"
            else ""
        )
        yield (
            f"On the {study.n_test} untouched rows the score is {score:.4g}, more than "
            f"{_SPREADS:g} standard deviations worse than the folds' "
            f"{best.score:.4g}: believe the untouched rows.{common}"
        )


def _of_edges(result: TuneResult) -> Iterator[str]:
    best = result.best_trial.values
    found: dict[str, list[str]] = {"lower": [], "upper": []}
    for one in result.ranges:
        if one.name in best and one.is_active(best):
            end = _edge(one, best[one.name])
            found.get(end, []).append(f"{one.name} ({_short(best[one.name])})")
    for end, names in found.items():
        if names:
            yield (
                f"The best setting lies at the {end} end of the range of "
                f"{', '.join(names)}; look beyond it."
            )


def _edge(one: Range, value: float) -> str:
    if one.scale not in {"linear", "log", "one_minus_log"} or one.low == one.high:
        return ""
    low, high = one.to_scale(one.low), one.to_scale(one.high)
    place = (one.to_scale(value) - low) / (high - low)
    # Of nothing, such as no dropout, there is no less.
    if place < _EDGE and one.low > 0:
        return "lower"
    return "upper" if place > 1 - _EDGE else ""


def _of_the_gap(result: TuneResult) -> Iterator[str]:
    try:
        row = gap_frame(result, top=1).iloc[0]
    except ResultError:
        return
    if row["verdict"] == "overfits":
        yield (
            f"The best trial overfits: {row['train']:.4g} in training and "
            f"{row['validation']:.4g} in validation. More regularization (dropout, "
            "L2), a smaller model or more data may help."
        )
    elif row["verdict"] == "trains on":
        yield (
            "The best trial was still improving in its last epoch; raise max_epochs "
            "or the learning rate."
        )


def _of_convergence(result: TuneResult) -> Iterator[str]:
    n = len(result.records)
    best = result.best_trial.trial_id
    number = [record.trial_id for record in result.records].index(best) + 1
    if n < _ENOUGH or result.study.tuner == "Hyperband":
        return
    if number > _LATE * n:
        yield (
            f"The best trial ({best}) came late, when {number} of {n} had been tried; "
            "more trials may find a better one."
        )
    else:
        yield (
            f"The best trial ({best}) came when {number} of {n} had been tried, and "
            f"none of the {n - number} after it was better."
        )


def _of_the_winner(result: TuneResult) -> Iterator[str]:
    try:
        table = result.compare(top=_NEXT).iloc[1:]
        simplest = result.one_standard_error()
    except ResultError:
        return
    close = int((~table["is_clear"].astype(bool)).sum())
    if close:
        yield (
            f"The folds cannot tell the best trial from {close} of the next "
            f"{len(table)} (95 %, corrected resampled t-test)."
        )
    best = result.best_trial
    if _is_simpler(simplest, best):
        yield (
            f"Trial {simplest.trial_id} has {simplest.n_parameters:,} parameters where "
            f"the best has {best.n_parameters:,}, and scores within one standard error "
            f"of it ({simplest.score:.4g}); the simpler model is the safer one."
        )


def _is_simpler(one: TrialRecord, best: TrialRecord) -> bool:
    return one.trial_id != best.trial_id and one.n_parameters < best.n_parameters


def _of_importance(result: TuneResult, found: Importance | None) -> Iterator[str]:
    if found is None or found.note or len(found.frame) < 2:
        return
    shares = found.frame.set_index("hyperparameter")["importance"]
    first = shares.index[0]
    yield (
        f"Of what differs between scores, {first} explains the most "
        f"({shares.iloc[0]:.0%} of what could be explained)."
    )
    best = result.best_values
    idle = [
        f"{name}={_short(best[name])}"
        for name in shares.index[shares < _UNIMPORTANT]
        if name in best
    ]
    if idle:
        yield f"These hardly mattered and may be fixed: {', '.join(idle)}."


def _short(value: object) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.4g}"
    return str(value)
