"""Re-testing old settings: does the ranking still hold?"""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import keras_tuner
import numpy as np
import pandas as pd
from scipy import stats

from kttoolkit.comparison import PairedDifference, paired_difference
from kttoolkit.cv import Folds, as_folds
from kttoolkit.data import TrainingData
from kttoolkit.engine import FitPlan
from kttoolkit.evaluate import evaluate
from kttoolkit.exceptions import ResultError, SearchError
from kttoolkit.hyperparameters import HyperParameters, completed
from kttoolkit.methods._recut import cut_again
from kttoolkit.models import StudyTrainer
from kttoolkit.plain import counted, shown, visible, visible_lines
from kttoolkit.results import TrialRecord, TuneResult
from kttoolkit.scoring import aggregate

DEFAULTS = "defaults"
_SEED_KEY = 0x2E7E57


@dataclass(frozen=True)
class RetestResult:
    """Old settings scored again, side by side.

    Attributes:
        frame: one row a setting, the old winner first; the default setting is the
            row whose `trial` is "defaults" and which has no old score. Columns
            `trial`, `old_score`, `old_rank`, `mean_<objective>`, `std_<objective>`,
            `rank`, `difference` to the old winner (paired over folds, above 0 where
            this setting is better), `low` and `high` of its 95 % interval, `p_value`,
            and `param_<name>`.
        scores: one row a fold of each repeat; columns `repeat`, `fold`, and one for
            each setting, named as its trial.
        objective: name of what was scored.
        direction: "min" or "max".
        rank_correlation: Kendall's tau between the old and the new ranking of those
            that have an old score, from -1 to 1; NaN for fewer than three.
    """

    frame: pd.DataFrame
    scores: pd.DataFrame
    objective: str
    direction: str
    rank_correlation: float

    @property
    def holds(self) -> bool:
        """Whether no setting is clearly better than the old winner."""
        return not bool((self.frame["low"].iloc[1:] > 0).any())

    @property
    def verdict(self) -> str:
        """The outcome in a sentence or two."""
        winner = self.frame.iloc[0]
        others = self.frame.iloc[1:]
        name, mean = f"mean_{self.objective}", winner[f"mean_{self.objective}"]
        best = self.frame.iloc[int(self.frame["rank"].to_numpy().argmin())]
        if self.holds and best["trial"] == winner["trial"]:
            told = (
                f"The old winner, {winner['trial']}, is still the best "
                f"({self.objective} {mean:.4f})"
            )
        elif self.holds:
            told = (
                f"{best['trial']} is ahead of the old winner, {winner['trial']} "
                f"({best[name]:.4f} against {mean:.4f}), but not clearly: the "
                f"difference may be anything from {best['low']:+.4f} to "
                f"{best['high']:+.4f}"
            )
        else:
            clear = others[others["low"] > 0]
            first = clear.iloc[int(clear["difference"].to_numpy().argmax())]
            told = (
                f"The old winner, {winner['trial']}, does not hold: {first['trial']} "
                f"is better by {first['difference']:.4f}{_between(first)}"
            )
        return f"{told}. {self._about_ranking()}"

    def _about_ranking(self) -> str:
        worse = self.frame.iloc[1:]
        beaten = int((worse["high"] < 0).sum())
        told = (
            f"It is clearly better than {beaten} of the {counted(len(worse), 'other')}"
        )
        if np.isnan(self.rank_correlation):
            return f"{told}."
        return (
            f"{told}; the old ranking and the new one agree with "
            f"tau = {self.rank_correlation:.2f}."
        )

    def __repr__(self) -> str:
        columns = ["trial", "old_score", f"mean_{self.objective}", "difference", "low",
                   "high", "rank"]  # fmt: skip
        table = self.frame[columns].to_string(index=False, float_format="%.4f")
        return f"<RetestResult {visible(self.verdict)}\n{visible_lines(table)}>"


def _between(row: "pd.Series[Any]") -> str:
    low, high = f"{row['low']:.4f}", f"{row['high']:.4f}"
    return "" if low == high else f" (from {low} to {high})"


def retest(
    result: TuneResult,
    x: Any = None,
    y: Any = None,
    *,
    top: int = 5,
    repeats: int = 3,
    cv: Any = None,
    seed: int | None = None,
    engine: str = "auto",
) -> RetestResult:
    """Score old winners again, on new rows or new folds and seeds.

    A winner won on one set of folds and one set of initial weights, and the field it
    was found in may have changed since. The best trials and the default setting are
    trained again, all on the same new folds with the same new seeds, and compared
    with the old winner fold by fold.

    The rows are cut as the search cut them. A splitter that draws at random, such as
    a number of folds or `StratifiedKFold(shuffle=True)`, draws other folds in each
    repeat. One that draws nothing (`GroupKFold`, `TimeSeriesSplit`, `LeaveOneOut`,
    index pairs, a hold-out) keeps its folds, so that no group is torn apart and no
    future is used; only weights, shuffles and dropout differ then, and the intervals
    do not tell what other folds would have shown.

    Args:
        result: with the means to make models.
        x: new rows, in the form that `tune` took; those of the search if left out.
        y: their targets.
        top: how many of the best trials are tried again.
        repeats: how often, each time with other seeds, and other folds where they are
            drawn at random. Three of five folds give fifteen pairs.
        cv: as in `kttoolkit.tune`; the search's own splitter if left out.
        seed: fixes folds, weights, shuffles and dropout; made of the search's own if
            left out, and different from it.
        engine: as in `kttoolkit.tune`.

    Returns:
        Paired differences with intervals, the new ranking, and a verdict in words.

    Raises:
        SearchError: if `top` or `repeats` is below 1.
        ResultError: if the result was opened without a build function or rows.
        CrossValidationError: if new rows cannot be cut as the search cut its own.

    Example:
        >>> import kttoolkit
        >>> checked = kttoolkit.methods.retest(result, top=5)  # doctest: +SKIP
        >>> print(checked.verdict)  # doctest: +SKIP

    References:
        C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine
        Learning 52, 2003, for the intervals.
    """
    given: dict[str, Any] = {"top": top, "repeats": repeats}
    for name, value in given.items():
        if not isinstance(value, Integral) or value < 1:
            raise SearchError(f"{name} >= 1 must hold, but got {shown(value)}.")
    trainer = result.trainer
    if not isinstance(trainer, StudyTrainer):
        raise ResultError(
            "Settings are trained again with the build function of the search, which "
            "a result opened from disk does not have. Open it with load_result(..., "
            "build=build, x=x, y=y)."
        )
    data = trainer.rows_like_those_of_the_search(result, x, y)
    candidates = _candidates(result, top)
    seed = result.study.seed if seed is None else seed
    frames, share = [], 0.0
    for repeat in range(repeats):
        drawn = _drawn(seed, repeat)
        folds = (
            cut_again(trainer, data, result.study.cv, seed=drawn)
            if cv is None
            else as_folds(cv, data, seed=drawn)
        )
        share = _test_share(folds)
        scored = {
            name: _scores(result, trainer, hp, (data, folds), seed=drawn, engine=engine)
            for name, hp in candidates.items()
        }
        frame = pd.DataFrame(scored)
        frame.insert(0, "repeat", repeat)
        frame.insert(1, "fold", np.arange(len(frame)))
        frames.append(frame)
    return _compared(result, candidates, pd.concat(frames, ignore_index=True), share)


def _candidates(result: TuneResult, top: int) -> dict[str, HyperParameters]:
    """Return the best trials, best first, and the default setting."""
    trials = [record for record in result.records if record.status == "completed"]
    if not trials:
        raise ResultError("Nothing can be tried again, since no trial has completed.")
    sign = 1 if result.study.direction == "min" else -1
    # Sorting keeps equals in their order, so that the old winner comes first.
    best = sorted(trials, key=lambda record: sign * record.score)[:top]
    space = result.best_hyperparameters
    found = {record.trial_id: _with_values(space, record.values) for record in best}
    return {**found, DEFAULTS: _with_values(space, completed(space, {}))}


def _with_values(
    space: keras_tuner.HyperParameters, values: Mapping[str, Any]
) -> HyperParameters:
    hp = HyperParameters()
    hp.merge(space)
    hp.values = {k: v for k, v in values.items() if not k.startswith("tuner/")}
    return hp


def _drawn(seed: int, repeat: int) -> int:
    sequence = np.random.SeedSequence(seed, spawn_key=(_SEED_KEY, repeat))
    return int(sequence.generate_state(1)[0] >> 1)


def _test_share(folds: Folds) -> float:
    outside = 0 if folds.validation is None else folds.validation.n_samples
    shares = [(len(fold.test) or outside) / len(fold.train) for fold in folds]
    return float(np.mean(shares))


def _scores(
    result: TuneResult,
    trainer: StudyTrainer,
    hp: HyperParameters,
    cut: tuple[TrainingData, Folds],
    *,
    seed: int,
    engine: str,
) -> tuple[float, ...]:
    study = result.study
    objective = keras_tuner.Objective(study.objective, study.direction)
    plan = FitPlan(
        objective=objective,
        seed=seed,
        preprocessor=trainer.preprocessor,
        fit_kwargs={"verbose": 0, "epochs": study.max_epochs, **trainer.fit_kwargs},
        callbacks=trainer.callbacks,
    )
    outcome = evaluate(trainer.factory, hp, *cut, plan, engine=engine)
    selection: Any = study.epoch_selection
    score = aggregate(outcome.fits, objective, epoch_selection=selection)
    return score.splits[study.objective]


def _compared(
    result: TuneResult,
    candidates: Mapping[str, HyperParameters],
    scores: pd.DataFrame,
    share: float,
) -> RetestResult:
    study = result.study
    sign = 1.0 if study.direction == "max" else -1.0
    records = {record.trial_id: record for record in result.records}
    winner = next(iter(candidates))
    rows = []
    for name, hp in candidates.items():
        mine = scores[name].to_numpy(dtype=float)
        found = paired_difference(
            sign * mine, sign * scores[winner].to_numpy(), test_share=share
        )
        rows.append(_row(study.objective, name, records.get(name), mine, found, hp))
    frame = pd.DataFrame(rows)
    frame["old_rank"] = (-sign * frame["old_score"]).rank(method="min").astype("Int64")
    mean = frame[f"mean_{study.objective}"]
    frame["rank"] = (-sign * mean).rank(method="min").astype(int)
    return RetestResult(
        frame, scores, study.objective, study.direction, _tau(frame, study.objective)
    )


def _row(
    objective: str,
    name: str,
    record: TrialRecord | None,
    scores: np.ndarray,
    found: PairedDifference,
    hp: HyperParameters,
) -> dict[str, Any]:
    return {
        "trial": name,
        "old_score": np.nan if record is None else record.score,
        "old_rank": 0,
        f"mean_{objective}": float(np.mean(scores)),
        f"std_{objective}": float(np.std(scores)),
        "rank": 0,
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        **{f"param_{key}": value for key, value in hp.values.items()},
    }


def _tau(frame: pd.DataFrame, objective: str) -> float:
    known = frame[frame["old_score"].notna()]
    if len(known) < 3:
        return float("nan")
    return float(
        stats.kendalltau(known["old_score"], known[f"mean_{objective}"]).statistic
    )
