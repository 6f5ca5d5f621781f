"""Programs that tests start as processes: a quick search, a worker of a search.

Usage: searching.py quick TUNER FOLDER | worker FOLDER TUNER | parallel FOLDER
"""

import contextlib
import os
import sys
import time
import warnings
import zlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def space(hp):
    hp.Float("a", 0.0, 1.0, step=0.1)
    hp.Choice("b", ["x", "y", "z"])
    if hp.Boolean("c"):
        with hp.conditional_scope("c", [True]):
            hp.Int("d", 1, 4)


def quick_tuner(kind, folder):
    """Make a tuner whose trials cost milliseconds and some of which fail."""
    from kttoolkit import tuners

    base = tuners.get(kind)

    class Quick(base):
        def run_trial(self, trial, *args, **kwargs):
            values = trial.hyperparameters.values
            known = repr(sorted((k, v) for k, v in values.items() if "id" not in k))
            number = zlib.crc32(known.encode())
            if number % 7 == 0:
                raise ValueError(f"unlucky {number}")
            return {"score": number / 2**32}

    limits = {
        "random": {"max_trials": 60},
        "bayesian": {"max_trials": 24, "num_initial_points": 15},
        "hyperband": {"max_epochs": 27, "hyperband_iterations": 2},
        "grid": {},
    }
    import keras_tuner

    return Quick(
        space,
        keras_tuner.Objective("score", "min"),
        seed=3,
        directory=folder,
        project_name="p",
        max_consecutive_failed_trials=10**6,
        **limits[kind],
    )


def table(tuner):
    """Return what a search found: id, values, status and score of every trial."""
    rows = []
    for trial in tuner.oracle.trials.values():
        values = dict(sorted(trial.hyperparameters.values.items()))
        rows.append((trial.trial_id, values, trial.status, trial.score))
    return sorted(rows, key=lambda row: row[0])


def worker(folder, tuner):
    """Take part in a search with folds, as chief or worker."""
    import numpy as np
    from conftest import build_binary

    import kttoolkit

    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = rng.normal(size=(40, 4)).astype("float32") + y[:, None]
    search = getattr(kttoolkit, tuner)(
        build_binary, "val_loss", max_trials=4, seed=0, cv=2,
        directory=folder, project_name="p",
    )  # fmt: skip
    search.search(x, y, epochs=1, verbose=0)


class Slow:
    """Made in `__main__`, as in a notebook; trials of some seconds."""

    def __new__(cls):
        import keras

        def wait(epoch, logs):
            time.sleep(0.05)

        return keras.callbacks.LambdaCallback(on_epoch_end=wait)


def parallel(folder):
    """Search with two trials at a time until someone stops it."""
    import numpy as np
    from conftest import build_binary

    import kttoolkit

    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = rng.normal(size=(40, 4)).astype("float32") + y[:, None]

    def build(hp):
        return build_binary(hp)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kttoolkit.tune(
            build, x, y, tuner="random", cv=2, max_trials=50, max_epochs=10, seed=0,
            callbacks=[Slow()], engine="reference", parallel=2, directory=folder,
            project_name="p", verbose=0,
        )  # fmt: skip


def main():
    what, *rest = sys.argv[1:]
    if what in {"worker", "parallel"}:
        globals()[what](*rest)
        return
    with contextlib.redirect_stdout(sys.stderr):
        quick_tuner(*rest).search(verbose=0)


if __name__ == "__main__":
    main()
