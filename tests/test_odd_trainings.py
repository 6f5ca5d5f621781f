"""`kttoolkit.fit` where Keras does what few people know, found by Keras's own tests."""

import random
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import kttoolkit
from kttoolkit.engine._call import FitCall
from kttoolkit.engine._fit import fit_compiled
from kttoolkit.engine._keras import reset_names
from kttoolkit.engine._programs import Programs
from kttoolkit.exceptions import EngineWarning

C, L = keras.callbacks, keras.layers
DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(53, 4)).astype("float32")
Y = DRAW.normal(size=(53, 1)).astype("float32")
SEQUENCES = DRAW.normal(size=(48, 5, 3)).astype("float32")
IMAGES = DRAW.uniform(size=(48, 8, 8, 3)).astype("float32")
LEFT = "ignore:Trained with model.fit"


def sequential(*layers, shape=(4,), optimizer="sgd", loss="mse", **compiled):
    """A function that builds and compiles a model anew, without shapes if None."""

    def build():
        first = [] if shape is None else [keras.Input(shape)]
        made = [layer.from_config(layer.get_config()) for layer in layers]
        model = keras.Sequential([*first, *made, L.Dense(1)])
        kind = optimizer if isinstance(optimizer, str) else optimizer()
        metrics = [metric() for metric in compiled.get("metrics", ())]
        model.compile(kind, loss, **{**compiled, "metrics": metrics})
        return model

    return build


def both(build, *rows, callbacks=list, **given):
    """Train by `model.fit` and by ours, and compare histories, weights, and shapes."""
    models = []
    for fit in (keras.Model.fit, kttoolkit.fit):
        keras.utils.set_random_seed(1)
        model = build()
        keras.utils.set_random_seed(2)
        arguments = {"epochs": 2, "verbose": 0, "callbacks": callbacks(), **given}
        fit(model, *rows, **arguments)
        models.append(model)
    theirs, ours = models
    assert list(ours.history.history) == list(theirs.history.history)
    for name, values in theirs.history.history.items():
        got = ours.history.history[name]
        assert [np.shape(v) for v in got] == [np.shape(v) for v in values]
        np.testing.assert_allclose(got, values, rtol=1e-5, atol=1e-6, err_msg=name)
    for mine, other in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)
    assert ours.built == theirs.built
    return ours, theirs


# -- what shapes a model is shown ---


class Counting(L.Layer):
    """Makes as many weights as there are rows in the batch it is built for."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[0] or 7, shape[-1]))

    def call(self, x):
        return x + keras.ops.sum(self.kernel, axis=0)


@pytest.mark.parametrize("n", [53, 48, 5])
def test_a_model_without_shapes_is_built_as_by_model_fit(n):
    ours, theirs = both(
        sequential(Counting(), L.Dense(3), shape=None), X[:n], Y[:n], batch_size=8
    )
    assert ours.input_shape == theirs.input_shape
    assert ours.get_build_config() == theirs.get_build_config()


@pytest.mark.filterwarnings(LEFT)
def test_a_stateful_model_without_shapes_is_left_as_it_was():
    build = sequential(L.LSTM(3, stateful=True), shape=None)
    both(build, SEQUENCES, Y[:48], batch_size=8, shuffle=False)


class Autoencoder(keras.Model):
    """Has a training step and no call, as GANs and variational autoencoders do."""

    def __init__(self, *layers):
        super().__init__()
        self.inner = keras.Sequential([*layers, L.Dense(4)])
        self.noise = L.GaussianNoise(0.1, seed=3)
        self.mean = keras.metrics.Mean(name="error")

    @property
    def metrics(self):
        return [self.mean]

    def train_step(self, data):
        x, _ = data
        with tf.GradientTape() as tape:
            made = self.inner(self.noise(x, training=True), training=True)
            loss = tf.reduce_mean((made - x) ** 2)
        weights = self.inner.trainable_weights
        self.optimizer.apply_gradients(
            zip(tape.gradient(loss, weights), weights, strict=True)
        )
        self.mean.update_state(loss)
        return {"error": self.mean.result()}

    def test_step(self, data):
        x, _ = data
        self.mean.update_state((self.inner(x, training=False) - x) ** 2)
        return {"error": self.mean.result()}


@pytest.mark.parametrize("is_scored", [True, False])
@pytest.mark.parametrize("has_shapes", [True, False])
def test_a_model_without_call_is_compiled_and_not_said_to_be_built(
    has_shapes, is_scored
):
    def build():
        shape = [keras.Input((4,))] if has_shapes else []
        model = Autoencoder(*shape, L.Dense(3, "tanh"), L.BatchNormalization())
        model.compile(keras.optimizers.Adam(0.01))
        return model

    ours, theirs = both(build, X, Y, validation_split=0.3 if is_scored else 0.0)
    assert not ours.built
    assert len(ours.optimizer.variables) == len(theirs.optimizer.variables)


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_a_model_without_call_or_shapes_is_gone_on_with(engine, tmp_path):
    """Its layers are made before weights are loaded; a warning would fail a trial."""

    def build(hp):
        model = Autoencoder(L.Dense(3, "tanh"))
        model.compile(keras.optimizers.Adam(hp.Float("rate", 1e-3, 1e-1)))
        return model

    tuner = kttoolkit.Hyperband(
        build, kttoolkit.Objective("val_error", "min"), max_epochs=3, cv=2, seed=0,
        directory=tmp_path, engine=engine,
    )  # fmt: skip
    tuner.search(X, Y, verbose=0)
    trials = tuner.oracle.trials.values()
    assert {trial.status for trial in trials} == {"COMPLETED"}
    values = [trial.hyperparameters.values for trial in trials]
    gone_on = [each for each in values if "tuner/trial_id" in each]
    assert gone_on


@pytest.mark.parametrize("n", [53, 64, 10])
def test_xla_weighs_the_losses_of_outputs_as_model_fit(n):
    """By the rows of a batch, unless batches differ: then all count alike."""

    def build():
        rows = keras.Input((4,))
        model = keras.Model(rows, [L.Dense(1, name=name)(rows) for name in "ab"])
        model.compile("sgd", ["mse", "mae"], jit_compile=True)
        return model

    x, y = np.resize(X, (n, 4)), np.resize(Y, (n, 1))
    both(build, x, [y, 2 * y], batch_size=32)


@pytest.mark.parametrize(
    "given",
    [
        {"batch_size": 64},
        {"validation_split": 0.2},
        {"validation_data": (X[:10], Y[:10])},
        {"batch_size": 2**31},
    ],
    ids=str,
)
@pytest.mark.parametrize("jit", [False, True])
def test_there_may_be_fewer_rows_than_a_batch_has(given, jit):
    both(sequential(jit_compile=jit), X, Y, **given)


# -- what depends on how a graph is traced or run ---


class Drawing(L.Layer):
    """Draws a number when it is traced, which then serves all batches."""

    def __init__(self, draw=random.random, **kwargs):
        super().__init__(**kwargs)
        self.draw = draw

    def get_config(self):
        return {"draw": self.draw}

    def call(self, x):
        return x * self.draw()


@pytest.mark.parametrize("draw", [random.random, np.random.random])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("metrics", [[], [keras.metrics.MeanAbsoluteError]])
def test_numbers_drawn_by_python_in_a_graph_are_model_fits(draw, optimizer, metrics):
    """It traces a step twice where that makes variables, and forgets the first."""
    build = sequential(Drawing(draw), optimizer=optimizer, metrics=metrics)
    with pytest.warns(EngineWarning, match="Python's or NumPy's random"):
        both(build, X, Y)


@pytest.mark.parametrize("name", ["Nadam", "Adafactor", "AdamW"])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_variables_of_optimizers_have_the_paths_that_model_fit_gives(name, policy):
    def build():
        reset_names()
        layer = L.Dense(3, dtype=policy)
        return sequential(layer, optimizer=getattr(keras.optimizers, name))()

    ours, theirs = both(build, X, Y)
    paths = [[v.path for v in model.optimizer.variables] for model in (ours, theirs)]
    assert paths[0] == paths[1]


TRACED_OTHERWISE = {
    "AugMix": lambda: L.AugMix(value_range=(0, 1), seed=1),
    "RandomElasticTransform": lambda: L.RandomElasticTransform(seed=1),
}


@pytest.mark.parametrize("name", TRACED_OTHERWISE)
def test_images_that_a_graph_changes_otherwise_are_left_to_model_fit(name):
    if not hasattr(L, name):
        pytest.skip(f"this Keras has no {name}")
    build = sequential(TRACED_OTHERWISE[name](), L.Flatten(), shape=(8, 8, 3))
    with pytest.warns(EngineWarning, match=name):
        both(build, IMAGES, Y[:48], batch_size=8)


@pytest.mark.parametrize("mode", ["count", "multi_hot", "one_hot"])
def test_what_xla_compiles_for_one_batch_alone_is_left_to_model_fit(mode):
    """Of a loop over batches it would tell no sooner than in the first epoch."""
    codes = DRAW.integers(0, 4, (53, 6)).astype("int32")

    def build():
        rows = keras.Input((6,), dtype="int32")
        inner = L.Reshape((6, 1))(rows) if mode == "one_hot" else rows
        inner = L.Flatten()(L.CategoryEncoding(4, output_mode=mode)(inner))
        model = keras.Model(rows, L.Dense(1)(inner))
        model.compile("sgd", "mse", jit_compile=True)
        return model

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", EngineWarning)
        both(build, codes, Y, batch_size=16)
    reasons = [str(one.message) for one in told if one.category is EngineWarning]
    assert len(reasons) == (mode != "one_hot")
    assert all("XLA cannot compile a loop over its batches" in r for r in reasons)


def test_an_optimizer_that_begins_with_the_weights_is_left_to_model_fit():
    kind = getattr(keras.optimizers, "ScheduleFreeAdamW", None)
    if kind is None:
        pytest.skip("this Keras has no ScheduleFreeAdamW")
    with pytest.warns(EngineWarning, match="ScheduleFreeAdamW sets its momentum"):
        both(sequential(optimizer=lambda: kind(0.05)), X, Y, epochs=3)


@pytest.mark.parametrize("where", ["x", "validation"])
def test_missing_numbers_are_left_to_model_fit(where):
    gap = X.copy()
    gap[5] = np.nan
    rows = (gap, Y) if where == "x" else (X, Y)
    given = {"validation_data": (gap, Y)} if where == "validation" else {}
    with pytest.warns(EngineWarning, match="x holds NaN"):
        both(sequential(L.Dense(64, activation="relu")), *rows, **given)


# -- callbacks ---


class Evaluating(C.Callback):
    """Evaluates before an epoch, which Keras counts into the epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append([float(np.sum(v)) for v in self.model.metrics_variables])
        if epoch == 1:
            self.model.evaluate(X[:8], 9 * Y[:8], verbose=0)


def test_a_callback_may_evaluate_before_an_epoch():
    made = []

    def callbacks():
        made.append(Evaluating())
        return made[-1:]

    both(sequential(metrics=[keras.metrics.MeanAbsoluteError]), X, Y,
         callbacks=callbacks, epochs=3)  # fmt: skip
    theirs, ours = (callback.seen[1:] for callback in made)
    assert ours == theirs
    assert not np.any(ours)


class Compiling(C.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.compile("sgd", "mae")


def test_a_callback_may_not_compile():
    model = sequential()()
    with pytest.raises(RuntimeError, match=r"a callback called model\.compile"):
        kttoolkit.fit(model, X, Y, epochs=2, verbose=0, callbacks=[Compiling()])


# -- arguments ---


def test_a_metric_of_one_value_stays_an_array():
    """`both` compares the shapes."""
    build = sequential(metrics=[lambda: keras.metrics.F1Score(threshold=0.5)])
    ours, _ = both(build, X, (Y > 0).astype("float32"), validation_split=0.2)
    assert "val_f1_score" in ours.history.history


ODD = {
    "validation_steps=-1": {"validation_split": 0.3, "validation_steps": -1},
    "steps_per_epoch=-1": {"steps_per_epoch": -1},
}


@pytest.mark.filterwarnings(LEFT, "ignore:Your input ran out of data")
@pytest.mark.parametrize("given", ODD.values(), ids=ODD)
def test_odd_numbers_of_steps_are_taken_as_by_model_fit(given):
    both(sequential(), X, Y, batch_size=8, **given)


FRAME = pd.DataFrame(X, columns=list("abcd"))
REFUSED = {
    "validation_steps=2.0": (
        (X, Y),
        {"validation_split": 0.3, "validation_steps": 2.0},
    ),
    "category": ((FRAME.assign(a=pd.Categorical(FRAME["a"] > 0)), Y), {}),
    "Float64": ((FRAME.astype("Float64").mask(FRAME > 1.5), Y), {}),
    "longdouble": ((X.astype("longdouble"), Y), {}),
    "classes of steps": ((X, np.ones((53, 4, 1))), {"class_weight": {0: 2.0}}),
    "no classes": ((X,), {"class_weight": {0: 2.0}}),
    "callbacks": ((X, Y), {"callbacks": ["stop"]}),
}


@pytest.mark.filterwarnings(LEFT)
@pytest.mark.parametrize("name", REFUSED)
def test_what_keras_refuses_is_refused_in_its_words(name):
    rows, given = REFUSED[name]
    errors = []
    for fit in (keras.Model.fit, kttoolkit.fit):
        with pytest.raises((ValueError, TypeError, IndexError, AttributeError)) as told:
            fit(sequential()(), *rows, verbose=0, **given)
        errors.append((type(told.value), str(told.value)))
    assert errors[0] == errors[1]


@pytest.mark.filterwarnings(LEFT)
def test_weights_of_classes_go_with_datasets():
    dataset = tf.data.Dataset.from_tensor_slices((X, (Y > 0).astype("int32"))).batch(8)
    build = sequential(loss="binary_crossentropy")
    both(build, dataset, class_weight={0: 2.0, 1: 1.0}, shuffle=False)


# -- what changes between trainings, and what callbacks change ---

CHANGES = {
    "trainable": lambda model: setattr(model.layers[0], "trainable", False),
    "rate": lambda model: setattr(model.layers[1], "rate", 0.9),
    "beta": lambda model: setattr(model.optimizer, "beta_1", 0.1),
}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_has_no_effect_until_the_model_is_compiled(name, jit):
    """Keras goes on with the graph of the first training, and so do we."""

    def build():
        make = sequential(L.Dense(4), L.Dropout(0.2), optimizer="adam", jit_compile=jit)
        return make()

    losses = []
    for fit in (keras.Model.fit, kttoolkit.fit):
        keras.utils.set_random_seed(1)
        model = build()
        found = []
        for compiles in (False, False, True):
            if compiles:
                model.compile("adam", "mse", jit_compile=jit)
            found += fit(model, X, Y, epochs=2, verbose=0).history["loss"]
            CHANGES[name](model)
        losses.append(found)
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


class Unfreezing(C.Callback):
    def on_train_begin(self, logs=None):
        self.model.layers[0].trainable = True


@pytest.mark.parametrize("jit", [False, True])
def test_a_callback_may_unfreeze_a_layer_before_training(jit):
    def build():
        model = sequential(L.Dense(4), optimizer="adam", jit_compile=jit)()
        model.layers[0].trainable = False
        model.compile("adam", "mse", jit_compile=jit)
        return model

    with pytest.warns(EngineWarning, match="Unfreezing may unfreeze layers"):
        both(build, X, Y, callbacks=lambda: [Unfreezing()])


class KnownSize(L.Layer):
    """Does otherwise where the number of rows is not known."""

    def call(self, x):
        return x * (2.0 if x.shape[0] is None else 1.0)


@pytest.mark.parametrize(
    "given",
    [{"steps_per_epoch": 2}, {"validation_data": (X, Y), "validation_steps": 2}, {}],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_steps_that_leave_rows_out_do_not_make_batches_even(given):
    both(sequential(KnownSize(), jit_compile=True), X, Y, batch_size=8, epochs=1,
         **given)  # fmt: skip


class TwoOptimizers(keras.Sequential):
    """Steps with an optimizer beside its own, as a GAN does."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x, training=True) - y) ** 2)
        weights = self.trainable_variables
        gradients = tape.gradient(loss, weights)
        self.other.apply_gradients(zip(gradients, weights, strict=True))
        return {"loss": loss}


def test_a_model_that_no_other_can_stand_for_is_traced_once_each():
    def build():
        model = TwoOptimizers([keras.Input((4,)), L.Dense(1)])
        model.compile("sgd", "mse")
        model.other = keras.optimizers.Adam(0.05)
        return model

    programs, losses = Programs(), []
    for _ in range(3):
        reset_names()
        keras.utils.set_random_seed(1)
        call = FitCall.of((X, Y), {"epochs": 2, "verbose": 0})
        losses.append(fit_compiled(build(), call, programs, build).history["loss"])
    keras.utils.set_random_seed(1)
    expected = build().fit(X, Y, epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(losses, [expected] * 3, rtol=1e-5)
    # One of another model, which finds it out, and one of each.
    assert programs.traces == 4
