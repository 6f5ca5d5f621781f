"""Several trials at a time: in real processes, and with the same results."""

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest

import kttoolkit
from kttoolkit.exceptions import EngineWarning, SearchError, TrialError
from kttoolkit.results import read_records
from kttoolkit.trackers import Tracker
from kttoolkit.tuners import FoldTuner
from kttoolkit.tuners._executors import as_parallel
from kttoolkit.workers import Workers, width_of
from kttoolkit.workers._devices import environment_of, visible_gpus
from kttoolkit.workers.training import Report, StandIn, _portable

# That no machine has, so that workers train on the processor.
DEVICES = ["97", "98", "99"]
PROGRAM = Path(__file__).with_name("searching.py")


def compiled(rate=0.01):
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")]
    )
    optimizer = keras.optimizers.SGD(rate)
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model


def deep(hp):
    """Ask for more when a value says so, as build functions with loops do."""
    for layer in range(hp.Int("depth", 1, 3)):
        hp.Choice(f"kind_{layer}", ["a", "b"])
    return compiled(hp.Choice("rate", [0.01, 0.1]))


class Fitting(keras_tuner.HyperModel):
    """Its `fit` asks for a hyperparameter that building does not know of."""

    def build(self, hp):
        return compiled(hp.Choice("rate", [0.01, 0.1]))

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch", [16, 32]), **kwargs)


class OddError(Exception):
    """Cannot be pickled."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.lock = threading.Lock()


def fragile(hp):
    """Fail in as many ways as there are."""
    kind = hp.Int("kind", 0, 4)
    if kind == 1:
        raise OddError(1, 2)
    if kind == 2:
        raise kttoolkit.exceptions.OversizedModelError("too large")
    if kind == 3:
        raise keras_tuner.errors.FailedTrialError("no use")
    hp.Choice("late", ["x", "y"])
    return compiled(float("nan") if kind == 4 else 0.01)


class Deadly(keras_tuner.HyperModel):
    """Kills its worker: where `kind` is 1, once; where it is 2, always."""

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)
        self.home = os.getpid()

    def build(self, hp):
        kind = hp.Int("kind", 0, 3)
        mark = self.folder / "died"
        if os.getpid() != self.home and (
            kind == 2 or (kind == 1 and not mark.exists())
        ):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return compiled()


class Counted(keras_tuner.HyperModel):
    """Writes down which process unpickled it."""

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)

    def __setstate__(self, state):
        self.__dict__ = state
        with (self.folder / "loaded").open("a") as file:
            file.write(f"{os.getpid()}\n")

    def build(self, hp):
        return compiled(hp.Float("rate", 0.01, 0.1))


class Slow(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(0.05)


def ignore(batch, logs):
    """Be there, so that only `model.fit` can run the training."""


class Notes(Tracker):
    """Keeps every call, and in which thread it came."""

    def __init__(self):
        self.calls = []
        self.threads = set()

    def __getattribute__(self, name):
        if name not in vars(Tracker) or name.startswith("_"):
            return super().__getattribute__(name)
        self.threads.add(threading.current_thread())
        return lambda *args: self.calls.append((name, *args))


class Narrow(Executor):
    """Shows fewer workers than there are, so that one pool serves many tests."""

    def __init__(self, workers, n):
        self.workers = workers
        self._max_workers = n

    def submit(self, fn, /, *args, **kwargs):
        return self.workers.submit(fn, *args, **kwargs)


@pytest.fixture(scope="module")
def workers():
    with Workers(3) as workers:
        for seat, device in zip(workers._seats, DEVICES, strict=True):
            seat.environment["CUDA_VISIBLE_DEVICES"] = device
        yield workers


@pytest.fixture
def tune(blobs, tmp_path):
    """Search `blobs` in two folds; the folder is named after the call's number."""
    numbers = iter(range(100))

    def call(build, **options):
        defaults = {
            "tuner": "random", "cv": 2, "seed": 0, "max_epochs": 2, "verbose": 0,
            "directory": tmp_path, "project_name": f"study{next(numbers)}",
        }  # fmt: skip
        return kttoolkit.tune(build, *blobs, **{**defaults, **options})

    return call


def same(result, other):
    """Compare all that two searches found, but for the times."""
    frames = [r.trials.drop(columns="seconds") for r in (result, other)]
    pd.testing.assert_frame_equal(*frames, rtol=1e-5)
    kept = [sorted(p.name for p in r.directory.rglob("*")) for r in (result, other)]
    assert kept[0] == kept[1]


SEARCHES = {
    "random": (deep, {"max_trials": 8}),
    "grid": (deep, {"tuner": "grid"}),
    "manual": (
        deep,
        {"tuner": [{"depth": 2}, {"depth": 1, "rate": 0.1}, {}, {"depth": 3}]},
    ),
    "fit": (Fitting(), {"tuner": "grid"}),
    "failing": (
        fragile,
        {"tuner": "grid", "max_retries_per_trial": 1},
    ),
    "rounds": (deep, {"tuner": "coarse_to_fine", "max_trials": 6, "rounds": 2}),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_results_do_not_depend_on_the_number_of_workers(name, tune, workers):
    build, options = SEARCHES[name]
    serial = tune(build, **options)
    assert len(serial.records) >= 4
    widths = (2, 3) if name in {"random", "grid", "manual"} else (2,)
    for n in widths:
        same(serial, tune(build, parallel=Narrow(workers, n), **options))
    if name == "failing":
        reasons = serial.trials.set_index("param_kind")["reason"]
        assert reasons[1].iloc[0].startswith("OddError: 1 and 2")


@pytest.mark.parametrize(
    ("tuner", "options"),
    [("hyperband", {"max_epochs": 4, "factor": 2}), ("bayesian", {"max_trials": 7})],
)
def test_hyperband_and_bayesian_search_keep_their_budgets(
    tuner, options, tune, workers
):
    serial = tune(deep, tuner=tuner, **options)
    result = tune(deep, tuner=tuner, parallel=workers, **options)
    assert set(result.trials["status"]) == {"completed"}
    counts = [
        sorted(fit.epochs for record in r.records for fit in record.fits)
        for r in (serial, result)
    ]
    assert counts[0] == counts[1]


@pytest.mark.fault
def test_a_worker_that_dies_costs_its_trial_one_retry(tune, workers, tmp_path):
    settings = [{"kind": kind} for kind in (0, 1, 2, 3)]
    result = tune(Deadly(tmp_path), tuner=settings, parallel=workers)
    status = result.trials.set_index("param_kind")["status"]
    assert dict(status) == {0: "completed", 1: "completed", 2: "failed", 3: "completed"}
    reason = result.trials.set_index("param_kind")["reason"][2]
    assert "must live until its trial has ended" in reason
    assert "SIGKILL" in reason
    scores = result.trials["mean_val_accuracy"].dropna()
    assert len(scores) == 3
    assert scores.max() == scores.min()


def test_data_travel_once_to_a_worker(tune, workers, tmp_path):
    tune(Counted(tmp_path), max_trials=8, parallel=workers)
    pids = (tmp_path / "loaded").read_text().split()
    assert len(pids) == len(set(pids)) <= 3
    assert str(os.getpid()) not in pids


def test_trackers_hear_of_every_trial_in_order_from_one_thread(tune, workers):
    notes = Notes()
    tune(deep, max_trials=4, parallel=workers, trackers=[notes])
    assert notes.threads == {threading.main_thread()}
    names = [call[0] for call in notes.calls]
    assert (names[0], names[-1]) == ("search_started", "search_ended")
    for trial in "0123":
        own = [c for c in notes.calls if c[1:2] == (trial,)]
        assert own[0][0] == "trial_started"
        assert sorted(c[2] for c in own if c[0] == "fold_started") == [0, 1]
        assert sorted(c[2:4] for c in own if c[0] == "epoch_ended") == [
            (0, 1), (0, 2), (1, 1), (1, 2),
        ]  # fmt: skip
        assert sorted(c[2].split for c in own if c[0] == "fold_ended") == [0, 1]
        ends = [
            i for i, c in enumerate(notes.calls)
            if c[0] == "trial_ended" and c[1].trial_id == trial
        ]  # fmt: skip
        assert len(ends) == 1
        assert ends[0] > notes.calls.index(own[-1])


def test_the_deadline_stops_running_trials_and_a_resumed_search_ends_them(
    tune, workers
):
    options = {
        "max_trials": 4, "max_epochs": 12, "callbacks": [Slow()], "engine": "reference",
        "project_name": "timed",
    }  # fmt: skip
    tune(deep, max_trials=1, parallel=workers)  # the workers have begun
    start = time.monotonic()
    result = tune(deep, parallel=workers, timeout=0.5, **options)
    assert time.monotonic() - start < 20
    assert not result.records
    done = tune(deep, parallel=Narrow(workers, 2), resume=True, **options, seed=None)
    assert set(done.trials["status"]) == {"completed"}
    assert list(done.trials["trial"]) == ["0", "1", "2", "3"]


def test_keras_settings_and_warnings_cross_over(blobs, workers, tmp_path):
    """In a drop-in tuner without folds, with a callback only `model.fit` can run."""
    tuner = kttoolkit.RandomSearch(
        lambda hp: compiled(hp.Float("rate", 0.01, 0.1)), "val_loss", max_trials=3,
        seed=0, directory=tmp_path, parallel=workers,
    )  # fmt: skip
    batches = keras.callbacks.LambdaCallback(on_train_batch_end=ignore)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        with pytest.warns(EngineWarning) as told:
            tuner.search(*blobs, validation_split=0.5, verbose=0, callbacks=[batches])
        assert [w.category for w in told].count(EngineWarning) == 1
        model = tuner.get_best_models()[0]
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.layers[0].compute_dtype == "float16"
    scores = [trial.score for trial in tuner.oracle.trials.values()]
    assert np.isfinite(scores).all()


def test_any_executor_will_do(tune):
    """Threads take turns, for Keras belongs to a process."""
    with ThreadPoolExecutor(2) as threads:
        result = tune(deep, max_trials=3, parallel=threads)
    same(tune(deep, max_trials=3), result)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_dask_cluster_will_do(tune, tmp_path):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None,
        local_directory=str(tmp_path),
    )  # fmt: skip
    with cluster, distributed.Client(cluster) as client:
        executor = client.get_executor()
        assert width_of(executor) == 2
        result = tune(deep, max_trials=4, parallel=executor)
        deadly = tune(
            Deadly(tmp_path), tuner=[{"kind": 0}, {"kind": 1}], parallel=executor
        )
    same(tune(deep, max_trials=4), result)
    assert set(deadly.trials["status"]) == {"completed"}


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def session(leader):
    """List the processes that a program has started and that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(stat.parent.name)
    return found


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_behind_when_a_search_is_broken_off(sign, tmp_path):
    folder, scratch = tmp_path / "study", tmp_path / "scratch"
    scratch.mkdir()
    process = start("parallel", folder, TMPDIR=str(scratch))
    try:
        deadline = time.monotonic() + 90
        while not list(folder.glob("p/trial_*/folds.json")):
            assert process.poll() is None, process.stderr.read().decode()[-3000:]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert len(session(process.pid)) >= 3
        if sign == signal.SIGINT:
            # A terminal sends it to every process.
            os.killpg(process.pid, sign)
        else:
            process.kill()
        _, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors.decode()
        deadline = time.monotonic() + 20
        while session(process.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not session(process.pid)
        assert not list(scratch.glob("kttoolkit-*"))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    records = read_records(folder / "p")
    assert records
    assert {record.status for record in records} == {"completed"}
    state = json.loads((folder / "p" / "oracle.json").read_text())
    assert len(state["start_order"]) > len(records)


@pytest.mark.slow
def test_it_works_from_a_notebook_cell(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    code = f"""
import keras, numpy as np, kttoolkit
class Scaled(keras.layers.Layer):
    def call(self, x):
        return x / 2
def build(hp):
    model = keras.Sequential([keras.Input((2,)), Scaled(), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(hp.Choice("rate", [0.1, 0.2, 0.3])), loss)
    return model
def loss(y, z):
    return keras.ops.mean((y - z) ** 2)
x = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
result = kttoolkit.tune(
    build, x, x.sum(axis=1), tuner="grid", cv=2, max_epochs=2, parallel=2, seed=0,
    directory={str(tmp_path)!r}, project_name="p",
)
"""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(notebook, timeout=110, kernel_name="python3").execute()
    assert [r.status for r in read_records(tmp_path / "p")] == ["completed"] * 3


@pytest.mark.parametrize("value", [0, -2, 1.5, True, "4", [2]])
def test_a_number_that_makes_no_sense_is_refused(value, tune):
    with pytest.raises(SearchError, match="parallel must be a whole number >= 1"):
        tune(deep, parallel=value)


def test_one_at_a_time_starts_no_process():
    assert as_parallel(None) is None
    assert as_parallel(1) is None
    assert as_parallel(np.int64(3)).width == 3
    n_cores = as_parallel(-1)
    assert n_cores is None or n_cores.width >= 2
    for bad in (True, "a", 1.0, None):
        with pytest.raises(SearchError, match=f"as a whole number, but got {bad!r}"):
            Workers(bad)
    with pytest.raises(SearchError, match=r"n_workers >= 1 must hold.* but got 0"):
        Workers(0)
    closed = Workers(2)
    closed.shutdown()
    with pytest.raises(RuntimeError, match="no calls after shutdown"):
        closed.submit(print)


def test_forks_are_refused():
    forking = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork"))
    with pytest.raises(SearchError, match=r"does not survive a fork.*spawn"):
        as_parallel(forking)
    spawning = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    assert as_parallel(spawning).width == 2


class OwnTrial(FoldTuner):
    def run_trial(self, trial, *args, **kwargs):
        return 0.0


class OwnFit(FoldTuner):
    def _build_and_fit_model(self, trial, *args, **kwargs):
        return {}


class Hooked(FoldTuner):
    def on_epoch_end(self, trial, model, epoch, logs=None):
        """Never called in another process."""


def made(kind, folder, **options):
    oracle = kttoolkit.oracles.RandomSearchOracle("val_loss", max_trials=1, seed=0)
    return kind(oracle, deep, directory=folder, parallel=2, **options)


@pytest.mark.parametrize(
    ("kind", "hook"), [(OwnTrial, "run_trial"), (OwnFit, "_build_and_fit_model")]
)
def test_a_tuner_that_runs_trials_in_its_own_way_is_refused(kind, hook, tmp_path):
    with pytest.raises(SearchError, match=f"overrides {hook}, which needs the tuner"):
        made(kind, tmp_path)


@pytest.mark.filterwarnings("ignore:.*distribution strategy:UserWarning")
def test_other_kinds_of_parallelism_are_refused(tmp_path, monkeypatch):
    import tensorflow as tf

    strategy = tf.distribute.MirroredStrategy(["/cpu:0"])
    with pytest.raises(SearchError, match="distribution_strategy spreads one trial"):
        made(FoldTuner, tmp_path, distribution_strategy=strategy)
    one = made(FoldTuner, tmp_path)
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    from kttoolkit.tuners._parallel import refuse_what_stays_here

    with pytest.raises(SearchError, match="Chief and workers of Keras Tuner share"):
        refuse_what_stays_here(one, keeps_run_trial=True)


def test_what_cannot_be_pickled_is_named(tune):
    class Locked(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

        def __deepcopy__(self, memo):
            return Locked()

        def __repr__(self):
            return "Locked()"

    with pytest.raises(SearchError, match=r"callback Locked\(\) cannot be pickled: Ty"):
        tune(deep, parallel=2, callbacks=[Locked()])
    lock = threading.Lock()

    def build(hp):
        with lock:
            return deep(hp)

    with pytest.raises(SearchError, match="the build function cannot be pickled"):
        tune(build, parallel=2)


def test_hooks_that_will_not_be_called_are_told(blobs, tmp_path):
    with ThreadPoolExecutor(1) as one:
        tuner = made(Hooked, tmp_path, cv=2)
        tuner.parallel = as_parallel(one)
        with pytest.warns(UserWarning, match="hooks of Hooked are not called"):
            tuner.search(*blobs, epochs=1)


def test_an_executor_that_takes_no_calls_ends_the_search(tune):
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    with pytest.raises(SearchError, match="ThreadPoolExecutor takes none"):
        tune(deep, parallel=closed)


def test_shared_files_that_disappear_end_the_search(tune, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def build(hp):
        for path in tmp_path.glob("kttoolkit-*/payload.pickle"):
            path.unlink()
        return deep(hp)

    with (
        ThreadPoolExecutor(1) as one,
        pytest.raises(SearchError, match=r"payload\.pickle is gone"),
    ):
        tune(build, max_trials=2, parallel=one)


def test_a_fault_of_the_search_ends_it(tune, workers):
    def build(hp):
        if hp.Float("rate", 0.01, 0.1) == 0.01:
            return compiled()
        return "no model"

    with pytest.raises(
        kttoolkit.exceptions.SearchSpaceError, match="to return a keras"
    ):
        tune(build, max_trials=3, parallel=workers)


def test_errors_arrive_as_what_they_are():
    error = _portable(TrialError("of its own"))
    assert type(error) is TrialError
    odd = _portable(OddError(1, 2))
    assert isinstance(odd, StandIn)
    with pytest.raises(RuntimeError, match="1 and 2") as raised:
        Report(error=odd, trace="the trace").result()
    assert type(raised.value).__name__ == "OddError"
    assert "the trace" in str(raised.value.__cause__)
    with pytest.raises(SearchError, match="stopped has no outcome"):
        Report(stopped=True).result()


@pytest.mark.parametrize(
    ("number", "gpus", "seen"),
    [
        (0, [], None), (3, ["0"], None), (0, ["0", "1"], "0"), (3, ["0", "1"], "1"),
        (5, ["2", "4", "7"], "7"), (2, ["GPU-a", "GPU-b"], "GPU-a"),
    ],
)  # fmt: skip
def test_gpus_are_shared_out_where_there_are_several(number, gpus, seen):
    given = environment_of(number, 6, gpus=gpus, n_cores=16, given={})
    assert given.get("CUDA_VISIBLE_DEVICES") == seen
    assert given["TF_NUM_INTRAOP_THREADS"] == "2"


def test_the_threads_that_the_user_chose_are_kept():
    given = environment_of(
        0, 8, gpus=[], n_cores=2, given={"OMP_NUM_THREADS": "5", "OTHER": "x"}
    )
    assert given["OMP_NUM_THREADS"] == "5"
    assert given["TF_NUM_INTRAOP_THREADS"] == "1"
    assert "OTHER" not in given


@pytest.mark.parametrize(
    ("chosen", "seen"),
    [
        ("", []),
        ("-1", []),
        ("0,2", ["0", "2"]),
        ("1,-1,0", ["1"]),
        ("GPU-a", ["GPU-a"]),
    ],
)
def test_the_gpus_that_the_environment_names(chosen, seen):
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": chosen}) == seen


@pytest.mark.parametrize(
    ("script", "seen"), [("echo 0; echo 1", ["0", "1"]), ("exit 9", [])]
)
def test_the_gpus_that_the_driver_names(script, seen, tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert visible_gpus({}) == seen
    monkeypatch.setenv("PATH", "")
    assert visible_gpus({}) == []


def test_each_worker_starts_with_its_own_environment(workers):
    name = "CUDA_VISIBLE_DEVICES"
    calls = [seat.submit(os.getenv, name) for seat in workers._seats]
    assert [call.result() for call in calls] == DEVICES


def test_the_command_line_passes_it_on(monkeypatch, tmp_path):
    from kttoolkit import cli

    seen = {}

    def tune(*_, **options):
        seen.update(options)
        raise SearchError("seen")

    monkeypatch.setattr(kttoolkit, "tune", tune)
    status = cli.main(["tune", "wine", "--parallel", "3", "--out", str(tmp_path)])
    assert status == 2
    assert seen["parallel"] == 3
