"""Memory over a hundred trials, each a graph of its own: it must not grow.

    python tests/benchmarks/memory.py --engine compiled

Printed is the memory of the process, and of the GPU where there is one, after every
tenth trial. What is kept on purpose is bounded: the last 16 traced graphs.
"""

import argparse
import tempfile
from typing import Any

import keras
import numpy as np
import psutil
import tensorflow as tf

import kttoolkit
from kttoolkit.trackers import Tracker

N_TRIALS = 100


class Watch(Tracker):
    """Prints what every tenth trial leaves behind."""

    def __init__(self) -> None:
        self.ended = 0

    def trial_ended(self, record: Any) -> None:
        self.ended += 1
        if self.ended % 10:
            return
        shown = f"| {self.ended} | {psutil.Process().memory_info().rss / 2**20:.0f} |"
        if tf.config.list_physical_devices("GPU"):
            now = tf.config.experimental.get_memory_info("GPU:0")["current"]
            shown += f" {now / 2**20:.0f} |"
        print(shown, flush=True)


def build(hp: Any) -> keras.Model:
    """A network of another width in every trial, so that every trial is traced."""
    units = hp.Int("units", 16, 16 + N_TRIALS - 1)
    layers = [
        keras.Input((20,)),
        keras.layers.Dense(units, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", "binary_crossentropy")
    return model


def main() -> None:
    """Search."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="compiled")
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 20)).astype("float32")
    y = (x[:, 0] > 0).astype("int64")
    print("| trials | MB of the process | MB on the GPU |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        kttoolkit.tune(
            build, x, y, tuner="grid", cv=3, max_epochs=2, verbose=0, directory=folder,
            engine=given.engine, trackers=[Watch()],
        )  # fmt: skip


if __name__ == "__main__":
    main()
