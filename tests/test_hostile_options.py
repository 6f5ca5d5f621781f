"""Hostile options: `tune` takes them, or refuses them in our words before all else."""

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
from conftest import tried
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from test_hostile import ANY, CONTROL, CVS, ODD, SCALARS, ours

import kttoolkit
from kttoolkit import _tune
from kttoolkit.exceptions import (
    DataError,
    KttoolkitError,
    ObjectiveError,
    SearchError,
    StudyFolderError,
)
from kttoolkit.options import OF_A_SEARCH, OF_A_TUNER, OF_OUR_TUNERS, arguments_of

X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = (X[:, 0] > 0).astype(int)
FROM_FOLDER = settings(
    suppress_health_check=[
        HealthCheck.function_scoped_fixture, HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ]
)  # fmt: skip


class Reached(BaseException):
    """All was checked, and the first trial would begin."""


def compiled():
    layers = [keras.Input((3,)), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential(layers)
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    return model


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Ask for a search that ends where training would begin."""
    monkeypatch.chdir(tmp_path)
    kept = compiled()

    def reached(*args):
        raise Reached

    def call(**options):
        given_ = {"tuner": "random", "cv": 2, "max_epochs": 1, "seed": 0, "verbose": 0,
                  "directory": tmp_path / "studies", "project_name": "p",
                  **options}  # fmt: skip
        is_changed = options.keys() & {"optimizer", "loss", "metrics"}

        def build(hp):
            hp.Int("units", 1, 4)
            return compiled() if is_changed else kept

        with monkeypatch.context() as patch:
            patch.setattr(_tune, "_run", reached)
            kttoolkit.tune(build, X, Y, **given_)

    return call


def number(least=0.0, most=float("inf")):
    return lambda v: not isinstance(v, bool) and least <= v <= most


def whole(least=1, most=2**53):
    return lambda v: number(least, most)(v) and float(v).is_integer()


def is_bool(value):
    return isinstance(value, bool | np.bool_)


def is_list(value):
    return isinstance(value, list | tuple)


# What may be taken; all else has to be refused.
SOUND = {
    "max_trials": whole(),
    "max_epochs": whole(),
    "batch_size": whole(),
    "seed": whole(0, 2**32 - 1),
    "timeout": number(),
    "validation_split": number(0, 1),
    "resume": is_bool,
    "overwrite": is_bool,
    "verbose": lambda v: v in {0, 1, 2},
    "engine": lambda v: isinstance(v, str),
    "epoch_selection": lambda v: isinstance(v, str),
    "task": lambda v: v in {"classification", "regression"},
    "callbacks": is_list,
    "fit_kwargs": lambda v: isinstance(v, dict),
    "executions_per_trial": whole(),
    "max_model_size": whole(),
    "max_total_epochs": number(),
    "trial_timeout": number(),
    "keep_checkpoints": lambda v: isinstance(v, str) or whole()(v),
    "max_retries_per_trial": whole(0),
    "max_consecutive_failed_trials": whole(),
    "hyperparameters": lambda v: isinstance(v, keras_tuner.HyperParameters),
    "tune_new_entries": is_bool,
    "allow_new_entries": is_bool,
    "distribution_strategy": lambda v: hasattr(v, "scope"),
    "tuner_id": lambda v: isinstance(v, str) and "/" not in v,
    "optimizer": lambda v: isinstance(v, str | dict | keras.Optimizer),
    "loss": lambda v: callable(v) or isinstance(v, str | list | tuple | dict),
    "metrics": lambda v: is_list(v) or isinstance(v, dict),
    "objective": lambda v: isinstance(v, str | list | keras_tuner.Objective),
    "test_size": number(),
    "parallel": lambda v: v == -1 or whole()(v),
    "trackers": is_list,
    "directory": lambda v: isinstance(v, str),
    "project_name": lambda v: isinstance(v, str),
    "preprocessor": lambda v: hasattr(v, "transform") or callable(v),
    "validation_data": is_list,
    "sample_weight": lambda v: len(v) == len(X),
    "groups": lambda v: len(v) == len(X),
    "cv": lambda v: True,
}
# Of one tuner each.
TUNED = {
    "factor": ("hyperband", whole(2)),
    "hyperband_iterations": ("hyperband", whole(0)),
    "num_initial_points": ("bayesian", whole(0)),
    "alpha": ("bayesian", number()),
    "beta": ("bayesian", number(-float("inf"))),
    "rounds": ("coarse_to_fine", whole()),
    "keep": ("coarse_to_fine", number(0, 1)),
    "max_combinations": ("grid", whole()),
    "settings": ("manual", is_list),
}
LIKELY = {
    "cv": CVS,
    "objective": st.sampled_from(
        [
            "val_accuracy", "loss", "val_auc", [], ["val_loss", "loss"], [["loss"]],
            keras_tuner.Objective("val_loss", "min"),
            keras_tuner.Objective("val_loss", "up"),
            keras_tuner.Objective(3, "min"), [None],
        ]
    ),
    "callbacks": st.sampled_from(
        [[], [keras.callbacks.TerminateOnNaN()], [keras.callbacks.Callback],
         keras.callbacks.TerminateOnNaN(), [None], ["x"]]
    ),
    "preprocessor": st.sampled_from(
        [StandardScaler(), StandardScaler, "passthrough", object, lambda hp: 3, str]
    ),
    "fit_kwargs": st.dictionaries(
        st.sampled_from(["class_weight", "x", "callbacks", "steps_per_epoch", 1]),
        SCALARS, max_size=2,
    ),
    "trackers": st.lists(st.sampled_from(["csv", "tensorbord", None, 3]), max_size=2),
    "tuner_id": st.sampled_from(["a", "../a", "/tmp/a", "a/b", "\0"]),
    "directory": st.sampled_from(["d", "a\0b", "\ud800", b"d", ".", ""]),
    "hyperparameters": st.just(kttoolkit.HyperParameters()),
    "optimizer": st.sampled_from(["adam", "Adamm", keras.optimizers.SGD()]),
    "settings": st.lists(
        st.one_of(
            SCALARS, st.dictionaries(st.sampled_from(["units", "x", 1]), SCALARS)
        ), max_size=2,
    ),
}  # fmt: skip
ANYTHING = st.one_of(
    st.integers(-2, 9), st.floats(), st.booleans(), SCALARS, ODD, ANY,
    st.sampled_from(["auto", "reference", "per_fold", "common", "all", "none"]),
)  # fmt: skip


@st.composite
def options(draw):
    """One option of any value, or a few of them that are asked for together."""
    names = st.sampled_from([*SOUND, *TUNED])
    found = {}
    for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        values = LIKELY.get(name, ANYTHING)
        # Of `cv` only what stands for folds: arrays have a test of their own.
        odd = values if name == "cv" else ANYTHING
        found[name] = draw(st.one_of(values, odd), label=name)
    for name in TUNED.keys() & found:
        found["tuner"] = TUNED[name][0]
    if found.keys() & {"validation_split", "validation_data"}:
        found.setdefault("cv", None)
    return found


def test_every_rule_is_tried():
    """An option that gets a rule is among those that are tried with any value."""
    assert {*OF_A_SEARCH, *OF_OUR_TUNERS} <= {*SOUND, *TUNED}


@FROM_FOLDER
@given(options())
def test_any_options_are_taken_or_refused(ask, tmp_path, asked):
    """No error of Python, NumPy or Keras comes out, and no folder is left behind."""
    tried()
    try:
        ours(ask, **asked)
    except Reached:
        rules = {**SOUND, **{name: rule for name, (_, rule) in TUNED.items()}}
        for name, value in asked.items():
            assert name == "tuner" or value is None or rules[name](value)
    else:
        assert not list(tmp_path.iterdir())
    for path in [*tmp_path.rglob("*")][::-1]:
        path.rmdir() if path.is_dir() else path.unlink()


WRONG = [
    ({"max_epochs": "3"}, SearchError, "max_epochs must be a whole number >= 1, .*'3"),
    ({"max_trials": 10**400}, SearchError, r"max_trials must be a whole.*1000.*\.{3}"),
    ({"batch_size": 2**60}, SearchError, r"whole number >= 1 and < 2\*\*53, but got"),
    ({"max_epochs": pd.NA}, SearchError, "max_epochs must be .* but got <NA>"),
    ({"seed": True}, SearchError, "seed must be a whole number >= 0, but got True"),
    ({"seed": -1}, SearchError, "seed must be a whole number >= 0, but got -1"),
    ({"seed": 2**32}, SearchError, r"seed must be .* < 2\*\*32, but got 4294967296"),
    ({"callbacks": 3}, SearchError, "callbacks must be a list of keras.* but got 3"),
    ({"callbacks": ["x"]}, SearchError, r"callbacks must be a list .* got \['x'\]"),
    ({"callbacks": np.zeros(2)}, SearchError, "callbacks must be a list of keras"),
    ({"timeout": "1h"}, SearchError, "timeout > 0 must hold, but got '1h'"),
    ({"timeout": 10**400}, SearchError, "timeout > 0 must hold, but got 1000"),
    ({"verbose": []}, SearchError, r"verbose must be 0, 1 or 2, but got \[\]"),
    ({"resume": "no"}, SearchError, "resume must be True or False, but got 'no'"),
    ({"overwrite": pd.NA}, SearchError, "overwrite must be True or False"),
    ({"engine": []}, SearchError, r"engine must be text, but got \[\]"),
    ({"epoch_selection": np.zeros(2)}, SearchError, "epoch_selection must be text"),
    ({"task": pd.NA}, SearchError, "task must be text, but got <NA>"),
    ({"fit_kwargs": 3}, SearchError, "fit_kwargs must be a dictionary of arguments"),
    ({"fit_kwargs": {1: 2}}, SearchError, "fit_kwargs must be a dictionary of arg"),
    ({"fit_kwargs": {"class_weight": "balanced"}}, SearchError, "of classes to"),
    ({"fit_kwargs": {"callbacks": []}}, SearchError, r"got \['callbacks'\]. Pass them"),
    ({"directory": 3}, StudyFolderError, "directory must be the path of a folder"),
    ({"directory": "a\0b"}, StudyFolderError, r"directory must be .* got 'a\\x00b'"),
    ({"directory": "\ud800"}, StudyFolderError, r"directory must be .*'\\ud800'"),
    ({"objective": []}, ObjectiveError, r"objective must be a metric name.* got \[\]"),
    ({"objective": keras_tuner.Objective("val_loss", "up")}, ObjectiveError, "or a li"),
    ({"objective": keras_tuner.Objective(3, "min")}, ObjectiveError, "metric name, a"),
    ({"preprocessor": object}, DataError, "preprocessor must be able to take .*TypeEr"),
    ({"preprocessor": np.zeros(2)}, DataError, "preprocessor must be able to take the"),
    ({"cv": None, "validation_split": "a"}, SearchError, "must be a finite number"),
    ({"executions_per_trial": "x"}, SearchError, "executions_per_trial must be a whol"),
    ({"max_model_size": "1e6"}, SearchError, "max_model_size must be a whole number"),
    ({"max_total_epochs": "x"}, SearchError, "max_total_epochs > 0 must hold"),
    ({"trial_timeout": []}, SearchError, "trial_timeout > 0 must hold"),
    ({"keep_checkpoints": []}, SearchError, r'keep_checkpoints must be "all", "none"'),
    ({"tuner_id": "../x"}, SearchError, "tuner_id must be the name of one file, no pa"),
    ({"hyperparameters": 3}, SearchError, "must be a keras_tuner.HyperParameters obj"),
    ({"tune_new_entries": False}, SearchError, "hyperparameters must be given where"),
    ({"distribution_strategy": 3}, SearchError, "must be a tf.distribute.Strategy ob"),
    ({"optimizer": "Adamm"}, SearchError, "optimizer must be a name that Keras knows"),
    ({"optimizer": 3}, SearchError, "optimizer must be a name or an optimizer of Ker"),
    ({"loss": "mze"}, SearchError, "loss must be a name that Keras knows, but got 'm"),
    ({"loss": 3}, SearchError, "loss must be a name, a function or a loss of Keras"),
    ({"metrics": 3}, SearchError, "metrics must be a list or a dictionary, as model."),
    ({"self": 3}, SearchError, "Arguments must be those of tune or of RandomSearch"),
    ({"hypermodel": 3}, SearchError, "Arguments must be those of tune or of RandomSe"),
    ({"oracle": 3}, SearchError, "Arguments must be those of tune or of RandomSearch"),
    ({"tuner": "hyperband", "factor": "x"}, SearchError, "factor must be a whole numb"),
    ({"tuner": "bayesian", "alpha": float("inf")}, SearchError, "alpha must be a fin"),
    ({"tuner": "bayesian", "beta": float("nan")}, SearchError, "beta must be a finit"),
    ({"tuner": "coarse_to_fine", "keep": "x"}, SearchError, "keep must be a finite n"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "error", "message"), WRONG)
def test_options_of_wrong_types_are_refused(ask, tmp_path, asked, error, message):
    """Each was once an error of Python, NumPy or Keras, or was taken and lost later."""
    with pytest.raises(error, match=message) as caught:
        ask(**asked)
    assert not CONTROL.search(str(caught.value))
    assert not list(tmp_path.iterdir())


def test_an_oracle_takes_no_unknown_options(ask):
    """They were once an error of Python."""
    oracle = kttoolkit.oracles.RandomSearchOracle("val_loss", max_trials=1, seed=0)
    with pytest.raises(SearchError, match="or of FoldTuner, but got max_total_epoch=3"):
        ask(tuner=oracle, max_total_epoch=3)


@pytest.mark.parametrize("count", [1.0, np.int64(1), np.float32(1)])
def test_whole_numbers_of_other_types_are_kept_as_such(count, tmp_path):
    """A study that wrote 1.0 could not be read again when its search had ended."""
    result = kttoolkit.tune(
        kttoolkit.builders.mlp(units=2, depth=1, tune=["learning_rate"]), X, Y,
        tuner="random", cv=2, max_trials=count, max_epochs=count, seed=count,
        batch_size=8 * count, verbose=0, directory=tmp_path, project_name="p",
    )  # fmt: skip
    again = kttoolkit.load_result(tmp_path / "p")
    assert len(result.trials) == 1
    assert (again.study.max_epochs, again.study.batch_size) == (1, 8)


class Loud:
    """Its text would colour a terminal."""

    def __repr__(self):
        return "\x1b[31mred\x07"


@pytest.mark.parametrize("name", OF_A_SEARCH)
def test_what_is_refused_is_shown_and_does_nothing(ask, name):
    """A message of an error is printed to a terminal, too."""
    with pytest.raises(KttoolkitError, match=r"\\x1b\[31mred\\x07") as caught:
        ask(**{name: Loud()})
    assert not CONTROL.search(str(caught.value))


# -- tuners that are made without `tune` ---

OURS = {
    "random": kttoolkit.RandomSearch,
    "bayesian": kttoolkit.BayesianOptimization,
    "hyperband": kttoolkit.Hyperband,
    "grid": kttoolkit.GridSearch,
    "coarse_to_fine": kttoolkit.CoarseToFine,
    "manual": kttoolkit.ManualSearch,
}


@pytest.fixture
def make(tmp_path):
    """Make a tuner over a model of one hyperparameter, which is built but once."""
    kept = compiled()

    def build(hp):
        hp.Int("units", 1, 4)
        return kept

    def made(tuner, **options):
        more = {"settings": [{"units": 1}]} if tuner == "manual" else {}
        given_ = {"directory": tmp_path, "project_name": "p", **more, **options}
        return OURS[tuner](**{"hypermodel": build, "objective": "val_loss", **given_})

    return made


def taken(tuner):
    """Return the arguments of a tuner that have a rule."""
    return sorted(arguments_of(OURS[tuner]) & OF_A_TUNER.keys())


@pytest.mark.parametrize("name", OURS)
def test_arguments_of_a_tuner_follow_the_rules_of_a_search(make, tmp_path, name):
    """Whatever is wrong is said by us, and a folder that is there is left as it is."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "kept.txt").write_text("kept")
    wrong = {argument: Loud() for argument in taken(name)}
    more = {"callbacks": [], "max_trails": 3, "objective": Loud(), "parallel": 10**400}
    for argument, value in {**wrong, **more}.items():
        asked = {"overwrite": True, argument: value}
        with pytest.raises(KttoolkitError, match=f"{argument}|objective") as caught:
            make(name, **asked)
        assert not CONTROL.search(str(caught.value))
    assert (tmp_path / "p" / "kept.txt").exists()


WRONG_OF_TUNERS = [
    ({"timeout": "x"}, "timeout > 0 must hold, but got 'x'"),
    ({"timeout": 10**400}, "timeout > 0 must hold, but got 1000"),
    ({"max_trials": 2.5}, "max_trials must be a whole number >= 0, but got 2.5"),
    ({"max_trials": -1}, "max_trials must be a whole number >= 0, but got -1"),
    ({"overwrite": "no"}, "overwrite must be True or False, but got 'no'"),
    ({"overwrite": 2}, "overwrite must be True or False, but got 2"),
    ({"overwrite": 1.0}, "overwrite must be True or False, but got 1.0"),
    ({"loss": keras.Model}, "loss must be a name, a function or a loss of Keras, or"),
    ({"tuner_id": "../x"}, "tuner_id must be the name of one file, no path, but got"),
    ({"seed": -1}, "seed must be a whole number >= 0, but got -1"),
    ({"engine": {}}, "engine must be text, but got {}"),
    ({"engine": "warp"}, "engine must be one of .* but got 'warp'"),
    ({"epoch_selection": np.zeros(2)}, "epoch_selection must be text"),
    ({"keep_checkpoints": {}}, 'keep_checkpoints must be "all", "none"'),
    ({"keep_checkpoints": np.zeros(2)}, 'keep_checkpoints must be "all", "none"'),
    ({"max_total_epochs": []}, r"max_total_epochs > 0 must hold, but got \[\]"),
    ({"executions_per_trial": 0}, "executions_per_trial must be a whole number >= 1"),
    ({"parallel": 10**400}, r"parallel must be .* <= 10,000 .* but got 1000.*\.{3}"),
    ({"parallel": 10**5000}, "parallel must be .* but got a int that is too large"),
    ({"directory": 3}, "directory must be the path of a folder, but got 3"),
    ({"project_name": "a\0"}, r"project_name must be the path .* got 'a\\x00'"),
    ({"objective": 3}, "objective must be a metric name, .* but got 3"),
    ({"hypermodel": 3}, "hypermodel must be a build function or a HyperModel, but"),
    ({"callbacks": []}, r"must be those of a tuner, but got \['callbacks'\]. Those of"),
]


@pytest.mark.parametrize(("asked", "message"), WRONG_OF_TUNERS)
def test_wrong_arguments_of_a_tuner_are_refused(make, tmp_path, asked, message):
    """Each was once an error of Python, NumPy or Keras, or was taken and lost later."""
    with pytest.raises(KttoolkitError, match=message):
        make("random", **asked)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("tuner", "asked", "message"),
    [
        ("hyperband", {"max_epochs": None}, "max_epochs must be a whole number >= 1"),
        ("hyperband", {"max_trials": "x"}, "max_trials must be a whole number >= 0"),
        ("hyperband", {"factor": 1}, "factor must be a whole number >= 2, but got 1"),
        ("grid", {"max_combinations": "x"}, "max_combinations must be a whole number"),
        ("coarse_to_fine", {"rounds": "x"}, "rounds must be a whole number >= 0"),
        ("coarse_to_fine", {"max_trials": None}, "needs two trials or more, but got"),
        ("manual", {"settings": 3}, "needs a list of dictionaries .* but got 3"),
    ],
)
def test_arguments_of_one_tuner_are_refused(make, tuner, asked, message):
    """They were once errors of Python."""
    with pytest.raises(KttoolkitError, match=message):
        make(tuner, **asked)


def test_an_oracle_follows_the_rules_of_a_tuner():
    """It is made by the user, and a tuner sees no more than what came of it."""
    with pytest.raises(SearchError, match="max_trials must be a whole number >= 0"):
        kttoolkit.oracles.RandomSearchOracle("val_loss", max_trials="x")
    with pytest.raises(SearchError, match="hyperparameters must be given where"):
        kttoolkit.oracles.GridSearchOracle("val_loss", tune_new_entries=False)
    with pytest.raises(SearchError, match=r"oracle must be a .* instance, but got 3"):
        kttoolkit.Tuner(3, len)


@pytest.mark.parametrize(
    ("tuner", "asked"),
    [
        ("random", {"max_trials": None, "max_consecutive_failed_trials": None}),
        ("random", {"max_trials": 0, "max_model_size": 0, "overwrite": np.True_}),
        ("random", {"overwrite": 1, "loss": keras.losses.MeanAbsoluteError}),
        ("random", {"overwrite": None}),
        ("random", {"max_trials": np.int64(3), "seed": np.int32(2), "tuner_id": "a"}),
        ("random", {"executions_per_trial": 1.0, "seed": 2**40, "directory": None}),
        ("random", {"optimizer": {"class_name": "SGD", "config": {}}}),
        ("bayesian", {"num_initial_points": 0, "beta": np.float32(2), "alpha": 1}),
        ("hyperband", {"hyperband_iterations": None, "max_epochs": np.float64(4)}),
        ("hyperband", {"hyperband_iterations": 0, "factor": np.int8(2)}),
        ("grid", {"max_trials": None, "max_retries_per_trial": np.int64(0)}),
    ],
)
def test_what_keras_tuner_takes_is_taken(make, tmp_path, monkeypatch, tuner, asked):
    """No limit by None or 0; numbers of NumPy, which are written to the folder."""
    monkeypatch.chdir(tmp_path)
    search = make(tuner, **asked)
    search.save()
    assert search.oracle.create_trial("tuner0").status == "RUNNING"
    assert search.oracle.planned_trials() != 0


@pytest.mark.parametrize(
    ("value", "is_kept"), [(1, False), (np.int64(1), False), (0, True), (None, True)]
)
def test_a_folder_is_overwritten_by_truth(make, tmp_path, value, is_kept):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "kept.txt").write_text("kept")
    make("random", overwrite=value)
    assert (tmp_path / "p" / "kept.txt").exists() is is_kept


def test_a_loss_may_be_given_as_a_class(make):
    scores = []
    for loss in (keras.losses.MeanAbsoluteError, "mean_absolute_error"):
        search = make(
            "random", loss=loss, seed=0, max_trials=1, cv=2, project_name=str(loss)
        )
        search.search(X, Y, epochs=1, verbose=0)
        scores.append(search.oracle.trials["0"].score)
    assert scores[0] == pytest.approx(scores[1])


def test_failures_may_have_no_limit(make):
    """Keras Tuner takes None for that."""
    search = make("random", max_trials=4, max_consecutive_failed_trials=None, cv=2)
    search.search(X, Y, epochs="x", verbose=0)
    assert [t.status for t in search.oracle.trials.values()] == ["FAILED"] * 4


def test_an_oracle_has_its_own_number_of_trials(ask, tmp_path):
    """A second one was once let pass and counted for nothing."""
    oracle = kttoolkit.oracles.RandomSearchOracle("val_loss", max_trials=2, seed=0)
    message = "max_trials=5 beside a RandomSearchOracle with max_trials=2. Pass it to"
    with pytest.raises(SearchError, match=message):
        ask(tuner=oracle, max_trials=5)
    assert not list(tmp_path.iterdir())
