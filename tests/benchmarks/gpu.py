"""The engines on one device: a network of dense layers and one of convolutions.

    python tests/benchmarks/gpu.py

Every engine searches the same settings with 5 and with 10 folds, each in a process of
its own, in an order that turns with every round. Printed is a table for
tests/benchmarks/README.md, with the device and the versions above it: seconds of the
whole search, how many times faster than `model.fit` (`engine="reference"`), the most
memory taken on the GPU, and the best score, which must not depend on the engine.

`choose("auto")` is to follow this table. Without a GPU the numbers are the
processor's, and the heading says so.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

from cv_speed import ours, problem

ENGINES = ("reference", "compiled", "stacked")
PROBLEMS = ("digits_mlp", "fashion_cnn")


def run_one(engine: str, name: str, n_folds: int, trials: int) -> dict[str, float]:
    """Search once in this process."""
    import cv_speed
    import tensorflow as tf

    cv_speed.FOLDS = n_folds
    task = problem(name)
    start = time.perf_counter()
    score = ours(engine)(task, task.settings(trials))
    seconds = time.perf_counter() - start
    peak = 0.0
    if tf.config.list_physical_devices("GPU"):
        peak = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    return {"seconds": seconds, "peak_mb": peak, "score": score}


def run_apart(engine: str, name: str, n_folds: int, trials: int) -> dict[str, float]:
    """Search once in a process of its own."""
    given = ["--one", engine, "--problem", name, "--folds", n_folds, "--trials", trials]
    command = [sys.executable, __file__, *map(str, given)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{engine} on {name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def heading() -> str:
    """Name the device and the versions."""
    import keras
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in found]
    device = details[0].get("device_name", "GPU") if details else "NO GPU, a processor"
    return f"{device}; TensorFlow {tf.__version__}, Keras {keras.__version__}"


def compare(name: str, n_folds: int, trials: int, rounds: int) -> None:
    """Print the rows of one problem."""
    runs: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    for turn in range(rounds):
        for engine in ENGINES[turn:] + ENGINES[:turn]:
            runs[engine].append(run_apart(engine, name, n_folds, trials))
    middle = {e: statistics.median(r["seconds"] for r in runs[e]) for e in ENGINES}
    for engine, found in runs.items():
        print(
            f"| {name}, {n_folds} folds, {engine} | {middle[engine]:.1f} | "
            f"{middle['reference'] / middle[engine]:.1f} | "
            f"{max(run['peak_mb'] for run in found):.0f} | {found[0]['score']:.6g} |",
            flush=True,
        )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", nargs="+", default=list(PROBLEMS))
    parser.add_argument("--folds", nargs="+", type=int, default=[5, 10])
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        found = run_one(given.one, given.problem[0], given.folds[0], given.trials)
        print(json.dumps(found))
        return
    print(f"{heading()}; {given.trials} trials, {given.rounds} rounds\n")
    print("| | seconds | times faster | peak MB on the GPU | best score |")
    print("|---|---|---|---|---|")
    for name in given.problem:
        for n_folds in given.folds:
            compare(name, n_folds, given.trials, given.rounds)


if __name__ == "__main__":
    main()
