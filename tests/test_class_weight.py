"""Weights of classes by the names that y has, wherever `fit` is given them."""

import keras
import numpy as np
import pytest

import kttoolkit
from kttoolkit.data import as_training_data, by_class_number
from kttoolkit.exceptions import DataError
from kttoolkit.methods import cross_validate

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(60, 3)).astype("float32")
CODES = (X[:, 0] + DRAW.normal(size=60) > 0.8).astype(int)
NAMES = np.array(["bad", "good"])[CODES]
WEIGHTS = {0: 1.0, 1: 9.0}
FORMS = {
    "names": (NAMES, {"bad": 1.0, "good": 9.0}),
    "numbers": (NAMES, WEIGHTS),
    "from one": (CODES + 1, {1: 1.0, 2: 9.0}),
    "one alone": (CODES + 1, {2: 9.0}),
    "NumPy's": (CODES + 1, {np.int64(1): 1.0, np.int64(2): 9.0}),
    "booleans": (CODES.astype(bool), {False: 1.0, True: 9.0}),
}


def build(hp):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "sigmoid")])
    hp.Choice("unused", [1])
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
    return model


def loss_of(y, class_weight, **options):
    """The training loss, which is weighted, and that of validation, which is not."""
    given = {"cv": 2, "max_epochs": 2, "seed": 0, "verbose": 0, "tuner": "grid"}
    fit = {} if class_weight is None else {"fit_kwargs": {"class_weight": class_weight}}
    return kttoolkit.tune(build, X, y, **given, **fit, **options)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expected")
    return loss_of(CODES, WEIGHTS, directory=folder).curves


@pytest.mark.parametrize("form", FORMS)
def test_classes_are_weighed_by_their_names_or_their_numbers(expected, tmp_path, form):
    y, weights = FORMS[form]
    result = loss_of(y, weights, directory=tmp_path)
    np.testing.assert_array_equal(result.curves["loss"], expected["loss"])
    np.testing.assert_array_equal(result.curves["val_loss"], expected["val_loss"])
    # Retrained the same way, now and after it was opened again.
    model = result.fit_best()
    again = kttoolkit.load_result(
        result.directory, build=build, x=X, y=y, fit_kwargs={"class_weight": weights}
    )
    for mine, theirs in zip(again.fit_best().weights, model.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_weights_change_something(expected, tmp_path):
    plain = loss_of(CODES, None, directory=tmp_path).curves
    assert (plain["val_loss"] != expected["val_loss"]).all()


def test_tuners_and_scores_take_names_too(expected, tmp_path):
    y, weights = FORMS["names"]
    tuner = kttoolkit.GridSearch(
        build, kttoolkit.Objective("val_loss", "min"), cv=2, seed=0, directory=tmp_path
    )
    tuner.search(X, y, epochs=2, class_weight=weights, verbose=0)
    trial = next(iter(tuner.oracle.trials.values()))
    by_number = cross_validate(build, X, CODES, cv=2, epochs=2, seed=0,
                               fit_kwargs={"class_weight": WEIGHTS})  # fmt: skip
    by_name = cross_validate(build, X, y, cv=2, epochs=2, seed=0,
                             fit_kwargs={"class_weight": weights})  # fmt: skip
    np.testing.assert_array_equal(by_name["test_loss"], by_number["test_loss"])
    best = expected.groupby("split")["val_loss"].min().mean()
    np.testing.assert_allclose(trial.score, best, rtol=1e-6)


def test_retraining_with_other_weights_takes_names(tmp_path):
    result = loss_of(NAMES, None, directory=tmp_path)
    named = result.fit_best(class_weight={"bad": 1.0, "good": 9.0})
    numbered = result.fit_best(class_weight=WEIGHTS)
    for mine, theirs in zip(named.weights, numbered.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    ("y", "weights", "rule"),
    [
        (
            NAMES,
            {"bd": 6.0, "good": 1.0},
            r"\['bad', 'good'\].*'bd'.*Did you mean 'bad'",
        ),
        (CODES + 1, {3: 1.0}, r"\[1, 2\], or their numbers from 0 to 1, but got 3"),
        (CODES, {-1: 1.0}, r"but got -1"),
    ],
)
def test_keys_that_are_no_class_are_told_before_anything_is_made(
    tmp_path, y, weights, rule
):
    with pytest.raises(DataError, match=rule):
        loss_of(y, weights, directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_targets_without_classes_are_left_alone():
    given = {"class_weight": {5: 1.0}, "shuffle": False}
    assert by_class_number(given, as_training_data(X, X[:, 0])) == given
    assert by_class_number(given, None) == given
    assert by_class_number(None, as_training_data(X, NAMES)) == {}
