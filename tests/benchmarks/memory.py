"""Memory, open files and disk over hundreds of trials in one process.

    python tests/benchmarks/memory.py                         # 300 trials, ten minutes
    python tests/benchmarks/memory.py --trials 100 --engines compiled

Every trial is a network of another width, so that each has a graph of its own. Three
folds of it are trained by each engine; then Keras Tuner trains the same networks once
each, as it does. Every contender has a process of its own. Printed is what the process
holds after every thirtieth trial, and the growth a trial from the thirtieth on. What
kttoolkit keeps on purpose is bounded: the last 16 traced graphs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
STEP = 30
PEER = "keras-tuner"


class Watch:
    """Prints what is held after every thirtieth trial."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.ended = 0
        self.held: list[float] = []

    def trial_ended(self) -> None:
        """Count a trial, and look."""
        import psutil
        import tensorflow as tf

        self.ended += 1
        if self.ended % STEP:
            return
        process = psutil.Process()
        self.held.append(process.memory_info().rss / 2**20)
        disk = sum(p.stat().st_size for p in self.folder.rglob("*") if p.is_file())
        shown = f"| {self.ended} | {self.held[-1]:.0f} | {process.num_fds()} "
        shown += f"| {disk / 2**20:.1f} |"
        if tf.config.list_physical_devices("GPU"):
            now = tf.config.experimental.get_memory_info("GPU:0")["current"]
            shown += f" {now / 2**20:.0f} MB on the GPU |"
        print(shown, flush=True)

    def growth(self) -> float:
        """Return MB a trial from the thirtieth trial on."""
        return (self.held[-1] - self.held[0]) / (self.ended - STEP)


def build(hp: Any) -> Any:
    """Make a network of another width in every trial."""
    import keras

    units = hp.Int("units", 16, 1015)
    layers = [
        keras.Input((20,)),
        keras.layers.Dense(units, activation="relu"),
        keras.layers.Dense(1, activation="sigmoid"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", "binary_crossentropy")
    return model


def data() -> tuple[Any, Any]:
    """Return 300 rows of 20 columns, and their classes."""
    import numpy as np

    x = np.random.default_rng(0).normal(size=(300, 20)).astype("float32")
    return x, (x[:, 0] > 0).astype("int64")


def ours(engine: str, n_trials: int, keep: str) -> None:
    """Search with kttoolkit."""
    import kttoolkit
    from kttoolkit.trackers import Tracker

    x, y = data()
    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(folder)
        tracker = Tracker()
        tracker.trial_ended = lambda record: watch.trial_ended()  # type: ignore[method-assign]
        kttoolkit.tune(
            build, x, y, tuner=[{"units": 16 + k} for k in range(n_trials)], cv=3,
            max_epochs=2, verbose=0, directory=folder, engine=engine,
            trackers=[tracker], objective="val_loss",
            keep_checkpoints=int(keep) if keep.isdigit() else keep,
        )  # fmt: skip
        print(f"{engine}: {watch.growth():.3f} MB a trial after the first {STEP}")


def peer(n_trials: int) -> None:
    """Search with Keras Tuner."""
    import keras_tuner

    x, y = data()

    class Watched(keras_tuner.GridSearch):
        def on_trial_end(self, trial: Any) -> None:
            super().on_trial_end(trial)
            watch.trial_ended()

    with tempfile.TemporaryDirectory() as folder:
        watch = Watch(folder)
        tuner = Watched(build, "val_loss", n_trials, directory=folder)
        tuner.search(x[:200], y[:200], validation_data=(x[200:], y[200:]), epochs=2,
                     verbose=0)  # fmt: skip
        print(f"{PEER}: {watch.growth():.3f} MB a trial after the first {STEP}")


def main() -> None:
    """Run every contender in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--engines", nargs="+", default=["compiled", "reference", PEER])
    parser.add_argument("--keep", default="1", help="keep_checkpoints")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one == PEER:
        peer(given.trials)
    elif given.one:
        ours(given.one, given.trials, given.keep)
    else:
        for engine in given.engines:
            print(f"\n{engine}\n\n| trials | MB | open files | MB on disk |\n|---|---|---|---|",
                  flush=True)  # fmt: skip
            subprocess.run(
                [sys.executable, __file__, "--one", engine, "--keep", given.keep,
                 "--trials", str(given.trials)], check=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
