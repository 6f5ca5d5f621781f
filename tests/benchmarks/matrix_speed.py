"""Never slower than `model.fit`: one cross-validated trial of every model of the tests.

    python tests/benchmarks/matrix_speed.py

Each layer, optimizer and model of tests/matrix.py is trained with 5 folds for 5 epochs
of 400 rows, by the reference and by the compiled engine, twice in turn; the first time
nothing is traced yet. Printed are seconds of the first time and the ratios of both.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras_tuner
import numpy as np
from matrix import LAYERS, MODELS, OPTIMIZERS, X, dense

from kttoolkit.cv import as_folds
from kttoolkit.data import as_training_data
from kttoolkit.engine import FitPlan, ModelFactory
from kttoolkit.evaluate import evaluate

N = 400


def seconds(engine: str, build: Callable[[], object], like: np.ndarray) -> float:
    """Train one trial, on rows drawn from the test's own."""
    rng = np.random.default_rng(0)
    x = like[rng.integers(len(like), size=N)]
    y = rng.integers(2, size=N).astype("float32")
    data = as_training_data(x, y, task="regression")
    hypermodel = keras_tuner.HyperModel()
    hypermodel.build = lambda hp: build()
    objective = keras_tuner.Objective("loss", "min")
    plan = FitPlan(objective, 0, fit_kwargs={"epochs": 5, "verbose": 0})
    factory, hp = ModelFactory(hypermodel), keras_tuner.HyperParameters()
    start = time.perf_counter()
    evaluate(factory, hp, data, as_folds(5, data, seed=0), plan, engine=engine)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    models = {name: (dense(*layers), X) for name, layers in LAYERS.items()}
    models |= {name: (dense(optimizer=make), X) for name, make in OPTIMIZERS.items()}
    models |= MODELS
    seconds("reference", *models["plain"])
    print("| | model.fit, s | compiled, s | first trial | next trial |")
    print("|---|---|---|---|---|")
    for name, (build, x) in models.items():
        plain, fast = (
            [seconds(engine, build, x) for _ in range(2)]
            for engine in ("reference", "compiled")
        )
        first, later = (a / b for a, b in zip(plain, fast, strict=True))
        row = f"| {name} | {plain[0]:.2f} | {fast[0]:.2f} | {first:.1f} x | {later:.1f} x |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
