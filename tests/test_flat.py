"""One update for all weights: to the bit what one for each of them gives."""

import keras
import numpy as np
import pytest
from matrix import LAYERS, OPTIMIZERS, dense
from trials import assert_equal, outcome_of, rich

from kttoolkit.engine import _flat
from kttoolkit.engine._flat import can_be_flat
from kttoolkit.engine._programs import PROGRAMS

L = keras.layers
CHEAP = {"sgd", "nesterov", "clipnorm", "exponential"}
LOOKS_AT_ALL = {
    "global_clipnorm", "ftrl", "lamb", "adafactor", "muon", "ema", "accumulation",
    "loss_scale",
}  # fmt: skip


@pytest.fixture
def flattened(monkeypatch):
    """Note what is made flat."""
    made, flatten = [], _flat.flatten

    def noting(model):
        made.append(model)
        flatten(model)

    monkeypatch.setattr("kttoolkit.engine._programs.flatten", noting)
    PROGRAMS.clear()
    return made


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - LOOKS_AT_ALL - CHEAP))
def test_optimizers_are_equal_to_the_bit(name, flattened):
    # With batch normalization the graph keeps TensorFlow's usual kernels.
    build = rich(optimizer=OPTIMIZERS[name])
    got = outcome_of("compiled", build, cv=2, fit={"epochs": 3})
    assert len(flattened) == 1
    assert flattened[0].optimizer.built
    assert_equal(got, outcome_of("reference", build, cv=2, fit={"epochs": 3}))


def test_callbacks_and_schedules_still_set_the_learning_rate(flattened):
    callbacks = (
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.01 / (1 + epoch)),
        keras.callbacks.ReduceLROnPlateau("loss", patience=0, min_delta=1.0),
    )
    build = rich(optimizer="adam")
    options = {"cv": 2, "callbacks": callbacks}
    got = outcome_of("compiled", build, **options)
    assert len(flattened) == 1
    assert len(set(got.fits[0].history["learning_rate"])) > 1
    assert_equal(got, outcome_of("reference", build, **options))


@pytest.mark.parametrize("name", sorted(LOOKS_AT_ALL | CHEAP))
def test_other_optimizers_are_left_alone(name):
    assert not can_be_flat(dense(optimizer=OPTIMIZERS[name])())


def test_what_cannot_be_joined_is_left_alone():
    class Own(keras.Sequential):
        def train_step(self, data):
            return super().train_step(data)

    own = Own([keras.Input((6,)), L.Dense(1)])
    own.compile("adam", "mse")
    excluding = dense(optimizer="adamw")()
    excluding.optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert can_be_flat(dense(optimizer="adamw")())
    assert not can_be_flat(own)
    assert not can_be_flat(excluding)
    assert not can_be_flat(dense(*LAYERS["max_norm"])())
    assert not can_be_flat(dense(jit_compile=True)())
    assert not can_be_flat(dense(L.Dense(9_000))())
    assert not can_be_flat(dense(L.Dense(4, dtype="float64"))())


def test_frozen_layers_stay_as_they_are(flattened, tmp_path):
    def build():
        model = rich()()
        model.layers[0].trainable = False
        return model

    got = outcome_of("compiled", build, cv=2)
    assert len(flattened) == 1
    assert_equal(got, outcome_of("reference", build, cv=2))


@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")
@pytest.mark.parametrize("reason", ["sparse", "unused"])
def test_gradients_of_another_kind_are_left_to_the_usual_update(reason, flattened):
    def build():
        x = keras.Input((6,))
        if reason == "sparse":
            near = L.Lambda(lambda v: keras.ops.cast(v > 0, "int32"))(x)
            h = L.Flatten()(L.Embedding(2, 3)(near))
        else:
            h = _Idle()(x)
        model = keras.Model(x, L.Dense(1, activation="sigmoid")(h))
        model.compile("adam", "binary_crossentropy")
        return model

    got = outcome_of("compiled", build, cv=2)
    assert len(flattened) == 1
    expected = outcome_of("reference", build, cv=2)
    for mine, theirs in zip(got.fits, expected.fits, strict=True):
        for name, values in theirs.history.items():
            np.testing.assert_allclose(mine.history[name], values, rtol=1e-6)


class _Idle(L.Layer):
    """Has a weight that nothing depends on."""

    def build(self, shape):
        self.idle = self.add_weight(shape=(3,))
        self.built = True

    def call(self, x):
        return 2 * x


def test_trials_that_go_on_keep_the_optimizer_of_every_weight(flattened, tmp_path):
    outcome_of("compiled", rich(), cv=2, keep_last=True, directory=str(tmp_path))
    assert not flattened
