"""What a compiled model tells before any training."""

import keras
import numpy as np
import pytest

from kttoolkit.data import TrainingData, as_training_data
from kttoolkit.exceptions import DataError
from kttoolkit.probe import (
    check_targets,
    default_objective,
    reported_metrics,
    task_of,
)


def compiled(loss):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize(
    ("loss", "task"),
    [
        ("bce", "classification"),
        ("binary_crossentropy", "classification"),
        ("sparse_categorical_crossentropy", "classification"),
        (keras.losses.CategoricalCrossentropy(), "classification"),
        (keras.losses.BinaryFocalCrossentropy(), "classification"),
        (keras.losses.categorical_crossentropy, "classification"),
        ("hinge", "classification"),
        ("mse", "regression"),
        ("MeanAbsoluteError", "regression"),
        (keras.losses.Huber(), "regression"),
        (keras.losses.log_cosh, "regression"),
        (lambda y, p: p - y, None),
        (["mse"], None),
        (None, None),
    ],
)
def test_the_task_follows_the_loss(loss, task):
    assert task_of(compiled(loss)) == task


@pytest.mark.parametrize("y", [[3, 5, 4, 3], [-1, 1, 1, -1], [0.0, 2.0, 0.0, 2.0]])
def test_numbers_are_not_counted_anew_for_an_unknown_loss(y):
    data = as_training_data(np.zeros((20, 2)), np.array(y * 5))
    with pytest.raises(DataError, match="Pass task='regression' to tune"):
        check_targets(compiled(lambda y, p: p - y), data)
    check_targets(compiled("sparse_categorical_crossentropy"), data)


@pytest.mark.parametrize("y", [[0, 1, 2, 0], ["a", "b", "a", "a"], [True, False] * 2])
def test_classes_are_classes_for_any_loss(y):
    data = as_training_data(np.zeros((20, 2)), np.array(y * 5))
    check_targets(compiled(lambda y, p: p - y), data)


@pytest.mark.parametrize(
    ("loss", "units", "y", "message"),
    [
        (
            "sparse_categorical_crossentropy",
            2,
            [0, 1, 2, 1],
            "got 0 to 2 and 2 outputs",
        ),
        (keras.losses.SparseCategoricalCrossentropy(), 2, [1, -1, 0, 1], "got -1 to 1"),
        ("binary_crossentropy", 1, [0, 1, 2, 1], "0 <= y <= 1 .* got 0 to 2.*softmax"),
        (keras.losses.BinaryFocalCrossentropy(), 1, [-1, 1, -1, 1], "got -1 to 1"),
    ],
)
def test_classes_without_an_output_are_refused(loss, units, y, message):
    """Keras trains on them: a loss below zero, or NaN on a GPU."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
    model.compile("sgd", loss)
    with pytest.raises(DataError, match=message):
        reported_metrics(model, TrainingData(np.zeros((4, 2)), np.array(y)))


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        (keras.losses.SparseCategoricalCrossentropy(ignore_class=9), [0, 1, 9, 9]),
        ("binary_crossentropy", [0.0, 0.5, 1.0, 0.2]),
        ("hinge", [-1, 1, -1, 1]),
        ("mse", [7, 8, 9, 10]),
    ],
)
def test_targets_that_a_loss_can_take_are_taken(loss, y):
    units = 2 if isinstance(loss, keras.Loss) else 1
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)])
    model.compile("sgd", loss)
    assert reported_metrics(model, TrainingData(np.zeros((4, 2)), np.array(y)))


def test_the_objective_is_the_accuracy_only_for_classes():
    reported = {"loss": 1.0, "auc": 0.5, "binary_accuracy": 0.5}
    chosen = default_objective(reported, is_classification=True)
    assert chosen == "val_binary_accuracy"
    assert default_objective(reported, is_classification=False) == "val_loss"
    assert default_objective({"loss": 1.0}, is_classification=True) == "val_loss"


def test_the_probe_leaves_the_model_as_it_was():
    """It looks without a graph, and training afterwards still has one."""
    data = as_training_data(np.zeros((4, 3)), np.zeros(4), task="regression")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    assert reported_metrics(model, data) == {"loss": 0.0}
    assert not model.run_eagerly
    assert model.test_function is None
