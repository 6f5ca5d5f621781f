"""Faults of Keras Tuner 1.4.8 that users of kttoolkit must not meet.

Each fault is a function that passes where it is mended. `test_mended` runs it on
kttoolkit. `test_present_upstream` runs it on plain Keras Tuner and expects it to
fail; where it passes, Keras Tuner has mended the fault, and our own mending in
`kttoolkit/tuners/_compat.py` can go.
"""

import importlib.metadata
import json
import math
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import kttoolkit
from kttoolkit.tuners import _compat

OURS = SimpleNamespace(
    name="kttoolkit",
    RandomSearch=kttoolkit.RandomSearch,
    GridSearch=kttoolkit.GridSearch,
    Hyperband=kttoolkit.Hyperband,
    BayesianOptimization=kttoolkit.BayesianOptimization,
    HyperParameters=kttoolkit.HyperParameters,
)
THEIRS = SimpleNamespace(
    name="keras_tuner",
    RandomSearch=keras_tuner.RandomSearch,
    GridSearch=keras_tuner.GridSearch,
    Hyperband=keras_tuner.Hyperband,
    BayesianOptimization=keras_tuner.BayesianOptimization,
    HyperParameters=keras_tuner.HyperParameters,
)
MIN = keras_tuner.Objective("score", "min")
FAULTS = []


def fault(function):
    FAULTS.append(function)
    return function


def untrained(cls, score, space, folder, **kwargs):
    """Make a tuner whose trials are scored by a function of `hp`."""

    class Scored(cls):
        def run_trial(self, trial, *args, **kwargs):
            return score(trial)

    def build(hp):
        space(hp)
        return

    return Scored(
        build,
        kwargs.pop("objective", MIN),
        directory=str(folder),
        project_name="p",
        **kwargs,
    )


def one_float(hp):
    return hp.Float("a", 0.0, 1.0)


def propose(oracle, score, n):
    """Run n trials by hand, without a tuner; return the proposed values."""
    proposed = []
    for _ in range(n):
        trial = oracle.create_trial("tuner0")
        if trial.status != "RUNNING":
            break
        proposed.append(dict(trial.hyperparameters.values))
        value = score(trial.hyperparameters.values)
        if value is None:
            trial.status = "FAILED"
        else:
            oracle.update_trial(trial.trial_id, {"score": value})
            trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return proposed


def oracle_of(cls, space, folder, **kwargs):
    tuner = untrained(cls, lambda trial: 0.0, space, folder, **kwargs)
    tuner.oracle.verbose = 0
    return tuner.oracle


# -- ranges ---------------------


@fault
def log_int_stays_in_range(lib, tmp_path):
    hp = lib.HyperParameters()
    hp.Int("units", 64, 1024, sampling="log")
    assert hp.space[0].prob_to_value(1.0) <= 1024


@fault
def stepped_float_reaches_its_maximum(lib, tmp_path):
    hp = lib.HyperParameters()
    hp.Float("dropout", 0.0, 0.3, step=0.1)
    hp.Float("rate", 0.0, 0.5, step=0.1)
    proposed = {hp.space[1].prob_to_value(p) for p in np.linspace(0, 0.9999, 97)}
    assert {round(v, 6) for v in proposed} == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}
    assert round(hp.space[0].prob_to_value(0.9999), 6) == 0.3


@fault
def boolean_choice_stays_boolean(lib, tmp_path):
    hp = lib.HyperParameters()
    assert hp.Choice("batch_norm", [True, False]) is True


@fault
def grid_of_a_float_is_ten_ascending_values(lib, tmp_path):
    oracle = oracle_of(lib.GridSearch, one_float, tmp_path)
    values = [v["a"] for v in propose(oracle, lambda v: v["a"], 50)]
    assert len(values) == 10
    assert values == sorted(values)


@fault
def a_scope_may_depend_on_what_was_asked_outside_of_it(lib, tmp_path):
    hp = lib.HyperParameters()
    hp.Int("depth", 1, 3)
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]), hp.conditional_scope("depth", [2, 3]):
        hp.Int("width", 1, 4)
    inner = hp.space[-1]
    hp.values = {"kind": "b", "depth": 1}
    assert not hp.is_active(inner)
    hp.values["depth"] = 2
    assert hp.is_active(inner)


# -- seeds ---------------------


@fault
def a_seed_of_zero_is_a_seed(lib, tmp_path):
    oracle = oracle_of(lib.RandomSearch, one_float, tmp_path, seed=0)
    assert oracle.seed == 0


@fault
def neighbouring_seeds_draw_other_values(lib, tmp_path):
    drawn = [
        {v["a"] for v in propose(
            oracle_of(lib.RandomSearch, one_float, tmp_path / str(seed), seed=seed),
            lambda v: v["a"], 5)}
        for seed in (1, 2)
    ]  # fmt: skip
    assert not drawn[0] & drawn[1]


@fault
def the_same_seed_gives_the_same_scores(lib, tmp_path):
    scores = [_score_with_seed(lib, tmp_path / str(run)) for run in range(2)]
    assert scores[0] == scores[1]


def _score_with_seed(lib, folder):
    x = np.linspace(-1, 1, 24, dtype="float32").reshape(-1, 2)
    keras.utils.set_random_seed(int(folder.name) + 100)
    tuner = lib.RandomSearch(
        _dense, "val_loss", max_trials=1, seed=3, directory=folder, project_name="p"
    )
    _without_tensorboard(tuner)
    tuner.search(x, x[:, 0], epochs=1, validation_split=0.5, verbose=0)
    return tuner.oracle.get_best_trials()[0].score


def _dense(hp):
    hp.Int("n", 1, 9)
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dropout(0.3), keras.layers.Dense(1)]
    )
    model.compile("adam", "mse")
    return model


def _without_tensorboard(tuner):
    """Keep the missing tensorboard from hiding the other faults."""
    tuner._configure_tensorboard_dir = lambda *args, **kwargs: None


@fault
def a_resumed_bayesian_search_proposes_the_same(lib, tmp_path):
    def space(hp):
        hp.Float("a", 0.0, 1.0)
        hp.Float("b", 0.0, 1.0)

    def score(values):
        return (values["a"] - 0.3) ** 2 + values["b"]

    def start(folder):
        return oracle_of(
            lib.BayesianOptimization, space, folder,
            max_trials=9, num_initial_points=3, seed=5,
        )  # fmt: skip

    whole = propose(start(tmp_path / "whole"), score, 9)
    first = propose(start(tmp_path / "cut"), score, 6)
    resumed = start(tmp_path / "cut")
    resumed.reload()
    assert first + propose(resumed, score, 9) == whole


# -- the Bayesian oracle ---------------------


@fault
def an_infinite_score_is_the_worst_score(lib, tmp_path):
    oracle = oracle_of(
        lib.BayesianOptimization, one_float, tmp_path, max_trials=16,
        num_initial_points=6, seed=1, max_consecutive_failed_trials=99,
    )  # fmt: skip
    values = propose(oracle, lambda v: math.inf if v["a"] > 0.5 else 10 - v["a"], 16)
    diverging = [v["a"] > 0.5 for v in values[6:]]
    assert sum(diverging) < len(diverging) / 2


@fault
def no_point_is_proposed_twice(lib, tmp_path):
    oracle = oracle_of(
        lib.BayesianOptimization,
        lambda hp: hp.Int("a", 0, 7),
        tmp_path,
        max_trials=8,
        num_initial_points=3,
        seed=1,
    )
    values = [v["a"] for v in propose(oracle, lambda v: float(v["a"]), 8)]
    assert sorted(values) == list(range(8))


# -- grid search ---------------------


@fault
def a_grid_search_can_be_resumed(lib, tmp_path):
    def space(hp):
        hp.Choice("a", [1, 2, 3])
        hp.Choice("b", ["x", "y"])

    first = propose(oracle_of(lib.GridSearch, space, tmp_path), lambda v: 0.0, 2)
    resumed = oracle_of(lib.GridSearch, space, tmp_path)
    resumed.reload()
    rest = propose(resumed, lambda v: 0.0, 99)
    assert len({tuple(v.values()) for v in first + rest}) == 6


# -- Hyperband ---------------------


@fault
def failed_trials_cost_no_promotion(lib, tmp_path):
    oracle = oracle_of(
        lib.Hyperband, one_float, tmp_path, max_epochs=9, factor=3, seed=1,
        max_consecutive_failed_trials=99,
    )  # fmt: skip
    failing = iter([True, False] * 4 + [False])
    values = propose(oracle, lambda v: None if next(failing, False) else v["a"], 12)
    promoted = [v for v in values if v["tuner/bracket"] == 2 and v["tuner/round"] == 1]
    assert len(promoted) == 3


class _Recorder(keras.callbacks.Callback):
    starts = ()

    def on_epoch_begin(self, epoch, logs=None):
        if getattr(self, "began", False):
            return
        self.began = True
        kernel = self.model.trainable_weights[0].numpy()
        _Recorder.starts += (
            (epoch, int(self.model.optimizer.iterations.numpy()), float(kernel.sum())),
        )


_CONTINUED = {}


def continued(lib, tmp_path):
    """Run Hyperband once a library; return how higher rungs began, and the trials."""
    if lib.name in _CONTINUED:
        return _CONTINUED[lib.name]
    _Recorder.starts = ()
    x = np.linspace(-1, 1, 32, dtype="float32").reshape(-1, 2)
    tuner = lib.Hyperband(
        _dense, "val_loss", max_epochs=2, factor=2, seed=1,
        executions_per_trial=2, directory=tmp_path / lib.name, project_name="p",
    )  # fmt: skip
    _without_tensorboard(tuner)
    tuner.search(
        x, x[:, 0], batch_size=4, validation_split=0.5, verbose=0,
        callbacks=[_Recorder()],
    )  # fmt: skip
    starts = [start for start in _Recorder.starts if start[0] > 0]
    trials = [
        t
        for t in tuner.oracle.trials.values()
        if t.hyperparameters.values["tuner/initial_epoch"] > 0
    ]
    assert starts
    assert trials
    _CONTINUED[lib.name] = (starts, trials)
    return starts, trials


@fault
def a_higher_rung_continues_its_optimizer(lib, tmp_path):
    starts, _ = continued(lib, tmp_path)
    assert [iterations for _, iterations, _ in starts] == [2] * len(starts)


@fault
def each_execution_continues_from_its_own_weights(lib, tmp_path):
    starts, _ = continued(lib, tmp_path)
    assert starts[0][2] != starts[1][2]


@fault
def the_best_epoch_counts_the_whole_training(lib, tmp_path):
    _, trials = continued(lib, tmp_path)
    for trial in trials:
        assert trial.best_step >= trial.hyperparameters.values["tuner/initial_epoch"]


# -- failures ---------------------


@fault
def a_search_needs_no_tensorboard(lib, tmp_path, monkeypatch):
    # Other tests may have imported it, and its parts.
    for name in {"tensorboard", *sys.modules}:
        if name.split(".")[0] == "tensorboard":
            monkeypatch.setitem(sys.modules, name, None)
    x = np.zeros((8, 2), "float32")
    tuner = lib.RandomSearch(
        _dense, "val_loss", max_trials=1, directory=tmp_path,
        max_consecutive_failed_trials=1,
    )  # fmt: skip
    tuner.search(x, x[:, 0], validation_split=0.5, verbose=0)
    assert tuner.oracle.get_best_trials()[0].status == "COMPLETED"


@fault
def a_retry_forgets_the_failed_attempt(lib, tmp_path):
    results = iter([math.nan, 1.0])
    tuner = untrained(
        lib.RandomSearch, lambda t: {"score": next(results)}, one_float, tmp_path,
        max_trials=1, max_retries_per_trial=1,
    )  # fmt: skip
    tuner.search(verbose=0)
    (trial,) = tuner.oracle.trials.values()
    assert (trial.status, trial.score) == ("COMPLETED", 1.0)


@fault
def oversized_models_are_no_failures(lib, tmp_path):
    def build(hp):
        hp.Float("a", 0, 1)
        return _dense(hp)

    tuner = lib.RandomSearch(
        build, MIN, max_trials=5, max_model_size=1, directory=tmp_path
    )
    _without_tensorboard(tuner)
    tuner.search(np.zeros((4, 2)), np.zeros(4), verbose=0)
    assert len(tuner.oracle.trials) == 5


@fault
def the_reason_of_every_failure_is_kept(lib, tmp_path):
    def score(trial):
        raise ValueError(f"boom {trial.trial_id}")

    tuner = untrained(lib.RandomSearch, score, one_float, tmp_path, max_trials=9)
    with pytest.raises(RuntimeError, match="consecutive failures"):
        tuner.search(verbose=0)
    files = sorted(tmp_path.glob("p/trial_*/trial.json"))
    states = [json.loads(path.read_text()) for path in files]
    assert len(states) == 3
    for state in states:
        assert f"boom {state['trial_id']}" in state["message"]
        assert state["status"] == "FAILED"


@fault
def the_best_trials_never_failed(lib, tmp_path):
    def score(trial):
        if int(trial.trial_id) % 2:
            raise ValueError("odd")
        return {"score": 1.0}

    tuner = untrained(lib.RandomSearch, score, one_float, tmp_path, max_trials=4)
    tuner.search(verbose=0)
    assert [t.status for t in tuner.oracle.get_best_trials(4)] == ["COMPLETED"] * 2


# -- files, locks, output ---------------------


@fault
def files_are_replaced_and_not_overwritten(lib, tmp_path):
    tuner = untrained(lib.RandomSearch, lambda t: 0.0, one_float, tmp_path)
    tuner.save()
    for name in ("oracle.json", "tuner0.json"):
        path, link = tmp_path / "p" / name, tmp_path / f"link-{name}"
        os.link(path, link)
        before = path.stat().st_ino
        tuner.oracle.create_trial("other")
        tuner.save()
        assert path.stat().st_ino != before, f"a kill while {name} is written loses it"
        assert link.stat().st_nlink == 1


@fault
def a_failed_call_gives_its_lock_back(lib, tmp_path):
    oracle = oracle_of(lib.RandomSearch, one_float, tmp_path)
    with pytest.raises(KeyError, match="unknown"):
        oracle.update_trial("unknown", {"score": 1.0})
    other = threading.Thread(target=oracle.create_trial, args=("t",), daemon=True)
    other.start()
    other.join(timeout=3)
    assert not other.is_alive()


@fault
def a_script_is_not_a_notebook(lib, tmp_path, monkeypatch):
    from keras_tuner.src import utils as kt_utils

    cleared = []
    shown = SimpleNamespace(clear_output=lambda: cleared.append(1))
    monkeypatch.setattr(kt_utils, "IS_NOTEBOOK", True)
    monkeypatch.setattr(kt_utils, "display", shown, raising=False)
    tuner = untrained(
        lib.RandomSearch, lambda t: {"score": 0.0}, one_float, tmp_path, max_trials=1
    )
    tuner.search(verbose=1)
    assert not cleared


@fault
def the_direction_of_f1_is_up(lib, tmp_path):
    tuner = untrained(
        lib.RandomSearch, lambda t: 0.0, one_float, tmp_path, objective="val_f1_score"
    )
    assert tuner.oracle.objective.direction == "max"


@fault
def a_metric_that_takes_arguments_may_have_its_own_name(lib, tmp_path):
    """Of `PrecisionAtRecall(0.5)` and others like it every trial failed."""
    name = "precision_at_recall"
    oracle = oracle_of(lib.RandomSearch, one_float, tmp_path)
    trial = oracle.create_trial("tuner0")
    oracle.update_trial(trial.trial_id, {"score": 1.0, name: 0.5, f"val_{name}": 0.5})
    assert oracle.trials[trial.trial_id].metrics.metrics[name].direction == "max"


class WithoutCall(keras.Model):
    """An autoencoder that only says how it is trained and scored."""

    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])

    def train_step(self, x):
        return {"loss": tf.reduce_mean((self.inner(x) - x) ** 2)}

    test_step = train_step


@fault
def a_model_without_call_is_kept_and_loaded(lib, tmp_path):
    """Of variational autoencoders and GANs every trial failed when it was saved."""

    def build(hp):
        hp.Choice("a", [1, 2])
        model = WithoutCall()
        model.compile("sgd")
        return model

    tuner = lib.RandomSearch(
        build,
        keras_tuner.Objective("val_loss", "min"),
        max_trials=1,
        directory=str(tmp_path),
        seed=0,
    )
    x = np.ones((8, 3), "float32")
    tuner.search(x, validation_data=(x,), epochs=1, verbose=0)
    best = tuner.get_best_models()[0].evaluate(x, verbose=0, return_dict=True)
    (trial,) = tuner.oracle.trials.values()
    np.testing.assert_allclose(best["loss"], trial.score, rtol=1e-6)


def run(function, lib, tmp_path, monkeypatch):
    wants_patch = "monkeypatch" in function.__code__.co_varnames
    function(lib, tmp_path, *([monkeypatch] if wants_patch else []))


@pytest.mark.fault
@pytest.mark.parametrize("function", FAULTS, ids=lambda f: f.__name__)
def test_mended(function, tmp_path, monkeypatch):
    run(function, OURS, tmp_path, monkeypatch)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", FAULTS, ids=lambda f: f.__name__)
def test_present_upstream(function, tmp_path, monkeypatch):
    try:
        run(function, THEIRS, tmp_path, monkeypatch)
    except BaseException as error:
        assert not isinstance(error, KeyboardInterrupt)  # noqa: PT017
        return
    version = importlib.metadata.version("keras-tuner")
    pytest.fail(f"keras-tuner {version} has mended this: {function.__name__}")


def test_checked_on_this_version():
    """The private members that `_compat` uses were seen in this version."""
    version = importlib.metadata.version("keras-tuner")
    assert _compat.CHECKED[0] <= version <= _compat.CHECKED[1]
    assert Path(_compat.__file__).name == "_compat.py"
