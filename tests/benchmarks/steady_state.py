"""Milliseconds an epoch, once everything is traced: the distance to the limit.

    python tests/benchmarks/steady_state.py

One multilayer perceptron (64-64-64-10, Adam, batches of 32) on the digits, trained by
`model.fit`, by the compiled engine, by the compiled engine with
`compile(jit_compile=True)`, and by the same steps written by hand for XLA. Rounds are
interleaved; printed is the median of the rounds. An epoch is 45 batches, and then 450
of the same rows ten times over, where what it costs beside its batches counts less.
"""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from by_hand import Network
from sklearn.datasets import load_digits

import kttoolkit

UNITS, BATCH, ROUNDS, EPOCHS = 64, 32, 7, 10


def data() -> tuple[np.ndarray, np.ndarray]:
    """Return pixels of shape (1437, 64) and classes of shape (1437,)."""
    x, y = load_digits(return_X_y=True)
    return (x[:1437] / 16).astype("float32"), y[:1437].astype("int64")


def build(*, jit: bool) -> keras.Model:
    """Build and compile the network."""
    hidden = [keras.layers.Dense(UNITS, activation="relu") for _ in range(3)]
    head = keras.layers.Dense(10, activation="softmax")
    model = keras.Sequential([keras.Input((64,)), *hidden, head])
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=jit
    )
    return model


def with_keras(x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """Return a function that trains with `model.fit`."""
    model = build(jit=False)
    return lambda: model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)


def with_engine(x: np.ndarray, y: np.ndarray, *, jit: bool) -> Callable[[], Any]:
    """Return a function that trains with `kttoolkit.fit`."""
    model = build(jit=jit)
    return lambda: kttoolkit.fit(
        model, x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0
    )


def by_hand(x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """Return a function that trains with TensorFlow's operations alone, under XLA."""
    network = Network([64, UNITS, UNITS, UNITS, 10], "classification", BATCH)
    network.reset(0)
    pixels, classes = tf.constant(x), tf.constant(y)
    order = tf.constant(np.random.default_rng(0).permutation(len(x)).astype("int32"))
    return lambda: [network.train(pixels, classes, order, 1e-3) for _ in range(EPOCHS)]


def compare(x: np.ndarray, y: np.ndarray) -> None:
    """Measure every way on the same rows, and print."""
    ways = {
        "model.fit": with_keras(x, y),
        "compiled": with_engine(x, y, jit=False),
        "compiled, jit_compile=True": with_engine(x, y, jit=True),
        "XLA by hand": by_hand(x, y),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 1):
        for name, train in ways.items():
            start = time.perf_counter()
            train()
            if turn:
                found[name].append((time.perf_counter() - start) * 1e3 / EPOCHS)
    limit = statistics.median(found["XLA by hand"])
    n_batches = -(-len(x) // BATCH)
    print(f"| epochs of {n_batches} batches | ms an epoch | times the limit |")
    print("|---|---|---|")
    for name, times in found.items():
        middle = statistics.median(times)
        print(f"| {name} | {middle:.1f} | {middle / limit:.1f} |")


def main() -> None:
    """Compare short epochs and long ones."""
    x, y = data()
    compare(x, y)
    compare(np.tile(x, (10, 1)), np.tile(y, 10))


if __name__ == "__main__":
    main()
