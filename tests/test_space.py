"""Each hyperparameter follows its law, keeps its bounds, and refuses bad ones."""

import math
from collections import Counter

import keras
import keras_tuner
import numpy as np
import pytest
from scipy import stats

import kttoolkit
from kttoolkit import HyperParameters, exceptions, space
from kttoolkit.tuners import get

SpaceError = exceptions.SearchSpaceError
# One in twenty, shared among the fifty tests of a law.
LEVEL = 0.001


def drawn(ask, n=600):
    """Sample a search space as random search does; return all trials' values."""
    hp = HyperParameters()
    ask(hp)
    oracle = keras_tuner.oracles.RandomSearchOracle(
        keras_tuner.Objective("score", "min"), max_trials=10**6, seed=1
    )
    oracle.hyperparameters = hp
    oracle._tried_so_far = set()
    values = []
    for _ in range(n):
        oracle._tried_so_far.clear()
        values.append(oracle.populate_space("0")["values"])
    return values


def log_law(low, high):
    return stats.loguniform(low, high).cdf


def uniform_law(low, high):
    return stats.uniform(low, high - low).cdf


def one_minus_log_law(low, high):
    """0.9 to 0.99 is as likely as 0.99 to 0.999."""
    gap = stats.loguniform(1 - high, 1 - low)
    return lambda value: gap.sf(1 - np.asarray(value))


CONTINUOUS = {
    "learning_rate": (space.learning_rate, "learning_rate", log_law(1e-4, 1)),
    "momentum": (space.momentum, "momentum", one_minus_log_law(0.9, 0.999)),
    "adam_betas_1": (space.adam_betas, "beta_1", one_minus_log_law(0.8, 0.99)),
    "adam_betas_2": (space.adam_betas, "beta_2", one_minus_log_law(0.9, 0.9999)),
    "epsilon": (space.epsilon, "epsilon", log_law(1e-8, 1e-2)),
    "weight_decay": (space.weight_decay, "weight_decay", log_law(1e-5, 1e-1)),
    "clipnorm": (space.clipnorm, "clipnorm", log_law(0.1, 10)),
    "clipvalue": (space.clipvalue, "clipvalue", log_law(0.01, 1)),
    "dropout": (
        lambda hp: space.dropout(hp, step=None), "dropout", uniform_law(0, 0.5)
    ),
    "regularizer": (
        lambda hp: space.regularizer(hp, kinds=["l2"]), "regularizer_l2",
        log_law(1e-6, 1e-1),
    ),
    "constraint": (
        lambda hp: space.constraint(hp, kinds=["max_norm"]), "constraint_max_norm",
        uniform_law(1, 5),
    ),
    "schedule_final": (
        lambda hp: space.learning_rate_schedule(hp, total_steps=9, kinds=["cosine"]),
        "schedule_final", log_law(1e-3, 0.5),
    ),
    "schedule_warm_up": (
        lambda hp: space.learning_rate_schedule(hp, total_steps=9, kinds=["warm_up"]),
        "schedule_warm_up", uniform_law(0.02, 0.2),
    ),
    "focal": (
        lambda hp: space.loss(hp, task="binary", kinds=["focal"]), "loss_gamma",
        uniform_law(0.5, 5),
    ),
    "smoothing": (
        lambda hp: space.loss(hp, task="binary", kinds=["label_smoothing"]),
        "loss_smoothing", uniform_law(0.02, 0.2),
    ),
    "huber": (
        lambda hp: space.loss(hp, task="regression", kinds=["huber"]), "loss_delta",
        log_law(0.1, 10),
    ),
    "log_float": (
        lambda hp: space.log_float(hp, name="a", min_value=3, max_value=3e5), "a",
        log_law(3, 3e5),
    ),
    "linear_float": (
        lambda hp: space.linear_float(hp, name="a", min_value=-2, max_value=7), "a",
        uniform_law(-2, 7),
    ),
    "one_minus_log": (
        lambda hp: space.one_minus_log(hp, name="a", min_value=0.0, max_value=0.9999),
        "a", one_minus_log_law(0.0, 0.9999),
    ),
}  # fmt: skip

POWERS = [16, 32, 64, 128, 256]
DISCRETE = {
    "units": (space.units, "units", POWERS),
    "units_in_steps": (
        lambda hp: space.units(hp, min_value=32, max_value=512, step=32), "units",
        list(range(32, 513, 32)),
    ),
    "depth": (space.depth, "depth", [1, 2, 3]),
    "shape": (
        lambda hp: space.widths(hp, depth=2), "units_shape",
        ["constant", "funnel", "free"],
    ),
    "activation": (
        space.activation, "activation", ["relu", "gelu", "silu", "elu", "selu", "tanh"]
    ),
    "initializer": (
        lambda hp: space.initializer(hp, activation="relu"), "initializer",
        ["he_normal", "he_uniform", "orthogonal"],
    ),
    "regularizer": (space.regularizer, "regularizer", ["none", "l1", "l2", "l1_l2"]),
    "constraint": (space.constraint, "constraint", ["none", "max_norm"]),
    "dropout": (space.dropout, "dropout", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
    "batch_norm": (space.batch_norm, "batch_norm", [False, True]),
    "optimizer": (
        space.optimizer, "optimizer", ["sgd", "adam", "adamw", "rmsprop", "nadam"]
    ),
    "schedule": (
        lambda hp: space.learning_rate_schedule(hp, total_steps=5), "schedule",
        ["none", "exponential", "cosine", "inverse_time", "warm_up"],
    ),
    "batch_size": (
        lambda hp: space.batch_size(hp, n_samples=300), "batch_size", POWERS
    ),
    "epochs": (space.epochs, "epochs", list(range(10, 101, 10))),
    "early_stopping": (space.early_stopping, "patience", [3, 5, 10, 20]),
    "loss": (
        lambda hp: space.loss(hp, task="regression"), "loss",
        ["mse", "mae", "huber", "log_cosh"],
    ),
    "class_weight": (
        lambda hp: space.class_weight(hp, y=[0, 1]), "class_weight",
        ["none", "balanced", "square_root"],
    ),
    "filters": (space.filters, "filters", [8, 16, 32, 64]),
    "kernel_size": (space.kernel_size, "kernel_size", [3, 5, 7]),
    "pooling": (space.pooling, "pooling", ["max", "average", "strided"]),
    "global_pooling": (
        space.global_pooling, "global_pooling", ["average", "max", "flatten"]
    ),
    "image_size": (
        lambda hp: space.image_size(hp, max_value=28, poolings=2), "image_size",
        [14, 16, 20, 24, 28],
    ),
    "flip": (space.augmentation, "augmentation_flip", ["none", "horizontal"]),
    "rotation": (
        space.augmentation, "augmentation_rotation", [0.0, 0.1, 0.2, 0.3]
    ),
    "choice": (lambda hp: space.choice(hp, name="a", values=[5, 1]), "a", [5, 1]),
    "integer": (
        lambda hp: space.integer(hp, name="a", min_value=2, max_value=6), "a",
        [2, 3, 4, 5, 6],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTINUOUS)
def test_ranges_follow_their_law(case):
    """Kolmogorov and Smirnov's test; a fixed seed, so it fails for ever or never."""
    ask, name, law = CONTINUOUS[case]
    sample = [values[name] for values in drawn(ask) if name in values]
    assert len(sample) == 600
    assert stats.kstest(sample, law).pvalue > LEVEL


@pytest.mark.parametrize("case", DISCRETE)
def test_every_choice_is_as_likely(case):
    ask, name, expected = DISCRETE[case]
    counts = Counter(values[name] for values in drawn(ask))
    assert sorted(counts, key=str) == sorted(expected, key=str)
    assert stats.chisquare([counts[value] for value in expected]).pvalue > LEVEL


def test_a_wrong_law_would_be_noticed():
    """The same sample fails the test of the law that beginners take."""
    rates = [v["learning_rate"] for v in drawn(space.learning_rate)]
    assert stats.kstest(rates, uniform_law(1e-4, 1)).pvalue < 1e-10
    betas = [v["momentum"] for v in drawn(space.momentum)]
    assert stats.kstest(betas, uniform_law(0.9, 0.999)).pvalue < 1e-10


def test_keras_tuners_reverse_log_is_another_scale():
    """It puts half of all draws below 0.9481; the right scale below 0.99."""

    def ask(hp):
        hp.Float("beta", 0.9, 0.999, sampling="reverse_log")

    betas = [values["beta"] for values in drawn(ask)]
    assert np.median(betas) == pytest.approx(0.9507, abs=0.004)
    ours = [values["momentum"] for values in drawn(space.momentum)]
    assert np.median(ours) == pytest.approx(0.99, abs=0.002)


def everything(hp):
    """Ask for all there is, in conditional scopes too."""
    depth = space.depth(hp)
    space.widths(hp, depth=depth)
    activation = space.activation(hp)
    space.initializer(hp, activation=activation)
    space.regularizer(hp)
    space.constraint(hp)
    space.dropout(hp)
    space.batch_norm(hp)
    rate = space.learning_rate_schedule(hp, total_steps=100)
    space.optimizer(hp, learning_rate=rate, clipnorm=space.clipnorm(hp))
    space.batch_size(hp, n_samples=100)
    space.loss(hp, task="multiclass")
    space.class_weight(hp, y=[0, 1, 1])
    space.augmentation(hp)


BOUNDS = {
    "depth": (1, 3), "units": (16, 256), "units_3": (16, 256), "dropout": (0, 0.5),
    "regularizer_l1": (1e-6, 1e-1), "constraint_max_norm": (1, 5),
    "learning_rate": (1e-4, 1), "schedule_final": (1e-3, 0.5),
    "schedule_warm_up": (0.02, 0.2), "momentum": (0.9, 0.999), "beta_1": (0.8, 0.99),
    "beta_2": (0.9, 0.9999), "rho": (0.9, 0.999), "weight_decay": (1e-5, 1e-1),
    "clipnorm": (0.1, 10), "batch_size": (16, 64), "loss_gamma": (0.5, 5),
    "loss_smoothing": (0.02, 0.2), "augmentation_zoom": (0, 0.3),
}  # fmt: skip


def proposals(kind, folder, n=40):
    """Let a tuner propose trials, each scored by a stand-in for its model."""

    class Quick(get(kind)):
        def run_trial(self, trial, *args, **kwargs):
            everything(trial.hyperparameters)
            return abs(math.log(trial.hyperparameters.values["learning_rate"]))

    limits = {"hyperband": {"max_epochs": 9}, "grid": {"max_trials": n}}
    tuner = Quick(
        everything,
        keras_tuner.Objective("score", "min"),
        seed=0,
        directory=folder,
        **limits.get(kind, {"max_trials": n}),
    )
    tuner.search(verbose=0)
    trials = tuner.oracle.trials.values()
    assert all(trial.status == "COMPLETED" for trial in trials)
    return [trial.hyperparameters for trial in trials]


@pytest.mark.parametrize("kind", ["random", "bayesian", "hyperband", "grid"])
def test_no_tuner_leaves_the_bounds(kind, tmp_path):
    """Nor does a stored trial hold what belongs to a choice that was not made."""
    found = proposals(kind, tmp_path)
    assert len(found) >= 20
    for hp in found:
        values = hp.values
        for name, (low, high) in BOUNDS.items():
            assert name not in values or low <= values[name] <= high
        assert ("momentum" in values) == (values["optimizer"] == "sgd")
        assert ("beta_1" in values) == (
            values["optimizer"] in {"adam", "adamw", "nadam"}
        )
        assert ("units" in values) == (values["units_shape"] != "free")
        is_deep = values["units_shape"] == "free" and values["depth"] == 3
        assert ("units_3" in values) == is_deep
        assert ("initializer_relu" in values) == (
            values["activation"] not in {"tanh", "selu"}
        )


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_bounds_are_reached(bound):
    """The ends of the scale give the bounds themselves."""
    hp = HyperParameters()
    everything(hp)
    ends = {entry.name: entry.prob_to_value(bound) for entry in hp.space}
    for name, limits in BOUNDS.items():
        assert ends[name] == pytest.approx(limits[int(bound)], rel=1e-12)


def test_keras_tuners_own_hp_works_as_well():
    """A build function must not care who calls it."""
    plain = keras_tuner.HyperParameters()
    everything(plain)
    ours = HyperParameters()
    everything(ours)
    assert plain.values == ours.values
    again = keras_tuner.HyperParameters.from_config(plain.get_config())
    assert again.values == plain.values
    proto = keras_tuner.HyperParameters.from_proto(plain.to_proto())
    assert {hp.name for hp in proto.space} == {hp.name for hp in plain.space}


def test_plain_keras_tuner_searches_the_space(tmp_path, blobs):
    """Its own tuner, its own files."""
    x, y = blobs

    class Plain(keras_tuner.RandomSearch):
        def run_trial(self, trial, x, y, **kwargs):
            model = self.hypermodel.build(trial.hyperparameters)
            return model.fit(x, y, verbose=0).history["loss"][-1]

    def build(hp):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(space.optimizer(hp), "mse")
        return model

    score = keras_tuner.Objective("score", "min")
    tuner = Plain(build, score, max_trials=3, seed=0, directory=tmp_path)
    tuner.search(x, y, verbose=0)
    best = tuner.get_best_hyperparameters()[0]
    assert best.values["optimizer"] in {"sgd", "adam", "adamw", "rmsprop", "nadam"}


PIECES = {
    name: getattr(space, name)
    for name in space.__all__
    if name.islower() and name not in {"choice", "integer", "linear_float", "log_float",
                    "one_minus_log", "widths"}
}  # fmt: skip
NEEDED = {
    "image_size": {"max_value": 32},
    "learning_rate_schedule": {"total_steps": 10},
    "loss": {"task": "binary"},
    "class_weight": {"y": [0, 1]},
}


@pytest.mark.parametrize("name", PIECES)
def test_every_piece_can_stand_in_a_scope_that_is_not_active(name):
    """Nothing is made of nothing, and no value is recorded."""
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        value = PIECES[name](hp, **NEEDED.get(name, {}))
    assert set(hp.values) == {"kind"}
    assert len(hp.space) > 1
    plain = (int, float, bool, tuple, list, dict, type(None), str)
    kinds = (*plain, keras.optimizers.Optimizer, keras.callbacks.Callback)
    assert isinstance(value, kinds)


def test_numbers_in_a_scope_that_is_not_active_are_none():
    hp = HyperParameters()
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        assert space.learning_rate(hp) is None
        assert space.units(hp) is None
        assert space.momentum(hp) is None
        assert space.regularizer(hp) is None


# -- what is made of the values ---


def given(**values):
    hp = HyperParameters()
    hp.values = dict(values)
    return hp


def course(kind, steps=(0, 50, 99)):
    hp = given(schedule=kind, schedule_final=0.01, schedule_warm_up=0.1)
    schedule = space.learning_rate_schedule(hp, total_steps=100, learning_rate=0.5)
    return [float(schedule(step)) for step in steps]


@pytest.mark.parametrize("kind", ["exponential", "cosine", "inverse_time"])
def test_schedules_fall_to_the_same_share(kind):
    start, middle, end = course(kind, (0, 50, 100))
    assert start == pytest.approx(0.5)
    assert 0.005 < middle < 0.5
    assert end == pytest.approx(0.005, rel=1e-4)


def test_warm_up_rises_first():
    rates = course("warm_up", (0, 5, 10, 100))
    assert rates[0] == pytest.approx(0)
    assert rates[1] == pytest.approx(0.25)
    assert rates[2] == pytest.approx(0.5)
    assert rates[3] == pytest.approx(0.005, rel=1e-4)


def test_no_schedule_is_a_number():
    assert space.learning_rate_schedule(given(learning_rate=0.2), total_steps=3) == 0.2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"optimizer": "sgd", "momentum": 0.95, "nesterov": True},
         {"momentum": 0.95, "nesterov": True}),
        ({"optimizer": "adam", "beta_1": 0.85}, {"beta_1": 0.85, "beta_2": 0.999}),
        ({"optimizer": "nadam", "beta_2": 0.99}, {"beta_1": 0.9, "beta_2": 0.99}),
        ({"optimizer": "rmsprop", "rho": 0.95}, {"rho": 0.95}),
        ({"optimizer": "adamw", "weight_decay": 0.02}, {"weight_decay": 0.02}),
    ],
)  # fmt: skip
def test_the_chosen_optimizer_gets_what_belongs_to_it(values, expected):
    hp = given(learning_rate=0.3, **values)
    made = space.optimizer(hp, clipnorm=0.5)
    config = made.get_config()
    assert type(made).__name__.lower() == values["optimizer"]
    assert {key: config[key] for key in expected} == expected
    assert config["clipnorm"] == 0.5
    assert float(made.learning_rate) == pytest.approx(0.3)


def test_what_is_given_is_not_asked_for():
    hp = HyperParameters()
    space.optimizer(hp, kinds=["sgd"], learning_rate=0.1, momentum=0.5, nesterov=False)
    assert hp.values == {}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("constant", (64, 64, 64)), ("funnel", (64, 32, 16)), ("free", (16, 32, 128))],
)
def test_widths(kind, expected):
    hp = given(units_shape=kind, units=64, units_1=16, units_2=32, units_3=128, depth=3)
    depth = space.depth(hp)
    assert space.widths(hp, depth=depth) == expected


def test_initializers_suit_a_searched_activation():
    hp = given(activation="selu")
    activation = space.activation(hp)
    assert space.initializer(hp, activation=activation) == "lecun_normal"
    assert "initializer_selu" in hp.values


def test_zeros_are_there_on_request_alone():
    for activation in ("relu", "tanh", "selu", None):
        hp = HyperParameters()
        space.initializer(hp, activation=activation)
        assert "zeros" not in hp.space[0].values
    hp = HyperParameters()
    assert space.initializer(hp, kinds=["zeros", "he_normal"]) == "zeros"


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("l1", keras.regularizers.L1), ("l2", keras.regularizers.L2),
        ("l1_l2", keras.regularizers.L1L2),
    ],
)  # fmt: skip
def test_regularizers(kind, made):
    found = space.regularizer(given(regularizer=kind, regularizer_l1=0.02))
    assert type(found) is made
    if kind != "l2":
        assert float(found.get_config()["l1"]) == pytest.approx(0.02)


def test_class_weights_are_scikit_learns():
    from sklearn.utils.class_weight import compute_class_weight

    y = np.array([0, 0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y)
    found = space.class_weight(given(class_weight="balanced"), y=y)
    assert list(found.values()) == pytest.approx(expected)
    one_hot = space.class_weight(given(class_weight="balanced"), y=np.eye(3)[y])
    assert one_hot == found
    roots = space.class_weight(given(class_weight="square_root"), y=y)
    assert list(roots.values()) == pytest.approx(np.sqrt(expected))
    assert space.class_weight(HyperParameters(), y=y) is None


@pytest.mark.parametrize("kind", ["label_smoothing", "focal"])
def test_losses_of_class_numbers_are_those_of_one_hot_rows(kind):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(4), size=6).astype("float32")
    labels = rng.integers(4, size=6)
    hp = given(loss=kind)
    of_numbers = space.loss(hp, task="multiclass")
    of_rows = space.loss(hp, task="multiclass", one_hot=True)
    expected = float(of_rows(np.eye(4, dtype="float32")[labels], probabilities))
    assert float(of_numbers(labels, probabilities)) == pytest.approx(expected)
    again = keras.losses.deserialize(keras.losses.serialize(of_numbers))
    assert float(again(labels, probabilities)) == pytest.approx(expected)


def test_a_focal_loss_without_focus_is_cross_entropy():
    """Gamma 0 would be plain cross-entropy; the factor alpha must not spoil it."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(3), size=5).astype("float32")
    labels = rng.integers(3, size=5)
    hp = given(loss="focal", loss_gamma=1e-9)
    found = float(space.loss(hp, task="multiclass")(labels, probabilities))
    plain = keras.losses.SparseCategoricalCrossentropy()(labels, probabilities)
    assert found == pytest.approx(float(plain), rel=1e-5)


def test_augmentation_is_for_training_alone():
    layers = space.augmentation(
        given(augmentation_flip="horizontal", augmentation_rotation=0.2)
    )
    assert [type(layer).__name__ for layer in layers] == [
        "RandomFlip",
        "RandomRotation",
    ]
    images = np.arange(32.0).reshape(2, 4, 4, 1).astype("float32")
    model = keras.Sequential([keras.Input((4, 4, 1)), *layers])
    np.testing.assert_array_equal(model(images, training=False), images)
    assert not np.array_equal(model(images, training=True), images)


@pytest.mark.parametrize("numbers", [np.arange(1, 4), np.array([0.5, 1.0])])
def test_numbers_of_numpy_are_chosen_as_those_of_python(numbers):
    hp = HyperParameters()
    chosen = space.choice(hp, name="a", values=list(numbers), default=numbers[1])
    assert chosen == numbers[1]
    assert type(chosen) is type(numbers[1].item())
    assert hp.space[0].values == numbers.tolist()


@pytest.mark.parametrize(
    ("ask", "bounds"),
    [
        (space.units, (16, 256)), (space.depth, (1, 3)), (space.filters, (8, 64)),
        (space.batch_size, (16, 512)),
    ],
)  # fmt: skip
def test_a_default_outside_becomes_the_nearest_bound(ask, bounds):
    assert ask(HyperParameters(), default=0) == bounds[0]
    assert ask(HyperParameters(), default=1000) == bounds[1]
    assert "the nearest bound if it is outside" in ask.__doc__


def test_batches_are_capped_by_the_data():
    hp = HyperParameters()
    space.batch_size(hp, n_samples=100)
    assert list(hp.space[0].values) == [16, 32, 64]


# -- refusals ---

REFUSED = [
    (space.learning_rate, {"min_value": 1.0, "max_value": 0.1, "default": 0.5},
     r"min_value <= max_value must hold for learning_rate, but got min_value=1.0 and "
     r"max_value=0.1. Exchange"),
    (space.learning_rate, {"min_value": 0}, r"min_value > 0 .* log scale.*min_value=0"),
    (space.learning_rate, {"default": 2.0}, r"default.*default=2.0.*Pass default="),
    (space.learning_rate, {"max_value": float("nan")}, "finite numbers, but got nan"),
    (space.learning_rate, {"max_value": "1"}, "finite numbers, but got '1'"),
    (space.momentum, {"max_value": 1}, r"< 1 must hold for momentum.*max_value=1.*999"),
    (space.momentum, {"min_value": -0.1}, r"0 <= min_value .*min_value=-0.1"),
    (space.momentum, {"points": 1}, r"points >= 2 .* points=1"),
    (space.adam_betas, {"max_values": (0.99, 1.0)}, "beta_2.*max_value=1.0"),
    (space.learning_rate_schedule, {"total_steps": 0}, "total_steps >= 1.*=0.*batches"),
    (space.learning_rate_schedule, {"total_steps": 9, "kinds": ["cosin"]},
     "got 'cosin'. Did you mean 'cosine'"),
    (space.optimizer, {"kinds": ["adamm"]}, "got 'adamm'. Did you mean 'adamw'|'adam'"),
    (space.optimizer, {"kinds": "adam"}, "needs a list of kinds.*got 'adam'"),
    (space.optimizer, {"kinds": []}, r"needs a list of kinds.*got \[\]"),
    (space.units, {"min_value": 0}, "min_value >= 1 .*min_value=0"),
    (space.units, {"max_value": 100}, "from 16 multiplied by 2 they miss 100.*=64"),
    (space.units, {"min_value": 32, "max_value": 100, "step": 32},
     "in steps of 32 they miss 100.*max_value=96"),
    (space.units, {"step": 0}, "step > 0 must hold for units, but got step=0"),
    (space.depth, {"min_value": -1}, "min_value >= 0 .*=-1"),
    (space.widths, {"depth": 2, "kinds": ["cone"]}, "units_shape must be .*'cone'"),
    (space.activation, {"kinds": []}, r"one or more values.*values=\[\]"),
    (space.dropout, {"max_value": 1.0, "step": None}, "max_value < 1 .*no unit"),
    (space.initializer, {"kinds": ["he"]}, "got 'he'"),
    (space.regularizer, {"kinds": ["l3"]}, "must be of .'l1'.*got 'l3'"),
    (space.regularizer, {"min_value": 0.0}, "regularizer_l1.*log scale.*min_value=0"),
    (space.constraint, {"min_value": 0}, "min_value > 0 must hold for constraint"),
    (space.batch_size, {"n_samples": 100, "max_value": 128},
     "cannot be larger than the data.*128.*n_samples=100.*Lower"),
    (space.batch_size, {"n_samples": 10}, "cannot be larger.*n_samples=10"),
    (space.batch_size, {"min_value": 16, "max_value": 100}, "they miss 100.*=64"),
    (space.epochs, {"min_value": 0}, "epochs >= 1 must hold, but got 0"),
    (space.early_stopping, {"values": [0, 5]}, "patience >= 1 must hold, but got 0"),
    (space.class_weight, {"y": [0.5, 1.0]}, "numbered from 0.*classification alone"),
    (space.class_weight, {"y": []}, "numbered from 0"),
    (space.class_weight, {"y": ["a", "b"]}, "numbered from 0.*dtype <U1.*np.unique"),
    (space.class_weight, {"y": np.array(["a", 1], object)}, "numbered from 0.*object"),
    (space.loss, {"task": "binary", "kinds": []}, r"loss needs a list of kinds.*\[\]"),
    (space.batch_size, {"min_value": 0}, "min_value >= 1 must hold.*min_value=0: a st"),
    (space.batch_size, {"min_value": -16}, "min_value >= 1 must hold.*min_value=-16"),
    (space.momentum, {"min_value": -0.1}, "min_value=-0.1.*a factor below 0.*lowest"),
    (space.adam_betas, {"min_values": 0.9}, "min_values must be a pair.*got 0.9.*e.g."),
    (space.adam_betas, {"defaults": (0.9,)}, r"defaults must be a pair.*\(0.9,\)"),
    (space.loss, {"task": "ranking"}, "task must be .*'ranking'"),
    (space.loss, {"task": "regression", "kinds": ["focal"]}, "'focal'"),
    (space.kernel_size, {"values": [4]}, "odd numbers.*got 4"),
    (space.image_size, {"max_value": 28, "min_value": 4, "poolings": 3},
     r"poolings=3 \(8 pixels\), min_value=4.*fewer poolings"),
    (space.image_size, {"max_value": 4, "poolings": 3}, "max_value=4"),
    (space.augmentation, {"kinds": ["flop"]}, "got 'flop'. Did you mean 'flip'"),
    (space.augmentation, {"max_strength": 1.5}, "max_strength <= 1"),
    (space.choice, {"name": "a", "values": [1, 1]}, "none twice"),
    (space.choice, {"name": "a", "values": [1, 2], "default": 3}, "default=3"),
    (space.integer, {"name": "a", "min_value": True, "max_value": 2}, "got True"),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "bad", "message"), REFUSED)
def test_bad_bounds_state_rule_value_and_fix(ask, bad, message):
    with pytest.raises(SpaceError, match=message):
        ask(HyperParameters(), **bad)


def test_every_piece_has_its_distribution_tested():
    """A new piece needs a law."""
    covered = {*CONTINUOUS, *DISCRETE}
    indirect = {
        "adam_betas": "adam_betas_1", "learning_rate_schedule": "schedule",
        "widths": "shape", "augmentation": "rotation",
    }  # fmt: skip
    missing = {
        n for n in space.__all__ if n.islower() and indirect.get(n, n) not in covered
    }
    assert not missing


def test_a_scale_can_be_searched_by_name_alone(blobs, tmp_path):
    """The stored trial shows the true momentum, and a manual setting names it."""
    x, y = blobs

    def build(hp):
        model = keras.Sequential(
            [keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")]
        )
        optimizer = space.optimizer(hp, kinds=["sgd"])
        model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
        return model

    result = kttoolkit.tune(
        build, x, y, tuner=[{"momentum": 0.97}, {"momentum": 0.5}], cv=2,
        max_epochs=1, seed=0, directory=tmp_path, verbose=0,
    )  # fmt: skip
    assert list(result.trials["param_momentum"]) == [0.97, 0.5]
