"""The memory of the device: how it is taken, and what happens where it runs out."""

import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from matrix import X, Y, dense
from trials import assert_equal, outcome_of, rich

import kttoolkit
from kttoolkit.engine import _call, _donated
from kttoolkit.engine._device import prepare_devices
from kttoolkit.exceptions import EngineWarning

L = keras.layers
NO_COPY = (
    "Failed copying input tensor from CPU:0 to GPU:0: Dst tensor is not initialized."
)


@pytest.mark.parametrize(
    ("grows", "limits", "wanted"),
    [
        ([None, None], [None, None], ["one", "two"]),
        ([None, False], [None, None], []),
        ([None, None], [[tf.config.LogicalDeviceConfiguration(1024)], None], []),
    ],
    ids=["nothing said", "growth said", "limit said"],
)
def test_memory_of_gpus_grows_unless_users_have_settled_it(
    monkeypatch, grows, limits, wanted
):
    """TensorFlow allows no growth with limits, nor with some GPUs alone."""
    asked = []
    names = ["one", "two"]
    grows = dict(zip(names, grows, strict=True))
    limits = dict(zip(names, limits, strict=True))
    experimental = tf.config.experimental
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: names)
    monkeypatch.setattr(experimental, "get_memory_growth", grows.get)
    monkeypatch.setattr(tf.config, "get_logical_device_configuration", limits.get)
    monkeypatch.setattr(
        experimental, "set_memory_growth", lambda gpu, on: asked.append((gpu, on))
    )
    prepare_devices.__wrapped__()
    assert asked == [(name, True) for name in wanted]


class Huge(L.Layer):
    """Asks for hundreds of gigabytes when it is trained."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x, training=False):
        if not training:
            return x
        n = tf.shape(x)[0] * self.factor
        return x + tf.reduce_sum(tf.zeros([n, 1_000_000])) * 0


@pytest.mark.fault
def test_running_out_of_memory_fails_the_trial_alone(tmp_path):
    def build(hp):
        model = keras.Sequential(
            [keras.Input((6,)), Huge(hp.Choice("factor", [12_500, 0])), L.Dense(1)]
        )
        # XLA makes nothing of zeros.
        model.compile("sgd", "mse", jit_compile=False)
        return model

    result = kttoolkit.tune(
        build, X, Y, tuner="grid", cv=2, max_epochs=1, objective="val_loss", seed=0,
        directory=tmp_path,
    )  # fmt: skip
    assert sorted(result.trials["status"]) == ["completed", "failed"]
    assert "ResourceExhausted" in " ".join(result.trials["reason"].astype(str))


@pytest.mark.fault
@pytest.mark.parametrize("engine", ["compiled", "stacked", "reference"])
def test_weights_outlive_memory_running_out_under_xla(engine, tmp_path):
    """XLA frees the buffers of variables it was to update, and aborts later on."""
    wide, models = 2_000_000, []

    def build(hp):
        units = hp.Choice("units", [4, wide])
        layers = [L.Dense(8), L.Dense(1), L.Dense(units, "tanh"), L.Dense(1)]
        model = keras.Sequential([keras.Input((1,)), *layers])
        model.compile("sgd", "mse", jit_compile=True)
        models.append((units, model, model.get_weights()))
        return model

    # Batches of terabytes.
    x = np.linspace(0, 1, 800_000, dtype="float32")[:, None]
    result = kttoolkit.tune(
        build, x, x, tuner=[{"units": units} for units in (4, wide, 4)], cv=2, seed=0,
        max_epochs=1, batch_size=400_000, objective="val_loss", engine=engine,
        directory=tmp_path,
    )  # fmt: skip
    # They take the place of what was freed.
    others = [tf.fill(shape, 9.0) for shape in 1000 * [[1, 8], [8], [8, 1], [1]]]
    assert [record.status for record in result.records] == [
        "completed", "failed", "completed",
    ]  # fmt: skip
    assert result.records[0].score == result.records[2].score
    assert "ResourceExhausted" in result.records[1].reason
    broken = [(model, weights) for n, model, weights in models if n == wide]
    for model, weights in broken:
        for mine, first in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(mine, first)
    assert broken
    assert others


@pytest.mark.parametrize("jit", [True, False])
def test_weights_are_held_in_the_first_epoch_of_each_fit(jit, monkeypatch):
    """Fine-tuning is a second `fit`, with a larger graph."""
    held, hold = [], _donated.held

    def noted(variables):
        held.append(hold(variables))
        return held[-1]

    monkeypatch.setattr(_donated, "held", noted)
    model = keras.Sequential([keras.Input((6,)), L.Dense(2), L.Dense(1)])
    callback = _donated.KeepsFirstWeights()
    for rate in (0.1, 0.01):
        model.compile(
            keras.optimizers.SGD(rate, momentum=0.9), jit_compile=jit, loss="mse"
        )
        before = model.get_weights()
        model.fit(X, Y, epochs=3, verbose=0, callbacks=[callback])
        if jit:
            for first, kernel in zip(before, held[-1][:4], strict=True):
                np.testing.assert_array_equal(first, kernel)
    assert len(held) == (2 if jit else 0)


@pytest.fixture
def given(monkeypatch):
    """Where the rows are that `model.fit` was given."""
    found, fit = [], keras.Model.fit

    @functools.wraps(fit)
    def watched(model, *args, **kwargs):
        rows = keras.tree.flatten((args, kwargs["validation_data"]))
        found.extend(one.device if tf.is_tensor(one) else "NumPy" for one in rows)
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", watched)
    return found


@pytest.fixture(params=["rows", "a check of them"])
def full(request, monkeypatch):
    """A GPU without room for the rows, or for what a check of them takes besides."""

    def fails(*_):
        raise tf.errors.InternalError(None, None, NO_COPY)

    def runs_out(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    if request.param == "rows":
        monkeypatch.setattr(_call, "_as_tensor", fails)
    else:
        monkeypatch.setattr(_call, "_check_finite", runs_out)


def test_rows_that_do_not_fit_stay_in_the_memory_of_the_host(full):
    """`model.fit` copies arrays to the GPU whole, but not tensors of the host's."""
    arguments = {"epochs": 2, "verbose": 0, "class_weight": {0: 0.5, 1: 2.0},
                 "validation_data": (X[:9], Y[:9]), "sample_weight": None}  # fmt: skip
    models = []
    for fit in (keras.Model.fit, kttoolkit.fit):
        keras.utils.set_random_seed(0)
        model = rich()()
        models.append(model)
        if fit is kttoolkit.fit:
            with pytest.warns(
                EngineWarning, match="do not fit into the device's memory"
            ):
                fit(model, X.astype("float64"), Y, **arguments)
        else:
            fit(model, X.astype("float64"), Y, **arguments)
    theirs, ours = models
    assert ours.history.history == theirs.history.history
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("engine", ["compiled", "stacked", "auto"])
def test_folds_that_do_not_fit_stay_in_the_memory_of_the_host(full, given, engine):
    expected = outcome_of("reference", rich(), cv=2)
    assert set(given) == {"NumPy"}
    given.clear()
    with pytest.warns(EngineWarning, match="do not fit into the device's memory"):
        got = outcome_of(engine, rich(), cv=2)
    assert_equal(got, expected)
    assert len(given) == 2 * 4
    assert all(device.endswith("CPU:0") for device in given)


def test_other_errors_of_a_device_are_not_taken_for_its_memory(monkeypatch):
    def fails(*_):
        raise tf.errors.InternalError(None, None, "CUDA_ERROR_ILLEGAL_ADDRESS")

    monkeypatch.setattr(_call, "_as_tensor", fails)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(tf.errors.InternalError, match="ILLEGAL_ADDRESS"):
            kttoolkit.fit(dense()(), X, Y, verbose=0)
