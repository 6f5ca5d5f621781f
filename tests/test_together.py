"""Folds side by side: to the bit what `model.fit` gives, one fold after the other."""

import threading
import warnings

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from matrix import X, dense
from trials import assert_equal, outcome_of, rich

from kttoolkit.engine import _program, _together
from kttoolkit.engine._call import training_rows
from kttoolkit.engine._device import has_gpu
from kttoolkit.engine._program import Program
from kttoolkit.engine._programs import PROGRAMS
from kttoolkit.evaluate import SilentObserver
from kttoolkit.exceptions import EngineWarning

L = keras.layers


def shares(kind):
    """Layers that all models have in common, as a global of a notebook is."""
    keras.utils.set_random_seed(5)
    shared = {
        "weights": lambda: L.Dense(5, activation="relu"),
        "averages": L.BatchNormalization,
        "random": lambda: L.GaussianNoise(0.3),
    }[kind]()

    def build():
        model = keras.Sequential(
            [keras.Input((6,)), shared, L.Dense(3), L.Dense(1, activation="sigmoid")]
        )
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        return model

    return build


@pytest.mark.parametrize("kind", ["weights", "averages", "random"])
@pytest.mark.parametrize("engine", ["compiled", "stacked"])
@pytest.mark.filterwarnings("ignore::kttoolkit.exceptions.EngineWarning")
def test_folds_that_share_a_layer_follow_each_other(kind, engine, two_cores):
    got = outcome_of(engine, shares(kind), cv=3)
    expected = outcome_of("reference", shares(kind), cv=3)
    for mine, theirs in zip(got.fits, expected.fits, strict=True):
        for name, values in theirs.history.items():
            np.testing.assert_allclose(mine.history[name], values, rtol=1e-5)


def test_weights_that_go_from_fold_to_fold_are_warned_of():
    with pytest.warns(EngineWarning, match="is a weight of an earlier model too"):
        outcome_of("compiled", shares("weights"), cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", EngineWarning)
        outcome_of("compiled", shares("random"), cv=2)
        outcome_of("compiled", rich(), cv=2)


def test_a_layer_that_stays_as_it_is_holds_nobody_up(in_pairs):
    adapted = L.Normalization(mean=0.5, variance=2.0)
    frozen = keras.Sequential([keras.Input((6,)), L.Dense(4), L.BatchNormalization()])
    frozen.trainable = False

    def build():
        head = L.Dense(1, activation="sigmoid")
        model = keras.Sequential([keras.Input((6,)), adapted, frozen, head])
        model.compile("adam", "binary_crossentropy")
        return model

    # Neither would go on without the other.
    outcome_of("compiled", build, cv=2)


class Listening(SilentObserver):
    """Writes down what it is told, and in which thread."""

    def __init__(self):
        self.told = []

    def fold_started(self, split, n_splits):
        self.note("started", split)

    def epoch_ended(self, split, epoch, logs):
        self.note("epoch", split, epoch)

    def fold_ended(self, fit):
        self.note("ended", fit.split)

    def note(self, *what):
        assert threading.current_thread() is threading.main_thread()
        self.told.append(what)


@pytest.fixture
def two_cores(monkeypatch):
    monkeypatch.setattr(_together.joblib, "cpu_count", lambda: 2)


@pytest.fixture
def in_pairs(monkeypatch, two_cores):
    """Let no epoch of training go on before another one has begun."""
    if has_gpu():
        pytest.skip("folds follow each other on a GPU")
    meeting, train = threading.Barrier(2, timeout=60), Program.train

    def met(self, *args):
        job = train(self, *args)
        return lambda: meeting.wait() * 0 or job()

    monkeypatch.setattr(Program, "train", met)


@pytest.mark.parametrize(
    "options",
    [
        {"cv": 3},
        {"executions": 2},
        {"fit": {"class_weight": {0: 0.2, 1: 2.0}, "validation_batch_size": 5}},
        {"fit": {"shuffle": "batch"}},
        {"fit": {"steps_per_epoch": 3}},
        {"fit": {"validation_freq": 2}},
        {"weights": np.linspace(0.1, 2, len(X))},
        {"callbacks": (keras.callbacks.EarlyStopping("val_loss", patience=0),)},
        {"callbacks": (keras.callbacks.ReduceLROnPlateau("loss", patience=0),)},
    ],
    ids=[
        "plain", "executions", "class_weight", "batches", "steps", "validation_freq",
        "sample_weight", "early_stopping", "plateau",
    ],
)  # fmt: skip
def test_histories_are_equal_to_the_bit(options, two_cores):
    with warnings.catch_warnings():
        # 3 steps an epoch do not divide the rows of a fold, says `model.fit` too.
        warnings.filterwarnings("ignore", "Your input ran out of data")
        got = outcome_of("compiled", rich(optimizer="adamw"), **options)
        expected = outcome_of("reference", rich(optimizer="adamw"), **options)
    assert_equal(got, expected)


def test_weights_that_are_kept_are_equal(tmp_path, two_cores):
    for engine in ("compiled", "reference"):
        outcome_of(engine, rich(), directory=str(tmp_path / engine), keep_last=True)
    files = sorted((tmp_path / "reference").glob("*.h5"))
    assert len(files) == 10
    for file in files:
        mine, theirs = arrays(tmp_path / "compiled" / file.name), arrays(file)
        assert mine.keys() == theirs.keys() != set()
        for name, value in theirs.items():
            np.testing.assert_array_equal(mine[name], value)


def arrays(file):
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(file) as opened:
        opened.visititems(visit)
    return found


def test_epochs_run_at_the_same_time(in_pairs):
    got = outcome_of("compiled", rich(), cv=4)
    assert_equal(got, outcome_of("reference", rich(), cv=4))


def test_xla_traces_for_every_number_of_rows_and_folds_are_still_equal(two_cores):
    build = dense(L.Dense(8), jit_compile=True)
    # 58 rows make folds of 14 and 15.
    got = outcome_of("compiled", build, cv=4, fit={"epochs": 2})
    expected = outcome_of("reference", build, cv=4, fit={"epochs": 2})
    for mine, theirs in zip(got.fits, expected.fits, strict=True):
        for name, values in theirs.history.items():
            np.testing.assert_allclose(mine.history[name], values, rtol=1e-5)


def test_observers_are_told_in_one_thread_and_always_in_the_same_order(two_cores):
    told = []
    for _ in range(2):
        observer = Listening()
        outcome_of("compiled", rich(), cv=3, observer=observer)
        told.append(observer.told)
    assert told[0] == told[1]
    assert told[0].index(("started", 2)) < told[0].index(("ended", 0))


@pytest.mark.parametrize("why", ["callback", "verbose", "memory", "gpu"])
def test_folds_follow_each_other_where_they_have_to(
    why, two_cores, monkeypatch, capsys
):
    options = {"cv": 3, "fit": {"epochs": 1}}
    if why == "callback":
        options["callbacks"] = (keras.callbacks.LambdaCallback(),)
    elif why == "verbose":
        options["fit"]["verbose"] = 2
    elif why == "gpu":
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    else:
        monkeypatch.setattr(_together, "_MAX_BYTES", 0)
    observer = Listening()
    outcome_of("compiled", dense(), observer=observer, **options)
    expected = [(("started", k), ("epoch", k, 1), ("ended", k)) for k in range(3)]
    assert observer.told == [event for fold in expected for event in fold]
    assert capsys.readouterr().out.count("/step - ") == 3 * (why == "verbose")


def test_folds_share_one_trace_and_so_do_those_that_go_on(tmp_path, two_cores):
    build = rich(optimizer="nadam")
    traces = []
    for rung in range(3):
        before = PROGRAMS.traces
        outcome_of(
            "compiled", build, keep_last=True, directory=str(tmp_path / str(rung)),
            continue_from=str(tmp_path / str(rung - 1)) if rung else None,
            fit={"initial_epoch": 2 * rung, "epochs": 2 * rung + 2},
        )  # fmt: skip
        traces.append(PROGRAMS.traces - before)
    # A graph for training and one for scoring; the optimizer's slots are there or not.
    assert traces == [2, 2, 0]


def test_rows_go_to_the_device_once(monkeypatch):
    placed = []

    def counting(call):
        placed.append(call)
        return training_rows(call)

    monkeypatch.setattr("kttoolkit.engine._placed.training_rows", counting)
    monkeypatch.setattr(_together, "training_rows", counting)
    outcome_of("compiled", dense())
    assert len(placed) == 1


def test_what_only_keras_can_train_is_said_once(two_cores):
    def build():
        model = rich()()
        model.run_eagerly = True
        return model

    with pytest.warns(EngineWarning, match=r"Trained with model.fit.*eagerly") as told:
        got = outcome_of("compiled", build, cv=3, fit={"epochs": 1})
    assert len(told) == 1
    assert_equal(got, outcome_of("reference", build, cv=3, fit={"epochs": 1}))


@pytest.mark.fault
def test_a_failing_epoch_fails_the_trial_and_leaves_no_thread(monkeypatch, two_cores):
    calls, train = [], Program.train

    def failing(self, *args):
        calls.append(args)
        return exhausted if len(calls) == 4 else train(self, *args)

    def exhausted():
        raise MemoryError("out of memory")

    monkeypatch.setattr(Program, "train", failing)
    with pytest.raises(MemoryError, match="out of memory"):
        outcome_of("compiled", rich())
    # Five begin, and three of them go on before it is the turn of the fourth.
    assert len(calls) == 8
    assert not [t for t in threading.enumerate() if t.name.startswith("kttoolkit")]


def test_a_graph_is_started_once_and_without_rows(monkeypatch, two_cores):
    PROGRAMS.clear()
    n_rows, call = [], _program.call_with

    def noting(concrete, executor, args, captured):
        n_rows.append(int(args[2].shape[0]))
        return call(concrete, executor, args, captured)

    monkeypatch.setattr(_program, "call_with", noting)
    got = outcome_of("compiled", rich(), fit={"epochs": 2})
    # One for training and one for scoring, whichever fold came first.
    assert n_rows.count(0) == 2
    assert len(n_rows) == 2 + 2 * 2 * 5
    monkeypatch.undo()
    assert_equal(got, outcome_of("reference", rich(), fit={"epochs": 2}))
