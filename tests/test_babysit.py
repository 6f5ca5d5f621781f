"""Panda: a babysat model equals plain Keras to the bit, and steps can be undone."""

import copy
import dataclasses
import functools
import json

import keras
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from test_hostile import CONTROL, HOSTILE

from kttoolkit.exceptions import DataError, SearchError, SearchSpaceError
from kttoolkit.methods._babysitting._babysit import (
    Intervention,
    SessionLog,
    Training,
    Undo,
    babysit,
    replay,
)

mpl.use("Agg")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4)).astype("float32")
Y = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype("int32")
FIT = {"validation_split": 0.25, "verbose": 0}


def build(optimizer=None, dropout=0.3, *, eager=True):
    """Make a model; traced only where it matters, for tracing takes its time."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((4,)),
        keras.layers.Dense(6, "tanh", kernel_regularizer=keras.regularizers.L2(0.01)),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(dropout, name="drop"),
        keras.layers.Dense(1, "sigmoid"),
    ])  # fmt: skip
    optimizer = optimizer or keras.optimizers.SGD(0.1, momentum=0.9)
    loss = "binary_crossentropy"
    model.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=eager)
    return model


def session(model=None, **kwargs):
    given = {"validation_split": 0.25, "batch_size": 12, "seed": 5, **kwargs}
    return babysit(model or build(), X, Y, **given)


def fit(model, training, *, batch_size=12, **kwargs):
    """Do by hand what the log says."""
    keras.utils.set_random_seed(training.seed)
    given = {"batch_size": batch_size, "epochs": training.epochs, **FIT, **kwargs}
    return model.fit(X, Y, **given).history


def state(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def assert_same(one, other):
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def differs(one, other):
    return any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# -- what is set takes effect, and equals plain Keras ---


def lean(optimizer, *, eager=False):
    keras.utils.set_random_seed(0)
    regularizer = keras.regularizers.L2(0.01)
    model = keras.Sequential([
        keras.Input((4,)), keras.layers.Dropout(0.3, name="drop"),
        keras.layers.Dense(1, "sigmoid", kernel_regularizer=regularizer),
    ])  # fmt: skip
    model.compile(optimizer, "binary_crossentropy", run_eagerly=eager)
    return model


def sgd():
    return lean(keras.optimizers.SGD(0.1, momentum=0.9))


def adam():
    return lean(keras.optimizers.Adam(0.1, clipnorm=0.5))


BY_HAND = [
    (sgd, "learning_rate", lambda m: setattr(m.optimizer, "learning_rate", 0.01), 0.01),
    (sgd, "momentum", lambda m: setattr(m.optimizer, "momentum", 0.5), 0.5),
    (sgd, "weight_decay", lambda m: setattr(m.optimizer, "weight_decay", 0.1), 0.1),
    (sgd, "dropout", lambda m: setattr(m.get_layer("drop"), "rate", 0.8), 0.8),
    (sgd, "l2", lambda m: setattr(m.layers[1].kernel_regularizer, "l2", 0.5), 0.5),
    (adam, "beta_1", lambda m: setattr(m.optimizer, "beta_1", 0.3), 0.3),
    (adam, "clipnorm", lambda m: setattr(m.optimizer, "clipnorm", 0.01), 0.01),
]  # fmt: skip


@functools.cache
def weights_without_a_change(make, **split):
    return state(session(make(), **split).train(1).train(1).model)


@pytest.mark.parametrize(("make", "name", "change", "value"), BY_HAND)
def test_a_setting_takes_effect_as_in_plain_keras(make, name, change, value):
    split = {"validation_split": 0.25 if name == "l2" else 0.0}
    panda = session(make(), **split).train(1).set(**{name: value}).train(1)
    first, intervention, second = panda.log.entries
    model = make()
    fit(model, first, **split)
    change(model)
    model.train_function = model.test_function = None
    history = fit(model, second, **split)
    assert_same(state(panda.model), state(model))
    assert differs(state(panda.model), weights_without_a_change(make, **split))
    frame = panda.history
    assert all(frame[column].iloc[1] == history[column][0] for column in history)
    assert intervention.new == {name: value}
    assert panda.settings[name] == value


def test_batch_size_and_class_weight_are_those_of_fit():
    weights = {0: 1.0, 1: 3.0}
    panda = session(class_weight=weights).train(1).set(batch_size=24).train(2)
    model = build()
    for training, size in zip(panda.log.steps[::2], (12, 24), strict=True):
        fit(model, training, batch_size=size, class_weight=weights)
    assert_same(state(panda.model), state(model))
    assert panda.model.optimizer.iterations == 2 + 2 * 1


def test_seeds_follow_from_the_sessions_own_and_the_epoch():
    panda = session(seed=None).train(1).train(2)
    first, second = (step.seed for step in panda.log.steps)
    assert first != second
    assert panda.undo().train(1).log.steps[1].seed == second
    other = session(seed=panda.log.start.seed).train(1)
    assert other.log.weights == panda.undo().log.weights
    assert session(seed=None).log.start.seed != panda.log.start.seed


def test_momentum_can_be_switched_on_where_the_optimizer_has_no_slots_for_it():
    panda = session(lean(keras.optimizers.SGD(0.1))).train(1)
    before = state(panda.model)
    panda.set(momentum=0.9, nesterov=True).train(2)
    model = lean(keras.optimizers.SGD(0.1))
    fit(model, panda.log.steps[0])
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)
    model.compile(optimizer, "binary_crossentropy")
    fit(model, panda.log.steps[2])
    assert_same(panda.model.get_weights(), model.get_weights())
    assert panda.model.optimizer.iterations == 6
    after = state(panda.model)
    panda.undo().undo()
    assert_same(state(panda.model), before)
    panda.set(momentum=0.9, nesterov=True).train(2)
    assert_same(state(panda.model), after)


def test_a_schedule_is_shown_and_replaced_by_a_number_and_comes_back():
    def make():
        schedule = keras.optimizers.schedules.ExponentialDecay(0.2, 2, 0.5)
        return lean(keras.optimizers.SGD(schedule), eager=eager)

    eager = False

    panda = session(make()).train(2)
    assert panda.history["learning_rate"].tolist() == pytest.approx([0.1, 0.05])
    panda.set(learning_rate=0.01).train(1)
    assert panda.log.interventions[0].old == {"learning_rate": "ExponentialDecay"}
    model = make()
    fit(model, panda.log.steps[0])
    model.compile(keras.optimizers.SGD(0.01), "binary_crossentropy")
    fit(model, panda.log.steps[2])
    assert_same(panda.model.get_weights(), model.get_weights())
    eager = True
    panda = session(make()).train(2).set(learning_rate=0.01).train(1)
    panda.set(learning_rate=0.02).train(1)
    assert panda.history["learning_rate"].tolist()[2:] == pytest.approx([0.01, 0.02])
    panda.undo().undo().undo().undo().train(1)
    expected = session(make()).train(2).train(1)
    assert_same(state(panda.model), state(expected.model))
    assert panda.history["learning_rate"].tolist()[-1] == pytest.approx(0.025)


def test_dropout_built_with_rate_0_can_be_switched_on(tmp_path):
    panda = session(build(dropout=0.0)).train(1)
    without = state(panda.branch().train(1).model)
    panda.set(dropout=0.5).train(1)
    assert differs(state(panda.model), without)
    again = replay(panda.log, build(dropout=0.0), X, Y)
    assert_same(state(again.model), state(panda.model))
    panda.model.save(tmp_path / "panda.keras")
    loaded = keras.models.load_model(tmp_path / "panda.keras")
    assert loaded.get_layer("drop").rate == 0.5
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), _predict(panda))


def _predict(panda):
    return panda.model.predict(X, verbose=0)


def test_dropout_is_set_by_layer_in_nested_models():
    inner = keras.Sequential([keras.layers.Dropout(0.1, name="a")], name="inner")
    outer = keras.Sequential([
        keras.Input((4,)), inner, keras.layers.Dense(2),
        keras.layers.AlphaDropout(0.2, name="b"), keras.layers.Dense(1),
    ])  # fmt: skip
    outer.compile("adam", "mse")
    panda = session(outer)
    assert panda.settings["dropout"] == {"a": 0.1, "b": 0.2}
    panda.set(dropout={"b": 0.4})
    assert panda.settings["dropout"] == {"a": 0.1, "b": 0.4}
    assert (inner.layers[0].rate, outer.layers[2].rate) == (0.1, 0.4)
    assert panda.set(dropout=0.0).settings["dropout"] == 0.0
    assert panda.undo().undo().settings["dropout"] == {"a": 0.1, "b": 0.2}
    with pytest.raises(SearchSpaceError, match=r"\(a, b\), but got \['c'\]"):
        panda.set(dropout={"c": 0.1})


def test_a_loss_scaling_optimizer_takes_the_settings_of_the_one_inside():
    def make():
        inner = keras.optimizers.SGD(0.1)
        return build(keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0))

    panda = session(make()).train(1).set(momentum=0.9, learning_rate=0.05).train(1)
    assert panda.log.start.optimizer == "SGD"
    assert panda.model.optimizer.inner_optimizer.momentum == 0.9
    branch = panda.branch().train(1)
    assert_same(state(branch.model), state(panda.train(1).model))


# -- the way back ---


def test_undo_goes_back_step_by_step_and_the_same_steps_lead_to_the_same_place():
    panda = session()
    seen = [state(panda.model)]
    steps = [
        lambda: panda.train(2),
        lambda: panda.set(learning_rate=0.5, dropout=0.0, batch_size=20, l2=0.0),
        lambda: panda.train(1),
    ]
    for step in steps:
        step()
        seen.append(state(panda.model))
    settings = panda.settings
    for expected in seen[-2::-1]:
        panda.undo()
        assert_same(state(panda.model), expected)
    assert (panda.epoch, len(panda.history)) == (0, 0)
    assert panda.settings == panda.log.start.settings
    with pytest.raises(SearchError, match=r"at its start \(steps=0\)"):
        panda.undo()
    for step, expected in zip(steps, seen[1:], strict=True):
        step()
        assert_same(state(panda.model), expected)
    assert panda.settings == settings
    kinds = [type(entry) for entry in panda.log.entries]
    assert kinds == [*(once := [Training, Intervention, Training]), *[Undo] * 3, *once]
    assert len(panda.log.undone) == 3


def test_ctrl_c_keeps_the_epochs_that_were_finished(monkeypatch):
    def interrupt(*args, **kwargs):
        if panda.model.optimizer.iterations == at_step:
            raise KeyboardInterrupt
        return evaluate(*args, **kwargs)

    def make():
        return build(keras.optimizers.SGD(0.1, use_ema=True))

    panda = session(make())
    evaluate, at_step = panda.model.evaluate, 6
    monkeypatch.setattr(panda.model, "evaluate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        panda.train(5)
    expected = session(make()).train(2)
    assert panda.epoch == 2
    assert panda.log == expected.log
    assert_same(state(panda.model), state(expected.model))
    monkeypatch.undo()
    assert_same(state(panda.train(1).model), state(expected.train(1).model))
    before, at_step = state(panda.model), 8
    monkeypatch.setattr(panda.model, "evaluate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        panda.train(5)
    assert_same(state(panda.model), before)
    assert panda.log == expected.log


def test_a_lost_loss_ends_the_training_and_says_what_to_do():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    panda = session(model).train(1).set(learning_rate=1e25)
    rule = r"(val_)?loss is (nan|inf) in epoch 2.*undo\(\).*learning_rate=1e\+24"
    with pytest.warns(RuntimeWarning, match=rule):
        panda.train(5)
    assert panda.epoch < 6
    assert not np.isfinite(panda.model.get_weights()[0]).all()
    panda.undo().undo().train(2)
    assert np.isfinite(panda.history["val_loss"]).all()
    assert panda.epoch == 3


def test_a_model_changed_outside_of_the_session_is_refused_until_undo():
    panda = session().train(1).train(1)
    panda.model(X, training=False)
    panda.set(l2=0.02)
    panda.model.optimizer.learning_rate = 0.5
    with pytest.raises(SearchError, match=r"no longer those after epoch 2.*undo\(\)"):
        panda.train()
    panda.undo()
    panda.model.get_layer("drop").rate = 0.7
    with pytest.raises(SearchError, match="Only the session may change its model"):
        panda.set(l2=0.1)
    assert panda.undo().settings["dropout"] == 0.3
    panda.model.set_weights([w + 1 for w in panda.model.get_weights()])
    with pytest.raises(SearchError, match="after epoch 1"):
        panda.branch()


def test_looking_with_dropout_on_changes_nothing():
    model = build()
    model.layers[1].trainable = False  # batch normalization
    panda, other = session(model).train(1), build()
    other.layers[1].trainable = False
    expected = session(other).train(1)
    panda.model(X, training=True)
    assert_same(state(panda.train(1).model), state(expected.train(1).model))


def test_random_numbers_of_others_are_left_alone():
    model = build()
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    session(model).train(1).set(nesterov=True).branch()
    assert np.random.rand() == expected


# -- branches ---


def test_a_branch_goes_on_alone_and_the_same_way_leads_to_the_same_place():
    panda = session().train(1).set(momentum=0.5).train(1)
    before = state(panda.model)
    branch = panda.branch("wild").set(learning_rate=0.5).train(2)
    assert_same(state(panda.model), before)
    assert branch.model is not panda.model
    assert branch.log.entries[:3] == panda.log.entries
    assert differs(panda.model.get_weights(), branch.model.get_weights())
    panda.set(learning_rate=0.5).train(2)
    assert_same(panda.model.get_weights(), branch.model.get_weights())
    for _ in range(5):
        branch.undo()
    assert_same(branch.model.get_weights(), build().get_weights())
    assert panda.epoch == 4
    assert branch.branch().name == "branch 2"
    with pytest.raises(SearchError, match=r"'wild' again \(taken: main, wild"):
        panda.branch("wild")


def test_a_branch_needs_no_registered_loss_or_metric():
    def own_loss(y, p):
        return keras.ops.mean(
            keras.ops.square(keras.ops.cast(y, "float32")[:, None] - p), axis=-1
        )

    model = build()
    metrics = [own_loss, keras.metrics.BinaryAccuracy(name="hit")]
    adam = keras.optimizers.Adam(0.1)
    model.compile(adam, own_loss, metrics=metrics, run_eagerly=True)
    panda = session(model).train(1)
    branch = panda.branch().train(1)
    assert_same(state(panda.train(1).model), state(branch.model))
    row = panda.history.drop(columns="branch").iloc[-1]
    assert row.equals(branch.history.drop(columns="branch").iloc[-1])
    assert "val_hit" in row


class Own(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.hidden, self.out = keras.layers.Dense(units), keras.layers.Dense(1)

    def call(self, x):
        return self.out(self.hidden(x))


def own(units=3):
    keras.utils.set_random_seed(0)
    model = Own(units)
    model.compile("adam", "mse", run_eagerly=True)
    return model


def test_a_model_that_keras_cannot_copy_branches_into_one_handed_over():
    panda = session(own()).train(1)
    with pytest.raises(SearchError, match=r"cannot copy 'own.*branch\(model=build"):
        panda.branch()
    branch = panda.branch(model=own()).train(1)
    assert_same(panda.train(1).model.get_weights(), branch.model.get_weights())
    with pytest.raises(SearchError, match=r"shapes of weights: \[\(4, 3\)"):
        panda.branch(model=own(5))
    with pytest.raises(SearchError, match="but got the same object"):
        panda.branch(model=panda.model)


# -- log and replay ---


def test_a_saved_log_is_replayed_to_the_same_weights(tmp_path):
    panda = session().train(2).set(learning_rate=0.7).train(1).undo().undo()
    panda.set(learning_rate=0.01, dropout=0.1).train(2)
    path = panda.save_log(tmp_path / "log.json")
    assert SessionLog.read(path) == panda.log
    assert json.loads(path.read_text("utf-8"))["kind"] == "babysit"
    again = replay(path, build(), X, Y)
    assert_same(state(again.model), state(panda.model))
    assert again.log.steps == panda.log.steps
    assert again.settings == panda.settings
    assert_same(state(again.undo().model), state(panda.undo().model))


def test_replay_sets_the_random_states_of_a_model_that_only_has_the_weights(short_log):
    initial = build().get_weights()
    keras.utils.set_random_seed(99)
    model = keras.models.clone_model(build())
    keras.utils.set_random_seed(98)
    model.get_layer("drop").seed_generator.state.assign([7, 7])
    model.set_weights(initial)
    assert replay(short_log, model, X, Y).log.weights == short_log.weights


@pytest.fixture(scope="module")
def short_log():
    return session().train(1).branch("short").log


@pytest.mark.parametrize(
    ("model", "y", "wrong"),
    [
        (lambda: build(keras.optimizers.SGD(0.2, 0.9)), Y, r"learning_rate=0.2 \(log"),
        (lambda: build(keras.optimizers.Adam(0.1)), Y, r"is Adam \(log: SGD\)"),
        (build, 1 - Y, "x, y or their weights are other ones"),
    ],
)
def test_replay_refuses_another_start(short_log, model, y, wrong):
    with pytest.raises(SearchError, match=f"{wrong}.*strict=False"):
        replay(short_log, model(), X, y)


def test_replay_refuses_other_weights_and_does_the_steps_if_told_to():
    panda = session().train(1).set(dropout=0.1).train(1)
    model = build()
    model.set_weights([w + 1 for w in model.get_weights()])
    with pytest.raises(SearchError, match="load the weights that were saved before"):
        replay(panda.log, model, X, Y)
    again = replay(panda.log, model, X, Y, strict=False)
    assert (again.epoch, again.settings) == (2, panda.settings)
    assert differs(again.model.get_weights(), panda.model.get_weights())


def test_replay_warns_if_the_end_is_another_one(short_log):
    other = dataclasses.replace(short_log, weights="0" * 64)
    with pytest.warns(RuntimeWarning, match="not the same to the bit"):
        assert replay(other, build(), X, Y).log == short_log


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 1}', '{"kind": "babysit", "format": 9}']
)
def test_a_file_that_is_no_log_is_refused(tmp_path, text):
    path = tmp_path / "log.json"
    with pytest.raises(SearchError, match=r"must hold the log.*FileNotFoundError"):
        SessionLog.read(path)
    path.write_text(text)
    with pytest.raises(SearchError, match=r"log\.json must hold the log.*save_log"):
        SessionLog.read(path)


# -- what cannot be ---


@pytest.fixture(scope="module")
def untouched():
    adam = keras.optimizers.Adam(0.1, clipnorm=1.0)
    return session(build(adam, dropout=0.25))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"At least one setting must be given.*learning_rate, batch_size"),
        ({"momentum": 0.9}, r"got 'momentum' for a model with Adam. beta_1 is the mom"),
        ({"lr": 0.1}, r"got 'lr'.*Did you mean learning_rate\?"),
        ({"lerning_rate": 0.1}, r"Did you mean learning_rate\?"),
        ({"tempo": 0.1}, r"got 'tempo' for a model with Adam. Take one of these"),
        ({"use_ema": True}, r"decided when the optimizer is made"),
        ({"learning_rate": 0}, r"0 < learning_rate must hold, but got 0\. Take a num"),
        ({"learning_rate": float("nan")}, r"0 < learning_rate must hold, but got nan"),
        ({"learning_rate": "fast"}, r"got 'fast'. Give a number"),
        ({"learning_rate": lambda: 1}, r"Give a schedule to the optimizer"),
        ({"beta_1": 1.0}, r"0 <= beta_1 < 1 must hold, but got 1\.0"),
        ({"weight_decay": -1}, r"0 <= weight_decay must hold, but got -1"),
        ({"dropout": 1}, r"0 <= dropout < 1 must hold, but got 1"),
        ({"dropout": True}, r"but got True. Give a number"),
        ({"l2": -0.1}, r"0 <= l2 must hold, but got -0\.1"),
        ({"amsgrad": 1}, r"amsgrad must be True or False, but got 1. It is False"),
        ({"batch_size": 25}, r"got batch_size=25 and 24 rows.*up to 16"),
        ({"batch_size": 2.5}, r"whole number, but got batch_size=2\.5"),
        ({"clipvalue": 1.0}, r"Adam must take its settings together.*Only one of"),
    ],
)
def test_what_a_model_cannot_take_is_refused_before_anything_changes(
    untouched, changes, message
):
    before, settings = state(untouched.model), untouched.settings
    with pytest.raises(SearchSpaceError, match=message):
        untouched.set(**changes)
    assert_same(state(untouched.model), before)
    assert untouched.settings == settings
    assert untouched.log.entries == ()


def test_a_wrong_setting_beside_a_right_one_changes_neither(untouched):
    with pytest.raises(SearchSpaceError, match="0 < epsilon"):
        untouched.set(learning_rate=0.5, dropout=0.5, epsilon=-1)
    assert untouched.model.optimizer.learning_rate == np.float32(0.1)
    assert untouched.model.get_layer("drop").rate == 0.25
    untouched.set(clipnorm=None, clipvalue=1.0)
    assert untouched.model.optimizer.clipvalue == 1.0
    assert untouched.undo().settings["clipnorm"] == 1.0


def test_what_is_not_there_cannot_be_set():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    with pytest.raises(SearchError, match=r"one that is not compiled. Call model\.com"):
        session(model)
    model.compile("sgd", "mse")
    panda = session(model)
    with pytest.raises(SearchSpaceError, match=r"Dropout\(0\.0\) where it may be need"):
        panda.set(dropout=0.5)
    with pytest.raises(SearchSpaceError, match=r"kernel_regularizer=.*L2\(0\.0\)"):
        panda.set(l2=0.5)


@pytest.mark.parametrize("epochs", [0, -1, 1.5, True, "3"])
def test_epochs_are_whole_and_above_0(untouched, epochs):
    with pytest.raises(SearchError, match=f"above 0, but got {epochs!r}"):
        untouched.train(epochs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y": np.where(X[:, 0] > 0, "a", "b")}, r"y must be numbers.*<U1.*np.unique"),
        ({"y": np.full(len(X), np.nan)}, "y must be finite, but got"),
        ({"y": np.zeros((len(X), 3))}, "its first batch failed with"),
        ({"x": iter(X)}, "must be arrays with at least one row.*generator|iterator"),
        ({"x": X[:0]}, r"'y: ndarray'.*\(0 rows\)"),
        ({"sample_weight": [1.0] * len(X)}, "'sample_weight: list'"),
        ({"validation_split": "a"}, "0 <= validation_split < 1 must hold.*got 'a'"),
        ({"y": Y.tolist()}, r"but got \['x: ndarray', 'y: list'"),
        ({"y": Y[:9]}, r"as many rows, but got \[9, 32\]"),
        ({"x": X * np.nan}, "x must be finite, but got 128 NaN"),
        ({"validation_split": 1.0}, r"validation_split < 1 must hold.*got 1\.0 of 32"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused(given, message):
    given = {"x": X, "y": Y, "batch_size": 16, **given}
    with pytest.raises(DataError, match=message):
        babysit(build(), given.pop("x"), given.pop("y"), **given)


def test_a_first_batch_larger_than_the_data_is_refused():
    with pytest.raises(SearchSpaceError, match="got batch_size=64 and 32 rows"):
        babysit(build(), X, Y, validation_data=(X, Y), batch_size=64)


# -- tables and pictures ---


@pytest.fixture(scope="module")
def family():
    panda = session().train(2).set(learning_rate=3.0).train(2).undo().undo()
    panda.set(learning_rate=0.02, l2=0.0).train(2)
    branch = panda.branch("<b>slow").set(learning_rate=0.002).train(1)
    return panda.train(2), branch


def test_history_has_a_row_an_epoch_without_those_taken_back(family):
    panda, branch = family
    frame = panda.history
    metrics = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert list(frame) == ["branch", "epoch", *metrics, "learning_rate"]
    assert frame["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    rates = [0.1, 0.1, 0.02, 0.02, 0.02, 0.02]
    assert frame["learning_rate"].tolist() == pytest.approx(rates)
    assert branch.history["branch"].tolist() == ["<b>slow"] * 5
    assert branch.history["loss"][:4].equals(frame["loss"][:4])


def test_compare_puts_branches_side_by_side(family):
    panda, branch = family
    frame = panda.compare(branch).set_index("branch")
    row, history = frame.loc["main"], panda.history
    assert frame["epochs"].tolist() == [6, 5]
    assert row["best_epoch"] == history["val_loss"].argmin() + 1
    assert row["best_val_loss"] == history["val_loss"].min()
    assert row["best_loss"] == history["loss"][row["best_epoch"] - 1]
    assert row["last_val_accuracy"] == history["val_accuracy"].iloc[-1]
    assert frame["learning_rate"].tolist() == [0.02, 0.002]
    assert frame["l2"].tolist() == [0.0, 0.0]
    told = "epoch 2: learning_rate 0.1 → 0.02, l2 0.01 → 0"
    assert row["interventions"] == told
    last = "; epoch 4: learning_rate 0.02 → 0.002"
    assert frame.loc["<b>slow", "interventions"] == told + last
    by_accuracy = panda.compare(by="val_accuracy").iloc[0]
    assert by_accuracy["best_val_accuracy"] == history["val_accuracy"].max()
    with pytest.raises(
        SearchError, match=r"accuracy, loss.*got 'f1' for branch 'main'"
    ):
        panda.compare(by="f1")


def test_compare_and_plot_work_before_the_first_epoch(untouched):
    frame = untouched.compare()
    assert frame["epochs"].tolist() == [0]
    assert frame["best_epoch"].isna().all()
    assert list(untouched.history) == ["branch", "epoch"]
    plt.close(untouched.plot().figure)


def test_plot_marks_and_labels_every_intervention(family):
    panda, _ = family
    ax = panda.plot()
    history, lines = panda.history, ax.get_lines()
    curves = [list(line.get_ydata()) for line in lines if len(line.get_xdata()) == 6]
    assert curves == [history["val_loss"].tolist(), history["loss"].tolist()]
    (label,) = [text for text in ax.texts if text.get_text()]
    assert label.get_text() == "learning_rate 0.1 → 0.02\nl2 0.01 → 0"
    assert label.xy[0] == 2
    (mark,) = [line for line in lines if line.get_marker() == "D"]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == (2, history["val_loss"][1])
    faint = [line for line in lines if line.get_alpha()]
    assert [list(line.get_xdata()) for line in faint] == [[3, 4], [3, 4]]
    assert ax.get_ylim()[1] < 2 * history["loss"].max()
    plt.close(ax.figure)
    with pytest.raises(SearchError, match="got 'f1' for branch 'main'"):
        panda.plot(metric="f1")


def test_plot_draws_a_branch_from_where_it_leaves(family):
    panda, branch = family
    _, given = plt.subplots()
    ax = panda.plot(branch, metric="accuracy", ax=given)
    assert ax is given
    own = [line for line in ax.get_lines() if line.get_color() == "#D55E00"]
    assert [4, 5] in [list(line.get_xdata()) for line in own]
    assert len([line for line in own if line.get_alpha()]) == 0
    labels = [text.get_text() for text in ax.texts]
    assert labels[1:] == ["learning_rate 0.02 → 0.002"]
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries == ["training", "validation", "taken back", "main", "<b>slow"]
    plt.close(ax.figure)


def test_a_session_is_told_in_a_few_lines(family):
    panda, branch = family
    text = repr(branch)
    assert "<b>slow: 5 epochs, val_loss " in text
    assert "SGD: learning_rate=0.002, momentum=0.9, dropout=0.3, l2=0, batch" in text
    assert "after epoch 4: learning_rate 0.02 → 0.002" in text
    page = branch._repr_html_()
    assert "&lt;b&gt;slow" in page
    assert "<b>slow" not in page
    assert page.count("<tr") == 6
    assert panda.log.epochs == panda.epoch == 6


def test_one_epoch_is_not_told_in_the_plural():
    panda = session().train(1)
    assert "main: 1 epoch, val_loss " in repr(panda)
    once, longer = (
        Training(3, 0, {"learning_rate": (0.1,) * epochs}) for epochs in (1, 2)
    )
    assert str(once) == "training of epoch 3"
    assert str(longer) == "training of epochs 3 to 4"


@pytest.fixture(scope="module")
def tended():
    return session().train(1).set(learning_rate=0.01).train(1)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_names_stay_text(tended, text):
    """Branches, metrics and settings as a log may name them: words, table, labels."""
    trainings = [
        dataclasses.replace(
            step, metrics={**step.metrics, text: (0.5,), f"val_{text}": (1.0,)}
        )
        for step in tended.log.steps if isinstance(step, Training)
    ]  # fmt: skip
    change = Intervention(1, {"dropout": {text: 0.1}}, {"dropout": {text: 0.2}})
    entries = (trainings[0], change, trainings[1])
    log = dataclasses.replace(tended.log, name=text, entries=entries)
    named, other = copy.copy(tended), copy.copy(tended)
    named.log, other.log = log, dataclasses.replace(log, name=f"{text}2")
    page = named._repr_html_()
    assert "<script" not in page
    for told in (repr(named), page, *map(str, log.steps)):
        assert not CONTROL.search(told)
    assert len(repr(named).splitlines()) == 3
    with pytest.raises(SearchError, match="A metric must be one that") as caught:
        named.plot(metric="x")
    assert not CONTROL.search(str(caught.value))
    ax = named.plot(other, metric=text)
    ax.figure.canvas.draw()
    legend = [told.get_text() for told in ax.get_legend().get_texts()]
    for label in (ax.get_ylabel(), *legend, *(told.get_text() for told in ax.texts)):
        assert not CONTROL.search(label)
        assert len(label) <= 60


def test_rows_may_be_tensors():
    tensors = [keras.ops.convert_to_tensor(part) for part in (X, Y)]
    session = babysit(build(), *tensors, batch_size=16, seed=0)
    expected = babysit(build(), X, Y, batch_size=16, seed=0)
    assert session.train().history.equals(expected.train().history)
