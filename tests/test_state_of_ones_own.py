"""State that Keras knows nothing of, and shapes that it leaves open: as `model.fit`."""

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import kttoolkit
from kttoolkit.engine._call import RefusedError
from kttoolkit.engine._keras import reset_names
from kttoolkit.engine._refusals import refusing
from kttoolkit.exceptions import DataError, EngineWarning

L = keras.layers
ERROR = keras_tuner.Objective("val_error", "min")
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(40, 4)).astype("float32")
Y = DRAW.normal(size=(40, 1)).astype("float32")
SEQUENCES = DRAW.normal(size=(24, 5, 1)).astype("float32")


class Drawing(L.Layer):
    """Draws with a generator of TensorFlow's."""

    def __init__(self):
        super().__init__()
        self.generator = tf.random.Generator.from_seed(3)

    def call(self, x):
        return x + self.generator.normal(tf.shape(x))


class Counting(L.Layer):
    """Counts batches in a variable of TensorFlow's."""

    def __init__(self):
        super().__init__()
        self.seen = tf.Variable(0.0)

    def call(self, x):
        return x * (1.0 + 0.01 * self.seen.assign_add(1.0))


class Calling(L.Layer):
    """Counts batches in Python."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def scaled(self, x):
        self.seen += 1
        return x * (1.0 + 0.01 * self.seen)

    def call(self, x):
        out = tf.numpy_function(lambda a: self.scaled(a).astype(a.dtype), [x], x.dtype)
        return tf.ensure_shape(out, x.shape)


class CountingLoss(keras.losses.Loss):
    """A loss that counts in a variable of TensorFlow's."""

    def __init__(self):
        super().__init__()
        self.seen = tf.Variable(0.0)

    def call(self, y, predicted):
        return tf.square(y - predicted) * (1.0 + 0.01 * self.seen.assign_add(1.0))


class CountingMetric(keras.metrics.Mean):
    """A metric that counts in a variable of TensorFlow's."""

    def __init__(self):
        super().__init__(name="counted")
        self.seen = tf.Variable(0.0)

    def update_state(self, y, predicted, sample_weight=None):
        super().update_state(self.seen.assign_add(1.0))


class Median(keras.metrics.Metric):
    """A score of all batches so far, which are kept in a list."""

    def __init__(self):
        super().__init__(name="median")
        self.kept = []
        self.value = self.add_variable(shape=(), initializer="zeros")

    def update_state(self, y, predicted, sample_weight=None):
        def median(y, predicted):
            self.kept.append(float(np.abs(y - predicted).sum()))
            return np.float32(np.median(self.kept))

        told = tf.numpy_function(median, [y, predicted], tf.float32)
        self.value.assign(tf.ensure_shape(told, ()))

    def result(self):
        return self.value

    def reset_state(self):
        self.kept.clear()
        self.value.assign(0.0)


def model_of(*layers, shape=(4,), loss="mse", **compiled):
    def build():
        inputs = keras.Input(**shape) if isinstance(shape, dict) else keras.Input(shape)
        model = keras.Sequential([inputs, *(make() for make in layers), L.Dense(1)])
        metrics = [make() for make in compiled.get("metrics", ())]
        kind = loss if isinstance(loss, str) else loss()
        optimizer = compiled.get("optimizer", lambda: "sgd")()
        given = {**compiled, "optimizer": optimizer, "metrics": metrics}
        model.compile(loss=kind, **given)
        return model

    return build


def assert_same(build, x=X, y=Y, **given):
    found = []
    for fit in (keras.Model.fit, kttoolkit.fit):
        reset_names()
        keras.utils.set_random_seed(1)
        model = build()
        options = {"epochs": 3, "batch_size": 8, "verbose": 0, **given}
        found.append(fit(model, x, y, validation_data=(x, y), **options).history)
    expected, got = found
    assert list(got) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-5, err_msg=name)


STATES = {
    "generator": model_of(Drawing),
    "variable": model_of(Counting),
    "variable_xla": model_of(Counting, jit_compile=True),
    "python": model_of(Calling),
    "loss": model_of(loss=CountingLoss),
    "metric": model_of(metrics=[CountingMetric]),
}


@pytest.mark.parametrize("name", STATES)
def test_state_that_is_no_variable_of_keras_is_as_after_model_fit(name):
    assert_same(STATES[name])


def test_a_metric_that_keeps_values_in_python_is_left_to_model_fit():
    with pytest.warns(EngineWarning, match="Median may keep values in Python"):
        assert_same(model_of(metrics=[Median]))


class Own(keras.metrics.MeanSquaredError):
    """Begins anew in a way of its own, but in variables."""

    def reset_state(self):
        for variable in self.variables:
            variable.assign(variable * 0)


def test_a_metric_that_begins_anew_in_its_own_way_is_trained_with():
    assert_same(model_of(metrics=[Own]))


class Slow(keras.optimizers.SGD):
    """Goes half-way back to older weights in every third step."""

    def build(self, variables):
        super().build(variables)
        self.slow = [
            self.add_variable_from_reference(one, name="slow") for one in variables
        ]
        for slow, variable in zip(self.slow, variables, strict=True):
            slow.assign(variable)

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, learning_rate)
        slow = self.slow[self._get_variable_index(variable)]
        is_third = keras.ops.equal(keras.ops.mod(self.iterations + 1, 3), 0)
        back = (slow + variable) / 2
        slow.assign(keras.ops.where(is_third, back, slow))
        variable.assign(keras.ops.where(is_third, back, variable))


def test_an_optimizer_that_assigns_when_it_is_built_is_left_to_model_fit():
    build = model_of(optimizer=lambda: Slow(0.1))
    with pytest.warns(EngineWarning, match=r"Slow\.build assigns values"):
        assert_same(build)


def test_lengths_may_be_left_open():
    causal = lambda: L.Conv1D(4, 2, padding="causal")  # noqa: E731
    build = model_of(causal, shape=(None, 1), metrics=[keras.metrics.BinaryAccuracy])
    assert_same(build, SEQUENCES, (SEQUENCES > 0).astype("float32"))


def test_recurrent_layers_may_keep_their_state():
    batches = {"batch_shape": (8, 5, 1)}
    build = model_of(lambda: L.LSTM(3, stateful=True), shape=batches)
    assert_same(build, SEQUENCES, SEQUENCES[:, 0], shuffle=False)


def test_a_search_takes_rows_as_its_model_wants_them(tmp_path):
    """A network for batches of eight, which a look at two rows would fail in."""
    build = model_of(lambda: L.LSTM(3, stateful=True), shape={"batch_shape": (8, 5, 1)})
    result = kttoolkit.tune(
        lambda hp: build(), SEQUENCES, SEQUENCES[:, 0], tuner="random", max_trials=1,
        cv=[(np.arange(16), np.arange(16, 24))], max_epochs=1, batch_size=8, seed=0,
        directory=tmp_path, verbose=0, task="regression",
    )  # fmt: skip
    assert list(result.trials["status"]) == ["completed"]


class Alone(keras.Model):
    """An autoencoder that is shown rows without targets, as in Keras's examples."""

    def __init__(self):
        super().__init__()
        self.layer = L.Dense(4)

    def call(self, x):
        return self.layer(x)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(data) - data) ** 2)
        weights = self.trainable_variables
        gradients = tape.gradient(loss, weights)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return {"error": loss}

    def test_step(self, data):
        return {"error": tf.reduce_mean((self(data) - data) ** 2)}


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_search_shows_a_step_of_ones_own_what_fit_does(engine, tmp_path):
    def build(hp):
        model = Alone()
        model.compile("adam")
        return model

    result = kttoolkit.tune(
        build, X, tuner="random", objective=ERROR, max_trials=1, cv=2, seed=0,
        max_epochs=2, directory=tmp_path, verbose=0, engine=engine,
    )  # fmt: skip
    assert list(result.trials["status"]) == ["completed"]
    assert 0 < result.best_score < 10


def test_rows_that_a_model_cannot_take_are_told_of_without_targets(tmp_path):
    def build(hp):
        model = Alone()
        model(X[:1, :3])
        model.compile("adam")
        return model

    with pytest.raises(DataError, match=r"\('n', 4\) for x, nothing for y"):
        kttoolkit.tune(
            build, X, tuner="random", objective=ERROR, max_trials=1, cv=2,
            directory=tmp_path, verbose=0,
        )  # fmt: skip


def test_a_refusal_tells_what_keras_says():
    class Broken(L.Layer):
        def call(self, x):
            raise ValueError("the matter.")

    with (
        pytest.raises(RefusedError, match=r"Broken\.call\(\)\. the matter$"),
        refusing(),
    ):
        Broken()(X)
