"""One update for all weights: to the bit what one for each of them gives."""

import h5py
import keras
import numpy as np
import pytest
from matrix import LAYERS, OPTIMIZERS, X, Y, dense
from trials import assert_equal, outcome_of, rich

import kttoolkit
from kttoolkit.engine._flat import Flat, can_be_flat
from kttoolkit.engine._programs import PROGRAMS

L = keras.layers
CHEAP = {"sgd", "nesterov", "clipnorm", "exponential"}
LOOKS_AT_ALL = {
    "global_clipnorm", "ftrl", "lamb", "adafactor", "muon", "ema", "accumulation",
    "loss_scale",
}  # fmt: skip


@pytest.fixture
def flattened(monkeypatch):
    """Note the steps that were traced with one update for all weights."""
    traced, updating = [], Flat.updating

    def noting(flat, step):
        traced.append(flat)
        return updating(flat, step)

    monkeypatch.setattr(Flat, "updating", noting)
    PROGRAMS.clear()
    return traced


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - LOOKS_AT_ALL - CHEAP))
def test_optimizers_are_equal_to_the_bit(name, flattened):
    # With batch normalization the graph keeps TensorFlow's usual kernels.
    build = rich(optimizer=OPTIMIZERS[name])
    got = outcome_of("compiled", build, cv=2, fit={"epochs": 3})
    assert len(flattened) == 1
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


def test_what_the_optimizer_keeps_is_kept_for_every_weight(flattened):
    one, other = _moved("adamw"), _moved("adamw")
    options = {"batch_size": 8, "verbose": 0}
    for epochs in (1, 2):
        mine = kttoolkit.fit(one, X, Y, epochs=epochs, **options)
        theirs = other.fit(X, Y, epochs=epochs, **options)
        assert mine.history == theirs.history
        kept = zip(one.optimizer.variables, other.optimizer.variables, strict=True)
        for a, b in kept:
            np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)
    assert len(flattened) == 1
    assert "apply" not in vars(one.optimizer)


def _moved(optimizer):
    """Make a model whose optimizer has seen some steps already."""
    keras.utils.set_random_seed(0)
    model = rich(optimizer=optimizer)()
    model.fit(X, Y, epochs=1, batch_size=8, verbose=0)
    return model


def test_trials_that_go_on_are_trained_so_too(flattened, tmp_path):
    found = {
        engine: _last_state(engine, tmp_path / engine)
        for engine in ("compiled", "reference")
    }
    assert len(flattened) == 1
    assert found["compiled"].keys() == found["reference"].keys()
    assert any("optimizer" in name for name in found["reference"])
    for name, values in found["reference"].items():
        np.testing.assert_array_equal(found["compiled"][name], values, err_msg=name)


def _last_state(engine, folder):
    outcome_of(engine, rich(), cv=2, keep_last=True, directory=str(folder))
    state = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            state[name] = item[()]

    with h5py.File(folder / "split0.last.weights.h5") as file:
        file.visititems(note)
    return state


class _Halving(L.Layer):
    """Changes its own trained weight before it is used."""

    def __init__(self, place):
        super().__init__()
        self.place = place

    def get_config(self):
        return {"place": self.place}

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)

    def call(self, x):
        if self.place == "before":
            self.halve()
        if self.place == "branch":
            keras.ops.cond(keras.ops.sum(x) > 0, self.halve, lambda: None)
        return x * self.scale

    def halve(self):
        self.scale.assign(self.scale * 0.5)


class _Meddling(keras.metrics.Metric):
    """Changes a weight when the optimizer is done."""

    def __init__(self, layer):
        super().__init__(name="meddling")
        self.layer = [layer]

    def update_state(self, *args, **kwargs):
        self.layer[0].halve()

    def result(self):
        return 0.0

    def reset_state(self):
        pass


@pytest.mark.parametrize("place", ["before", "branch", "behind"])
def test_weights_that_change_besides_are_seen(place, flattened):
    def build():
        model = dense(_Halving(place), L.Dense(4))()
        if place == "behind":
            metrics = [_Meddling(model.layers[0])]
            model.compile("adam", "binary_crossentropy", metrics=metrics)
        return model

    got = outcome_of("compiled", build, cv=2)
    assert len(flattened) >= 1
    assert_equal(got, outcome_of("reference", build, cv=2))
