"""Nested cross-validation: the score of the whole tuning, not of its winner."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kttoolkit._tune import tune
from kttoolkit.cv import Folds, as_folds
from kttoolkit.data import TrainingData, as_training_data, take
from kttoolkit.exceptions import CrossValidationError, SearchError
from kttoolkit.plain import shown, visible
from kttoolkit.results import TuneResult


@dataclass(frozen=True)
class NestedResult:
    """What the tuning as a whole is worth.

    Attributes:
        frame: one row an outer fold; columns `fold`, `inner_score` (the winner's mean
            over the inner folds), `outer_score` (the winner retrained and scored on
            rows that its search never saw), `n_train`, `n_test`, `epochs`, and
            `param_<name>` for the winner's hyperparameters.
        results: the search of each outer fold.
        objective: name of what was optimised.
        direction: "min" or "max".
    """

    frame: pd.DataFrame
    results: tuple[TuneResult, ...]
    objective: str
    direction: str

    @property
    def score(self) -> float:
        """Mean outer score: what to expect of the whole tuning on new rows."""
        return float(self.frame["outer_score"].mean())

    @property
    def std(self) -> float:
        """Standard deviation of the outer scores (as NumPy's)."""
        return float(self.frame["outer_score"].std(ddof=0))

    @property
    def optimism(self) -> float:
        """How much better the inner scores look, above 0 if they do."""
        gap = float((self.frame["inner_score"] - self.frame["outer_score"]).mean())
        return -gap if self.direction == "min" else gap

    def summary(self) -> str:
        """Return the outcome in a few lines of text.

        Returns:
            The unbiased score, the optimism, and what the folds chose.
        """
        inner = float(self.frame["inner_score"].mean())
        lines = [
            f"{self.objective} of the whole tuning: {self.score:.4f} ± {self.std:.4f} "
            f"over {len(self.frame)} outer folds",
            f"the searches themselves said {inner:.4f}, which is "
            f"{abs(self.optimism):.4f} too "
            f"{'good' if self.optimism > 0 else 'modest'}",
        ]
        names = [c for c in map(str, self.frame) if c.startswith("param_")]
        for name in names:
            chosen = ", ".join(_shown(value) for value in self.frame[name])
            lines.append(f"{name.removeprefix('param_')}: {chosen}")
        return "\n".join(map(visible, lines))

    def __repr__(self) -> str:
        return f"<NestedResult {self.summary()}>"


def nested_cross_validate(
    build: Any,
    x: Any,
    y: Any = None,
    *,
    outer: Any = 5,
    inner: Any = 3,
    groups: Any = None,
    sample_weight: Any = None,
    task: str | None = None,
    seed: int = 0,
    directory: str | Path = "studies",
    project_name: str = "nested",
    resume: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> NestedResult:
    """Score the whole tuning: search in the inner folds, score on the outer ones.

    The best score of a search is the highest of many, and so too good; the more
    trials, the more. Here each outer fold's rows are set aside, a whole search runs
    on the others, and its winner, retrained, is scored on the rows set aside.

    Args:
        build: as in `kttoolkit.tune`.
        x: as in `kttoolkit.tune`, rows that can be indexed.
        y: their targets.
        outer: folds that are set aside one after the other; as `cv` of
            `kttoolkit.tune`. Five of them, as scikit-learn has it.
        inner: folds of each search. Three, since they cost outer times as much.
        groups: of shape (n_samples,), for group splitters, outer and inner.
        sample_weight: of shape (n_samples,); for training.
        task: "classification" or "regression", where neither loss nor y tell.
        seed: fixes everything; the searches of the outer folds differ in it.
        directory: where study folders are.
        project_name: the folder in it that holds a study an outer fold.
        resume: whether to go on with the studies of that name.
        overwrite: whether to delete them first.
        **options: other arguments of `kttoolkit.tune`, such as `tuner`.

    Returns:
        The unbiased score, the optimism of the inner one, and what each outer fold
        chose.

    Raises:
        SearchError: if an argument is decided here and not by the caller, or studies
            are to be both continued and started again.
        CrossValidationError: if the rows cannot be cut.

    Example:
        >>> import kttoolkit
        >>> pima = kttoolkit.datasets.load("pima_diabetes")
        >>> nested = kttoolkit.methods.nested_cross_validate(
        ...     kttoolkit.builders.mlp(tune="standard"),
        ...     pima.x,
        ...     pima.y,
        ...     tuner="random",
        ...     max_trials=10,
        ... )  # doctest: +SKIP
        >>> nested.score, nested.optimism  # doctest: +SKIP

    References:
        G. Cawley and N. Talbot, "On over-fitting in model selection and subsequent
        selection bias in performance evaluation", JMLR 11, 2010.
    """
    _check_options(options)
    if resume and overwrite:
        raise SearchError(
            "Studies are continued or started again, but got resume=True and "
            "overwrite=True. Leave one out; resume=True begins where there is none."
        )
    known = as_training_data(
        x,
        y,
        task=task,
        groups=groups,
        preprocessed_later=options.get("preprocessor") is not None,
    )
    folds = _outer_folds(outer, known, seed)
    parent = Path(directory) / project_name
    rows, results = [], []
    for number, fold in enumerate(folds):
        given = {"groups": groups, "sample_weight": sample_weight}
        result = tune(
            build,
            take(_indexable(x), fold.train),
            take(_indexable(y), fold.train),
            cv=inner,
            task=task,
            seed=_seed_of(seed, number),
            directory=parent,
            project_name=f"outer{number}",
            resume=resume and (parent / f"outer{number}").exists(),
            overwrite=overwrite,
            **{k: take(_indexable(v), fold.train) for k, v in given.items()},
            **options,
        )
        metrics = result.evaluate(
            take(_indexable(x), fold.test), take(_indexable(y), fold.test)
        )
        rows.append(_row(number, result, metrics, len(fold.train), len(fold.test)))
        results.append(result)
    study = results[0].study
    return NestedResult(
        pd.DataFrame(rows), tuple(results), study.objective, study.direction
    )


def _seed_of(seed: int, number: int) -> int:
    sequence = np.random.SeedSequence(seed, spawn_key=(number,))
    return int(sequence.generate_state(1)[0] >> 1)


def _outer_folds(outer: Any, known: TrainingData, seed: int) -> Folds:
    if not known.indexable or outer is None:
        raise CrossValidationError(
            "Nested folds need rows that can be indexed and a number of outer folds, "
            f"but got x of type {type(known.x).__name__} and outer={shown(outer)}."
        )
    return as_folds(outer, known, seed=seed)


def _check_options(options: Mapping[str, Any]) -> None:
    for name in ("cv", "test_size", "validation_data", "validation_split"):
        if options.get(name) is not None:
            raise SearchError(
                f"The outer folds say what is set aside, but got "
                f"{name}={shown(options[name])}. Use outer= and inner=."
            )


def _row(
    number: int,
    result: TuneResult,
    metrics: Mapping[str, float],
    n_train: int,
    n_test: int,
) -> dict[str, Any]:
    name = result.study.objective.removeprefix("val_")
    if name not in metrics:
        raise SearchError(
            f"The objective must be a metric that the model reports when it is "
            f"evaluated, but {shown(result.study.objective)} is not among "
            f"{sorted(metrics)}."
        )
    return {
        "fold": number,
        "inner_score": result.best_score,
        "outer_score": metrics[name],
        "n_train": n_train,
        "n_test": n_test,
        "epochs": result.best_epochs,
        **{f"param_{k}": v for k, v in result.best_values.items()},
    }


def _indexable(values: Any) -> Any:
    """Make an array of what cannot be indexed by an array of row numbers."""
    if values is None or hasattr(values, "iloc") or isinstance(values, Mapping):
        return values
    # Several inputs or outputs; a list of NumPy's numbers, of no dimension, is rows.
    is_list = isinstance(values, list | tuple) and len(values) > 0
    if is_list and len(getattr(values[0], "shape", ())):
        return list(values)
    return np.asarray(values)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
