"""Builders: what they search, what they build, and that they train exactly."""

import dataclasses

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer

import kttoolkit
from kttoolkit import HyperParameters, builders
from kttoolkit.builders import Shapes
from kttoolkit.exceptions import SearchSpaceError, SettingError

FAMILIES = {
    "linear": builders.linear, "mlp": builders.mlp, "cnn": builders.cnn,
    "residual_cnn": builders.residual_cnn, "sequence": builders.sequence,
    "text_bag_of_words": builders.text_bag_of_words, "tabular": builders.tabular,
}  # fmt: skip
LEVELS = ("essential", "standard", "wide", "all")


def names(builder):
    return set(builders.describe(builder).frame["name"])


def built(builder, shapes=None, **values):
    hp = HyperParameters()
    hp.values = dict(values)
    return builder.for_shapes(shapes or builder.example).build(hp)


# -- what is searched ---


@pytest.mark.parametrize("family", FAMILIES)
def test_each_level_adds_to_the_one_before(family):
    found = [names(FAMILIES[family](tune=level)) for level in LEVELS]
    assert found[0] == {"learning_rate"}
    assert found[0] < found[1] < found[2] < found[3]


def test_the_order_is_that_of_practitioners():
    """First the learning rate; momentum or betas, units, batches; then the rest."""
    assert names(builders.mlp(tune="standard")) == {
        "learning_rate", "beta_1", "beta_2", "units", "batch_size"
    }  # fmt: skip
    with_sgd = names(builders.mlp(tune="standard", optimizer="sgd"))
    assert with_sgd >= {"momentum", "nesterov"}
    assert not with_sgd & {"beta_1", "beta_2"}
    wide = names(builders.mlp(tune="wide"))
    assert wide >= {
        "depth", "schedule", "activation", "regularizer", "dropout", "batch_norm"
    }  # fmt: skip


def test_names_may_be_chosen_and_values_fixed():
    builder = builders.mlp(tune=["units", "dropout"], activation="tanh", depth=1)
    assert names(builder) == {"units", "dropout"}
    model = built(builder, units=32, dropout=0.2)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.units for layer in dense] == [32, 1]
    assert [layer.rate for layer in model.layers if hasattr(layer, "rate")] == [0.2]
    kinds = [layer.activation.__name__ for layer in model.layers
             if isinstance(layer, keras.layers.Activation)]  # fmt: skip
    assert kinds == ["tanh"]
    # Glorot's initial weights suit tanh.
    assert type(dense[0].kernel_initializer).__name__ == "GlorotNormal"


@pytest.mark.parametrize("family", FAMILIES)
def test_xla_is_switched_on_and_off_as_in_compile(family):
    make = FAMILIES[family]
    assert built(make(jit_compile=True)).jit_compile
    assert not built(make(jit_compile=False)).jit_compile
    config = built(make()).get_compile_config()
    assert config["jit_compile"] == built_by_keras().get_compile_config()["jit_compile"]
    with pytest.raises(SearchSpaceError, match=r"^jit_compile must be True, False"):
        make(jit_compile="xla")


def built_by_keras():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile()
    return model


def test_a_fixed_hyperparameter_is_not_searched_by_a_level():
    assert "units" not in names(builders.mlp(tune="standard", units=32))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_hyperparameter_can_be_searched_alone(family):
    levels = FAMILIES[family]().levels
    for name in {name for names in levels.values() for name in names}:
        # Some belong to an optimizer, or to sequences of words.
        fixed = {"optimizer": "sgd"} if name in {"momentum", "nesterov"} else {}
        builder = FAMILIES[family](tune=[name], **fixed)
        shapes = builder.example
        if name == "embedding" and family == "sequence":
            shapes = Shapes((9,), 1, "binary", is_integer=True, largest=5)
        assert names(builder.for_shapes(shapes)), name


def test_describe_prints_scale_and_size_of_the_grid():
    told = builders.describe(builders.mlp(tune=["learning_rate", "momentum", "depth"],
                                          optimizer="sgd"))  # fmt: skip
    frame = told.frame.set_index("name")
    assert frame.loc["learning_rate", "scale"] == "log"
    assert frame.loc["learning_rate", "range"] == "0.0001 to 1"
    assert frame.loc["momentum", "scale"] == "log of 1 - value"
    assert frame.loc["depth", "range"] == "1 to 3"
    assert told.grid_size == 11 * 101 * 2 * 3
    assert "grid: 6,666 combinations" in repr(told)
    assert "<table" in told._repr_html_()


def test_describe_takes_any_build_function_and_escapes_names():
    def build(hp):
        hp.Choice("<b>", ["x", "y"])
        with hp.conditional_scope("<b>", ["y"]):
            hp.Int("n", 1, 4)

    told = builders.describe(build)
    assert told.grid_size == 1 + 4
    assert "<b>" not in told._repr_html_()


def test_a_narrowed_space_can_be_described():
    hp = HyperParameters()
    hp.Float("rate", 1e-3, 1e-2, sampling="log")
    assert builders.describe(hp).frame["range"][0] == "0.001 to 0.01"


def test_the_grid_of_conditional_choices_is_counted_as_it_is_walked(tmp_path):
    def build(hp):
        kind = hp.Choice("kind", ["a", "b", "c"])
        with hp.conditional_scope("kind", ["b"]):
            hp.Int("n", 1, 4)
        with hp.conditional_scope("kind", ["b", "c"]):
            hp.Boolean("flag")
        return kind

    class Counted(kttoolkit.GridSearch):
        def run_trial(self, trial, *args, **kwargs):
            return 0.0

    tuner = Counted(build, keras_tuner.Objective("s", "min"), directory=tmp_path)
    tuner.search(verbose=0)
    assert len(tuner.oracle.trials) == builders.describe(build).grid_size == 1 + 8 + 2


# -- what is built ---


@pytest.mark.parametrize(
    ("shapes", "activation", "loss"),
    [
        (Shapes((4,), 1, "binary"), "sigmoid", "binary_crossentropy"),
        (Shapes((4,), 3, "multilabel"), "sigmoid", "binary_crossentropy"),
        (Shapes((4,), 3, "multiclass"), "softmax", "sparse_categorical_crossentropy"),
        (Shapes((4,), 3, "multiclass", one_hot=True), "softmax",
         "categorical_crossentropy"),
        (Shapes((4,), 2, "regression"), "linear", "mse"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("family", ["mlp", "linear", "tabular"])
def test_the_last_layer_and_the_loss_follow_from_the_data(
    family, shapes, activation, loss
):
    model = built(FAMILIES[family](), shapes)
    assert model.output_shape == (None, shapes.outputs)
    assert model.layers[-1].activation.__name__ == activation
    assert model.loss == loss


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", range(4))
def test_every_setting_of_all_makes_a_model_that_learns(family, seed):
    """Random settings of the widest space: built, one step trained."""
    builder = FAMILIES[family](tune="all")
    shapes = builder.example
    if "cnn" in family:
        shapes = dataclasses.replace(shapes, inputs=(16, 16))
    builder = builder.for_shapes(shapes)
    hp = HyperParameters()
    builder.build(hp)
    for number, entry in enumerate(hp.space):
        if hp.is_active(entry):
            hp.values[entry.name] = entry.random_sample(100 * seed + number)
    hp.ensure_active_values()
    model = builder.build(hp)
    rng = np.random.default_rng(0)
    x = rng.random((32, *shapes.inputs)).astype("float32")
    y = np.arange(32) % max(shapes.outputs, 2)
    before = model.get_weights()
    history = builder.fit(hp, model, x, y, epochs=1, verbose=0, validation_data=(x, y))
    assert np.isfinite(history.history["loss"][0])
    pairs = zip(before, model.get_weights(), strict=True)
    assert any(not np.array_equal(old, new) for old, new in pairs)


def test_images_are_scaled_halved_and_pooled():
    shapes = Shapes((28, 28, 3), 10, "multiclass", is_integer=True, largest=255)
    model = built(builders.cnn(depth=3, filters=8, pooling="average"), shapes)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds[1] == "Rescaling"
    assert kinds.count("AveragePooling2D") == 3
    filters = [layer.filters for layer in model.layers if hasattr(layer, "filters")]
    assert filters == [8, 16, 32]
    strided = built(builders.cnn(depth=2, pooling="strided"), shapes)
    assert [layer.strides for layer in strided.layers if hasattr(layer, "filters")] == [
        (2, 2), (2, 2)
    ]  # fmt: skip


def test_depth_is_capped_by_the_image():
    told = builders.describe(
        builders.cnn(tune=["depth"]).for_shapes(Shapes((8, 8), 2, "binary"))
    )
    assert told.frame.iloc[0]["range"] == "1 to 3"


def test_image_size_and_augmentation():
    layer = keras.layers.RandomFlip("horizontal")
    builder = builders.cnn(image_size=16, augmentation=[layer])
    first, second = built(builder), built(builder)
    assert any(isinstance(part, keras.layers.Resizing) for part in first.layers)
    flips = [
        part for model in (first, second) for part in model.layers
        if isinstance(part, keras.layers.RandomFlip)
    ]  # fmt: skip
    assert len(flips) == 2
    assert flips[0] is not flips[1] is not layer


def test_residual_stages_have_shortcuts():
    model = built(builders.residual_cnn(depth=3, filters=8))
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Add") == 3
    assert kinds.count("BatchNormalization") > 3
    plain = built(builders.residual_cnn(depth=2, batch_norm=False))
    assert not any("BatchNorm" in type(layer).__name__ for layer in plain.layers)


def test_words_become_a_set():
    shapes = Shapes((5,), 1, "binary", is_integer=True, largest=9)
    model = built(builders.text_bag_of_words(vocabulary=6, units=4, depth=1), shapes)
    encoding = next(
        layer for layer in model.layers if type(layer).__name__ == "CategoryEncoding"
    )
    submodel = keras.Model(model.input, encoding.output)
    found = submodel.predict(np.array([[1, 1, 4, 9, 7]]), verbose=0)
    np.testing.assert_array_equal(found, [[0, 1, 0, 0, 1, 1]])


@pytest.mark.parametrize("cell", ["lstm", "gru", "conv1d"])
@pytest.mark.parametrize("inputs", [(6,), (6, 3)])
def test_sequences_of_all_forms(cell, inputs):
    shapes = Shapes(inputs, 3, "multiclass")
    model = built(builders.sequence(cell=cell, depth=2, units=16), shapes)
    assert model(np.zeros((2, *inputs), "float32")).shape == (2, 3)
    words = Shapes((6,), 1, "binary", is_integer=True, largest=11)
    model = built(builders.sequence(cell=cell, bidirectional=True), words)
    embedding = next(x for x in model.layers if isinstance(x, keras.layers.Embedding))
    assert embedding.input_dim == 12


def test_categories_of_a_table_are_embedded():
    shapes = Shapes((7,), 1, "regression", categories=(2, 3))
    model = built(builders.tabular(embedding=8), shapes)
    kernel = {layer.name: layer for layer in model.layers}
    assert kernel["embedding_0"].kernel.shape == (2, 2)
    assert kernel["embedding_1"].kernel.shape == (3, 3)
    assert kernel["scale"].gamma.shape == (2,)
    coded = built(builders.tabular(categorical={1: 5}, embedding=4),
                  Shapes((3,), 1, "regression"))  # fmt: skip
    kernel = {layer.name: layer for layer in coded.layers}
    assert kernel["embedding_of_column_1"].embeddings.shape == (5, 4)
    assert kernel["scale"].gamma.shape == (2,)


def test_a_one_hot_row_times_a_matrix_is_an_embedding():
    """Both ways to give categories compute the same function."""
    one_hot = built(builders.tabular(embedding=4, units=8, depth=1),
                    Shapes((4,), 1, "regression", categories=(3,)))  # fmt: skip
    coded = built(builders.tabular(categorical={1: 3}, embedding=4, units=8, depth=1),
                  Shapes((2,), 1, "regression"))  # fmt: skip
    coded.set_weights(one_hot.get_weights())
    numbers = np.array([[0.5], [2.0], [-1.0]], "float32")
    codes = np.array([2, 0, 1])
    a = one_hot(np.hstack([numbers, np.eye(3, dtype="float32")[codes]]))
    b = coded(np.hstack([numbers, codes[:, None].astype("float32")]))
    np.testing.assert_allclose(a, b, rtol=1e-6)


# -- in a search ---


def search(builder, x, y, folder, **options):
    options = {"tuner": "random", "max_trials": 3, "cv": 2, "max_epochs": 2,
               "seed": 0, "verbose": 0, "directory": folder, **options}  # fmt: skip
    return kttoolkit.tune(builder, x, y, **options)


@pytest.mark.filterwarnings("error::kttoolkit.exceptions.EngineWarning")
@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_batch_size_patience_and_class_weights_are_part_of_a_trial(
    engine, blobs, tmp_path
):
    """And the numbers are those of plain Keras with these arguments."""
    x, y = blobs
    tune = ["learning_rate", "batch_size", "early_stopping", "class_weight"]
    builder = builders.mlp(tune=tune, units=8, depth=1)
    result = search(builder, x, y, tmp_path, engine=engine, max_epochs=4)
    assert {"batch_size", "patience", "class_weight"} <= set(result.best_values)
    record = result.records[1]
    train, test = result.splits[0]
    bound = builder.for_data(x[train], y[train], epochs=4)
    keras.utils.set_random_seed(record.fits[0].seed)
    hp = HyperParameters()
    hp.values = dict(record.values)
    model = bound.build(hp)
    counts = np.bincount(y[train])
    weights = {
        "none": None,
        "balanced": dict(enumerate(len(train) / (2 * counts))),
        "square_root": dict(enumerate(np.sqrt(len(train) / (2 * counts)))),
    }[record.values["class_weight"]]
    history = model.fit(
        x[train], y[train], batch_size=record.values["batch_size"], epochs=4,
        class_weight=weights, validation_data=(x[test], y[test]), verbose=0,
    ).history  # fmt: skip
    for name, values in record.fits[0].history.items():
        np.testing.assert_allclose(values, history[name], rtol=1e-4, atol=1e-6)


def rows_for(family):
    """Few rows of the kind that a family is for."""
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    if family == "cnn":
        return rng.integers(0, 255, (48, 10, 10)).astype("uint8"), labels
    return rng.normal(size=(48, 4)).astype("float32"), labels


@pytest.mark.slow
@pytest.mark.filterwarnings("error::kttoolkit.exceptions.EngineWarning")
@pytest.mark.parametrize("family", ["mlp", "cnn"])
def test_both_engines_agree_on_the_widest_space(family, tmp_path):
    """Augmentation, schedules, focal losses and all: every epoch of every fold."""
    x, y = rows_for(family)
    curves = [
        search(FAMILIES[family](tune="all"), x, y, tmp_path / engine, engine=engine,
               max_trials=2).curves
        for engine in ("compiled", "reference")
    ]  # fmt: skip
    pd.testing.assert_frame_equal(*curves, rtol=2e-4, atol=1e-5)


def test_retraining_without_validation_rows_does_not_wait_for_them(blobs, tmp_path):
    """Keras would warn, and warnings are errors here."""
    x, y = blobs
    builder = builders.mlp(tune=["learning_rate"], early_stopping=1)
    result = search(builder, x, y, tmp_path, max_epochs=3)
    history = result.fit_best(epochs=4).history.history
    assert len(history["loss"]) == 4


def test_epochs_may_be_searched(blobs, tmp_path):
    """A trial trains for as long as it says, within the search's own limit."""
    x, y = blobs
    builder = builders.linear(tune=["epochs"])
    result = search(builder, x, y, tmp_path, max_epochs=25)
    asked = result.trials["param_epochs"]
    trained = result.folds.groupby("trial", sort=False)["epochs"].max()
    assert list(trained) == [min(epochs, 25) for epochs in asked]
    assert len(set(asked)) > 1


def test_folds_of_a_builder_train_side_by_side(blobs, tmp_path, monkeypatch):
    """Choosing arguments of `fit` costs nothing; weighing classes goes fold by fold."""
    from kttoolkit.engine import _compiled

    x, y = blobs
    used = []
    real = _compiled.train_together
    monkeypatch.setattr(
        _compiled, "train_together", lambda a: (used.append(a), real(a))[1]
    )
    builder = builders.mlp(tune=["learning_rate", "batch_size"])
    search(builder, x, y, tmp_path, engine="compiled")
    assert len(used) == 3
    assert {a.plan.fit_kwargs["batch_size"] for a in used} <= {16}


def test_a_schedule_stretches_over_the_search_s_epochs(blobs, tmp_path):
    x, y = blobs
    builder = builders.mlp(schedule="cosine", batch_size=10)
    seen = []

    class Spy(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.model.optimizer._learning_rate.decay_steps)

    search(builder, x, y, tmp_path, max_epochs=7, max_trials=1, callbacks=[Spy()])
    assert seen[0] == 7 * 3


@pytest.mark.parametrize("tuner", ["hyperband", "bayesian", "random", "grid"])
def test_every_tuner_takes_a_builder(tuner, blobs, tmp_path):
    x, y = blobs
    limit = {} if tuner == "hyperband" else {"max_trials": 3}
    options = {"max_trials": None, **limit}
    result = search(
        builders.mlp(tune="standard"), x, y, tmp_path, tuner=tuner, **options
    )
    assert set(result.trials["status"]) == {"completed"}
    model = result.fit_best()
    assert model.predict(x, verbose=0).shape == (60, 1)


def test_a_builder_works_in_plain_keras_tuner(blobs, tmp_path):
    x, y = blobs
    builder = builders.mlp(tune=["learning_rate", "batch_size"]).for_data(x, y)

    class Plain(keras_tuner.RandomSearch):
        def run_trial(self, trial, x, y, **kwargs):
            hp = trial.hyperparameters
            model = self.hypermodel.build(hp)
            fitted = self.hypermodel.fit(hp, model, x, y, verbose=0)
            return fitted.history["loss"][-1]

    score = keras_tuner.Objective("score", "min")
    tuner = Plain(builder, score, max_trials=2, directory=tmp_path)
    tuner.search(x, y, verbose=0)
    assert {"learning_rate", "batch_size"} <= set(
        tuner.get_best_hyperparameters()[0].values
    )


def test_a_table_with_categories_needs_nothing_else(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "colour": pd.Categorical(rng.choice(["red", "green", "blue"], 90)),
            "size": rng.normal(size=90) * 1000,
            "is_new": rng.random(90) > 0.5,
        }
    )
    y = np.where(frame["colour"] == "red", 5.0, 0.0) + frame["size"] / 1000
    result = search(builders.tabular(learning_rate=0.03, tune=["units"]), frame, y,
                    tmp_path, max_epochs=15)  # fmt: skip
    assert result.best_score < 0.5 * np.var(y)


def test_a_result_opened_from_disk_makes_models_again(blobs, tmp_path):
    x, y = blobs
    builder = builders.mlp(tune="standard", schedule="cosine")
    result = search(builder, x, y, tmp_path)
    opened = kttoolkit.load_result(result.directory, build=builder, x=x, y=y)
    np.testing.assert_array_equal(
        opened.fit_best().predict(x, verbose=0), result.fit_best().predict(x, verbose=0)
    )


def test_losses_of_different_kinds_are_compared_by_a_metric(blobs, tmp_path):
    x, _ = blobs
    result = search(builders.mlp(tune=["loss"]), x, x[:, 0], tmp_path)
    assert result.study.objective == "val_mae"


def test_the_task_may_be_said(blobs, tmp_path):
    x, _ = blobs
    counts = np.arange(60) % 7
    result = search(builders.mlp(task="regression"), x, counts, tmp_path, max_trials=1)
    assert result.study.task == "regression"
    assert result.study.objective == "val_loss"


# -- refusals ---

REFUSED = [
    (builders.mlp, {"tune": "standards"}, "tune='standards'. Did you mean 'standard'"),
    (builders.mlp, {"tune": ["lerning_rate"]}, "Did you mean 'learning_rate'"),
    (builders.mlp, {"tune": ["units", "wide"]}, "mixes them. Pass tune='wide' alone"),
    (builders.mlp, {"tune": ["units"], "units": 32}, "units=32 is given. Leave"),
    (builders.mlp, {"unit": 32}, "got unit=32. Did you mean 'units'"),
    (builders.mlp, {"filters": 32}, "Hyperparameters of this builder.*filters=32"),
    (builders.mlp, {"task": "ranking"}, "task must be one of.*'ranking'"),
    (builders.mlp, {"tune": None}, "tune must be one of .*'all'.*but got None.*pass"),
    (builders.mlp, {"tune": ["beta_1"]}, "Did you mean 'betas'"),
    (builders.mlp, {"tune": ["patience"]}, "Did you mean 'early_stopping'"),
    (builders.mlp, {"tune": ["units_shape"]}, "Did you mean 'widths'"),
    (builders.mlp, {"tune": ["initializer_relu"]}, "Did you mean 'initializer'"),
    (builders.mlp, {"max_units": 8}, "max_units must be 16, doubled.*8. Take 16"),
    (builders.mlp, {"max_units": 100}, "max_units must be 16, doubled.*100. Take 64"),
    (builders.tabular, {"max_units": 0}, "max_units must be a whole number >= 1.*0"),
    (builders.sequence, {"max_units": 48}, "max_units must be 16, doubled.*Take 32"),
    (builders.text_bag_of_words, {"max_units": "a"}, "max_units must be a whole.*'a'"),
    (builders.cnn, {"max_filters": 4}, "max_filters must be 8, doubled.*4. Take 8"),
    (builders.residual_cnn, {"max_filters": 9}, "max_filters must be 8, doubled.*Take"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "bad", "message"), REFUSED)
def test_wrong_names_are_refused_at_once(make, bad, message):
    with pytest.raises(SearchSpaceError, match=message):
        make(**bad)


WRONG_VALUES = [
    (builders.mlp, "learning_rate", [0, -1, "fast", np.inf, None], "learning_rate"),
    (builders.mlp, "betas", [0.9, (0.9,), "ab", None], "betas must be a pair"),
    (builders.mlp, "betas", [(0.9, 1.5)], r"0 <= betas\[1\] < 1 .* 1.5"),
    (builders.mlp, "epsilon", [0, -1], "epsilon > 0 must hold"),
    (builders.mlp, "weight_decay", [-1], "weight_decay >= 0 must hold, but got -1"),
    (builders.mlp, "clipnorm", [0, -2], "clipnorm > 0 must hold"),
    (builders.mlp, "optimizer", ["adamm"], "but got 'adamm'. Did you mean 'adam'"),
    (builders.mlp, "schedule", ["cosin", 1], "schedule must be one of"),
    (builders.mlp, "batch_size", [0, "big", 1.5, None], "batch_size must be a whole"),
    (builders.mlp, "epochs", [0], "epochs must be a whole number >= 1, but got 0"),
    (builders.mlp, "early_stopping", [0, True, "x"], "early_stopping must be a whole"),
    (builders.mlp, "class_weight", ["even", 2], "class_weight must be one of"),
    (builders.mlp, "loss", ["mxe", 3], "loss must be a name"),
    (builders.mlp, "units", [0, "x", 8.5], "units must be a whole number >= 1"),
    (builders.mlp, "units", [[8, 0]], r"units\[1\] must be a whole number >= 1"),
    (builders.mlp, "widths", ["fat"], "widths must be one of"),
    (builders.mlp, "depth", [-1, 2.5], "depth must be a whole number >= 0"),
    (builders.mlp, "activation", ["rellu", 3], "activation must be one that Keras"),
    (builders.mlp, "initializer", ["heh"], "initializer must be one that Keras knows"),
    (builders.mlp, "regularizer", ["l3", 0.1], "regularizer must be one that Keras"),
    (builders.mlp, "constraint", ["max"], "constraint must be one that Keras knows"),
    (builders.mlp, "dropout", [1, -0.1], "0 <= dropout < 1 must hold"),
    (builders.mlp, "batch_norm", ["yes", 1], "batch_norm must be True or False"),
    (builders.cnn, "filters", [0], "filters must be a whole number >= 1, but got 0"),
    (builders.cnn, "kernel_size", [0, "3"], "kernel_size must be a whole number"),
    (builders.cnn, "pooling", ["maximum"], "pooling must be one of.*'maximum'"),
    (builders.cnn, "global_pooling", ["mean"], "global_pooling must be one of.*'mean'"),
    (builders.cnn, "image_size", [0, "x"], "image_size must be a whole number >= 1"),
    (builders.cnn, "augmentation", ["flip", 3], "augmentation must be a list of Keras"),
    (builders.tabular, "embedding", [0], "embedding must be a whole number >= 1"),
    (builders.sequence, "cell", ["rnn"], "cell must be one of.*'rnn'"),
    (builders.sequence, "bidirectional", ["no"], "bidirectional must be True or"),
]


@pytest.mark.parametrize(
    ("make", "name", "value", "message"),
    [(make, name, v, text) for make, name, vs, text in WRONG_VALUES for v in vs],
)
def test_wrong_values_are_refused_at_once(make, name, value, message):
    with pytest.raises(SearchSpaceError, match=message):
        make(**{name: value})


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_hyperparameter_has_a_rule_for_what_it_may_be_fixed_to(family):
    levels = FAMILIES[family]().levels.values()
    for name in (name for names in levels for name in names):
        with pytest.raises(SearchSpaceError, match=rf"\b{name}\b.*got <object"):
            FAMILIES[family](**{name: object()})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"momentum": 0.9}, r"\['sgd'\], but got momentum=0.9 with optimizer='adam'"),
        ({"nesterov": True}, "nesterov belongs .* got nesterov=True"),
        ({"tune": ["momentum"]}, r"got tune=\['momentum'\] with optimizer='adam'"),
        ({"tune": ["betas"], "optimizer": "rmsprop"}, "betas belongs .*'rmsprop'"),
        ({"betas": (0.9, 0.99), "optimizer": "sgd"}, "Pass optimizer='adam' as well"),
        ({"epsilon": 1e-6, "optimizer": "sgd"}, "epsilon belongs to the optimizers"),
    ],
)
def test_what_the_optimizer_has_no_use_for_is_refused(given, message):
    with pytest.raises(SearchSpaceError, match=message):
        builders.mlp(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"momentum": 0.5, "optimizer": "sgd"},
        {"momentum": 0.5, "tune": ["optimizer"]},
        {"tune": "standard", "betas": (0.9, 0.99)},
        {"tune": "standard", "optimizer": "sgd", "nesterov": True},
        {"tune": "standard", "optimizer": "rmsprop"},
        {"regularizer": "none", "constraint": "none", "clipnorm": None},
        {"units": np.int64(8), "dropout": np.float32(0.5), "class_weight": None},
    ],
)
def test_what_belongs_to_the_optimizer_may_be_fixed(given):
    assert built(builders.mlp(**given), Shapes((4,), 1, "binary")).compiled


BUILD_REFUSED = [
    (builders.mlp(units=[8, 8], tune=["depth"]), (4,), r"units=\[8, 8\] while"),
    (builders.cnn(), (4,), r"rows of shape \(4,\)"),
    (builders.cnn(depth=4), (8, 8), "8 pixels and 4 poolings. Take a smaller"),
    (builders.cnn(depth=4, image_size=8), (32, 32), "8 pixels and 4 poolings"),
    (builders.cnn(depth=3, tune=["image_size"]), (4, 4), "poolings=3.*max_value=4"),
    (builders.sequence(), (4, 2, 2), r"rows of shape \(4, 2, 2\)"),
    (builders.tabular(), (4, 2), r"rows of shape \(4, 2\)"),
    (builders.tabular(categorical={9: 2}), (4,), "0 <= column < 4 .* got 9"),
    (builders.text_bag_of_words(), (4, 2), r"rows of shape \(4, 2\)"),
]  # fmt: skip


@pytest.mark.parametrize(("builder", "inputs", "message"), BUILD_REFUSED)
def test_what_does_not_fit_the_data_is_refused_before_training(
    builder, inputs, message
):
    with pytest.raises(SearchSpaceError, match=message):
        built(builder, Shapes(inputs, 1, "binary"))


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize(("task", "outputs"), [("regression", 1), ("multilabel", 3)])
def test_there_are_no_classes_to_weigh_in_other_targets(family, task, outputs):
    shapes = dataclasses.replace(FAMILIES[family]().example, task=task, outputs=outputs)
    every = FAMILIES[family](tune="all").for_shapes(shapes)
    hp = HyperParameters()
    every.build(hp)
    assert "class_weight" not in hp.values
    assert not every.has_own_fit
    built(FAMILIES[family](class_weight="none"), shapes)
    with pytest.raises(SearchSpaceError, match=f"'balanced' for {task} targets"):
        built(FAMILIES[family](class_weight="balanced"), shapes)


def test_texts_that_a_vectorizer_has_counted_are_words(tmp_path):
    texts, y = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    result = kttoolkit.tune(
        builders.text_bag_of_words(learning_rate=0.05), texts, y, tuner="random",
        preprocessor=CountVectorizer(binary=True), max_trials=1, max_epochs=10, cv=2,
        seed=0, verbose=0, directory=tmp_path,
    )  # fmt: skip
    assert result.best_score == 1.0


RNG = np.random.default_rng(0)
WIDTHS = {
    # Of another setting, and of another fold.
    "setting": (RNG.normal(size=(60, 6)), lambda hp: PCA(hp.Int("n", 2, 5))),
    "fold": (
        [" ".join(RNG.choice(list("abcdefghijklm"), 3)) for _ in range(60)],
        CountVectorizer(token_pattern=r"\w+", min_df=12),
    ),
}


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize("engine", ["reference", "auto"])
def test_a_preprocessor_may_make_rows_of_another_width(name, engine, tmp_path):
    (x, preprocessor), y = WIDTHS[name], np.arange(60) % 2
    builder = builders.mlp(batch_size=16)
    result = kttoolkit.tune(
        builder, x, y, preprocessor=preprocessor, tuner="random", max_trials=3,
        max_epochs=2, cv=3, seed=0, verbose=0, directory=tmp_path, engine=engine,
    )  # fmt: skip
    assert set(result.trials.status) == {"completed"}
    sizes = {fit.n_parameters for record in result.records for fit in record.fits}
    assert len(sizes) > 1
    right = result.out_of_fold().query("target == prediction")
    assert len(right) / 60 == pytest.approx(result.best_score)
    assert result.evaluate(x, y)["loss"] > 0
    opened = kttoolkit.load_result(
        result.directory, build=builder, x=x, y=y, preprocessor=preprocessor
    )
    again = opened.add(result.best_values).records[-1]
    assert again.metrics["val_accuracy"] == pytest.approx(result.best_score)


@pytest.mark.parametrize("builder", [builders.mlp(), builders.linear()])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (pd.DataFrame({"a": [1.0, 2.0, 1.0], "b": [1e3, 2e3, 0.0]}),
         r"column 'b' has numbers around 1.29e\+03 .*StandardScaler"),
        (np.full((3, 2), -50.0), r"column 0 has numbers around 50 .*StandardScaler"),
        (np.full((3, 2, 2), 255.0), r"x has numbers around 255 .*pixels by 255"),
    ],
)  # fmt: skip
def test_networks_for_tables_warn_of_large_numbers(builder, x, message):
    with pytest.warns(UserWarning, match=message):
        builder.for_data(x, [0, 1, 0])


@pytest.mark.parametrize(
    "builder", [builders.cnn(), builders.residual_cnn(), builders.sequence()]
)
def test_networks_that_scale_whole_numbers_warn_of_large_floats(builder):
    x = np.full((3, 8, 8), 200)
    builder.for_data(x, [0, 1, 0])
    with pytest.warns(UserWarning, match=r"x has numbers around 200 .*pixels by 255"):
        builder.for_data(x.astype(float), [0, 1, 0])


def test_numbers_of_usual_size_are_no_cause_to_warn():
    """Iris and pixels up to 16 learn as well as they are; `tabular` scales itself."""
    for builder, x in (
        (builders.mlp(), np.full((3, 2), 20.0)), (builders.linear(), np.zeros((3, 2))),
        (builders.tabular(), np.full((3, 2), 1e6)),
    ):  # fmt: skip
        builder.for_data(x, [0, 1, 0])


@pytest.mark.fault
def test_a_setting_that_makes_no_model_fails_its_trial_alone():
    assert issubclass(SettingError, kttoolkit.exceptions.TrialError)
    with pytest.raises(SettingError, match="8 pixels and 4 poolings"):
        built(builders.cnn(tune=["depth"]), Shapes((8, 8), 1, "binary"), depth=4)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(4), r"x of shape \(4,\).*Reshape"),
        (np.array(["a text", "another", "a third", "last"]), "CountVectorizer"),
        ({"a": np.zeros((4, 1))}, "x of type dict.*build function"),
    ],
)
def test_x_that_no_builder_can_take(x, message):
    with pytest.raises(SearchSpaceError, match=message):
        builders.mlp().for_data(x, [0, 1, 0, 1])


def test_y_that_no_builder_can_take():
    with pytest.raises(SearchSpaceError, match=r"y of shape \(6, 2, 2\). Flatten it"):
        builders.mlp().for_data(np.zeros((6, 4)), np.zeros((6, 2, 2)))


@pytest.mark.parametrize("code", [2, -1, 0.5])
def test_codes_that_a_column_should_not_have_are_refused(code):
    x = np.zeros((6, 3))
    x[:, 1] = [0, 1, 0, 1, 0, 1]
    builder = builders.tabular(categorical={1: 2})
    assert builder.for_data(x, [0, 1] * 3).shapes.inputs == (3,)
    x[0, 1] = code
    with pytest.raises(
        SearchSpaceError, match=rf"column 1 must be .* 0 to 1.*\{{1: 2\}}.*{code}"
    ):
        builder.for_data(x, [0, 1] * 3)


def test_only_what_has_hyperparameters_is_described():
    with pytest.raises(SearchSpaceError, match=r"describe takes .*got 3\. Pass"):
        builders.describe(3)


def test_the_documentation_names_all_that_a_level_of_sequences_adds():
    told = builders.sequence.__doc__
    for name in builders.sequence().levels["wide"]:
        assert name in told


def test_without_data_nothing_is_built():
    with pytest.raises(SearchSpaceError, match=r"\(mlp\) must know its data.*for_data"):
        builders.mlp().build(HyperParameters())


def test_an_argument_of_fit_is_not_given_twice(blobs, tmp_path):
    x, y = blobs
    builder = builders.mlp(tune="standard")
    with pytest.raises(SearchSpaceError, match=r"batch_size=7 was given.*mlp\(batch_"):
        search(builder, x, y, tmp_path, batch_size=7)
    fixed = builders.mlp(batch_size=7)
    assert search(fixed, x, y, tmp_path, batch_size=7, max_trials=1).best_score > 0
