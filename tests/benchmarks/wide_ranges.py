"""Coarse to fine against one flat random search, where every range is wide.

    python tests/benchmarks/wide_ranges.py                     # half an hour
    python tests/benchmarks/wide_ranges.py --data auto_mpg --seeds 2

A network of two equal layers is searched over eight decades of the learning rate, nine
of L2 and 2 to 512 units, with 45 trials, five folds and 12 epochs: at random, or in
three rounds from coarse to fine. "Search" is the score of the search, "fresh" that of
the setting it found on new folds with new seeds; both at the epoch that is best on
average over the folds. Targets of regressions are brought to standard deviation 1.
"""

import argparse
import os
import tempfile
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from scipy.stats import wilcoxon
from sklearn.preprocessing import StandardScaler

import kttoolkit

SEEDS = {"auto_mpg": 6, "boston_housing": 8}
SEARCHES = {
    "flat": {"tuner": "random"},
    "fine": {"tuner": "coarse_to_fine", "rounds": 3},
}


def builder(n_columns: int) -> Any:
    """Return a build function for so many columns."""

    def build(hp: Any) -> keras.Model:
        rate = hp.Float("learning_rate", 1e-7, 10.0, sampling="log")
        factor = hp.Float("l2", 1e-9, 1.0, sampling="log")
        units = hp.Int("units", 2, 512, sampling="log")
        l2 = keras.regularizers.L2(factor)
        hidden = [
            keras.layers.Dense(units, "relu", kernel_regularizer=l2) for _ in range(2)
        ]
        model = keras.Sequential(
            [keras.Input((n_columns,)), *hidden, keras.layers.Dense(1)]
        )
        model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mse"])
        return model

    return build


def scores(name: str, seed: int, trials: int) -> list[float]:
    """Search in both ways and score what was found again.

    Args:
        name: of the data.
        seed: of the searches.
        trials: of each search.

    Returns:
        Flat: search, fresh; fine: search, fresh.
    """
    data = kttoolkit.datasets.load(name)
    build = builder(data.x.shape[1])
    y = ((data.y - data.y.mean()) / data.y.std()).astype("float32")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "cv": 5, "max_epochs": 12, "objective": "val_mse", "verbose": 0,
            "preprocessor": StandardScaler(), "directory": folder,
            "epoch_selection": "common",
        }  # fmt: skip
        for search in SEARCHES.values():
            result = kttoolkit.tune(
                build,
                data.x,
                y,
                seed=100 * seed,
                max_trials=trials,
                **search,
                **options,
            )
            again = kttoolkit.tune(
                build, data.x, y, seed=100 * seed + 50, tuner=[result.best_values],
                **options,
            )  # fmt: skip
            found += [result.best_score, again.best_score]
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=list(SEEDS), choices=list(SEEDS))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--trials", type=int, default=45)
    given = parser.parse_args()
    rows, all_gains = [], {"search": [], "fresh": []}
    print("| data | score | flat | coarse to fine | less loss | better | equal |")
    print("|---|---|---|---|---|---|---|")
    for name in given.data:
        count = given.seeds or SEEDS[name]
        rows = np.array([scores(name, seed, given.trials) for seed in range(count)])
        for place, score in enumerate(all_gains):
            flat, fine = rows[:, place], rows[:, 2 + place]
            gains = 1 - fine / flat
            all_gains[score] += gains.tolist()
            print(
                f"| {name} | {score} | {flat.mean():.4f} ± {flat.std(ddof=1):.4f} "
                f"| {fine.mean():.4f} ± {fine.std(ddof=1):.4f} | {gains.mean():+.1%} "
                f"| {(gains > 0).sum()} of {count} | {(gains == 0).sum()} |",
                flush=True,
            )
    for score, gains in all_gains.items():
        p = wilcoxon(gains, alternative="greater").pvalue
        print(f"{score}: {np.mean(gains):+.1%} in {len(gains)} searches, p = {p:.3f}")


if __name__ == "__main__":
    main()
