"""The stacked engine against the reference: every fold, every epoch."""

import gc
import logging
import warnings
import weakref

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf
from matrix import LAYERS, OPTIMIZERS, X, Y, dense

import kttoolkit
from kttoolkit.cv import as_folds
from kttoolkit.data import as_training_data
from kttoolkit.engine import FitPlan, ModelFactory
from kttoolkit.engine._programs import PROGRAMS
from kttoolkit.evaluate import evaluate
from kttoolkit.exceptions import EngineWarning

C = keras.callbacks
L = keras.layers
OBJECTIVE = keras_tuner.Objective("val_loss", "min")
STACKED_LAYERS = [
    name for name in LAYERS if name not in {"max_norm", "spectral", "bfloat16"}
]
STACKED_OPTIMIZERS = [
    "sgd", "nesterov", "clipvalue", "amsgrad", "adamw", "rmsprop", "adagrad",
    "adadelta", "adamax", "nadam", "lion", "cosine", "exponential",
]  # fmt: skip


def fits_of(engine, build, *, cv=3, weights=None, preprocessor=None, **plan):
    data = as_training_data(X, Y, task="classification", sample_weight=weights)
    folds = as_folds(cv, data, seed=1)
    fit = {"epochs": 3, "batch_size": 8, "verbose": 0, **plan.pop("fit", {})}
    hypermodel = keras_tuner.HyperModel()
    hypermodel.build = lambda hp: build()
    outcome = evaluate(
        ModelFactory(hypermodel),
        keras_tuner.HyperParameters(),
        data,
        folds,
        FitPlan(OBJECTIVE, 7, fit_kwargs=fit, preprocessor=preprocessor, **plan),
        engine=engine,
    )
    return outcome.fits


def assert_same(build, *, rtol=1e-4, atol=1e-5, **options):
    got = fits_of("stacked", build, **options)
    expected = fits_of("reference", build, **options)
    assert len(got) == len(expected)
    for mine, theirs in zip(got, expected, strict=True):
        assert list(mine.history) == list(theirs.history)
        assert (mine.seed, mine.epochs) == (theirs.seed, theirs.epochs)
        assert (mine.n_train, mine.n_test) == (theirs.n_train, theirs.n_test)
        for name, values in theirs.history.items():
            np.testing.assert_allclose(
                mine.history[name], values, rtol=rtol, atol=atol, err_msg=name
            )
    return got


@pytest.mark.parametrize("name", STACKED_LAYERS)
def test_layers(name):
    assert_same(dense(*LAYERS[name]), cv=2)


@pytest.mark.parametrize("name", STACKED_OPTIMIZERS)
def test_optimizers(name):
    assert_same(dense(optimizer=OPTIMIZERS[name]), cv=2, rtol=1e-3)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_losses_are_scaled(kind):
    """With Adam its epsilon tells."""
    made = getattr(keras.optimizers, kind)
    build = dense(optimizer=lambda: made(0.05, loss_scale_factor=512.0))
    got = assert_same(build)
    plain = fits_of("stacked", dense(optimizer=lambda: made(0.05)))
    ends = [fits[0].history["val_loss"][-1] for fits in (got, plain)]
    np.testing.assert_allclose(*ends, rtol=0.05)


@pytest.mark.parametrize(
    "options",
    [
        {"fit": {"shuffle": False}},
        {"fit": {"class_weight": {0: 0.2, 1: 2.0}}},
        {"fit": {"validation_batch_size": 5}},
        {"fit": {"batch_size": 100}},
        {"fit": {"initial_epoch": 1}},
        {"weights": np.linspace(0.1, 2, len(X))},
        {"executions": 2},
        {"cv": 5},
    ],
    ids=[
        "plain",
        "classes",
        "validation",
        "whole",
        "initial",
        "weights",
        "executions",
        "five",
    ],
)
def test_arguments(options):
    assert_same(dense(weighted_metrics=["accuracy"]), **options)


@pytest.mark.parametrize("xla", [False, True])
def test_last_batches_of_three_sizes(xla):
    """Rows for training are 39, 38 and 40, and batches have 8: out of order."""
    rows = np.random.default_rng(0).permutation(len(X))
    cv = [(rows[:39], rows[39:]), (rows[20:], rows[:20]), (rows[18:], rows[:18])]

    def build():
        model = dense(L.Dense(4), L.BatchNormalization(), L.Dropout(0.3))()
        model.jit_compile = xla
        return model

    fits = assert_same(build, cv=cv, fit={"epochs": 2})
    assert [fit.n_train for fit in fits] == [39, 38, 40]


def wide(hp=None):
    inputs = keras.Input((6,))
    inner = keras.Sequential([keras.Input((6,)), L.Dense(3), L.PReLU()])
    left, right = inner(inputs), L.LeakyReLU()(L.Dense(3)(L.Rescaling(0.5)(inputs)))
    h = L.Concatenate()([L.Add()([left, right]), L.Multiply()([left, right])])
    h = L.Flatten()(L.Reshape((3, 3))(L.Concatenate()([h, L.Average()([left, left])])))
    h = L.Activation("tanh")(L.ELU()(h))
    model = keras.Model(inputs, L.Softmax()(L.Dense(2)(h)))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_layers_that_branch():
    assert_same(wide)


def test_metrics_and_several_classes():
    def build():
        out = keras.layers.Dense(2, activation="softmax")
        metrics = ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(1)]
        loss = "sparse_categorical_crossentropy"
        return dense(out=out, loss=loss, metrics=metrics)()

    assert_same(build)


@pytest.mark.parametrize(
    "callbacks",
    [
        [C.EarlyStopping("val_loss", patience=0, min_delta=0.02)],
        [C.EarlyStopping("val_loss", patience=0, restore_best_weights=True)],
        [C.ReduceLROnPlateau("loss", factor=0.1, patience=0, min_delta=0.03)],
        [C.LearningRateScheduler(lambda epoch, rate: rate * 0.5)],
    ],
    ids=["stop", "restore", "plateau", "scheduler"],
)
def test_callbacks_act_on_their_own_fold(callbacks):
    model = dense(optimizer=lambda: keras.optimizers.Adam(0.05))
    options = {"callbacks": tuple(callbacks), "fit": {"epochs": 8}}
    fits = assert_same(model, rtol=1e-3, **options)
    if isinstance(callbacks[0], C.EarlyStopping):
        assert len({fit.epochs for fit in fits}) > 1


def numbered(rate, beta, clip, share, l2):
    def optimizer():
        schedule = keras.optimizers.schedules.ExponentialDecay(rate, 10, 0.9)
        return keras.optimizers.AdamW(
            schedule if clip else rate, beta_1=beta, clipvalue=clip
        )

    penalty = keras.regularizers.L2(l2)
    layers = [L.Dense(4, kernel_regularizer=penalty), L.Dropout(share)]
    return dense(*layers, optimizer=optimizer)


@pytest.mark.parametrize("clip", [None, 0.1], ids=["rate", "schedule"])
def test_a_second_trial_traces_nothing(clip):
    """Neither for another batch size, nor for other numbers."""
    PROGRAMS.clear()
    before = PROGRAMS.traces
    for rate, beta, size in ((0.1, 0.9, 8), (0.01, 0.8, 4)):
        build = numbered(rate, beta, clip and rate, share=1 - beta, l2=rate)
        assert_same(build, rtol=1e-3, fit={"batch_size": size})
    assert PROGRAMS.traces == before + 2


def test_what_is_kept_holds_nothing_of_a_trial():
    """The stack has an optimizer of its own; those of the folds go."""
    PROGRAMS.clear()
    built, make = [], dense(keras.layers.Dropout(0.3))

    def build():
        model = make()
        built.append(weakref.ref(model.optimizer))
        return model

    fits_of("stacked", build)
    gc.collect()
    assert len(built) > 2
    assert sum(one() is not None for one in built) <= 1


def test_weights_of_the_best_epoch_are_kept(tmp_path):
    build = dense(keras.layers.BatchNormalization(), keras.layers.Dense(3))
    folders = [tmp_path / "mine", tmp_path / "theirs"]
    for engine, folder in zip(("stacked", "reference"), folders, strict=True):
        fits_of(engine, build, directory=str(folder))
    for split in range(3):
        states = []
        for folder in folders:
            model = build()
            model.optimizer = None
            model.load_weights(folder / f"split{split}.best.weights.h5")
            states.append(model.get_weights())
        for one, other in zip(*states, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def constrained():
    return dense(*LAYERS["max_norm"])()


def flat(y_true, y_pred):
    return keras.ops.mean(keras.ops.round(y_pred), axis=-1)


def test_tensorflow_warns_of_nothing():
    """Dropout is no vectorized operation, which it would tell of for every graph."""
    told = []
    handler = logging.Handler()
    handler.emit = told.append
    tf.get_logger().addHandler(handler)
    PROGRAMS.clear()
    try:
        fits_of("stacked", dense(L.Dropout(0.3)), fit={"epochs": 1})
    finally:
        tf.get_logger().removeHandler(handler)
    assert [record.getMessage() for record in told] == []


def test_a_loss_without_a_gradient_is_an_error_of_kerass():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="No gradients provided"):
            fits_of("stacked", dense(loss=flat))
    assert "not stacked: no weight has a gradient" in str(told[0].message)


def several_counts():
    # Reports its variable, for which no fold's values stand.
    counts = keras.metrics.TruePositives([0.3, 0.6], name="true_positives")
    return dense(metrics=[counts])()


def stepped():
    model = dense()()
    model.fit(X, Y, verbose=0)
    return model


def cut_off():
    rows = keras.Input((6,))
    inner = L.Dense(3)(rows)
    outer = L.Dense(1, activation="sigmoid")(keras.ops.stop_gradient(inner))
    model = keras.Model(rows, outer)
    adam = keras.optimizers.AdamW(0.05, weight_decay=0.5)
    model.compile(adam, "binary_crossentropy")
    return model


class Halving(keras.optimizers.schedules.LearningRateSchedule):
    """Cannot be written down, which Keras only asks for when it saves a model."""

    def __call__(self, step):
        return 0.1 * 0.5 ** (keras.ops.cast(step, "float32") / 10)


class Asks(C.Callback):
    pass


@pytest.mark.parametrize(
    ("build", "options", "reason"),
    [
        (constrained, {}, "constraints"),
        (dense(optimizer=OPTIMIZERS["global_clipnorm"]), {}, "has global_clipnorm"),
        (dense(optimizer=OPTIMIZERS["lamb"]), {}, "Lamb does not treat every weight"),
        (dense(optimizer=OPTIMIZERS["ema"]), {}, "has use_ema"),
        (dense(*LAYERS["spectral"]), {}, "SpectralNormalization layers"),
        (dense(*LAYERS["bfloat16"]), {}, "half precision"),
        (several_counts, {}, "true_positives.* is read behind"),
        (stepped, {}, "an optimizer has made steps before"),
        (cut_off, {}, "a weight that has no gradient would decay too"),
        (
            dense(optimizer=lambda: keras.optimizers.SGD(Halving())),
            {},
            r"must override .get_config",
        ),
        (
            dense(optimizer=lambda: keras.optimizers.SGD(lambda: 0.05)),
            {},
            "a Python lambda",
        ),
        (dense(), {"callbacks": (Asks(),)}, "Asks may look at the optimizer"),
        (dense(), {"cv": 5, "fit": {"batch_size": 46}}, "numbers of batches"),
        (dense(), {"fit": {"steps_per_epoch": 5}}, "steps_per_epoch is given"),
    ],
    ids=[
        "constraint",
        "clipnorm",
        "lamb",
        "ema",
        "layer",
        "half",
        "metric",
        "stepped",
        "no_gradient",
        "schedule",
        "callable",
        "callback",
        "batches",
        "steps",
    ],
)
@pytest.mark.filterwarnings(
    "ignore:Gradients do not exist", "ignore:The object being serialized"
)
def test_what_cannot_be_stacked_is_trained_singly(build, options, reason):
    with pytest.warns(EngineWarning, match=f"not stacked: .*{reason}"):
        got = fits_of("stacked", build, **options)
    expected = fits_of("compiled", build, **options)
    for one, other in zip(got, expected, strict=True):
        assert one.history == other.history


@pytest.mark.filterwarnings("ignore:Trained with model.fit")
def test_losses_of_several_outputs_are_left_to_others_under_xla(tmp_path):
    """`model.fit` weighs them by rows in some of its graphs, and not in others."""

    def build(hp):
        rows = keras.Input((6,))
        inner = L.Dense(4)(rows)
        outputs = {name: L.Dense(1, name=name)(inner) for name in "ab"}
        model = keras.Model(rows, outputs)
        model.compile("sgd", {"a": "mse", "b": "mae"}, jit_compile=True)
        return model

    x = X[:30, :6]
    y = {"a": x[:, :1], "b": 2 * x[:, :1]}
    given = {
        "tuner": "random", "max_trials": 1, "max_epochs": 1, "batch_size": 8, "cv": 3,
        "seed": 0, "verbose": 0, "directory": tmp_path, "objective": "val_a_loss",
    }  # fmt: skip
    expected = kttoolkit.tune(build, x, y, engine="reference", **given)
    with pytest.warns(EngineWarning, match="losses of several outputs"):
        got = kttoolkit.tune(build, x, y, engine="stacked", **given)
    for mine, theirs in zip(got.best_trial.fits, expected.best_trial.fits, strict=True):
        for name, values in theirs.history.items():
            np.testing.assert_allclose(mine.history[name], values, rtol=1e-4)
