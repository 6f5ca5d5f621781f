"""Counts that wait for the end of an epoch: to the bit what counting at once gives."""

import keras
import numpy as np
import pytest
from matrix import N, X, Y, dense
from trials import rich

import kttoolkit
from kttoolkit.engine import _counts, _epoch
from kttoolkit.engine._counts import Counts
from kttoolkit.engine._keras import reset_names

L, M = keras.layers, keras.metrics
ONE_HOT = np.eye(3, dtype="float32")[np.arange(len(X)) % 3]
# Several at a time, for what takes long is to trace a model three times.
BINARY = {
    "accuracies": [
        lambda: "accuracy",
        lambda: M.Accuracy(name="m"),
        lambda: M.BinaryAccuracy(threshold=0.4),
    ],
    "positives": [
        M.TruePositives,
        lambda: M.FalseNegatives(thresholds=0.3),
        M.Precision,
        lambda: M.Recall(thresholds=0.4),
    ],
    "areas": [
        M.AUC,
        lambda: M.AUC(num_thresholds=20, curve="PR"),
        lambda: M.AUC(thresholds=[0.1, 0.5, 0.52]),
    ],
    "at": [lambda: M.SpecificityAtSensitivity(0.5), lambda: M.RecallAtPrecision(0.6)],
}
CLASSES = {
    "accuracies": [lambda: "accuracy", lambda: M.TopKCategoricalAccuracy(k=2)],
    "precisions": [lambda: M.Precision(class_id=1), lambda: M.Precision(top_k=1)],
    "areas": [lambda: M.AUC(multi_label=True, num_labels=3)],
}


@pytest.fixture
def waited(monkeypatch):
    """Note the metrics that are counted behind the loop over the batches."""
    noted, catch_up = [], Counts.catch_up

    def noting(counts, rows, kept):
        noted.extend(type(call.metric).__name__ for call in counts._calls)
        catch_up(counts, rows, kept)

    monkeypatch.setattr(Counts, "catch_up", noting)
    return noted


def new(build):
    reset_names()
    keras.utils.set_random_seed(3)
    return build()


def assert_same(build, x=X, y=Y, weights=None, **kwargs):
    """Count later, at once, and by `model.fit`, which may round its sums otherwise."""

    def cut(part):
        arrays = (x, y) if weights is None else (x, y, weights)
        return [keras.tree.map_structure(lambda a: a[part], array) for array in arrays]

    rows, given = cut(slice(N)), {}
    if weights is not None:
        given["sample_weight"] = rows.pop()
    options = {"epochs": 3, "batch_size": 8, "verbose": 0, **given, **kwargs}
    options["validation_data"] = tuple(cut(slice(N, None)))
    got = kttoolkit.fit(new(build), *rows, **options).history
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_epoch, "can_count_later", lambda model, n: False)
        at_once = kttoolkit.fit(new(build), *rows, **options).history
    expected = new(build).fit(*rows, **options).history
    assert list(got) == list(at_once) == list(expected)
    for name, values in got.items():
        np.testing.assert_array_equal(values, at_once[name], err_msg=name)
        np.testing.assert_allclose(values, expected[name], rtol=1e-5, err_msg=name)


def binary(*metrics, **compiled):
    return lambda: dense(metrics=[m() for m in metrics], **compiled)()


def three(*metrics, loss="categorical_crossentropy", activation="softmax"):
    out = L.Dense(3, activation=activation)
    return lambda: dense(out=out, loss=loss, metrics=[m() for m in metrics])()


@pytest.mark.parametrize("name", BINARY)
def test_of_two_classes(name, waited):
    assert_same(binary(*BINARY[name]))
    assert len(waited) == 2 * len(BINARY[name])


@pytest.mark.parametrize("name", CLASSES)
def test_of_many_classes(name, waited):
    assert_same(three(*CLASSES[name]), y=ONE_HOT)
    assert len(waited) == 2 * len(CLASSES[name])


@pytest.mark.parametrize("columns", [None, 1])
def test_of_classes_by_number(columns, waited):
    y = ONE_HOT.argmax(1)
    y = y if columns is None else y[:, None]
    top = lambda: M.SparseTopKCategoricalAccuracy(k=2)  # noqa: E731
    build = three(lambda: "acc", top, loss="sparse_categorical_crossentropy")
    assert_same(build, y=y)
    assert len(waited) == 4


def test_what_does_not_count_goes_on_beside_it(waited):
    assert_same(binary(lambda: "mae", lambda: "accuracy", lambda: "mse", M.AUC))
    assert waited == 2 * ["BinaryAccuracy", "AUC"]


def test_with_other_kernels(waited):
    # Batch normalization keeps TensorFlow's usual executor.
    assert_same(lambda: rich(metrics=["accuracy", M.AUC(name="auc")])())
    assert waited == 2 * ["BinaryAccuracy", "AUC"]


def test_of_several_outputs(waited):
    def build():
        x = keras.Input((6,))
        h = L.Dense(4, activation="relu")(x)
        outputs = {
            "b": L.Dense(1, activation="sigmoid", name="b")(h),
            "a": L.Dense(1, activation="sigmoid", name="a")(h),
            "c": L.Dense(3, activation="softmax", name="c")(h),
        }
        model = keras.Model(x, outputs)
        binary, many = "binary_crossentropy", "categorical_crossentropy"
        metrics = {"a": ["accuracy", "mae"], "b": [M.AUC()], "c": ["accuracy"]}
        model.compile("adam", {"a": binary, "b": binary, "c": many}, metrics=metrics)
        return model

    assert_same(build, y={"a": Y, "b": 1 - Y, "c": ONE_HOT})
    assert sorted(waited) == sorted(
        2 * ["BinaryAccuracy", "AUC", "CategoricalAccuracy"]
    )


def test_epochs_of_some_batches(waited):
    assert_same(binary(lambda: "accuracy"), steps_per_epoch=2, shuffle=False)
    assert len(waited) == 2


def test_weights_of_rows_are_no_whole_numbers(waited):
    weights = np.linspace(0.1, 0.7, len(Y))
    build = binary(lambda: "accuracy", weighted_metrics=[M.Precision()])
    assert_same(build, weights=weights)
    assert waited == 2 * ["BinaryAccuracy"]


def _own():
    class Own(M.BinaryAccuracy):
        def update_state(self, y_true, y_pred, sample_weight=None):
            super().update_state(y_true, y_pred * 0.7, sample_weight)

    return Own()


FRACTIONS = {
    "many_labels": three(M.BinaryAccuracy, loss="mse", activation="sigmoid"),
    "labels_with_weights": three(
        lambda: M.AUC(multi_label=False, label_weights=[0.1, 0.2, 0.4]), loss="mse"
    ),
    "logits": three(
        lambda: M.AUC(from_logits=True), loss="mse", activation="linear"
    ),
    "half": three(lambda: M.CategoricalAccuracy(dtype="float16")),
    "own": three(_own),
    "function": three(lambda: keras.metrics.categorical_accuracy),
}  # fmt: skip


@pytest.mark.parametrize("name", FRACTIONS)
def test_what_may_be_rounded_is_counted_at_once(name, waited):
    # And so as any metric, which tests/test_compiled.py compares with `model.fit`.
    kttoolkit.fit(new(FRACTIONS[name]), X, ONE_HOT, verbose=0)
    assert waited == []


def test_rows_of_rows_are_counted_at_once(waited):
    def build():
        x = keras.Input((6,))
        h = L.Dense(3, activation="softmax")(L.Reshape((6, 1))(x))
        model = keras.Model(x, h)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    assert_same(build, y=np.abs(X * 10).astype("int64") % 3)
    assert waited == []


def test_a_metric_that_a_layer_uses_as_well(waited):
    def build():
        watched = M.BinaryAccuracy(name="watched")

        class Watching(L.Layer):
            def call(self, x):
                watched.update_state(keras.ops.ones_like(x), x)
                return x

        return dense(Watching(), L.Dense(3), metrics=[watched])()

    assert_same(build)
    assert waited == 2 * ["BinaryAccuracy"]


def test_long_epochs_of_many_outputs_are_counted_at_once(waited, monkeypatch):
    monkeypatch.setattr(_counts, "_MAX_KEPT", 3 * N - 1)
    assert_same(three(lambda: "accuracy"), y=ONE_HOT)
    assert len(waited) == 1  # only the validation's, which has fewer rows


def test_own_ways_of_reporting_are_left_alone(waited):
    class Own(keras.Sequential):
        def compute_metrics(self, x, y, y_pred, sample_weight=None):
            logs = super().compute_metrics(x, y, y_pred, sample_weight)
            return {**logs, "twice": 2 * logs["accuracy"]}

    def build():
        model = Own([keras.Input((6,)), L.Dense(1, activation="sigmoid")])
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        return model

    assert_same(build)
    assert waited == []
