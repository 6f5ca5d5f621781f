"""Convolutional networks for images."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import keras

from kttoolkit import space
from kttoolkit.builders._ask import ON_REQUEST, Ask, Levels
from kttoolkit.builders._base import Builder
from kttoolkit.builders._fixed import doubled
from kttoolkit.builders._shapes import Shapes
from kttoolkit.builders._style import Style
from kttoolkit.exceptions import SearchSpaceError, SettingError

_MOST_FILTERS = 512
_LEVELS: Levels = {
    "essential": ("learning_rate",),
    "standard": ("momentum", "betas", "filters", "batch_size"),
    "wide": ("depth", "schedule", "initializer", "activation", "regularizer",
             "dropout", "batch_norm", "kernel_size", "pooling", "augmentation"),
    "all": ("optimizer", "global_pooling", "image_size", "weight_decay", "epsilon",
            "clipnorm", "constraint", "loss", "class_weight", "early_stopping"),
    ON_REQUEST: ("epochs", "nesterov"),
}  # fmt: skip


def cnn(
    *,
    task: str = "auto",
    tune: str | Sequence[str] = "essential",
    max_filters: int = 64,
    jit_compile: bool | str = "auto",
    **fixed: Any,
) -> Builder:
    """Return a builder of convolutional networks.

    Each of `depth` blocks is a convolution, an activation and a pooling that halves
    the image while the filters double; a global pooling and the last layer follow.
    Images of whole numbers (0 to 255) are divided by 255; a warning tells where others
    are as large. Augmentation is active in
    training only.

    Args:
        task: "auto", "classification" or "regression".
        tune: "essential" (the learning rate), "standard" (and momentum or betas,
            filters, batch size), "wide" (and depth, schedule, initializer,
            activation, regularizer, dropout, batch normalisation, kernel size,
            pooling, augmentation), "all", or a list of names; see `mlp`.
        max_filters: the most filters of the first convolution, 8 doubled some times.
        jit_compile: as `keras.Model.compile` takes it. "auto" is Keras's choice: XLA on
            a GPU, where it pays for long searches over numbers; False is faster there
            in short ones, and where layers or units are searched.
        **fixed: values of hyperparameters that are not searched, such as
            `pooling="average"`, `image_size=64`, `augmentation=[layers]`.

    Returns:
        A `keras_tuner.HyperModel` for x of shape (n_samples, height, width) or
        (n_samples, height, width, channels).

    Raises:
        SearchSpaceError: if a name is unknown, or max_filters senseless.

    Example:
        >>> import kttoolkit
        >>> builder = kttoolkit.builders.cnn(tune="standard", depth=2)
        >>> images = kttoolkit.datasets.load("fashion_mnist")
        >>> kttoolkit.tune(builder, images.x, images.y)  # doctest: +SKIP
    """
    return CNN(
        task=task,
        tune=tune,
        fixed=fixed,
        jit_compile=jit_compile,
        max_filters=doubled("max_filters", max_filters, 8),
    )


def residual_cnn(
    *,
    task: str = "auto",
    tune: str | Sequence[str] = "essential",
    max_filters: int = 64,
    jit_compile: bool | str = "auto",
    **fixed: Any,
) -> Builder:
    """Return a builder of residual networks, for images that need many layers.

    Each of `depth` stages is two convolutions with a shortcut around them; from the
    second stage on the image is halved and the filters double. Batch normalisation is
    on unless it is searched or fixed.

    Args:
        task: "auto", "classification" or "regression".
        tune: as in `cnn`.
        max_filters: the most filters of the first stage, 8 doubled some times.
        jit_compile: as `keras.Model.compile` takes it. "auto" is Keras's choice: XLA on
            a GPU, where it pays for long searches over numbers; False is faster there
            in short ones, and where layers or units are searched.
        **fixed: values of hyperparameters that are not searched.

    Returns:
        A `keras_tuner.HyperModel` for x of shape (n_samples, height, width) or
        (n_samples, height, width, channels).

    Raises:
        SearchSpaceError: if a name is unknown, or max_filters senseless.

    Example:
        >>> import kttoolkit
        >>> builder = kttoolkit.builders.residual_cnn(depth=3)
        >>> images = kttoolkit.datasets.load("fashion_mnist")
        >>> kttoolkit.tune(builder, images.x, images.y)  # doctest: +SKIP

    References:
        K. He et al., "Deep residual learning for image recognition",
        arXiv:1512.03385.
    """
    return ResidualCNN(
        task=task,
        tune=tune,
        fixed=fixed,
        jit_compile=jit_compile,
        max_filters=doubled("max_filters", max_filters, 8),
    )


class CNN(Builder):
    """Blocks of a convolution and a pooling; see `cnn`."""

    family: ClassVar[str] = "cnn"
    wants_scaled: ClassVar[str] = "f"
    levels: ClassVar[Levels] = _LEVELS
    example: ClassVar[Shapes] = Shapes((28, 28), 10, "multiclass", n_samples=4096)

    def features(self, ask: Ask, inputs: Any) -> Any:
        """Add blocks, each of which halves the image."""
        depth, most = image_depth(ask, inputs.shape, min_value=1)
        x = as_images(ask, inputs, self.bound_shapes, poolings=(depth, most))
        filters = ask("filters", space.filters, max_value=self.options["max_filters"])
        size = ask("kernel_size", space.kernel_size)
        pooling = ask("pooling", space.pooling)
        style = Style.of(ask)
        for block in range(depth):
            x = keras.layers.Conv2D(
                min(filters << block, _MOST_FILTERS),
                size,
                strides=2 if pooling == "strided" else 1,
                padding="same",
                use_bias=not style.batch_norm,
                **style.kernel,
            )(x)
            x = style.activate(x, drop=False)
            x = halved(x, pooling)
            x = keras.layers.Dropout(style.dropout)(x) if style.dropout else x
        return as_vector(ask, x)


class ResidualCNN(Builder):
    """Stages of two convolutions and a shortcut; see `residual_cnn`."""

    family: ClassVar[str] = "residual_cnn"
    wants_scaled: ClassVar[str] = "f"
    levels: ClassVar[Levels] = {
        **_LEVELS, "wide": tuple(n for n in _LEVELS["wide"] if n != "pooling"),
    }  # fmt: skip
    example: ClassVar[Shapes] = CNN.example

    def features(self, ask: Ask, inputs: Any) -> Any:
        """Add stages, of which all but the first halve the image."""
        depth, most = image_depth(ask, inputs.shape, min_value=2)
        poolings = (depth - 1, most - 1)
        x = as_images(ask, inputs, self.bound_shapes, poolings=poolings)
        filters = ask("filters", space.filters, max_value=self.options["max_filters"])
        size = ask("kernel_size", space.kernel_size)
        style = Style.of(ask, batch_norm=True)
        x = _convolve(style, x, filters, size)
        x = style.activate(x, drop=False)
        for stage in range(depth):
            width = min(filters << stage, _MOST_FILTERS)
            x = _residual(style, x, width, size, strides=2 if stage else 1)
        return as_vector(ask, x)


def _convolve(style: Style, x: Any, filters: int, size: int, strides: int = 1) -> Any:
    return keras.layers.Conv2D(
        filters,
        size,
        strides=strides,
        padding="same",
        use_bias=not style.batch_norm,
        **style.kernel,
    )(x)


def _residual(style: Style, x: Any, filters: int, size: int, *, strides: int) -> Any:
    """Add two convolutions and the shortcut around them."""
    shortcut = x
    if strides > 1 or x.shape[-1] != filters:
        shortcut = _convolve(style, x, filters, 1, strides)
        if style.batch_norm:
            shortcut = keras.layers.BatchNormalization()(shortcut)
    x = style.activate(_convolve(style, x, filters, size, strides))
    x = _convolve(style, x, filters, size)
    if style.batch_norm:
        x = keras.layers.BatchNormalization()(x)
    return keras.layers.Activation(style.activation)(keras.layers.Add()([x, shortcut]))


def image_depth(
    ask: Ask, shape: Sequence[int | None], *, min_value: int
) -> tuple[int, int]:
    """Ask for the number of blocks, no more than the image can be halved.

    Args:
        ask: gives the values of hyperparameters.
        shape: of the inputs, (None, height, width, ...).
        min_value: the fewest blocks.

    Returns:
        The number of this trial, and the highest that any trial may have.

    Raises:
        SearchSpaceError: if the inputs are no images.
    """
    if len(shape) not in {3, 4}:
        raise SearchSpaceError(
            "An image network needs x of shape (n_samples, height, width) or with "
            f"channels behind, but got rows of shape {tuple(shape[1:])}."
        )
    halvings = int(math.log2(min(size or 1 for size in shape[1:3])))
    most = max(min(4, halvings), min_value)
    depth = ask("depth", space.depth, min_value=min_value, max_value=most)
    return depth, most if "depth" in ask.tuned else depth


def as_images(
    ask: Ask, inputs: Any, shapes: Shapes, *, poolings: tuple[int, int]
) -> Any:
    """Bring inputs to shape (None, side, side, channels) and values around 0 to 1.

    Args:
        ask: gives the values of hyperparameters.
        inputs: of shape (None, height, width) or (None, height, width, channels).
        shapes: whether they hold whole numbers.
        poolings: how often the network halves the image, in this trial and at most.

    Returns:
        A `keras.KerasTensor`, with the layers of augmentation in front.
    """
    x = inputs
    if len(inputs.shape) == 3:
        x = keras.layers.Reshape((*inputs.shape[1:], 1))(x)
    if shapes.is_integer:
        x = keras.layers.Rescaling(1 / 255)(x)
    side = max(x.shape[1:3])
    if "image_size" in {*ask.tuned, *ask.fixed}:
        size = ask("image_size", space.image_size, max_value=side, poolings=poolings[1])
        _check_size(size, poolings[0])
        x = keras.layers.Resizing(size, size)(x)
    else:
        _check_size(min(x.shape[1:3]), poolings[0])
    for layer in _augmentation(ask):
        x = layer(x)
    return x


def _check_size(size: int, poolings: int) -> None:
    if size < 2**poolings:
        raise SettingError(
            "2 ** poolings <= image size must hold, since each pooling halves the "
            f"image, but got {size} pixels and {poolings} poolings. Take a smaller "
            "depth= or a larger image_size=."
        )


def _augmentation(ask: Ask) -> list[keras.layers.Layer]:
    """Return fresh layers: one cannot serve two models."""
    layers = ask("augmentation", space.augmentation) or []
    return [type(layer).from_config(layer.get_config()) for layer in layers]


def halved(x: Any, pooling: str) -> Any:
    """Halve an image, unless the convolution has done it.

    Args:
        x: of shape (None, height, width, channels).
        pooling: a kind of `kttoolkit.space.pooling`.

    Returns:
        Of shape (None, height // 2, width // 2, channels).
    """
    if pooling == "max":
        return keras.layers.MaxPooling2D(2)(x)
    return keras.layers.AveragePooling2D(2)(x) if pooling == "average" else x


def as_vector(ask: Ask, x: Any) -> Any:
    """Make a vector of the last feature maps.

    Args:
        ask: gives the values of hyperparameters.
        x: of shape (None, height, width, channels).

    Returns:
        Of shape (None, n_features).
    """
    kind = ask("global_pooling", space.global_pooling)
    if kind == "flatten":
        return keras.layers.Flatten()(x)
    if kind == "max":
        return keras.layers.GlobalMaxPooling2D()(x)
    return keras.layers.GlobalAveragePooling2D()(x)
