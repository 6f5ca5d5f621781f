"""The engines on one device: a network of dense layers and one of convolutions.

    python tests/benchmarks/engines.py                    # a quarter hour on a GPU
    python tests/benchmarks/engines.py --problem pima_mlp --folds 5 --xla without

Every engine trains the same settings with 5 and with 10 folds, each in a process of
its own: with XLA, which Keras uses on GPUs unless it is told otherwise, and without.
All settings of a search have the same number of units, so that the first trial shows
what tracing and compiling take, and the next ones what is left when there is nothing
to trace. With `model.fit` (`engine="reference"`) all trials take the same time; it
trains one. Convolutions are not stacked.

Printed is a table for tests/benchmarks/README.md, with the device and the versions
above it: seconds of the first trial and of the next one, how many times faster that is
than the first engine asked for (`model.fit`, unless told otherwise), the most memory
taken on the GPU, and the score of the first setting, which must not depend on the
engine. `choose("auto")` follows such tables (kttoolkit/engine/_measured.py). Without a
GPU the numbers are the processor's, and the heading says so.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import cv_speed

ENGINES = ("reference", "compiled", "stacked")
N_TRIALS = 3


def run_one(engine: str, name: str, n_folds: int, xla: str) -> dict[str, Any]:
    """Search once in this process."""
    import tensorflow as tf

    import kttoolkit

    cv_speed.FOLDS = n_folds
    task = cv_speed.problem(name)
    n_trials = 1 if engine == "reference" else N_TRIALS
    same = {name: task.space[name][-1] for name in ("units",) if name in task.space}
    settings = [{**one, **same} for one in task.settings(n_trials)]

    def build(hp: Any) -> Any:
        model = task.build(**settings[hp.Choice("number", list(range(n_trials)))])
        model.jit_compile = xla == "with"
        return model

    class Timed(kttoolkit.GridSearch):
        def run_trial(self, *args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            found = super().run_trial(*args, **kwargs)
            seconds.append(time.perf_counter() - start)
            return found

    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        tuner = Timed(
            build, kttoolkit.Objective("val_loss", "min"), cv=cv_speed.folds(task),
            engine=engine, directory=folder, seed=0,
        )  # fmt: skip
        tuner.search(
            task.x, task.y, epochs=task.epochs, batch_size=cv_speed.BATCH, verbose=0
        )
        scores = [tuner.oracle.trials[key].score for key in sorted(tuner.oracle.trials)]
    peak = 0.0
    if tf.config.list_physical_devices("GPU"):
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    return {
        "first": seconds[0],
        "next": statistics.median(seconds[1:] or seconds),
        "peak_mb": peak,
        "score": float(scores[0]),
    }


def run_apart(engine: str, name: str, n_folds: int, xla: str) -> dict[str, Any]:
    """Search once in a process of its own."""
    given = ["--one", engine, "--problem", name, "--folds", n_folds, "--xla", xla]
    command = [sys.executable, __file__, *map(str, given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{engine} on {name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def heading() -> str:
    """Name the device and the versions, in a process that does not keep the device."""
    code = """if True:
        import keras, tensorflow as tf
        found = tf.config.list_physical_devices("GPU")
        details = [tf.config.experimental.get_device_details(gpu) for gpu in found]
        device = details[0].get("device_name") if details else "NO GPU, a processor"
        print(f"{device}; TensorFlow {tf.__version__}, Keras {keras.__version__}")
    """
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def compare(name: str, n_folds: int, xla: str, engines: list[str]) -> None:
    """Print the rows of one problem; times are those of the first engine."""
    base = None
    for engine in engines:
        if engine == "stacked" and name not in cv_speed.PERCEPTRONS:
            continue
        found = run_apart(engine, name, n_folds, xla)
        base = base or found["first"]
        times = f"{base / found['first']:.1f}, {base / found['next']:.1f}"
        print(
            f"| {name}, {n_folds} folds, {xla} XLA, {engine} | {found['first']:.1f} | "
            f"{found['next']:.2f} | {times} | {found['peak_mb']:.0f} | "
            f"{found['score']:.4g} |",
            flush=True,
        )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    problems = ["digits_mlp", "fashion_cnn"]
    parser.add_argument("--problem", nargs="+", default=problems)
    parser.add_argument("--engine", nargs="+", default=list(ENGINES))
    parser.add_argument("--folds", nargs="+", type=int, default=[5, 10])
    parser.add_argument("--xla", nargs="+", default=["with", "without"])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        found = run_one(given.one, given.problem[0], given.folds[0], given.xla[0])
        print(json.dumps(found))
        return
    print(f"{heading()}; {N_TRIALS} trials, one round\n")
    print("| | first trial, s | next, s | times faster | peak MB on the GPU | score |")
    print("|---|---|---|---|---|---|")
    for n_folds in given.folds:
        for xla in given.xla:
            for name in given.problem:
                compare(name, n_folds, xla, given.engine)


if __name__ == "__main__":
    main()
