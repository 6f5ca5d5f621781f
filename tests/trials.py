"""One trial as an engine trains it, to be compared between engines."""

import keras
import keras_tuner
from matrix import X, Y, dense

from kttoolkit.cv import as_folds
from kttoolkit.data import as_training_data
from kttoolkit.engine import FitPlan, ModelFactory
from kttoolkit.evaluate import evaluate

L = keras.layers
OBJECTIVE = keras_tuner.Objective("val_loss", "min")


def rich(**compiled):
    """Weights, moving averages, random states: all that a fold has of its own."""
    hidden = [L.Dense(8, activation="relu"), L.BatchNormalization(), L.Dropout(0.3)]
    return dense(*hidden, **compiled)


def outcome_of(engine, build, *, cv=5, fit=None, observer=None, weights=None, **plan):
    data = as_training_data(X, Y, task="classification", sample_weight=weights)
    folds = as_folds(cv, data, seed=1)
    kwargs = {"epochs": 4, "batch_size": 8, "verbose": 0, **(fit or {})}
    hypermodel = keras_tuner.HyperModel()
    hypermodel.build = lambda hp: build()
    return evaluate(
        ModelFactory(hypermodel),
        keras_tuner.HyperParameters(),
        data,
        folds,
        FitPlan(OBJECTIVE, 7, fit_kwargs=kwargs, **plan),
        engine=engine,
        observer=observer,
    )


def assert_equal(got, expected):
    for mine, theirs in zip(got.fits, expected.fits, strict=True):
        assert mine.history == theirs.history
        assert (mine.split, mine.seed, mine.epochs) == (
            theirs.split, theirs.seed, theirs.epochs,
        )  # fmt: skip
        assert (mine.n_train, mine.n_test) == (theirs.n_train, theirs.n_test)
