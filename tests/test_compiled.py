"""The compiled engine against `model.fit`, in weights and in history."""

import gc
import random
import types
import weakref
from collections import defaultdict

import keras
import keras_tuner
import matrix
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from matrix import (
    LAYERS,
    MODELS,
    N_VALIDATION,
    OPTIMIZERS,
    WORDS,
    N,
    X,
    Y,
    dense,
    images,
    own_steps,
    two_in_two_out,
    words,
)
from scipy.sparse import csr_array

import kttoolkit
from kttoolkit.engine._call import FitCall, RefusedError, training_rows
from kttoolkit.engine._describe import describe
from kttoolkit.engine._fit import fit_compiled
from kttoolkit.engine._keras import reset_names
from kttoolkit.engine._programs import Programs
from kttoolkit.engine._random import global_seed, lazy_tensorflow_seed
from kttoolkit.engine._rows import row_orders
from kttoolkit.engine._tensorflow import forget_kernels
from kttoolkit.exceptions import EngineWarning

L = keras.layers


def new(build, seed):
    reset_names()
    keras.utils.set_random_seed(seed)
    return build()


def split(*arrays):
    return [a[:N] for a in arrays], tuple(a[N:] for a in arrays)


def arguments(x=X, y=Y, **kwargs):
    train, validation = split(x, y)
    fixed = {"epochs": 3, "batch_size": 8, "verbose": 0, "validation_data": validation}
    return FitCall.of(tuple(train), {**fixed, **kwargs})


def assert_same(build, call, *, rtol=1e-5, atol=1e-6, fresh_callbacks=list):
    """A model through a program that another one was trained with, as `model.fit`.

    Callbacks are asked for thrice: for the other one, for it, and for `model.fit`.
    """
    programs = Programs()
    args, kwargs = call.given
    for seed in (1, 2):
        fast = new(build, seed)
        ours = FitCall.of(args, {**kwargs, "callbacks": fresh_callbacks()})
        got = fit_compiled(fast, ours, programs, build)
    plain = new(build, seed)
    expected = plain.fit(*args, **{**kwargs, "callbacks": fresh_callbacks()})
    assert list(got.history) == list(expected.history)
    assert got.epoch == expected.epoch
    for name, values in expected.history.items():
        np.testing.assert_allclose(
            got.history[name], values, rtol=rtol, atol=atol, err_msg=name
        )
    state = [m.weights + m.optimizer.variables for m in (fast, plain)]
    for mine, theirs in zip(*state, strict=bool(got.epoch)):
        np.testing.assert_allclose(
            mine.numpy(), theirs.numpy(), rtol=rtol, atol=atol, err_msg=mine.path
        )
    return programs, fast, plain


@pytest.mark.parametrize("name", LAYERS)
def test_dense_layers(name):
    bound = 1e-2 if name == "bfloat16" else 1e-5
    programs, *_ = assert_same(dense(*LAYERS[name]), arguments(), rtol=bound)
    assert programs.traces == 2


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    programs, *_ = assert_same(
        dense(optimizer=OPTIMIZERS[name]), arguments(), rtol=1e-4
    )
    assert programs.traces == 2


LOSSES = {
    "mse": (L.Dense(1), "mse", X[:, :1] * 2),
    "huber": (L.Dense(1), keras.losses.Huber(0.5), X[:, 0]),
    "mae": (L.Dense(1), "mae", X[:, :1]),
    "poisson": (L.Dense(1, activation="exponential"), "poisson", Y.astype("float32")),
    "hinge": (L.Dense(1, activation="tanh"), "hinge", Y * 2.0 - 1),
    "logits": (L.Dense(1), keras.losses.BinaryCrossentropy(from_logits=True), Y),
    "smoothed": (
        L.Dense(2, activation="softmax"),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        np.eye(2)[Y],
    ),
    "sparse": (L.Dense(2, activation="softmax"), "sparse_categorical_crossentropy", Y),
    "focal": (L.Dense(1, activation="sigmoid"), "binary_focal_crossentropy", Y),
    "function": (L.Dense(1), lambda t, p: keras.ops.mean((t - p) ** 4, -1), X[:, :1]),
}  # fmt: skip


def test_a_metric_in_bfloat16_is_a_number():
    # `model.fit` leaves a tensor in the history, which callbacks cannot compare.
    build = dense(metrics=[keras.metrics.BinaryAccuracy("share", dtype="bfloat16")])
    rows, validation = split(X, Y)
    history = kttoolkit.fit(build(), *rows, validation_data=validation, verbose=0)
    assert isinstance(history.history["val_share"][0], float)


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    out, loss, y = LOSSES[name]
    assert_same(dense(out=out, loss=loss, metrics=[]), arguments(y=y))


METRICS = {
    "auc": lambda: [keras.metrics.AUC(), keras.metrics.AUC(curve="PR", name="pr")],
    "counts": lambda: [keras.metrics.Precision(), keras.metrics.TruePositives()],
    "names": lambda: ["mae", "accuracy", keras.metrics.R2Score()],
    "vector": lambda: [keras.metrics.F1Score(threshold=0.5, average="weighted")],
    "function": lambda: [lambda t, p: keras.ops.abs(t - p)],
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics(name):
    def build():
        made = METRICS[name]()
        return dense(metrics=made, weighted_metrics=["accuracy"])()

    y = Y[:, None].astype("float32")
    weight = np.linspace(0, 1, N)
    assert_same(build, arguments(y=y, sample_weight=weight))


# -- other models ---


@pytest.mark.parametrize("name", MODELS)
def test_models(name):
    build, x = MODELS[name]
    assert_same(build, arguments(x, Y.astype("float32")), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_several_inputs_and_outputs(weighted):
    x = {"a": X, "b": WORDS}
    y = {"one": X[:, :1], "two": X[:, :2]}

    def part(arrays, rows):
        return {name: array[rows] for name, array in arrays.items()}

    kwargs = {"sample_weight": np.linspace(0, 1, N)} if weighted else {}
    call = FitCall.of(
        (part(x, slice(N)), part(y, slice(N))),
        {
            "validation_data": (part(x, slice(N, None)), part(y, slice(N, None))),
            "epochs": 2, "batch_size": 8, "verbose": 0, **kwargs,
        },
    )  # fmt: skip
    assert_same(two_in_two_out, call)


# -- arguments of fit ---


@pytest.mark.parametrize(
    "given",
    [
        {"shuffle": False},
        {"shuffle": "batch"},
        {"batch_size": 9},
        {"batch_size": None},
        {"batch_size": 100},
        {"class_weight": {0: 0.2, 1: 3.0}},
        {"sample_weight": np.linspace(0, 2, N)},
        {"initial_epoch": 1},
        {"initial_epoch": 3},
        {"steps_per_epoch": 3},
        {"steps_per_epoch": 3, "batch_size": None},
        {"validation_steps": 1},
        {"validation_batch_size": 5},
        {"validation_freq": 2},
        {"validation_freq": [1, 3]},
        {"validation_data": None},
        {"validation_data": None, "validation_split": 0.3},
        {"validation_data": (X[N:], Y[N:], np.linspace(0, 1, N_VALIDATION))},
    ],
    ids=str,
)
def test_arguments(given):
    model = dense(L.Dense(4), L.Dropout(0.2), weighted_metrics=["accuracy"])
    assert_same(model, arguments(**given))


def test_steps_that_do_not_divide_an_epoch_shorten_the_last_as_in_keras():
    call = arguments(steps_per_epoch=4, epochs=4)
    with pytest.warns(UserWarning, match="ran out of data"):
        assert_same(dense(), call)


@pytest.mark.parametrize(
    "form",
    [
        lambda a: pd.DataFrame(a) if a.ndim == 2 else pd.Series(a),
        tf.constant,
        lambda a: a.astype("float64"),
        lambda a: a.astype("float16"),
        lambda a: a.astype("int32"),
    ],
    ids=["pandas", "tensor", "float64", "float16", "int32"],
)
def test_forms_of_data(form):
    assert_same(dense(), arguments(form(X), form(Y)))


def test_inputs_in_a_list_and_no_target():
    def build():
        a, b = keras.Input((6,)), keras.Input((6,))
        model = keras.Model([a, b], L.Dense(1)(L.Add()([a, b])))
        model.compile("sgd", loss=lambda y, p: keras.ops.mean(p**2, -1))
        return model

    call = FitCall.of(
        ([X[:N], X[:N]], Y[:N]), {"epochs": 2, "verbose": 0, "batch_size": 8}
    )
    assert_same(build, call)


# -- callbacks ---

C = keras.callbacks


class Watcher(C.Callback):
    """Sees weights, optimizer and metrics at every turn, and writes to them."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def note(self, *what):
        optimizer = self.model.optimizer
        state = [float(np.sum(np.abs(w))) for w in self.model.get_weights()]
        state += [float(np.sum(np.abs(v.numpy()))) for v in optimizer.variables]
        self.seen.append((*what, *state))

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            weights = self.model.get_weights()
            self.model.set_weights([w * 0.9 for w in weights])

    def on_test_end(self, logs=None):
        self.note("test", *(logs or {}).values())

    def on_epoch_end(self, epoch, logs=None):
        self.note("epoch", epoch, *(m.result() for m in self.model.metrics[:1]))
        logs["added"] = epoch * 2.0


def test_a_callback_of_the_users_own_sees_and_changes_everything():
    made = []

    def callbacks():
        made.append(Watcher())
        return [made[-1]]

    assert_same(dense(), arguments(), fresh_callbacks=callbacks)
    _, mine, theirs = made
    assert len(mine.seen) == len(theirs.seen) == 6
    for one, other in zip(mine.seen[2:], theirs.seen[2:], strict=True):
        assert one[0] == other[0]
        np.testing.assert_allclose(one[1:], other[1:], rtol=1e-5)


@pytest.mark.parametrize(
    "callbacks",
    [
        lambda: [C.EarlyStopping("val_loss", patience=0, min_delta=0.5)],
        lambda: [
            C.EarlyStopping(
                "val_loss", patience=1, min_delta=0.5, restore_best_weights=True
            )
        ],
        lambda: [C.ReduceLROnPlateau("loss", factor=0.1, patience=0, min_delta=10)],
        lambda: [C.LearningRateScheduler(lambda epoch, rate: rate * 0.3)],
        lambda: [C.LambdaCallback(on_epoch_end=lambda epoch, logs: None)],
        lambda: [C.SwapEMAWeights(swap_on_epoch=True)],
    ],
    ids=["stop", "restore", "plateau", "scheduler", "lambda", "swap"],
)
def test_callbacks(callbacks):
    def optimizer():
        return keras.optimizers.SGD(0.2, use_ema="Swap" in str(callbacks()))

    assert_same(
        dense(optimizer=optimizer), arguments(epochs=5), fresh_callbacks=callbacks
    )


class Stopping(C.Callback):
    """Stops before an epoch, which Keras sees after the first batches of it."""

    def __init__(self, when):
        super().__init__()
        self.when = when

    def on_train_begin(self, logs=None):
        self.model.stop_training = self.when == "train"

    def on_epoch_begin(self, epoch, logs=None):
        self.model.stop_training |= self.when == epoch


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("when", ["train", 1])
def test_a_training_stopped_before_an_epoch_ends_after_its_first_batch(when, jit):
    build = dense(steps_per_execution=1 if jit else 2, jit_compile=jit)
    _, fast, _ = assert_same(
        build, arguments(epochs=5), fresh_callbacks=lambda: [Stopping(when)]
    )
    assert len(fast.history.epoch) == (1 if when == "train" else 2)


def test_files_that_callbacks_write(tmp_path):
    folders = iter("abc")

    def callbacks():
        folder = tmp_path / next(folders)
        folder.mkdir()
        return [
            C.CSVLogger(str(folder / "log.csv")),
            C.ModelCheckpoint(str(folder / "{epoch}.keras"), monitor="val_loss"),
            C.BackupAndRestore(str(folder / "backup"), delete_checkpoint=False),
        ]

    assert_same(dense(), arguments(), fresh_callbacks=callbacks)
    logs = [pd.read_csv(tmp_path / name / "log.csv") for name in "bc"]
    pd.testing.assert_frame_equal(*logs, rtol=1e-5)
    mine, theirs = (keras.models.load_model(tmp_path / n / "2.keras") for n in "bc")
    state = [mine.optimizer.variables, theirs.optimizer.variables]
    for one, other in zip(*state, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-6)


# -- what is refused ---


def refused(call, build=dense()):  # noqa: B008
    return fit_compiled(new(build, 0), call, Programs(), build)


def generator():
    while True:
        yield X[:8], Y[:8]


class PerBatch(C.Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


class OwnFit(keras.Sequential):
    def fit(self, *args, **kwargs):
        return super().fit(*args, **kwargs)


def eager():
    return dense(run_eagerly=True)()


def own_fit():
    model = OwnFit([keras.Input((6,)), L.Dense(1)])
    model.compile("sgd", "mse")
    return model


def tf_random():
    class Noise(L.Layer):
        def call(self, inputs):
            return inputs + tf.random.normal(tf.shape(inputs))

    return dense(Noise(), L.Dense(2))()


@pytest.mark.parametrize(
    ("call", "build", "reason"),
    [
        (FitCall.of((generator(),), {"steps_per_epoch": 2}), dense(), "a generator"),
        (
            FitCall.of((tf.data.Dataset.from_tensors((X, Y)),), {}),
            dense(),
            "Dataset, and not only arrays",
        ),
        (arguments(X.astype(str)), dense(), "a <U32, and not only arrays of numbers"),
        (arguments(csr_array(X)), dense(), "a csr_array, and not only arrays"),
        (arguments(callbacks=[PerBatch()]), dense(), "PerBatch is called for every"),
        (
            arguments(callbacks=[C.TerminateOnNaN()]),
            dense(),
            "TerminateOnNaN is called",
        ),
        (arguments(), eager, "runs eagerly"),
        (arguments(), own_fit, "OwnFit has a fit of its own"),
        (arguments(), tf_random, r"tf\.random \(RandomStandardNormal\)"),
        (arguments(X[:50]), dense(), r"different numbers of rows: \[5, 13\]"),
        (FitCall.of((X[:0], Y[:0]), {}), dense(), "there are no rows"),
        (arguments(X[:, :3]), dense(), "graph cannot be traced"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals_say_why(call, build, reason):
    with pytest.raises(RefusedError, match=reason):
        refused(call, build)


def test_a_refused_training_is_model_fits():
    plain, ours = new(dense(), 3), new(dense(), 3)
    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    expected = plain.fit(dataset, epochs=2, verbose=0, shuffle=False)
    with pytest.warns(EngineWarning, match=r"model\.fit, not with .*_BatchDataset"):
        got = kttoolkit.fit(ours, dataset, epochs=2, verbose=0, shuffle=False)
    np.testing.assert_allclose(got.history["loss"], expected.history["loss"])


def test_an_error_of_the_users_is_kerass():
    with (
        pytest.warns(EngineWarning, match="cannot be traced"),
        pytest.raises(ValueError, match="expected axis -1"),
    ):
        kttoolkit.fit(dense()(), X[:, :3], Y, verbose=0)


# -- one graph for many ---


def test_trials_that_differ_in_rate_and_batch_size_share_a_trace():
    programs = Programs()
    for seed, (rate, size) in enumerate(((0.1, 8), (0.01, 8), (0.001, 16))):

        def build(rate=rate):
            return dense(optimizer=lambda: keras.optimizers.Adam(rate))()

        call = arguments(batch_size=size)
        got = fit_compiled(new(build, seed), call, programs, build)
        args, kwargs = call.given
        expected = new(build, seed).fit(*args, **kwargs)
        np.testing.assert_allclose(
            got.history["val_loss"], expected.history["val_loss"], rtol=1e-5
        )
    assert programs.traces == 2


def test_a_model_changed_before_fit_gets_a_graph_of_its_own():
    programs, build = Programs(), dense(L.Dense(4))
    losses = []
    for frozen in (False, True):
        models = [new(build, 1), new(build, 1)]
        for model in models:
            model.layers[0].trainable = not frozen
        args, kwargs = arguments().given
        got = fit_compiled(models[0], arguments(), programs, build)
        expected = models[1].fit(*args, **kwargs)
        np.testing.assert_allclose(
            got.history["loss"], expected.history["loss"], rtol=1e-5
        )
        losses.append(got.history["loss"][-1])
    assert losses[0] != losses[1]
    assert programs.traces == 4


def test_programs_are_bounded():
    programs = Programs(max_programs=2)
    for units in (2, 3, 4):
        build = dense(L.Dense(units))
        fit_compiled(new(build, 0), arguments(epochs=1), programs, build)
    assert len(programs._kept) == 2
    tiny = Programs(max_bytes=10)
    fit_compiled(new(build, 0), arguments(epochs=1), tiny, build)
    assert not tiny._kept


def test_fit_is_a_drop_in_and_traces_a_model_once(capsys):
    fast, plain = new(dense(), 5), new(dense(), 5)
    for _ in range(2):
        got = kttoolkit.fit(fast, X, Y, epochs=2, batch_size=8, verbose=2)
        expected = plain.fit(X, Y, epochs=2, batch_size=8, verbose=0)
        np.testing.assert_allclose(
            got.history["loss"], expected.history["loss"], rtol=1e-5
        )
    assert fast.history is got
    assert int(fast.optimizer.iterations) == int(plain.optimizer.iterations)
    assert vars(fast)["_kttoolkit_programs"].traces == 1
    assert "Epoch 2/2" in capsys.readouterr().out
    keras.models.clone_model(fast)


def test_without_a_seed_epochs_are_shuffled_anew():
    seed = global_seed()
    tf.random.set_seed(None)
    try:
        assert global_seed() is None
        orders = row_orders(training_rows(arguments()), shuffle=True)
        first, second = next(orders), next(orders)
    finally:
        tf.random.set_seed(seed or 0)
    assert sorted(first) == sorted(second) == list(range(N))
    assert list(first) != list(second)


def drawn():
    """Draw in every way that depends on TensorFlow's global seed."""
    numbers = [tf.random.normal((2,)), tf.random.uniform((2,), seed=4)]
    numbers += [tf.random.shuffle(tf.range(9)), tf.random.normal((2,), seed=4)]
    numbers.append(tf.function(lambda: tf.random.normal((2,)))())
    numbers += list(tf.data.Dataset.range(5).shuffle(5))
    return [number.numpy().tolist() for number in numbers]


def test_a_seed_that_waits_gives_the_same_numbers():
    def numbers():
        found = []
        for seed in (3, 4, 3, 3):
            keras.utils.set_random_seed(seed)
            found.append(drawn())
        return found

    expected = numbers()
    keras.utils.set_random_seed(11)
    with lazy_tensorflow_seed():
        assert numbers() == expected
        keras.utils.set_random_seed(3)
        graph = tf.function(lambda: tf.random.normal((2,))).get_concrete_function()
        waiting = graph().numpy().tolist(), global_seed()
    keras.utils.set_random_seed(3)
    graph = tf.function(lambda: tf.random.normal((2,))).get_concrete_function()
    assert waiting == (graph().numpy().tolist(), 3)


def test_a_seed_nobody_asks_for_leaves_the_callers_alone():
    keras.utils.set_random_seed(11)
    expected = [tf.random.normal((2,)).numpy().tolist() for _ in range(2)]
    keras.utils.set_random_seed(11)
    first = tf.random.normal((2,)).numpy().tolist()
    with lazy_tensorflow_seed():
        keras.utils.set_random_seed(5)
        assert global_seed() == 5
    assert global_seed() == 11
    assert [first, tf.random.normal((2,)).numpy().tolist()] == expected


@pytest.mark.parametrize("rows", [slice(None), slice(5, None)])
def test_a_model_that_asks_for_xla_gets_it(rows):
    build = dense(L.Dense(4), L.BatchNormalization(), jit_compile=True)
    call = arguments(epochs=2, validation_data=(X[N:][rows], Y[N:][rows]))
    assert_same(build, call, rtol=1e-4, atol=1e-5)


def test_xla_too_refuses_random_numbers_of_one_graph():
    def build():
        model = tf_random()
        model.compile("sgd", "mse", jit_compile=True)
        return model

    with pytest.raises(RefusedError, match=r"tf\.random"):
        refused(arguments(), build)


class Freezing(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.model.layers[0].trainable = False


class Setting(keras.callbacks.Callback):
    """Sets what a graph is traced with, in time and too late."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.layers[1].rate = 0.8 - epoch / 10


@pytest.mark.parametrize("callback", [Freezing, Setting])
def test_callbacks_may_change_the_model_until_its_first_batch(callback):
    build = dense(L.Dense(4), L.Dropout(0.1), optimizer="sgd")
    _, fast, _ = assert_same(build, arguments(), fresh_callbacks=lambda: [callback()])
    without = new(build, 2)
    args, kwargs = arguments().given
    without.fit(*args, **kwargs)
    trained = zip(fast.weights, without.weights, strict=True)
    assert any(not np.allclose(a.numpy(), b.numpy()) for a, b in trained)


# -- descriptions ---


@pytest.mark.parametrize("build", [dense(), images, words, two_in_two_out, own_steps])
def test_models_built_alike_are_described_alike(build):
    assert describe(new(build, 1)) == describe(new(build, 2))


def scaled(factor):
    def build():
        model = keras.Sequential([keras.Input((6,)), L.Lambda(lambda x: x * factor)])
        model.compile("sgd", "mse")
        return model

    return build


FACTOR = 1.0


class Globally(L.Layer):
    """Reads a global of its module, as layers in notebooks do."""

    def call(self, x):
        return x * FACTOR


class Config:
    """Settings in one place, as notebooks keep them."""

    factor = 1.0


class ByAttribute(L.Layer):
    factor = 1.0

    def call(self, x):
        return x * self.factor


class Calling(L.Layer):
    """Like a Lambda layer, which could not be copied."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)

    def get_config(self):
        return {"function": self.function}


def by_function():
    return dense(Calling(lambda x: x * FACTOR))()


def by_class():
    return dense(Globally())()


def by_config():
    return dense(Calling(lambda x: x * Config.factor))()


def by_attribute():
    return dense(ByAttribute())()


def by_module():
    return dense(Calling(lambda x: x * matrix.FACTOR))()


@pytest.mark.parametrize(
    "build", [by_function, by_class, by_config, by_attribute, by_module]
)
def test_a_global_that_changes_between_trials_is_a_new_graph(build, monkeypatch):
    programs, losses = Programs(), []
    for factor in (1.0, 3.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        monkeypatch.setattr(Config, "factor", factor)
        monkeypatch.setattr(ByAttribute, "factor", factor)
        monkeypatch.setattr(matrix, "FACTOR", factor, raising=False)
        got = fit_compiled(new(build, 1), arguments(), programs, build)
        args, kwargs = arguments().given
        expected = new(build, 1).fit(*args, **kwargs)
        np.testing.assert_allclose(
            got.history["loss"], expected.history["loss"], rtol=1e-5
        )
        losses.append(got.history["loss"][0])
    assert losses[0] != losses[1]
    assert programs.traces == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (dense(L.Dropout(0.1)), dense(L.Dropout(0.2))),
        (dense(L.Dense(3)), dense(L.Dense(3, activation="relu"))),
        (dense(L.Dense(3)), dense(L.Dense(3, use_bias=False))),
        (dense(L.Dense(3)), dense(L.Dense(3, trainable=False))),
        (dense(optimizer="adam"), dense(optimizer="sgd")),
        (dense(loss="mse"), dense(loss="mae")),
        (scaled(2), scaled(3)),
        (scaled(tf.constant([1.0])), scaled(tf.constant([2.0]))),
        (
            dense(L.Normalization(mean=1.0, variance=1.0)),
            dense(L.Normalization(mean=2.0, variance=1.0)),
        ),
        (
            dense(L.Dense(3, kernel_regularizer=keras.regularizers.L2(0.1))),
            dense(L.Dense(3, kernel_regularizer=keras.regularizers.L2(0.2))),
        ),
    ],
)
def test_whatever_a_graph_depends_on_is_told_apart(one, other):
    assert describe(new(one, 1)) != describe(new(other, 1))


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class HalfSlotted(Slotted):
    """Has a dictionary as well, as a `tf.TensorSpec` does."""


class OwnDict(dict):
    def __init__(self, value):
        super().__init__()
        self.value = value


class OwnArray(np.ndarray):
    pass


class OwnNumber(int):
    pass


def own_number(value):
    number = OwnNumber(7)
    number.value = value
    return number


def function_with(value):
    def function():
        pass

    function.value = value
    return function


def own_array(value):
    array = np.zeros(2).view(OwnArray)
    array.value = value
    return array


HOLDERS = {
    "shape": lambda value: tf.TensorSpec([None, value]),
    "dtype": lambda value: tf.TensorSpec([None], ["int32", "int64"][value]),
    "slots": Slotted,
    "half_slots": HalfSlotted,
    "own_dict": OwnDict,
    "own_array": own_array,
    "own_number": own_number,
    "function": function_with,
    "factory": lambda value: defaultdict([int, float][value]),
    "namespace": lambda value: types.SimpleNamespace(value=value),
    "masked": lambda value: np.ma.array([1, 2], mask=[value, 0]),
    "series": lambda value: pd.Series([value]),
    "frame": lambda value: pd.DataFrame({"a": [value]}),
    "categories": lambda value: pd.Categorical([str(value)]),
    "time": pd.Timestamp,
    "random": random.Random,
    "table": lambda value: tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer([value], [value]), 0
    ),
}


def test_a_deep_network_takes_no_more_of_the_stack_than_another():
    def deep():
        x = inputs = keras.Input((6,))
        for _ in range(45):
            x = L.Dense(3, activation="tanh")(x)
        model = keras.Model(inputs, L.Dense(1)(x))
        model.compile("adam", "mse")
        return model

    assert_same(deep, arguments(epochs=2))
    inner: list = []
    for _ in range(20_000):
        inner = [inner]
    assert describe(inner) == describe(inner)


@pytest.mark.parametrize("name", HOLDERS)
def test_what_holds_another_value_is_told_apart(name):
    assert describe(HOLDERS[name](0)) != describe(HOLDERS[name](1))


@pytest.mark.parametrize(
    "name", ["shape", "dtype", "half_slots", "own_dict", "own_array", "namespace"]
)
def test_what_holds_the_same_value_is_described_alike(name):
    assert describe(HOLDERS[name](1)) == describe(HOLDERS[name](1))


def test_rows_of_another_form_have_a_graph_of_their_own():
    # Targets as a vector, then as a column, then rows of another dtype.
    programs, numbers = Programs(), (X * 10).astype("int64")
    build = dense(out=L.Dense(1), loss="mse", metrics=["mae"])
    target = X[:, 0] * 2
    for x, y in ((X, target), (X, target[:, None]), (numbers, target), (X, target)):
        call = arguments(x, y)
        got = fit_compiled(new(build, 1), call, programs, build)
        args, kwargs = call.given
        expected = new(build, 1).fit(*args, **kwargs)
        for name, values in expected.history.items():
            np.testing.assert_allclose(got.history[name], values, rtol=1e-5)
    assert programs.traces == 6


# -- HyperModel.fit ---


class Own(keras_tuner.HyperModel):
    """Freezes, fits twice and keeps its model, as users do."""

    def build(self, hp):
        return dense(L.Dense(hp.Choice("units", [3, 4])))()

    def fit(self, hp, model, x, y, **kwargs):
        self.fits = getattr(self, "fits", [])
        self.fits.append(model.fit.__name__)
        size = hp.Choice("batch_size", [8, 16])
        model.fit(x, y, batch_size=size, epochs=1, verbose=0)
        return model.fit(x, y, batch_size=size, **kwargs)


@pytest.mark.parametrize("engine", ["compiled"])
def test_an_own_fit_is_handed_a_model_with_the_engine(tmp_path, engine):
    tables = []
    for name in (engine, "reference"):
        own = Own()
        result = kttoolkit.tune(
            own, X, Y, tuner="random", max_trials=3, cv=3, max_epochs=2, seed=1,
            objective="val_loss", engine=name, directory=tmp_path / name,
        )  # fmt: skip
        expected = "engine_fit" if name == engine else "fit"
        assert set(own.fits) == {expected}
        tables.append(result.trials)
    scores = [table.filter(regex="val_loss|loss$") for table in tables]
    pd.testing.assert_frame_equal(*scores, rtol=1e-5)


def test_a_dropped_program_leaves_no_graph():
    programs = Programs(max_programs=1)
    call = FitCall.of((X[:N], Y[:N]), {"verbose": 0, "batch_size": 8})
    # TensorFlow would keep the custom gradient of its loss, and the graph with it.
    build = dense(loss="binary_crossentropy")
    fit_compiled(new(build, 1), call, programs, build)
    (program,) = programs._kept.values()
    graphs = [weakref.ref(f.concrete.graph) for f in program._functions.values()]
    del program
    programs.clear()
    gc.collect()
    assert [graph() for graph in graphs] == [None]


def test_kernels_are_forgotten_after_as_many_programs_as_are_kept(monkeypatch):
    forgotten = []
    monkeypatch.setattr(
        "kttoolkit.engine._programs.forget_kernels", lambda: forgotten.append(1)
    )
    programs = Programs(max_programs=2)
    call = FitCall.of((X[:N], Y[:N]), {"verbose": 0})
    told = []
    for units in (2, 3, 4, 5, 6):
        build = dense(L.Dense(units))
        fit_compiled(new(build, 1), call, programs, build)
        programs.tidy()
        told.append(len(forgotten))
    assert told == [0, 0, 0, 1, 1]


def test_forgetting_kernels_changes_no_number():
    build = dense(L.Dense(4), L.Dropout(0.3))
    call = FitCall.of((X[:N], Y[:N]), {"verbose": 0, "epochs": 2})
    programs, losses = Programs(), []
    for _ in range(2):
        losses.append(fit_compiled(new(build, 1), call, programs, build).history)
        forget_kernels()
    assert losses[0] == losses[1]
