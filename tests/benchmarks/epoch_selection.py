"""Which rule for the epoch keeps its promise on rows that no trial saw?

    python tests/benchmarks/epoch_selection.py                       # a quarter hour
    python tests/benchmarks/epoch_selection.py --data pima_diabetes --seeds 2

Twelve random trials of a dense network are scored by five folds on 70 % of the rows. Of
the same trials, one is chosen by `epoch_selection="per_fold"` (every fold at its best
epoch) and one by "common" (the epoch that is best on average). Both are retrained on
all of those rows, for as many epochs as their rule says, and scored on the other 30 %.

"Promise" is how much better the folds' score was than the one on the untouched rows;
"gain" is how much better "common" scored there than "per_fold", paired over the seeds.
"""

import argparse
import os
import tempfile
from dataclasses import dataclass, replace
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_tuner
import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import kttoolkit
from kttoolkit import builders
from kttoolkit.scoring import EPOCH_SELECTIONS, aggregate

DATA = ("pima_diabetes", "boston_housing", "auto_mpg")
LEVELS = ("essential", "standard")
TEST_SHARE = 0.3


@dataclass(frozen=True)
class Chosen:
    """What a rule chose.

    Attributes:
        promised: score over the folds.
        kept: score on the untouched rows.
    """

    promised: float
    kept: float


def searched(name: str, level: str, seed: int, folder: str) -> tuple[Any, Any, Any]:
    """Search on a part of the rows.

    Args:
        name: of the data.
        level: how much is searched.
        seed: of the cut and of the search.
        folder: for the study.

    Returns:
        The result, and the rows that were left out with their targets.
    """
    data = kttoolkit.datasets.load(name)
    classes = data.y if data.task != "regression" else None
    seen, unseen, y, y_unseen = train_test_split(
        np.asarray(data.x), np.asarray(data.y), test_size=TEST_SHARE,
        random_state=seed, stratify=classes,
    )  # fmt: skip
    result = kttoolkit.tune(
        builders.mlp(tune=level), seen, y, tuner="random", cv=5, max_trials=12,
        max_epochs=30, seed=seed, preprocessor=StandardScaler(), directory=folder,
        project_name=f"{name}-{level}-{seed}", verbose=0,
    )  # fmt: skip
    return result, unseen, y_unseen


def chosen(result: Any, rule: Any, x: Any, y: Any) -> Chosen:
    """Choose a trial by a rule, retrain it, and score it.

    Args:
        result: of the search.
        rule: for the epoch.
        x: untouched rows.
        y: their targets.

    Returns:
        What was promised and what was kept.
    """
    study = result.study
    objective = keras_tuner.Objective(study.objective, study.direction)
    records = []
    for record in result.records:
        score = aggregate(record.fits, objective, epoch_selection=rule)
        records.append(
            replace(
                record, metrics=dict(score.means), splits=dict(score.splits),
                epochs=score.epochs,
            )
        )  # fmt: skip
    again = replace(result, records=tuple(records))
    model, scaler = again.fit_best(return_preprocessor=True)
    inputs = np.asarray(scaler.transform(x), dtype="float32")
    scores = model.evaluate(inputs, y, verbose=0, return_dict=True)
    return Chosen(again.best_score, scores[study.objective.removeprefix("val_")])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+", default=DATA)
    parser.add_argument("--seeds", type=int, default=8)
    options = parser.parse_args()
    print("| data | tune | rule | promise | on untouched rows | gain | better |")
    print("|---|---|---|---|---|---|---|")
    for name in options.data:
        for level in LEVELS:
            report(name, level, options.seeds)


def report(name: str, level: str, n_seeds: int) -> None:
    """Print two rows of the table.

    Args:
        name: of the data.
        level: how much is searched.
        n_seeds: how many searches.
    """
    found: dict[str, list[Chosen]] = {rule: [] for rule in EPOCH_SELECTIONS}
    sign = 1.0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(n_seeds):
            result, x, y = searched(name, level, seed, folder)
            sign = 1.0 if result.study.direction == "max" else -1.0
            for rule, rows in found.items():
                rows.append(chosen(result, rule, x, y))
    base = np.array([one.kept for one in found["per_fold"]])
    for rule, rows in found.items():
        kept = np.array([one.kept for one in rows])
        promise = sign * (np.array([one.promised for one in rows]) - kept)
        gain = sign * (kept - base)
        told = (
            f"{gain.mean():+.4g} ± {gain.std():.4g} | {(gain > 0).sum()} of {n_seeds}"
        )
        told = " | " if rule == "per_fold" else told
        print(
            f"| {name} | {level} | {rule} | {promise.mean():+.4g} | {kept.mean():.4g} "
            f"± {kept.std():.4g} | {told} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
