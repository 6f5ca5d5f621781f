"""Whether tuning pays: against the untuned default, and coarse to fine against flat.

    python tests/benchmarks/tuning_pays.py                        # half an hour
    python tests/benchmarks/tuning_pays.py --quick                # two minutes
    python tests/benchmarks/tuning_pays.py --data auto_mpg --objective val_mae

Dense networks (`builders.mlp(tune="standard")`) are searched with 20 random trials and
compared with the same builder's default setting. On Pima and Boston, three rounds from
coarse to fine are then compared with one flat random search of as many trials, from the
builder's own ranges and with a learning rate from 1e-6 to 10.

The best of many scores flatters the trial that has it. So three scores are printed:
"search" is that of the search; "fresh" is of the same settings on new folds with new
seeds, at each fold's best epoch, as a search scores; "fresh, epochs fixed" is of the
same trainings after as many epochs as the search had found best, as `fit_best` would
train. Folds are fresh, rows are not: settings were chosen on the same rows in other
splits, so that even these scores are kind to them.

Each score is the mean over the folds (of all repeats), printed as mean ± standard
deviation over the seeds of the search. "Gain" is the difference to what it is compared
with, above 0 where it is better, paired over seeds. Columns are scaled inside the
folds. The targets of regressions are brought to mean 0 and standard deviation 1 (with
those of all rows, the same for every setting), so that their loss is a share of the
variance; `--raw` leaves them as they are.
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import platform
import tempfile
import time
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

SEEDS = {"pima_diabetes": 10, "boston_housing": 10, "auto_mpg": 5, "digits": 4}
COMPARED = ("pima_diabetes", "boston_housing")
WIDE = (1e-6, 10.0)
SEEDS_APART = 1000
SCORES = ("search", "fresh", "fresh, epochs fixed")


@dataclass(frozen=True)
class Job:
    """All searches of one data set with one seed.

    Attributes:
        data: name of the data set.
        seed: of the searches.
        trials: of each search.
        epochs: of each training.
        repeats: how often settings are scored on fresh folds.
        objective: what is optimised; None for `tune`'s default.
        epoch_selection: as in `tune`.
        is_raw: whether targets of regressions stay as they are.
        is_compared: whether to search from coarse to fine as well.
    """

    data: str
    seed: int
    trials: int
    epochs: int
    repeats: int
    objective: str | None
    epoch_selection: str
    is_raw: bool
    is_compared: bool

    def searches(self) -> dict[str, dict[str, Any]]:
        """Return arguments of `tune` for each search, by its name."""
        flat = {"tuner": "random", "max_trials": self.trials}
        finer = {"tuner": "coarse_to_fine", "rounds": 3, "max_trials": self.trials}
        found = {"default": {"tuner": [{}]}, "flat": flat}
        if self.is_compared:
            wide = {"is_wide": True}
            found |= {"finer": finer, "flat wide": flat | wide}
            found |= {"finer wide": finer | wide}
        return found


def run(job: Job) -> list[dict[str, Any]]:
    """Search, score again on fresh folds, and return a row for each search."""
    warnings.filterwarnings("ignore", module="keras_tuner")
    with tempfile.TemporaryDirectory() as folder:
        results = {
            name: tuned(job, folder, seed=job.seed, **options)
            for name, options in job.searches().items()
        }
        settings = [result.best_values for result in results.values()]
        epochs = [result.best_epochs for result in results.values()]
        fresh = []
        for repeat in range(job.repeats):
            seed = job.seed + SEEDS_APART // 2 + repeat
            again = tuned(job, folder, seed=seed, tuner=settings)
            fresh.append(scored_again(again, epochs))
    means = np.mean(fresh, axis=0)
    return [
        {
            "data": job.data,
            "seed": job.seed,
            "name": name,
            "objective": result.study.objective,
            "direction": result.study.direction,
            **dict(zip(SCORES, (result.best_score, *mean), strict=True)),
            "epochs": result.best_epochs,
            "failed": int(result.failures.sum()),
            **result.best_values,
        }
        for (name, result), mean in zip(results.items(), means, strict=True)
    ]


def tuned(
    job: Job, folder: str, *, seed: int, is_wide: bool = False, **options: Any
) -> Any:
    """Run one search."""
    from sklearn.preprocessing import StandardScaler

    import kttoolkit

    data = kttoolkit.datasets.load(job.data)
    y = data.y
    if data.task == "regression" and not job.is_raw:
        y = ((y - y.mean()) / y.std()).astype("float32")
    if is_wide:
        space = kttoolkit.HyperParameters()
        low, high = WIDE
        space.Float("learning_rate", low, high, sampling="log", default=1e-3)
        options["hyperparameters"] = space
    return kttoolkit.tune(
        kttoolkit.builders.mlp(tune="standard"),
        data.x,
        y,
        cv=5,
        max_epochs=job.epochs,
        objective=job.objective,
        epoch_selection=job.epoch_selection,
        preprocessor=StandardScaler(),
        seed=seed,
        directory=folder,
        verbose=0,
        **options,
    )


def scored_again(result: Any, epochs: list[int]) -> list[tuple[float, float]]:
    """Score each setting at its folds' best epochs, and after a number of epochs."""
    curves, scores = result.curves, []
    for record, epoch in zip(result.records, epochs, strict=True):
        is_there = (curves["trial"] == record.trial_id) & (curves["epoch"] == epoch)
        fixed = curves.loc[is_there, result.study.objective].mean()
        scores.append((record.score, float(fixed)))
    return scores


# -- tables ---


def shown(values: pd.Series, sign: str = "") -> str:
    """Write mean ± standard deviation."""
    std = f" ± {values.std(ddof=1):.4f}" if len(values) > 1 else ""
    return f"{values.mean():{sign}.4f}{std}"


def compared(rows: pd.DataFrame, data: str, base: str, name: str) -> None:
    """Print a line for each score of two searches of one data set."""
    own = rows[rows["data"] == data]
    old, new = (own[own["name"] == n].set_index("seed") for n in (base, name))
    if not len(new):
        return
    direction = new["direction"].iloc[0]
    for score in SCORES:
        better = (
            new[score] - old[score] if direction == "max" else old[score] - new[score]
        )
        print(
            f"| {data}, {new['objective'].iloc[0]} ({direction}) | {score} "
            f"| {shown(old[score])} | {shown(new[score])} | {shown(better, '+')} "
            f"| {int((better > 0).sum())} of {len(better)} |"
        )


def table(title: str, first: str, second: str) -> None:
    """Print the head of a table."""
    print(f"\n{title}\n")
    print(f"| data | score | {first} | {second} | gain | better |")
    print("|---|---|---|---|---|---|")


def report(rows: pd.DataFrame) -> None:
    """Print all tables."""
    names = list(dict.fromkeys(rows["data"]))
    table("Tuned against untuned", "default", "best of the flat search")
    for data in names:
        compared(rows, data, "default", "flat")
    for title, suffix in (("own ranges", ""), ("wide range", " wide")):
        if f"finer{suffix}" not in set(rows["name"]):
            continue
        table(f"Coarse to fine, {title}", "flat search", "coarse to fine")
        for data in names:
            compared(rows, data, f"flat{suffix}", f"finer{suffix}")


def jobs(arguments: argparse.Namespace) -> list[Job]:
    """Return what is to be done, the costly searches first."""
    names = arguments.data or list(SEEDS)
    quick = arguments.quick
    return [
        Job(
            name, number * SEEDS_APART, 6 if quick else arguments.trials, 5 if quick else arguments.epochs,
            1 if quick else arguments.repeats, arguments.objective,
            arguments.epoch_selection, arguments.raw,
            name in COMPARED and not arguments.only_default,
        )
        for name in sorted(names, key=lambda name: name not in COMPARED)
        for number in range(2 if quick else arguments.seeds or SEEDS[name])
    ]  # fmt: skip


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=list(SEEDS))
    parser.add_argument("--seeds", type=int, help="for every data set")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--objective", help="such as val_loss")
    parser.add_argument("--epoch-selection", default="per_fold")
    parser.add_argument("--raw", action="store_true", help="targets not scaled")
    parser.add_argument("--only-default", action="store_true")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--csv", type=Path, help="where to keep every row")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    arguments, start, rows = parsed(), time.perf_counter(), []
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs, context) as pool:
        waiting = {pool.submit(run, job): job for job in jobs(arguments)}
        for done in concurrent.futures.as_completed(waiting):
            job = waiting[done]
            rows += done.result()
            seconds = time.perf_counter() - start
            print(f"{seconds:6.0f} s: {job.data}, seed {job.seed}", flush=True)
            if arguments.csv:
                pd.DataFrame(rows).to_csv(arguments.csv, index=False)
    packages = ("tensorflow", "keras", "keras-tuner", "scikit-learn")
    print(
        f"\n{os.cpu_count()} x {platform.machine()}, Python {platform.python_version()}"
    )
    print(", ".join(f"{name} {version(name)}" for name in packages))
    print(f"{time.perf_counter() - start:.0f} s in {arguments.jobs} processes")
    report(pd.DataFrame(rows).sort_values(["data", "seed"]))


if __name__ == "__main__":
    main()
