"""TensorFlow's two executors: how large a network runs faster in one thread.

    python tests/benchmarks/executors.py

Perceptrons of three equal layers and LSTMs of several sizes are trained on the digits
with batches of several sizes, alone and two at a time, with the pool of threads and in
one thread. The limits in kttoolkit/engine/_executor.py lie between the last size that
gained and the first that lost. Printed are milliseconds an epoch and training, the
median of the rounds.
"""

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.datasets import load_digits

from kttoolkit.engine import _epoch
from kttoolkit.engine._call import FitCall, training_rows
from kttoolkit.engine._program import Program
from kttoolkit.engine._tensorflow import ONE_THREAD, POOL

ROUNDS, EPOCHS = 3, 3
CASES = [
    *[("dense", units, 8) for units in (64, 192, 256)],
    *[("dense", units, 32) for units in (64, 128, 256)],
    *[("dense", units, 128) for units in (64, 128)],
    *[("dense", units, 512) for units in (16, 64)],
    *[("lstm", units, 32) for units in (32, 128)],
]


def build(kind: str, units: int) -> keras.Model:
    """Build and compile a network for 64 pixels or 8 rows of 8."""
    layers = keras.layers
    if kind == "lstm":
        body = [layers.Reshape((8, 8)), layers.LSTM(units)]
    else:
        body = [layers.Dense(units, activation="relu") for _ in range(3)]
    head = layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input((64,)), *body, head])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def epoch(kind: str, units: int, batch_size: int, executor: str) -> Callable[[], Any]:
    """Return a call that trains one epoch, traced already."""
    x, y = load_digits(return_X_y=True)
    call = FitCall.of((x.astype("float32") / 16, y), {"batch_size": batch_size})
    rows, model = training_rows(call), build(kind, units)
    _epoch.executor_for = lambda *_: executor
    program = Program(model, rows, None)
    order = np.arange(rows.n_samples, dtype="int32")
    with program.seat(model) as seat:
        job = program.train(seat, rows, order)
    job()
    return job


def milliseconds(jobs: list[Callable[[], Any]]) -> float:
    """Run jobs at the same time, each for some epochs."""
    start = time.perf_counter()
    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(lambda job: [job() for _ in range(EPOCHS)], jobs))
    return (time.perf_counter() - start) * 1e3 / EPOCHS / len(jobs)


def main() -> None:
    """Measure and print."""
    print("| | pool | one thread | pool, pairs | one thread, pairs |")
    print("|---|---|---|---|---|")
    for case in CASES:
        pairs = [[epoch(*case, way) for _ in range(2)] for way in (POOL, ONE_THREAD)]
        ways = [pair[:1] for pair in pairs] + pairs
        found = [[milliseconds(way) for way in ways] for _ in range(ROUNDS)]
        middle = [statistics.median(column) for column in zip(*found, strict=True)]
        name = "{} {}, batches of {}".format(*case)
        print(f"| {name} | " + " | ".join(f"{ms:.1f}" for ms in middle) + " |")


if __name__ == "__main__":
    main()
