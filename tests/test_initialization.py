"""The signal at the start, layer by layer, against the theory of Glorot and He."""

import dataclasses

import keras
import keras_tuner
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from test_hostile import CONTROL, HOSTILE

import kttoolkit
from kttoolkit.exceptions import DataError, ResultError, SearchSpaceError
from kttoolkit.methods._initializing._calls import kernels_of
from kttoolkit.methods._initializing._check import initialization_check

mpl.use("Agg")
layers = keras.layers
N01 = keras.initializers.RandomNormal(stddev=1.0)


@pytest.fixture(scope="module")
def digits():
    data = kttoolkit.datasets.load("digits")
    return (data.x - data.x.mean(0)) / (data.x.std(0) + 1e-6), data.y


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.normal(size=(64, 8, 8, 3)).astype("float32"), np.arange(64) % 2


@pytest.fixture(autouse=True)
def _no_open_figures():
    yield
    plt.close("all")


def deep(activation, *, depth=10, units=512):
    def build():
        model = keras.Sequential(
            [
                keras.Input((64,)),
                *[layers.Dense(units, activation) for _ in range(depth)],
                layers.Dense(10, "softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    return build


def small(activation="relu", **kwargs):
    return deep(activation, depth=3, units=32, **kwargs)


def of(report, name):
    return report.overview.set_index("initializer").loc[name]


# -- what the issue asks to be shown ---


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_he_keeps_the_variance_over_ten_layers_and_zeros_and_normal_do_not(
    digits, seed
):
    report = initialization_check(
        deep("relu"),
        *digits,
        initializers={"zeros": "zeros", "N(0, 1)": N01, "he": "he_normal"},
        seed=seed,
    )
    he = of(report, "he")
    assert he["verdict"] == "keeps"
    # Between any two layers, which is more than the verdict asks for.
    assert he["highest_ratio"] / he["lowest_ratio"] <= 2
    assert 0.5 <= he["gradient_ratio"] <= 2
    assert of(report, "zeros")["verdict"] == "zero"
    assert of(report, "N(0, 1)")["verdict"] == "grows"
    assert of(report, "N(0, 1)")["last_ratio"] > 1e15


def test_he_is_recommended_for_relu_and_glorot_loses_half_in_each_layer(digits):
    report = initialization_check(deep("relu"), *digits, seed=0)
    glorot = report.frame.query("initializer == 'glorot_normal' and ~is_output")
    ratios = glorot["forward_ratio"].dropna()
    np.testing.assert_allclose(glorot["forward_theory"].dropna(), 0.5, rtol=0.01)
    assert np.exp(np.log(ratios).mean()) == pytest.approx(0.5, rel=0.1)
    assert "recommended for relu: he_normal (here 1 to 1." in report.summary()
    kept = report.overview.query("verdict == 'keeps'")["initializer"]
    assert kept.tolist() == ["he_normal"]


def test_tanh_is_saturated_by_normal_and_glorot_shrinks_slowly(digits):
    """Glorot's theory holds near 0 only; a tanh of unit inputs takes its toll."""
    report = initialization_check(
        deep("tanh"),
        *digits,
        initializers={"zeros": "zeros", "N(0, 1)": N01, "glorot": "glorot_normal"},
        seed=0,
    )
    verdicts = report.overview.set_index("initializer")["verdict"]
    assert verdicts.to_dict() == {
        "zeros": "zero", "N(0, 1)": "saturated", "glorot": "shrinks",
    }  # fmt: skip
    assert of(report, "N(0, 1)")["saturated_share"] > 0.9
    assert of(report, "N(0, 1)")["gradient_ratio"] > 1e6
    assert 0.2 < of(report, "glorot")["last_ratio"] < 0.5
    assert of(report, "glorot")["saturated_share"] < 0.05


def test_glorot_keeps_small_signals_through_tanh(digits):
    x, y = digits
    report = initialization_check(
        deep("tanh"), 0.1 * x, y, initializers=["glorot_normal"], seed=0
    )
    assert of(report, "glorot_normal")["verdict"] == "keeps"
    assert 0.5 <= of(report, "glorot_normal")["gradient_ratio"] <= 2
    rows = report.frame[report.frame["forward_theory"].notna()].query("~is_output")
    np.testing.assert_allclose(rows["forward_ratio"], 1, rtol=0.1)
    np.testing.assert_allclose(rows["backward_ratio"], 1, rtol=0.1)


# -- the numbers ---


def test_statistics_are_those_of_a_plain_forward_and_backward_pass(digits):
    x, y = digits[0][:50], digits[1][:50]
    model = small("tanh")()
    row = initialization_check(model, x, y, initializers={"own": None}, seed=0).frame
    first, second = model.layers[:2]
    z = x @ first.kernel.numpy()
    hidden = np.tanh(z)
    assert row["mean"][0] == pytest.approx(hidden.mean(), abs=1e-5)
    assert row["variance"][0] == pytest.approx(hidden.var(), rel=1e-4)
    assert row["preactivation_variance"][0] == pytest.approx(z.var(), rel=1e-4)
    assert row["kernel_std"][0] == pytest.approx(first.kernel.numpy().std(), rel=1e-2)
    signal = keras.Sequential(model.layers[1:])
    import tensorflow as tf

    with tf.GradientTape() as tape:
        start = tf.constant(z)
        tape.watch(start)
        out = signal(tf.tanh(start))
        losses = keras.losses.sparse_categorical_crossentropy(y, out)
        loss = tf.reduce_sum(losses)
    gradient = tape.gradient(loss, start).numpy()
    assert row["gradient_std"][0] == pytest.approx(gradient.std(), rel=1e-3)
    theory = (second.kernel.numpy() ** 2).mean() * 32
    assert row["forward_theory"][1] == pytest.approx(theory, rel=1e-5)
    assert row["ratio_to_first"][1] == row["variance"][1] / row["variance"][0]


def test_gradients_do_not_depend_on_the_number_of_rows(digits):
    x, y = digits
    one, two = (
        initialization_check(
            small(), x, y, initializers=["he_normal"], seed=0, max_rows=rows
        )
        for rows in (100, 1600)
    )
    assert (one.n_rows, two.n_rows) == (100, 1600)
    ratio = one.frame["gradient_std"] / two.frame["gradient_std"]
    np.testing.assert_allclose(ratio, 1, atol=0.25)


def test_zeros_are_stated_without_warnings_or_nan(digits):
    report = initialization_check(small(), *digits, initializers=["zeros"], seed=0)
    hidden = report.frame.query("~is_output")
    assert (hidden["verdict"] == "zero").all()
    assert (hidden[["variance", "ratio_to_first", "gradient_ratio"]] == 0).all(
        axis=None
    )
    assert (hidden[["dead_share", "zero_share"]] == 1).all(axis=None)
    assert (hidden["distinct_units"] == 1).all()
    assert (hidden["forward_ratio"].dropna() == 0).all()
    assert hidden["saturated_share"].isna().all()  # a rectifier has no upper bound
    assert "the variance is zero: zeros" in report.summary()


def test_a_constant_makes_all_units_equal(digits):
    start = keras.initializers.Constant(0.01)
    report = initialization_check(small(), *digits, initializers=[start], seed=0)
    assert (report.frame["distinct_units"] == 1).all()
    assert report.frame["initializer"][0] == "Constant(value=0.01)"


def test_dead_units_are_those_that_no_row_wakes(digits):
    model = small()()
    bias = np.zeros(32)
    bias[:8] = -1e6
    model.layers[0].bias.assign(bias)
    report = initialization_check(model, *digits, initializers=["he_normal"], seed=0)
    assert report.frame["dead_share"][0] == pytest.approx(8 / 32)
    assert report.frame["zero_share"][0] == pytest.approx(5 / 8, abs=0.05)


@pytest.mark.parametrize(
    ("activation", "bounds"), [("tanh", (-1, 1)), ("sigmoid", (0, 1))]
)
def test_saturated_is_closer_to_a_bound_than_a_fortieth_of_the_range(
    digits, activation, bounds
):
    x, y = digits
    build = small(activation)
    weak, strong = (
        initialization_check(build, scale * x, y, initializers=[N01], seed=0)
        for scale in (1e-3, 1e3)
    )
    assert weak.frame["saturated_share"][0] == 0
    assert strong.frame["saturated_share"][0] > 0.95
    ends = strong.histograms.query("depth == 1 and of == 'activation'")
    assert ends["left"].min() >= bounds[0]
    assert ends["right"].max() <= bounds[1]


def test_what_overflows_is_said_so(digits):
    huge = keras.initializers.RandomNormal(stddev=1e15)
    report = initialization_check(
        small(), digits[0], initializers={"huge": huge}, seed=0
    )
    assert of(report, "huge")["verdict"] == "overflows"
    assert "overflow: huge" in report.summary()
    report.plot()
    report.plot_variance()


def test_the_seed_fixes_everything_and_is_reported_when_drawn(digits):
    def check(seed):
        return initialization_check(
            small(), *digits, initializers=["he_normal", N01], seed=seed
        )

    drawn = check(None)
    again, other = check(drawn.seed), check(drawn.seed + 1)
    numbers = drawn.frame.select_dtypes("number")
    assert numbers.equals(again.frame.select_dtypes("number"))
    assert not numbers.equals(other.frame.select_dtypes("number"))


def test_layers_of_one_shape_get_different_kernels(digits):
    """One seeded initializer would draw the same matrix for each."""
    seeded = keras.initializers.HeNormal(seed=1)
    report = initialization_check(
        small(), digits[0], initializers={"he": seeded}, seed=0
    )
    is_square = report.frame["shape"].map(lambda shape: shape == (32, 32))
    stds = report.frame["kernel_std"][is_square]
    assert stds.nunique() == len(stds) == 2


def test_histograms_count_all_values_but_zeros(digits):
    report = initialization_check(
        small(), *digits, initializers=["he_normal"], max_rows=100, seed=0
    )
    counts = report.histograms.groupby(["of", "depth"])["count"].sum()
    zeros = report.frame["zero_share"][0]
    assert counts["activation", 1] == pytest.approx(100 * 32 * (1 - zeros))
    assert (report.histograms["left"] <= report.histograms["right"]).all()


# -- models of every kind ---


def residual():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="stem")(inputs)
    y = layers.Conv2D(16, 3, padding="same", use_bias=False, name="one")(x)
    y = layers.BatchNormalization()(y)
    y = layers.ReLU()(y)
    y = layers.Conv2D(16, 3, padding="same", name="two")(y)
    y = layers.Activation("tanh")(layers.Add()([x, y]))
    y = layers.SeparableConv2D(8, 3, activation="relu", name="separable")(y)
    y = layers.DepthwiseConv2D(3, activation="relu", name="depthwise")(y)
    y = layers.Dropout(0.5)(layers.Flatten()(y))
    inner = keras.Sequential([keras.Input((128,)), layers.Dense(12, name="nested")])
    y = layers.LeakyReLU()(inner(layers.Reshape((128,))(y)))
    model = keras.Model(inputs, layers.Dense(1, "sigmoid", name="head")(y))
    model.compile("adam", "binary_crossentropy")
    return model


def test_residual_convolutional_and_nested_models(images):
    report = initialization_check(residual, *images, seed=0)
    rows = report.frame.query("initializer == 'he_normal'").set_index("layer")
    assert rows.index.tolist() == [
        "stem", "one", "two", "separable", "depthwise", "nested", "head",
    ]  # fmt: skip
    assert rows["activation"].tolist() == [
        "relu", "relu", "tanh", "relu", "relu", "leaky_relu", "sigmoid",
    ]  # fmt: skip
    assert rows["is_output"].tolist() == [False] * 6 + [True]
    assert rows["verdict"]["head"] == "output"
    assert rows["forward_theory"]["one"] == pytest.approx(1.0, rel=0.1)
    # No straight way: behind normalisation, a sum, and a pair of kernels.
    known = rows["forward_theory"].notna()
    assert rows.index[known].tolist() == ["one", "nested", "head"]
    # Dropout of a half doubles what a rectifier halves.
    drawn = 128 * rows["kernel_std"]["nested"] ** 2
    assert rows["forward_theory"]["nested"] == pytest.approx(drawn, rel=1e-6)
    assert set(report.overview["verdict"]) <= {
        "zero", "keeps", "shrinks", "grows", "saturated",
    }  # fmt: skip


def test_fans_are_counted_as_the_layers_work(images):
    inputs = keras.Input((8, 8, 4))
    x = layers.Conv2D(4, 1, name="start")(inputs)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)
    x = layers.Conv2D(12, 3, strides=2, groups=2, name="grouped")(x)
    model = keras.Model(inputs, x)
    x = np.random.default_rng(0).normal(size=(40, 8, 8, 4))
    frame = initialization_check(model, x, initializers=[N01], seed=0).frame
    squares = frame["kernel_std"] ** 2
    np.testing.assert_allclose(
        frame["forward_theory"][1:], squares[1:] * [9, 9 * 4], rtol=1e-6
    )
    np.testing.assert_allclose(
        frame["backward_theory"][1:], squares[1:] * [9 * 2, 9 * 12 / 2 / 4], rtol=1e-6
    )
    np.testing.assert_allclose(
        frame["forward_ratio"][1:], frame["forward_theory"][1:], rtol=0.6
    )


def test_layers_of_several_parts_are_one_row():
    inputs = keras.Input((5, 3))
    x = layers.Bidirectional(layers.LSTM(8, return_sequences=True), name="both")(inputs)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.TimeDistributed(layers.Dense(6, "relu"), name="each")(x)
    x = layers.GRU(4, name="gru")(x)
    model = keras.Model(inputs, layers.Dense(1, name="head")(x))
    x = np.random.default_rng(0).normal(size=(30, 5, 3))
    rows = initialization_check(model, x, initializers=["he_normal"], seed=0).frame
    assert rows["layer"].tolist() == ["both", "attention", "each", "gru", "head"]
    assert rows["activation"].tolist() == ["tanh", "linear", "relu", "tanh", "linear"]
    assert rows["forward_theory"].isna().all()
    assert (rows["gradient_variance"] > 0).all()


def test_recurrent_kernels_have_an_initializer_of_their_own():
    model = keras.Sequential([keras.Input((5, 3)), layers.LSTM(8), layers.Dense(1)])
    names = [w.name for layer in model.layers for w in kernels_of(layer)]
    assert names == ["kernel", "kernel"]
    assert len(model.trainable_weights) == 5


def test_a_shared_layer_has_a_row_for_each_call():
    one, two = keras.Input((4,)), keras.Input((4,))
    shared = layers.Dense(8, "relu", name="shared")
    both = layers.Concatenate()([shared(one), shared(two)])
    model = keras.Model([one, two], layers.Dense(1, name="head")(both))
    x = [np.random.default_rng(i).normal(size=(20, 4)) for i in range(2)]
    frame = initialization_check(model, x, initializers=["he_normal"], seed=0).frame
    assert frame["layer"].tolist() == ["shared", "shared (call 2)", "head"]


def test_layers_that_hand_on_what_they_got_are_not_in_the_way(blobs):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8),
            layers.Dropout(0.0),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(3),
            layers.Dropout(0.0),
        ]
    )
    rows = initialization_check(
        model, blobs[0], initializers=["he_normal"], seed=0
    ).frame
    assert rows["activation"].tolist() == ["relu", "linear"]
    drawn = 8 * rows["kernel_std"][1] ** 2
    assert rows["forward_theory"][1] == pytest.approx(drawn / 2, rel=1e-6)


class Subclassed(keras.Model):
    def __init__(self, wrap=lambda function: function):
        super().__init__()
        self.first, self.last = layers.Dense(8, "relu"), layers.Dense(1)
        self.run = wrap(lambda x: self.last(self.first(x)))

    def call(self, x):
        return self.run(x)


def test_subclassed_models_are_listened_to(blobs):
    report = initialization_check(
        lambda: Subclassed(), blobs[0], initializers=["he_normal"], seed=0
    )
    assert report.frame["activation"].tolist() == ["relu", "linear"]


def test_layers_inside_a_graph_cannot_be_seen(blobs):
    import tensorflow as tf

    with pytest.raises(SearchSpaceError, match="2 with a kernel of Subclassed are not"):
        initialization_check(lambda: Subclassed(tf.function), blobs[0], seed=0)


def test_a_single_layer_has_nothing_to_keep(blobs):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    report = initialization_check(model, blobs[0], initializers=["zeros"], seed=0)
    assert "no hidden layer: nothing to keep" in report.summary()
    hidden = layers.Dense(3, "relu")
    two = keras.Sequential([keras.Input((4,)), hidden, layers.Dense(1)])
    told = initialization_check(two, blobs[0], initializers=["zeros"], seed=0).summary()
    assert told.startswith("1 hidden layer, 60 rows, gradients")
    assert report.overview.empty
    assert report.plot().shape == (1, 1)
    report.plot_variance()
    assert "nothing to keep" in report._repr_html_()


# -- what is built, and left as it was ---


def test_a_model_is_left_as_it_was(images):
    model = residual()
    model.get_layer("one").trainable = False
    before = model.get_weights()
    calls = {layer: layer.call for layer in model.layers}
    activation = model.get_layer("stem").activation
    report = initialization_check(model, *images, initializers=[N01], seed=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert all(layer.call == call for layer, call in calls.items())
    assert model.get_layer("stem").activation is activation
    assert "one" not in set(report.frame["layer"])  # frozen layers are not drawn


def test_a_model_is_put_back_after_an_error():
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)]
    )
    before = model.get_weights()
    with pytest.raises(SearchSpaceError, match="failed with a kernel of shape"):
        initialization_check(
            model, np.ones((4, 8, 8, 3)), initializers=["identity"], seed=0
        )
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_every_way_to_give_a_model(blobs, build):
    class Hyper(keras_tuner.HyperModel):
        def build(self, hp):
            return build(hp)

    def units(way, **kwargs):
        report = initialization_check(
            way, *blobs, initializers=["he_normal"], seed=0, **kwargs
        )
        return report.frame["units"][0]

    hp = kttoolkit.HyperParameters()
    hp.Fixed("units", 7)
    assert units(build) == units(Hyper()) == 2
    assert units(build, hp=hp) == 7
    assert units(build(hp)) == 7
    assert units(lambda: build(hp)) == 7
    assert units(kttoolkit.builders.mlp(units=16)) == 16


def test_functions_and_uniform_initializers_are_accepted(digits):
    def small_steps(shape, dtype=None):
        return 1e-3 * np.ones(shape, dtype)

    report = initialization_check(
        small(), digits[0], initializers=[small_steps, "HeUniform"], seed=0
    )
    assert report.frame["initializer"].unique().tolist() == ["small_steps", "HeUniform"]
    assert report.gradients_of == "random signal"
    assert "gradients of a random signal" in report.summary()


# -- pictures and words ---


def test_plots_draw_a_cell_for_each_layer_and_a_line_for_each_initializer(digits):
    report = initialization_check(deep("tanh", units=16), *digits, seed=0)
    axes = report.plot()
    assert axes.shape == (6, 6)
    assert [ax.get_title() for ax in axes[0]][::5] == ["layer 1", "layer 10"]
    assert axes[3, 0].get_ylabel().startswith("he_normal\n")
    assert report.plot(axes[:, :2], of="gradient").shape == (6, 2)
    for draw in (report.plot, report.plot_variance):
        with pytest.raises(ResultError, match=r"of must.* got 'gradients'.* Did"):
            draw(of="gradients")
    ax = report.plot_variance()
    assert ax.get_yscale() == "log"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[:3] == ["theory: kept", "within 2x of it", "zeros: zero"]
    assert len(labels) == 8
    assert report.plot_variance(ax, of="gradient") is ax


def test_the_report_speaks(digits):
    report = initialization_check(
        small(), *digits, initializers=["he_normal", "zeros"], seed=0
    )
    summary = report.summary()
    assert summary.startswith("3 hidden layers, 256 rows, gradients of the loss, seed")
    assert "keep it within 2x: he_normal (" in summary
    assert repr(report).startswith("<InitializationReport 3 hidden")
    assert "<table" in report._repr_html_()
    assert len(report._repr_html_()) < 4000


# -- errors that teach ---


def check(blobs, **kwargs):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.Dense(1)])
    options = {"build": model, "x": blobs[0], "seed": 0, **kwargs}
    return initialization_check(**options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["he_norml"], "got 'he_norml'. Did you mean 'he_normal'?"),
        (["xavier_normal"], "Did you mean 'glorot_normal'?"),
        ({"mine": 3}, "or be functions of shape and dtype, but got 3"),
        ([None], "but got None"),
        ([], r"must be a list or a dict of one or more, but got \[\]"),
        ("he_normal", "but got 'he_normal'. Write initializers="),
        (["zeros", "zeros"], r"once, but got \['zeros'\] more than once"),
    ],
)
def test_unknown_initializers(blobs, given, message):
    with pytest.raises(SearchSpaceError, match=message):
        check(blobs, initializers=given)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        (
            {"x": np.ones((5, 3))},
            r"expects \('n', 4\) and got rows of shape \('n', 3\)",
        ),
        ({"x": np.full((5, 4), np.nan)}, "x must be finite, but got 20 NaN"),
        ({"x": (row for row in [1])}, "x must be arrays, but got generator"),
        ({"max_rows": 1}, "max_rows >= 2 must hold, but got max_rows=1"),
    ],
)
def test_rows_that_do_not_fit(blobs, kwargs, message):
    with pytest.raises(DataError, match=message):
        check(blobs, **kwargs)


def test_y_needs_a_loss_that_takes_it(blobs, digits):
    with pytest.raises(SearchSpaceError, match="is compiled with none"):
        check(blobs, y=blobs[1])
    model = small()()
    model.compile("adam", "categorical_crossentropy")
    with pytest.raises(DataError, match="Class numbers need sparse_categorical_cross"):
        initialization_check(model, *digits, seed=0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda hp: None, "build must return a keras.Model, but got None"),
        (3, "build must be a function hp -> keras.Model, .* but got 3"),
        (keras.Model, "instance or a keras.Model, but got <class"),
        (
            keras.Sequential([keras.Input((4,)), layers.ReLU()], name="plain"),
            r"a layer with a kernel .* 'plain' has only \['ReLU'\]",
        ),
    ],
)
def test_no_model_or_no_kernel(blobs, build, message):
    with pytest.raises(SearchSpaceError, match=message):
        check(blobs, build=build)


@pytest.fixture(scope="module")
def looked_at():
    x = np.random.default_rng(0).normal(size=(16, 64))
    return initialization_check(small(), x, initializers=["he_normal"], seed=0)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_names_stay_text(looked_at, text):
    """Initializers, layers and activations of one's own: words, table and labels."""
    names = {"initializer": text, "layer": text, "activation": text}
    report = dataclasses.replace(
        looked_at,
        frame=looked_at.frame.assign(**names),
        histograms=looked_at.histograms.assign(initializer=text, layer=text),
    )
    page = report._repr_html_()
    assert "<script" not in page
    for told in (report.summary(), repr(report), page):
        assert not CONTROL.search(told)
    assert len(report.summary().splitlines()) == 3
    for ax in (report.plot()[0, 0], report.plot_variance()):
        ax.figure.canvas.draw()
        legend = ax.get_legend_handles_labels()[1]
        for label in (ax.get_ylabel(), *legend):
            assert not CONTROL.search(label.replace("\n", " "))
            assert len(label) < 100
