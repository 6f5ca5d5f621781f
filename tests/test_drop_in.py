"""Code written for Keras Tuner runs with the import changed and nothing else."""

import importlib
import re

import keras
import keras_tuner
import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

import kttoolkit
from kttoolkit.exceptions import DataError, StudyFolderError

SCRIPT = """
import keras
import numpy as np
import keras_tuner as kt
from keras_tuner.tuners import RandomSearch
from keras_tuner.oracles import RandomSearchOracle


class Model(kt.HyperModel):
    def build(self, hp):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
        return model

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch_size", [4, 8]), **kwargs)


class Watching(kt.Tuner):
    epochs = 0

    def on_epoch_end(self, trial, model, epoch, logs=None):
        self.epochs += 1


class Countdown(kt.Oracle):
    def __init__(self, objective=None, max_trials=None, seed=None):
        super().__init__(objective, max_trials, None, True, True, seed)

    def populate_space(self, trial_id):
        return {"status": "RUNNING", "values": {"a": 10 - int(trial_id)}}


x = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
y = x.sum(axis=1)
objective = kt.Objective("val_mae", "min")

tuner = Watching(
    hypermodel=Model(),
    oracle=RandomSearchOracle(objective, max_trials=2, seed=0),
    directory=FOLDER,
    project_name="watching",
)
tuner.search(x, y, epochs=2, validation_split=0.5, verbose=0)
assert tuner.epochs == 4
tuner.results_summary()
tuner.search_space_summary()

random = RandomSearch(
    Model(), objective, max_trials=1, directory=FOLDER, executions_per_trial=2
)
random.search(x, y, epochs=1, validation_data=(x, y), verbose=0)
model = random.get_best_models()[0]
best_hp = random.get_best_hyperparameters()[0]
assert best_hp.get("batch_size") in (4, 8)
# The score is the mean of two executions, the model is the better one of them.
assert model.evaluate(x, y, verbose=0)[1] <= SCORE(random) * (1 + 1e-5)


class Scored(kt.Hyperband):
    def run_trial(self, trial, *args, **kwargs):
        value = trial.hyperparameters.Float("v", 0, 1)
        if value > 0.9:
            raise kt.errors.FailedTrialError("too large")
        return value


hyperband = Scored(max_epochs=3, directory=FOLDER, project_name="h", seed=0)
hyperband.search()
assert hyperband.get_best_hyperparameters()[0]["v"] < 0.5

oracle = Countdown("val_loss", 3, 0)
assert oracle.max_trials == 3
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_script_runs_with_the_import_swapped(tmp_path):
    swapped = SCRIPT.replace("keras_tuner", "kttoolkit")
    assert len(re.findall("kttoolkit", swapped)) == 3

    def score(tuner):
        return tuner.oracle.get_best_trials()[0].score

    exec(swapped, {"FOLDER": str(tmp_path), "SCORE": score, "__name__": "x"})


@pytest.mark.filterwarnings("ignore:.*distribution strategy:UserWarning")
@pytest.mark.parametrize("cv", [None, 2])
def test_a_distribution_strategy_is_kept(cv, blobs, build, tmp_path):
    """Built, continued and loaded in the strategy's scope, with and without folds."""
    import tensorflow as tf

    tuner = kttoolkit.Hyperband(
        build, "val_loss", max_epochs=2, factor=2, cv=cv, seed=0, directory=tmp_path,
        distribution_strategy=tf.distribute.MirroredStrategy(["/cpu:0"]),
    )  # fmt: skip
    split = {} if cv else {"validation_split": 0.5}
    tuner.search(*blobs, verbose=0, **split)
    trials = tuner.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    assert any(t.hyperparameters.values["tuner/initial_epoch"] for t in trials)
    assert tuner.get_best_models()[0].count_params() > 0


def test_every_public_name_of_keras_tuner_is_here():
    theirs = {name for name in dir(keras_tuner) if not name.startswith("_")} - {"src"}
    missing = {name for name in theirs if not hasattr(kttoolkit, name)}
    assert not missing
    for name in ("RandomSearch", "Hyperband", "GridSearch", "BayesianOptimization"):
        assert issubclass(getattr(kttoolkit, name), getattr(keras_tuner, name))
        assert hasattr(kttoolkit.oracles, f"{name}Oracle") or name == "RandomSearch"


@pytest.mark.parametrize("room", ["applications", "errors", "oracles", "tuners"])
def test_modules_of_keras_tuner_can_be_imported_from(room):
    theirs = importlib.import_module(f"keras_tuner.{room}")
    ours = importlib.import_module(f"kttoolkit.{room}")
    names = {n for n, v in vars(theirs).items() if isinstance(v, type)}
    assert names
    assert not {name for name in names if not hasattr(ours, name)}


def test_other_groups_are_other_folds(blobs, build, tmp_path):
    x, y = blobs
    numbers = np.arange(len(x))
    tuner = kttoolkit.RandomSearch(
        build, "val_loss", max_trials=1, cv=GroupKFold(2), directory=tmp_path
    )
    for groups in (numbers % 3, numbers // 6):
        folds = tuner._training_data({"x": x, "y": y}, groups)[1]
        for fold in folds.splits:
            assert not set(groups[fold.train]) & set(groups[fold.test])


def constant(hp):
    layer = keras.layers.Dense(1, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((4,)), layer])
    rate = hp.Choice("rate", [0.01, 0.02])
    model.compile(keras.optimizers.SGD(rate), "mse", metrics=["mae"])
    return model


def histories(model, *args, **kwargs):
    return [model.fit(*args, **kwargs) for _ in range(2)]


RETURNED = {
    "histories": histories,
    "numbers": lambda model, *args, **kwargs: [
        min(one.history["val_loss"]) for one in histories(model, *args, **kwargs)
    ],
    "dictionaries": lambda model, *args, **kwargs: [
        {"val_loss": one.history["val_loss"][-1], "own": 3.0}
        for one in histories(model, *args, **kwargs)
    ],
}


@pytest.mark.parametrize("kind", RETURNED)
def test_several_trainings_of_a_trial_count_with_their_mean(kind, blobs, tmp_path):
    class Several(keras_tuner.HyperModel):
        def build(self, hp):
            return constant(hp)

        def fit(self, hp, model, *args, **kwargs):
            return RETURNED[kind](model, *args, shuffle=False, **kwargs)

    found = []
    for library in (keras_tuner, kttoolkit):
        tuner = library.RandomSearch(
            Several(), keras_tuner.Objective("val_loss", "min"), max_trials=2, seed=0,
            directory=tmp_path / library.__name__,
        )  # fmt: skip
        tuner.search(*blobs, validation_split=0.5, epochs=3, verbose=0)
        trials = tuner.oracle.get_best_trials(2)
        found.append([(t.hyperparameters.values, t.score, t.metrics) for t in trials])
    for theirs, ours in zip(*found, strict=True):
        assert theirs[0] == ours[0]
        assert ours[1] == pytest.approx(theirs[1], rel=1e-5)
        for name in theirs[2].metrics:
            if not name.startswith("val_") and name != "own":
                continue
            expected = theirs[2].get_best_value(name)
            assert ours[2].get_best_value(name) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("cv", [None, 2])
def test_a_model_with_a_fit_of_its_own_needs_no_compiling(
    cv, engine, blobs, tmp_path, recwarn
):
    class Own(keras.Sequential):
        def fit(self, x, y, validation_data=None, **kwargs):
            self(x)
            return {"val_loss": float(len(x)) + self.rank}

    def build(hp):
        model = Own([keras.Input((4,)), keras.layers.Dense(1)])
        model.rank = hp.Choice("rank", [0.0, 1.0, 2.0])
        return model

    tuner = kttoolkit.RandomSearch(
        build, keras_tuner.Objective("val_loss", "min"), max_trials=3, cv=cv,
        directory=tmp_path, engine=engine,
    )  # fmt: skip
    tuner.search(*blobs, verbose=0)
    x = blobs[0]
    expected = len(x) / (cv or 1)
    scores = sorted(trial.score for trial in tuner.oracle.trials.values())
    assert scores == [expected, expected + 1, expected + 2]


@pytest.mark.filterwarnings("ignore:Trained with model.fit")
def test_a_fit_that_a_model_was_given_is_called(blobs, tmp_path):
    calls = []

    def build(hp):
        model = constant(hp)
        plain = model.fit

        def fit(*args, **kwargs):
            calls.append(kwargs["epochs"])
            return plain(*args, **kwargs)

        model.fit = fit
        return model

    class Fitting(keras_tuner.HyperModel):
        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, *args, **kwargs):
            return model.fit(*args, **kwargs)

    for number, hypermodel in enumerate((build, Fitting()), start=1):
        tuner = kttoolkit.RandomSearch(
            hypermodel, "val_loss", max_trials=1, cv=2, directory=tmp_path,
            project_name=str(number),
        )  # fmt: skip
        tuner.search(*blobs, epochs=2, verbose=0)
        assert calls == [2, 2] * number
    model = build(keras_tuner.HyperParameters())
    kttoolkit.fit(model, *blobs, epochs=3, verbose=0)
    assert calls[-1] == 3


def test_models_of_a_loop_of_ones_own_can_be_had_afterwards(blobs, tmp_path):
    """A tuner that trains by itself compiles nothing, and keeps weights itself."""

    class Own(kttoolkit.Tuner):
        def run_trial(self, trial, x):
            model = self.hypermodel.build(trial.hyperparameters)
            self.save_model(trial.trial_id, model)
            return {"loss": float(np.mean(np.square(model(x))))}

        def save_model(self, trial_id, model, step=0):
            model.save_weights(f"{self.get_trial_dir(trial_id)}/checkpoint.weights.h5")

    def build(hp):
        return keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(hp.Int("u", 1, 8))]
        )

    oracle = kttoolkit.oracles.RandomSearchOracle(
        kttoolkit.Objective("loss", "min"), max_trials=2, seed=0
    )
    tuner = Own(oracle, build, directory=tmp_path)
    x = blobs[0].astype("float32")
    tuner.search(x)
    best = tuner.get_best_models()[0]
    score = tuner.oracle.get_best_trials()[0].score
    assert np.mean(np.square(best(x))) == pytest.approx(score)


def test_folds_without_targets_are_refused_before_training(blobs, build, tmp_path):
    tuner = kttoolkit.RandomSearch(build, "val_loss", cv=2, directory=tmp_path)
    with pytest.raises(DataError, match=r"y must be given to train with loss=.*y=None"):
        tuner.search(blobs[0], verbose=0)
    assert not tuner.oracle.trials


def test_the_project_of_another_tuner_is_named(blobs, build, tmp_path):
    tuner = kttoolkit.RandomSearch(build, "val_loss", max_trials=1, directory=tmp_path)
    tuner.search(*blobs, validation_split=0.5, verbose=0)
    with pytest.raises(
        StudyFolderError, match=r"as that of a Bayesian.* another tuner"
    ):
        kttoolkit.BayesianOptimization(build, "val_loss", directory=tmp_path)


def test_a_grid_of_two_workers_grows_while_both_run(tmp_path):
    """`HyperModel.fit` may ask for more than `build`, which the other does not know."""
    found = []
    for library in (keras_tuner, kttoolkit):
        oracle = library.oracles.GridSearchOracle(library.Objective("s", "min"))
        oracle._set_project_dir(tmp_path / library.__name__, "p")
        space = library.HyperParameters()
        space.Boolean("a")
        oracle.update_space(space)
        trials = [oracle.create_trial("w1"), oracle.create_trial("w2")]
        assert oracle.create_trial("w3").status == "IDLE"
        _end(oracle, trials[0])
        trials.append(oracle.create_trial("w1"))
        assert oracle.create_trial("w3").status == "IDLE"
        for trial in trials[1:]:
            _end(oracle, trial)
        trials.append(oracle.create_trial("w1"))
        found.append([trial.hyperparameters.values for trial in trials])
    assert found[0] == found[1]
    assert found[1][-1] == {"a": True, "b": True}


def _end(oracle, trial):
    trial.hyperparameters.Boolean("b")
    oracle.update_space(trial.hyperparameters)
    oracle.update_trial(trial.trial_id, {"s": 1.0})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)
