"""Numbers that a graph is given: to the bit what burnt-in ones compute."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from matrix import N, X, dense

import kttoolkit
from kttoolkit.engine import _numbers
from kttoolkit.engine._call import FitCall
from kttoolkit.engine._describe import describe
from kttoolkit.engine._fit import fit_compiled
from kttoolkit.engine._keras import reset_names
from kttoolkit.engine._numbers import ATTRIBUTES, Number, number_in
from kttoolkit.engine._programs import PROGRAMS, Programs

L, Opt, R = keras.layers, keras.optimizers, keras.regularizers
S = keras.optimizers.schedules
CALL = FitCall.of(
    (X[:N], X[:N, :1]),
    {"epochs": 3, "batch_size": 8, "verbose": 0, "validation_split": 0.25},
)


def near_one(rng):
    return float(rng.uniform(0.5, 0.999))


def log(low, high):
    return lambda rng: float(np.exp(rng.uniform(np.log(low), np.log(high))))


def steps(rng):
    return int(rng.integers(5, 3000))


def optimizer(cls, draws, **options):
    def build(values):
        return dense(optimizer=lambda: cls(0.01, **options, **values))

    return cls, {"weight_decay": log(1e-3, 1.0), **draws}, build


def schedule(cls, draws, **options):
    def build(values):
        return dense(optimizer=lambda: Opt.SGD(cls(**options, **values)))

    return cls, {"initial_learning_rate": RATE, **draws}, build


def layer(cls, draws, make=lambda one: [one]):
    return cls, draws, lambda values: dense(*make(cls(**values)))


def penalized(penalty):
    return [L.Dense(4, kernel_regularizer=penalty)]


def constrained(constraint):
    return [L.Dense(4, kernel_constraint=constraint)]


SMALL, RATE, SIZE = log(1e-9, 1.0), log(1e-4, 0.5), log(1e-3, 1.0)
BETAS = {"beta_1": near_one, "beta_2": near_one}
ADAM = {**BETAS, "epsilon": SMALL}
CASES = [
    optimizer(Opt.Adam, ADAM),
    optimizer(Opt.Adam, {**ADAM, "clipnorm": SIZE}, amsgrad=True),
    optimizer(Opt.AdamW, {**ADAM, "global_clipnorm": SIZE}),
    optimizer(Opt.Nadam, {**ADAM, "clipvalue": SIZE}),
    optimizer(Opt.Adamax, ADAM),
    optimizer(Opt.Lamb, ADAM),
    optimizer(Opt.Lion, BETAS),
    optimizer(Opt.SGD, {"momentum": near_one, "clipvalue": SIZE}),
    optimizer(Opt.SGD, {"momentum": near_one, "clipnorm": SIZE}, nesterov=True),
    optimizer(Opt.RMSprop, {"rho": near_one, "momentum": near_one}),
    optimizer(Opt.RMSprop, {"rho": near_one, "global_clipnorm": SIZE}, centered=True),
    optimizer(Opt.Adadelta, {"rho": near_one, "epsilon": SMALL}),
    optimizer(Opt.Adagrad, {"epsilon": SMALL}),
    optimizer(Opt.Ftrl, {}),
    schedule(S.ExponentialDecay, {"decay_rate": near_one}, decay_steps=7),
    schedule(S.InverseTimeDecay, {}, decay_steps=7, decay_rate=0.4),
    schedule(
        S.PolynomialDecay, {"decay_steps": steps, "end_learning_rate": RATE}, power=1.5
    ),
    schedule(S.CosineDecay, {"decay_steps": steps, "alpha": near_one}),
    schedule(
        S.CosineDecay, {"warmup_steps": steps, "warmup_target": RATE}, decay_steps=9
    ),
    layer(R.L1, {"l1": RATE}, penalized),
    layer(R.L2, {"l2": RATE}, penalized),
    layer(R.L1L2, {"l1": RATE, "l2": RATE}, penalized),
    layer(keras.constraints.MaxNorm, {"max_value": SIZE}, constrained),
    layer(L.Dropout, {"rate": near_one}),
    layer(L.GaussianNoise, {"stddev": near_one}),
    layer(
        L.SpatialDropout1D, {"rate": near_one},
        lambda one: [L.Reshape((3, 2)), one, L.Flatten()],
    ),
    layer(
        L.SpatialDropout2D, {"rate": near_one},
        lambda one: [L.Reshape((3, 1, 2)), one, L.Flatten()],
    ),
]  # fmt: skip
UNDER_XLA = {Opt.Nadam, S.PolynomialDecay, L.Dropout}
# Keras clips in the class that all optimizers share.
CLIPS = {"clipnorm", "clipvalue", "global_clipnorm"}


def new(build):
    reset_names()
    keras.utils.set_random_seed(1)
    return build()


def trained(build, programs):
    model = new(build)
    history = fit_compiled(model, CALL, programs, build).history
    return history, model.get_weights()


def test_every_number_is_compared():
    """What graphs are given is listed, and all that is listed is tested below."""
    listed = {(cls, name) for cls, names in ATTRIBUTES.items() for name in names}
    tested = {(cls, name) for cls, draws, _ in CASES for name in draws}
    assert tested <= listed
    assert {name for _, name in tested} >= CLIPS
    assert {(cls, name) for cls, name in listed if name not in CLIPS} <= tested


@pytest.mark.parametrize(
    ("draws", "build"), [case[1:] for case in CASES],
    ids=[f"{cls.__name__}.{'.'.join(draws)}" for cls, draws, _ in CASES],
)  # fmt: skip
def test_given_numbers_compute_what_constants_do(draws, build):
    """Traced for the second setting, run with a third; all weights and the history."""
    rng = np.random.default_rng(0)
    programs = Programs()
    for n_traces in (2, 4, 4):
        one = build({name: draw(rng) for name, draw in draws.items()})
        history, weights = trained(one, programs)
        assert programs.traces == n_traces
    expected, constant = trained(one, Programs())
    assert history == expected
    for mine, other in zip(weights, constant, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(
    ("draws", "build"),
    [case[1:] for case in CASES if case[0] in UNDER_XLA],
    ids=["optimizer", "schedule", "layer"],
)  # fmt: skip
def test_graphs_of_xla_are_given_numbers_from_the_first_time_on(draws, build):
    def under_xla(values):
        def make():
            model = build(values)()
            model.jit_compile = True
            return model

        return make

    rng = np.random.default_rng(0)
    programs = Programs()
    for _ in range(2):
        one = under_xla({name: draw(rng) for name, draw in draws.items()})
        history, weights = trained(one, programs)
        assert programs.traces == 2
    plain, (args, kwargs) = new(one), CALL.given
    for name, values in plain.fit(*args, **kwargs).history.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)
    for mine, theirs in zip(weights, plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)


# -- when numbers stay constants ---


def traces_of(builds):
    programs = Programs()
    for build in builds:
        history, _ = trained(build, programs)
        args, kwargs = CALL.given
        expected = new(build).fit(*args, **kwargs).history
        for name, values in expected.items():
            np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)
    return programs.traces


def test_what_a_number_switches_off_is_another_graph():
    """Without dropout there is nothing to draw; without momentum nothing to keep."""
    rates = [0.0, 0.5, 0.25, 0.0]
    assert traces_of(dense(L.Dropout(rate)) for rate in rates) == 2 + 2 + 2
    momenta = [0.0, 0.9, 0.8, 0.0]
    builds = (dense(optimizer=lambda m=m: Opt.SGD(0.1, momentum=m)) for m in momenta)
    assert traces_of(builds) == 2 + 2 + 2


def own_loss(y, prediction):
    return keras.ops.mean(keras.ops.square(y - prediction), axis=-1)


def test_code_of_one_s_own_may_do_anything_with_a_number():
    """So that all stays constant where a loss, a layer or a step is not Keras's."""
    builds = (dense(L.Dropout(rate), loss=own_loss) for rate in (0.1, 0.2, 0.3))
    assert traces_of(builds) == 6


def test_numbers_are_constants_where_precision_is_mixed():
    def half(rate):
        return dense(L.Dropout(rate, dtype="mixed_float16"))

    programs = Programs()
    for rate in (0.1, 0.2, 0.3):
        trained(half(rate), programs)
    assert programs.traces == 6


def test_what_a_graph_cannot_be_given_is_burnt_in(monkeypatch):
    """Its square root is taken in Python: refused while tracing, and remembered."""
    allowed = {**ATTRIBUTES, L.GaussianDropout: frozenset({"rate"})}
    monkeypatch.setattr(_numbers, "ATTRIBUTES", allowed)
    layers = [L.GaussianDropout(rate, seed=1) for rate in (0.1, 0.2, 0.3)]
    assert [number_in(one, "rate", one.rate) for one in layers] == [0.1, 0.2, 0.3]
    assert traces_of(dense(one) for one in layers) == 6
    assert [one.rate for one in layers] == [0.1, 0.2, 0.3]


def test_a_model_of_one_s_own_may_change_its_numbers():
    """The drop-in `fit`: traced for what the model says when it is called."""
    fast, plain = new(dense(optimizer="adamw")), new(dense(optimizer="adamw"))
    args, kwargs = CALL.given
    for decay in (0.004, 0.5, 0.02):
        for model in (fast, plain):
            model.optimizer.weight_decay = decay
            model.compile(model.optimizer, "mse")
        kttoolkit.fit(fast, *args, **kwargs)
        plain.fit(*args, **kwargs)
        for mine, other in zip(fast.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)


def test_a_search_over_numbers_traces_twice(tmp_path):
    """Scores are the reference engine's; from the third trial on nothing is traced."""

    def build(hp):
        factor = hp.Float("l2", 1e-6, 1e-1, sampling="log")
        layers = [
            keras.Input((6,)),
            L.Dense(8, activation="relu", kernel_regularizer=R.L2(factor)),
            L.Dropout(hp.Float("rate", 0.1, 0.6)),
            L.Dense(1),
        ]
        model = keras.Sequential(layers)
        rate = S.CosineDecay(hp.Float("rate0", 1e-4, 1e-2), hp.Int("steps", 10, 90))
        model.compile(Opt.Adam(rate, beta_1=hp.Float("beta_1", 0.8, 0.99)), "mse")
        return model

    scores = {}
    for engine in ("compiled", "reference"):
        PROGRAMS.clear()
        before = PROGRAMS.traces
        result = kttoolkit.tune(
            build, X, X[:, 0], tuner="random", max_trials=5, max_epochs=2, cv=2, seed=0,
            engine=engine, directory=tmp_path, verbose=0, project_name=engine,
        )  # fmt: skip
        scores[engine] = [record.metrics["val_loss"] for record in result.records]
        traces = PROGRAMS.traces - before
        assert traces == (4 if engine == "compiled" else 0)
    np.testing.assert_allclose(scores["compiled"], scores["reference"], rtol=1e-5)


# -- the stand-in ---


def computed(function, value):
    """Let a graph compute with a number, and round what comes out."""

    def graph(values):
        return tf.convert_to_tensor(function(Number(values[0], 0.5, is_given=True)))

    traced = tf.function(graph, autograph=False)
    return traced(tf.constant([value], tf.float64)).numpy()


@given(st.floats(1e-6, 0.999), st.floats(0.1, 10))
def test_it_calculates_in_double_precision_as_python_does(value, other):
    for function in (
        lambda n: n, lambda n: 1 - n, lambda n: 1 / (1 - n), lambda n: n * other - n,
        lambda n: -(other + n) / 3, lambda n: other / n,
    ):  # fmt: skip
        got = computed(function, value)
        assert got.dtype == np.float32
        assert got == np.float32(function(value))


def test_what_needs_the_value_is_refused():
    with tf.Graph().as_default():
        number = Number(tf.constant(0.3, tf.float64), 0.3, is_given=True)
    assert number
    assert number > 0
    assert number != 1
    for ask in (
        lambda: number > 0.25,
        lambda: number == number,
        lambda: 1 - number > 0,
    ):
        with pytest.raises(TypeError, match="compares with 0 and 1 only"):
            ask()
    for ask in (lambda: math.sqrt(number), lambda: float(number)):
        with pytest.raises(TypeError, match=r"must be .*real number"):
            ask()
    for ask in (lambda: number**2, lambda: 2**number):
        with pytest.raises(TypeError, match="unsupported operand"):
            ask()
    with pytest.raises(TypeError, match="unhashable"):
        hash(number)
    with pytest.raises(TypeError, match="no int32"):
        tf.convert_to_tensor(number, tf.int32)


def test_attributes_are_put_back_whatever_happens():
    dropout = L.Dropout(0.5)
    numbers = tf.constant([0.5], tf.float64)

    def fail():
        with _numbers.standing_in([(dropout, "rate")], numbers, [0.5]):
            assert isinstance(dropout.rate, Number)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert dropout.rate == 0.5


def test_numbers_that_are_none_are_described_as_they_are():
    """Not finite, whole where Keras takes fractions, or of a class of one's own."""

    class Own(L.Dropout):
        pass

    assert number_in(L.Dropout(0.5), "rate", math.nan) is None
    assert number_in(Own(0.5), "rate", 0.5) is None
    assert number_in(L.Dropout(0.5), "rate", 1) is None
    assert describe(Own(0.5)).numbers == ()
    assert describe(Own(0.5)) != describe(Own(0.25))
