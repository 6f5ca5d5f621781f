"""A project that Keras Tuner has begun is gone on with."""

import itertools
import json
import re
from pathlib import Path

import keras
import keras_tuner
import pytest

import kttoolkit
from kttoolkit.exceptions import StudyFolderError

MIN = keras_tuner.Objective("score", "min")


# -- grid search ---


def grid(library, space, folder, max_trials=None, **kwargs):
    class Scored(library.GridSearch):
        def run_trial(self, trial, *args, **kwargs):
            values = trial.hyperparameters.values
            if values.get("kind") == "c":
                raise ValueError("c is no good")
            return float(sum(map(hash, map(str, values.values()))) % 97)

    def build(hp):
        space(hp)

    return Scored(
        build, MIN, max_trials, directory=folder, project_name="p",
        max_consecutive_failed_trials=None, **kwargs,
    )  # fmt: skip


def plain(hp):
    hp.Choice("kind", ["a", "b", "c"])
    hp.Int("units", 1, 3)


def conditional(hp):
    hp.Choice("kind", ["a", "b"], default="b")
    with hp.conditional_scope("kind", ["a"]):
        hp.Boolean("deep")
        hp.Int("units", 2, 6, step=2, default=4)
    hp.Float("rate", 0.1, 0.4, step=0.1)
    hp.Fixed("fixed", 3)


def tried(tuner):
    """Return what was tried, in order; Keras Tuner reads trials in no order."""
    trials = sorted(tuner.oracle.trials.items())
    return [dict(trial.hyperparameters.values) for _, trial in trials]


def as_set(settings):
    return {tuple(sorted((k, f"{v:.9g}" if isinstance(v, float) else v)
                         for k, v in one.items())) for one in settings}  # fmt: skip


@pytest.mark.parametrize("n_theirs", [1, 2, 5])
@pytest.mark.parametrize("space", [plain, conditional])
def test_a_grid_goes_on_where_keras_tuner_left_it(space, n_theirs, tmp_path):
    whole = grid(kttoolkit, space, tmp_path / "whole")
    whole.search(verbose=0)
    theirs = grid(keras_tuner, space, tmp_path, n_theirs)
    theirs.search(verbose=0)
    ours = grid(kttoolkit, space, tmp_path)
    assert tried(ours) == tried(theirs)
    best = ours.get_best_hyperparameters()[0].values
    assert best == theirs.get_best_hyperparameters()[0].values
    ours.search(verbose=0)
    again = grid(kttoolkit, space, tmp_path)
    assert tried(again) == tried(ours)
    assert len(tried(ours)) == len(tried(whole)) == len(as_set(tried(ours)))
    assert as_set(tried(ours)) == as_set(tried(whole))


def test_a_grid_goes_on_with_the_trial_that_was_running(tmp_path):
    theirs = grid(keras_tuner, plain, tmp_path)
    run = iter(range(9))
    theirs.on_trial_end = lambda trial: (
        type(theirs).on_trial_end(theirs, trial)
        if next(run) < 3
        else (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        theirs.search(verbose=0)
    ours = grid(kttoolkit, plain, tmp_path)
    ours.search(verbose=0)
    assert len(tried(ours)) == len(as_set(tried(ours))) == 9
    assert {t.status for t in ours.oracle.trials.values()} == {"COMPLETED", "FAILED"}


def unstepped(hp):
    hp.Float("rate", 0.0, 1.0)


def test_a_grid_of_other_values_can_be_read_and_is_not_gone_on_with(tmp_path):
    """Keras Tuner takes ten values inside of a range, in no order."""
    theirs = grid(keras_tuner, unstepped, tmp_path, 3)
    theirs.search(verbose=0)
    ours = grid(kttoolkit, unstepped, tmp_path)
    assert tried(ours) == tried(theirs)
    best = ours.get_best_hyperparameters()[0].values
    assert best == theirs.get_best_hyperparameters()[0].values
    with pytest.raises(
        StudyFolderError,
        match=r"along its own grid, but keras_tuner's own GridSearch, which wrote .*p, "
        r"has tried rate=0\.\d+, which is not on that of kttoolkit .*Finish .* with "
        r"keras_tuner, or begin anew",
    ):
        ours.search(verbose=0)
    state = json.loads(Path(tmp_path, "p", "oracle.json").read_text("utf-8"))
    assert "grid_order" not in state
    assert tried(grid(keras_tuner, unstepped, tmp_path)) == tried(theirs)


def test_a_random_search_is_not_taken_for_a_grid(tmp_path):
    class Scored(keras_tuner.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return 1.0

    for seed in itertools.count():
        theirs = Scored(
            lambda hp: plain(hp), MIN, max_trials=1, directory=tmp_path,
            project_name="p", overwrite=True, seed=seed + 1,
        )  # fmt: skip
        theirs.search(verbose=0)
        if tried(theirs) != [{"kind": "a", "units": 1}]:
            break
    with pytest.raises(
        StudyFolderError, match=r"of a GridSearchOracle: .*defaults.* another tuner"
    ):
        grid(kttoolkit, plain, tmp_path)


# -- Hyperband ---


def line(hp):
    layer = keras.layers.Dense(1, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((4,)), layer])
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "mse")
    return model


def hyperband(library, folder, **kwargs):
    return library.Hyperband(
        line, "val_loss", max_epochs=4, factor=2, seed=1, directory=folder,
        project_name="p", max_consecutive_failed_trials=None, **kwargs,
    )  # fmt: skip


def begun(folder, rows, n_trials):
    """Have Keras Tuner train so many trials and be stopped."""
    theirs = hyperband(keras_tuner, folder)
    begin, count = theirs.on_trial_begin, itertools.count()

    def stop_or_begin(trial):
        if next(count) == n_trials:
            raise KeyboardInterrupt
        begin(trial)

    theirs.on_trial_begin = stop_or_begin
    with pytest.raises(KeyboardInterrupt):
        theirs.search(*rows, verbose=0, **FIT)
    return theirs


FIT = {"validation_split": 0.5, "batch_size": 64, "shuffle": False}


@pytest.fixture
def rows(blobs):
    return blobs[0], blobs[1].astype("float32")


def test_hyperband_goes_on_from_what_keras_tuner_has_trained(rows, tmp_path):
    theirs = begun(tmp_path, rows, 4)
    known = set(theirs.oracle.end_order)
    ours = hyperband(kttoolkit, tmp_path)
    ours.search(*rows, verbose=0, **FIT)
    trials = ours.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    new = [trial for trial in trials if trial.trial_id not in known]
    parents = [trial.hyperparameters.values.get("tuner/trial_id") for trial in new]
    first, parent = next(
        both for both in zip(new, parents, strict=True) if both[1] in known
    )
    model = line(first.hyperparameters)
    model.optimizer.build(model.trainable_variables)
    folder = theirs.get_trial_dir(parent)
    model.load_weights(f"{folder}/checkpoint.weights.h5")
    assert int(model.optimizer.iterations)
    values = first.hyperparameters.values
    n_epochs = values["tuner/epochs"] - values["tuner/initial_epoch"]
    expected = model.fit(*rows, verbose=0, epochs=n_epochs, **FIT).history["val_loss"]
    assert first.score == pytest.approx(min(expected), rel=1e-5)


def failures(tuner):
    return [t.message.split("\n")[0] for t in tuner.oracle.trials.values() if t.message]


@pytest.mark.parametrize("is_ours", [False, True])
def test_where_nothing_is_left_to_go_on_from_it_is_said(is_ours, rows, tmp_path):
    if is_ours:
        tuner = hyperband(kttoolkit, tmp_path)
        tuner.oracle.max_trials = 4
        tuner.search(*rows, verbose=0, **FIT)
    else:
        begun(tmp_path, rows, 2)
    for path in tmp_path.rglob("*.h5"):
        if not is_ours or ".last." in path.name:
            path.unlink()
    tuner = hyperband(kttoolkit, tmp_path)
    tuner.search(*rows, verbose=0, **FIT)
    told = failures(tuner)
    assert told
    theirs = "" if is_ours else r", and so is the checkpoint.weights.h5 of keras_tuner"
    expected = rf"TrialError: The lower rung.*split0\.last.* is missing{theirs}.*\?"
    assert re.fullmatch(expected, told[0])


def test_folds_do_not_go_on_from_a_trial_without_folds(rows, tmp_path):
    begun(tmp_path, rows, 2)
    tuner = hyperband(kttoolkit, tmp_path, cv=2)
    tuner.search(*rows, verbose=0)
    told = failures(tuner)
    assert told
    assert "Folds are continued from their own weights, but all" in told[0]
    assert "Search on without cv=, or begin anew" in told[0]
