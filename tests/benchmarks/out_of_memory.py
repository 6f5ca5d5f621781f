"""Running out of memory on a GPU: what fails, and what goes on.

    python tests/benchmarks/out_of_memory.py                    # some minutes on a GPU
    python tests/benchmarks/out_of_memory.py --engine compiled --xla without

TensorFlow is given 3 GB of the GPU, in a process for each engine, with XLA and without.
A search tries four settings: a small network, one whose weights do not fit, one whose
outputs do not while it trains, and the small one again. Wanted are "completed, failed,
failed, completed", the first and the last with one score. XLA may fit the third in, for
it need not keep what it can compute again. Last come rows that do not fit: they are
to stay in the memory of the host, and a warning is to say so.

Without a GPU there is nothing to see (`--check` runs it all with small networks).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from typing import Any

import numpy as np

LIMIT_MB = 3000
N = 20_000
KINDS = ("small", "weights", "outputs", "small again")


def limited(*, check: bool) -> None:
    """Leave TensorFlow a part of the GPU."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus and not check:
        raise SystemExit("There is no GPU that TensorFlow could run out of.")
    for gpu in gpus:
        part = tf.config.LogicalDeviceConfiguration(LIMIT_MB)
        tf.config.set_logical_device_configuration(gpu, [part])


def wide(width: int, times: int) -> Any:
    """Make a layer that keeps wide outputs for its gradient, and returns a column."""
    import keras
    import tensorflow as tf

    class Wide(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            x = tf.tile(x, [1, width])
            for _ in range(times):
                x = tf.tanh(tf.cumsum(x, axis=1) * 1e-3)
            return tf.reduce_mean(x, axis=1, keepdims=True)

        def compute_output_shape(self, shape: Any) -> Any:
            return (shape[0], 1)

    return Wide()


def build(hp: Any, *, xla: bool, check: bool) -> Any:
    """Make one of the networks."""
    import keras

    large, width = (60, 20) if check else (40_000, 4_000)
    hidden = {
        "weights": lambda: [
            keras.layers.Dense(large, kernel_initializer="zeros") for _ in range(2)
        ],
        "outputs": lambda: [keras.layers.Dense(1), wide(width, 20)],
    }
    make = hidden.get(hp.Choice("kind", list(KINDS)))
    layers = make() if make else [keras.layers.Dense(64, activation="relu")]
    head = keras.layers.Dense(1, activation="sigmoid")
    model = keras.Sequential([keras.Input((1,)), *layers, head])
    model.compile("adam", "binary_crossentropy", jit_compile=xla)
    return model


def search(engine: str, *, xla: bool, check: bool) -> dict[str, Any]:
    """Search over the four settings in this process."""
    limited(check=check)
    import kttoolkit

    x = np.random.default_rng(0).normal(size=(N, 1)).astype("float32")
    y = (x[:, 0] > 0).astype("float32")
    with tempfile.TemporaryDirectory() as folder:
        result = kttoolkit.tune(
            lambda hp: build(hp, xla=xla, check=check), x, y,
            tuner=[{"kind": kind} for kind in KINDS], cv=2, max_epochs=2,
            batch_size=N // 2, objective="val_loss", seed=0, engine=engine, verbose=0,
            directory=folder,
        )  # fmt: skip
        trials = sorted(result.records, key=lambda record: record.trial_id)
        scores = [record.score for record in trials]
        return {
            "statuses": ", ".join(record.status for record in trials),
            "same score": scores[0] is not None and scores[0] == scores[-1],
            "reasons": [str(record.reason or "")[:120] for record in trials],
        }


def rows_too_large(*, check: bool) -> dict[str, Any]:
    """Train on rows of more than the limit, with the compiled engine."""
    limited(check=check)
    import keras

    import kttoolkit

    n_columns = 10 if check else 60_000
    x = np.random.default_rng(0).normal(size=(N, n_columns)).astype("float32")
    y = (x[:, 0] > 0).astype("float32")
    model = keras.Sequential([keras.Input((n_columns,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", jit_compile=False)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        kttoolkit.fit(model, x, y, batch_size=500, verbose=0)
    return {"told": [str(one.message) for one in told], "epochs": 1}


def apart(*given: str) -> str:
    """Run one case in a process of its own, and return what it says."""
    command = [sys.executable, __file__, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"the process ended with {done.returncode}: {done.stderr[-400:]!r}"
    return done.stdout.splitlines()[-1]


def main() -> None:
    """Read the command line and try."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--engine", nargs="+", default=["compiled", "stacked", "reference"]
    )
    parser.add_argument("--xla", nargs="+", default=["without", "with"])
    parser.add_argument("--check", action="store_true", help="small networks")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one == "rows":
        print(json.dumps(rows_too_large(check=given.check)))
        return
    if given.one:
        xla = given.xla == ["with"]
        print(json.dumps(search(given.one, xla=xla, check=given.check)))
        return
    check = ["--check"] if given.check else []
    for xla in given.xla:
        for engine in given.engine:
            found = apart("--one", engine, "--xla", xla, *check)
            print(f"{engine}, {xla} XLA: {found}", flush=True)
    print(f"rows: {apart('--one', 'rows', *check)}")


if __name__ == "__main__":
    main()
