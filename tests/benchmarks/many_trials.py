"""How fast is a large study opened, looked at and reported?

    python tests/benchmarks/many_trials.py            # 2000 trials x 5 folds, a minute

Writes a study of random trials with a made-up score (30 epochs, four metrics), opens
it in a fresh process, and prints seconds for opening, for every picture and for the
report, with the size of the page. TensorFlow must not be loaded by any of it.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

EPOCHS, FOLDS = 30, 5
METRICS = ("accuracy", "loss", "val_accuracy", "val_loss")

LOOK = """
import os, sys, time
os.environ["MPLBACKEND"] = "Agg"
start = time.perf_counter()
import kttoolkit
result = kttoolkit.load_result(sys.argv[1])
result.trials, result.best_trial
print(f"open and table: {time.perf_counter() - start:.2f} s", flush=True)
import matplotlib.pyplot as plt
for name in ("history", "slice", "contours", "parallel_coordinates", "curves", "folds",
             "gap", "timeline", "importance"):
    start = time.perf_counter()
    drawn = getattr(result.plot, name)()
    (drawn[0] if isinstance(drawn, list) else drawn).figure.canvas.draw()
    plt.close("all")
    print(f"{name}: {time.perf_counter() - start:.2f} s", flush=True)
start = time.perf_counter()
path = result.report(sys.argv[2])
print(f"report: {time.perf_counter() - start:.2f} s, {path.stat().st_size / 1e6:.1f} MB")
assert "tensorflow" not in sys.modules
"""


@dataclass(frozen=True)
class Trial:
    """A made-up trial.

    Attributes:
        values: hyperparameters.
        score: of each fold at the last epoch.
    """

    values: dict[str, Any]
    score: np.ndarray


def write(folder: Path, n_trials: int) -> None:
    """Write a study.

    Args:
        folder: of the study.
        n_trials: how many.
    """
    from kttoolkit import HyperParameters, space
    from kttoolkit.files import write_json
    from kttoolkit.results import Study, TrialRecord
    from kttoolkit.scoring import FoldFit

    study = Study("RandomSearch", "val_accuracy", "max", 0, "StratifiedKFold(5)", FOLDS,
                  task="binary", classes=(0, 1), n_samples=768,
                  max_epochs=EPOCHS)  # fmt: skip
    folder.mkdir(parents=True)
    study.write(folder)
    rng = np.random.default_rng(0)
    for number in range(n_trials):
        hp = HyperParameters()
        for ask in (space.learning_rate, space.momentum, space.units, space.depth,
                    space.dropout, space.activation, space.initializer):  # fmt: skip
            ask(hp)
        for place, entry in enumerate(hp.space):
            hp.values[entry.name] = entry.random_sample(1000 * number + place)
        off = np.log10(hp.values["learning_rate"]) + 2
        score = 0.8 - 0.04 * off**2 + 0.02 * rng.normal(size=FOLDS)
        fits = tuple(
            FoldFit(
                k, k, 0, k, {m: _curve(score[k], m) for m in METRICS}, n_train=614,
                n_test=154, seconds=1.0, n_parameters=1000,
            )
            for k in range(FOLDS)
        )  # fmt: skip
        splits = {m: tuple(fit.history[m][-1] for fit in fits) for m in METRICS}
        trial = folder / f"trial_{number:04}"
        trial.mkdir()
        TrialRecord(
            f"{number:04}", dict(hp.values), "completed", seconds=5.0,
            ended=1.7e9 + 6 * number, objective="val_accuracy", direction="max",
            metrics={m: float(np.mean(v)) for m, v in splits.items()}, splits=splits,
            epochs=(EPOCHS,) * FOLDS, fits=fits,
        ).write(trial)  # fmt: skip
        write_json(trial / "trial.json", {"hyperparameters": hp.get_config()})


def _curve(last: float, metric: str) -> tuple[float, ...]:
    rising = last - np.linspace(0.3, 0.0, EPOCHS)
    return tuple(float(v) for v in (rising if "acc" in metric else 1 - rising))


def main() -> None:
    """Write, look, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "study"
        write(folder, options.trials)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(
            f"{options.trials} trials x {FOLDS} folds, {size / 1e6:.0f} MB", flush=True
        )
        page = str(Path(place) / "report.html")
        subprocess.run([sys.executable, "-c", LOOK, str(folder), page], check=True)


if __name__ == "__main__":
    main()
