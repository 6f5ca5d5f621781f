"""The same seed, the same table: in fresh processes, on every engine, with failures."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
from conftest import build_binary

import kttoolkit
from kttoolkit.exceptions import SearchError

# Run by a process of its own: prints the tables of searches.
PROGRAM = """
import sys, json
sys.path.insert(0, sys.argv[1])
import numpy as np
from conftest import build_binary
import kttoolkit
from kttoolkit import builders
kinds, engine, folder = sys.argv[2:5]
rng = np.random.default_rng(0)
y = np.array(["yes", "no"])[np.arange(48) % 2]
x = (rng.normal(size=(48, 4)) + (y == "yes")[:, None]).astype("float32")
more = {"random": {"max_trials": 4}, "bayesian": {"max_trials": 4}, "hyperband": {}}
told = {}
for kind in kinds.split():
    result = kttoolkit.tune(
        builders.mlp(tune=["learning_rate", "dropout", "activation"], units=8, depth=1),
        x, y, tuner=kind, cv=2, max_epochs=3, seed=5, batch_size=16, engine=engine,
        directory=folder, verbose=0, test_size=0.25, project_name=kind, **more[kind],
    )
    table = result.trials.drop(columns=["seconds"])
    told[kind] = {
        "table": json.loads(table.to_json(orient="split", double_precision=15)),
        "test": result.test_metrics, "epochs": result.best_epochs,
    }
print(json.dumps(told))
"""


def search(kinds, engine, folder, hash_seed):
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(Path(__file__).parent), kinds, engine,
         str(folder)],
        env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_fresh_processes_find_the_same(tmp_path):
    """Nothing hangs on the order of a set or a dict: other hash seeds, same table."""
    kinds = "random bayesian hyperband"
    first = search(kinds, "auto", tmp_path / "first", 1)
    again = search(kinds, "auto", tmp_path / "again", 2)
    assert first == again
    for kind in kinds.split():
        assert len(first[kind]["table"]["data"]) >= 4


@pytest.mark.slow
def test_both_engines_find_the_same(tmp_path):
    """Numbers of either engine agree to 32-bit rounding; names and ranks exactly."""
    fast = search("random", "compiled", tmp_path / "fast", 3)["random"]
    slow = search("random", "reference", tmp_path / "slow", 4)["random"]
    one, other = (
        pd.DataFrame(told["table"]["data"], columns=told["table"]["columns"])
        for told in (fast, slow)
    )
    pd.testing.assert_frame_equal(one, other, rtol=1e-5, atol=1e-6)
    for name, value in fast["test"].items():
        assert value == pytest.approx(slow["test"][name], rel=1e-5)


# -- with failures ---


def unlucky(hp):
    """Return where a setting fails, if it does; the default, which is tried before
    anything is trained, does not."""
    number = int(1e6 * hp.get("learning_rate")) % 10
    return {1: "build", 2: "callback", 3: "metric"}.get(number)


class Breaks(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise OSError("the callback's disk is full")


class Broken(keras.metrics.Metric):
    def update_state(self, *args, **kwargs):
        raise RuntimeError("the metric cannot be computed")

    def result(self):
        return 0.0


class Unlucky(keras_tuner.HyperModel):
    """Of all settings about a third fail, each in its own way."""

    def build(self, hp):
        model = build_binary(hp)
        where = unlucky(hp)
        if where == "build":
            raise ValueError("this setting makes no model")
        if where == "metric":
            model.compile("sgd", "binary_crossentropy", metrics=[Broken()])
        return model

    def fit(self, hp, model, *args, **kwargs):
        if unlucky(hp) == "callback":
            kwargs["callbacks"] = [*kwargs.get("callbacks", ()), Breaks()]
        return model.fit(*args, **kwargs)


@pytest.mark.fault
@pytest.mark.slow
def test_a_third_of_the_trials_fails_and_the_others_are_as_without(blobs, tmp_path):
    """Failures are counted by reason, and change nothing of what else is found."""
    options = {
        "tuner": "random", "cv": 2, "max_epochs": 2, "seed": 2, "verbose": 0,
        "directory": tmp_path, "batch_size": 16, "max_trials": 20,
        "objective": "val_loss",
    }  # fmt: skip
    whole = kttoolkit.tune(build_binary, *blobs, **options)
    some = kttoolkit.tune(Unlucky(), *blobs, **options)
    failed = some.trials["status"] == "failed"
    assert 4 <= failed.sum() <= 10
    assert some.failures.sum() == failed.sum()
    assert len(some.failures) >= 2
    columns = ["trial", "mean_val_loss", "split0_val_loss", "split1_val_loss",
               "param_units", "param_learning_rate"]  # fmt: skip
    pd.testing.assert_frame_equal(
        some.trials.loc[~failed, columns], whole.trials.loc[~failed, columns]
    )
    proposed = ["trial", "param_units", "param_learning_rate"]
    pd.testing.assert_frame_equal(some.trials[proposed], whole.trials[proposed])
    best = some.trials.loc[~failed, "mean_val_loss"].min()
    assert some.best_score == best
    assert np.isnan(some.trials.loc[failed, "rank"].astype(float)).all()


def test_one_thread_searches_at_a_time(blobs, tmp_path):
    """Random states are the process's; one search would disturb the other."""
    x, y = blobs
    begun, may_end = threading.Event(), threading.Event()

    def search(name, build=build_binary):
        return kttoolkit.tune(
            build, x, y, tuner="random", max_trials=2, cv=2, max_epochs=2, seed=1,
            directory=tmp_path, project_name=name, verbose=0,
        ).trials.drop(columns=["seconds"])  # fmt: skip

    def waiting(hp):
        begun.set()
        assert may_end.wait(60)
        return build_binary(hp)

    alone = search("alone")
    with ThreadPoolExecutor(1) as thread:
        job = thread.submit(search, "waiting", waiting)
        assert begun.wait(60)
        with pytest.raises(SearchError, match="another thread is searching"):
            search("second")
        may_end.set()
        pd.testing.assert_frame_equal(job.result(), alone)
    assert not (tmp_path / "second").exists()
    pd.testing.assert_frame_equal(search("third"), alone)


@pytest.mark.filterwarnings("ignore::kttoolkit.exceptions.EngineWarning")
def test_a_trial_may_hold_a_search_in_its_thread_and_not_in_another(blobs, tmp_path):
    """Waiting for the other thread would last for ever."""
    x, y = blobs

    def search(name, build):
        return kttoolkit.tune(
            build, x, y, tuner="random", max_trials=1, cv=2, max_epochs=1, seed=1,
            directory=tmp_path, project_name=name, verbose=0, overwrite=True,
        ).best_score  # fmt: skip

    class Nesting(keras_tuner.HyperModel):
        def build(self, hp):
            return build_binary(hp)

        def fit(self, hp, model, *args, **kwargs):
            inner.append(search("inner", build_binary))
            with ThreadPoolExecutor(1) as thread:
                failed.append(thread.submit(search, "other", build_binary).exception())
            return model.fit(*args, **kwargs)

    inner, failed = [], []
    search("outer", Nesting())
    assert inner == 2 * [search("alone", build_binary)]
    assert [type(error) for error in failed] == 2 * [SearchError]
