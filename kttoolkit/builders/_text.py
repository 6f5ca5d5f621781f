"""Networks for texts and other sequences."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import keras_tuner

from kttoolkit import space
from kttoolkit.builders._ask import ON_REQUEST, Ask, Levels
from kttoolkit.builders._base import Builder
from kttoolkit.builders._fixed import CELLS, doubled
from kttoolkit.builders._mlp import MLP
from kttoolkit.builders._shapes import Shapes
from kttoolkit.builders._style import Style, hidden_widths
from kttoolkit.exceptions import SearchSpaceError

_TIMES_SHORTER = 2


def text_bag_of_words(
    *,
    task: str = "auto",
    tune: str | Sequence[str] = "essential",
    vocabulary: int | None = None,
    max_units: int = 256,
    jit_compile: bool | str = "auto",
    **fixed: Any,
) -> Builder:
    """Return a builder of dense networks over the set of words in a text.

    Rows of whole numbers of shape (n_samples, n_words) are word numbers, as
    `keras.datasets.imdb` has them; which words occur becomes a multi-hot vector
    inside the model. Rows of floats are multi-hot vectors (or counts) already, as
    `preprocessor=CountVectorizer(binary=True)` makes them of strings.

    Args:
        task: "auto", "classification" or "regression".
        tune: as in `mlp`.
        vocabulary: how many words are told apart; higher numbers count as the last.
            All that the rows have if left out.
        max_units: the widest hidden layer, 16 doubled some times.
        jit_compile: as `keras.Model.compile` takes it. "auto" is Keras's choice: XLA on
            a GPU, where it pays for long searches over numbers; False is faster there
            in short ones, and where layers or units are searched.
        **fixed: values of hyperparameters that are not searched.

    Returns:
        A `keras_tuner.HyperModel`.

    Raises:
        SearchSpaceError: if a name is unknown, or max_units senseless.

    Example:
        >>> import kttoolkit
        >>> from sklearn.feature_extraction.text import CountVectorizer
        >>> builder = kttoolkit.builders.text_bag_of_words(tune="standard")
        >>> kttoolkit.tune(
        ...     builder, texts, y, preprocessor=CountVectorizer(binary=True)
        ... )  # doctest: +SKIP
    """
    return TextBagOfWords(
        task=task,
        tune=tune,
        fixed=fixed,
        jit_compile=jit_compile,
        vocabulary=vocabulary,
        max_units=doubled("max_units", max_units, 16),
    )


def sequence(
    *,
    task: str = "auto",
    tune: str | Sequence[str] = "essential",
    vocabulary: int | None = None,
    max_units: int = 128,
    jit_compile: bool | str = "auto",
    **fixed: Any,
) -> Builder:
    """Return a builder of networks that read a sequence: LSTM, GRU, convolutions.

    Rows of whole numbers of shape (n_samples, n_steps) are word numbers, each of
    which gets an embedding; rows of floats are measurements of shape (n_samples,
    n_steps) or (n_samples, n_steps, n_features). Each of `depth` layers reads what
    the one before has written; a convolution also halves its length.

    Args:
        task: "auto", "classification" or "regression".
        tune: "essential" (the learning rate), "standard" (and momentum or betas,
            units, batch size), "wide" (and cell, depth, embedding, schedule,
            initializer, activation, regularizer, dropout), "all" (and bidirectional
            and the rest of `mlp`'s), or a list of names; see `mlp`.
        vocabulary: how many words are told apart; higher numbers count as the last.
            All that the rows have if left out.
        max_units: the widest layer, 16 doubled some times.
        jit_compile: as `keras.Model.compile` takes it. "auto" is Keras's choice: XLA on
            a GPU, where it pays for long searches over numbers; False is faster there
            in short ones, and where layers or units are searched.
        **fixed: values of hyperparameters that are not searched, such as
            `cell="gru"` ("lstm", "gru", "conv1d"), `bidirectional=True`.

    Returns:
        A `keras_tuner.HyperModel`.

    Raises:
        SearchSpaceError: if a name or cell is unknown, or max_units senseless.

    Example:
        >>> import kttoolkit
        >>> builder = kttoolkit.builders.sequence(cell="gru", tune="standard")
        >>> digits = kttoolkit.datasets.load("digits")
        >>> rows = digits.x.reshape(-1, 8, 8)
        >>> kttoolkit.tune(builder, rows, digits.y)  # doctest: +SKIP
    """
    return SequenceNetwork(
        task=task,
        tune=tune,
        fixed=fixed,
        jit_compile=jit_compile,
        vocabulary=vocabulary,
        max_units=doubled("max_units", max_units, 16),
    )


class TextBagOfWords(Builder):
    """Multi-hot words and dense layers; see `text_bag_of_words`."""

    family: ClassVar[str] = "text_bag_of_words"
    levels: ClassVar[Levels] = MLP.levels
    example: ClassVar[Shapes] = Shapes((1000,), 1, "binary", n_samples=4096)

    def features(self, ask: Ask, inputs: Any) -> Any:
        """Tell which words occur, then add dense layers."""
        x = inputs
        if self.bound_shapes.is_integer:
            size = vocabulary_size(self.options["vocabulary"], self.bound_shapes)
            x = keras.layers.CategoryEncoding(size, output_mode="multi_hot")(
                known_words(inputs, size)
            )
        elif len(inputs.shape) > 2:
            raise SearchSpaceError(
                "Words come as numbers of shape (n_samples, n_words) or as multi-hot "
                f"rows, but got rows of shape {tuple(inputs.shape[1:])}."
            )
        widths = hidden_widths(ask, max_value=self.options["max_units"])
        style = Style.of(ask)
        for width in widths:
            x = style.dense(x, width)
        return x


class SequenceNetwork(Builder):
    """Layers that read a sequence; see `sequence`."""

    family: ClassVar[str] = "sequence"
    wants_scaled: ClassVar[str] = "f"
    levels: ClassVar[Levels] = {
        "essential": ("learning_rate",),
        "standard": ("momentum", "betas", "units", "batch_size"),
        "wide": ("cell", "depth", "embedding", "schedule", "initializer", "activation",
                 "regularizer", "dropout"),
        "all": ("bidirectional", "batch_norm", "optimizer", "weight_decay", "epsilon",
                "clipnorm", "constraint", "loss", "class_weight", "early_stopping"),
        ON_REQUEST: ("epochs", "nesterov"),
    }  # fmt: skip
    example: ClassVar[Shapes] = Shapes((50, 4), 1, "binary", n_samples=4096)

    def features(self, ask: Ask, inputs: Any) -> Any:
        """Embed words, then read the sequence once a layer."""
        x = self._steps(ask, inputs)
        cell = ask("cell", _cell)
        depth = ask("depth", space.depth, default=1)
        units = ask("units", space.units, max_value=self.options["max_units"])
        is_both_ways = ask("bidirectional", _bidirectional)
        style = Style.of(ask)
        if cell == "conv1d":
            return _convolutions(style, x, depth, units)
        for layer in range(depth):
            recurrent = _RECURRENT[cell](
                units,
                dropout=style.dropout,
                return_sequences=layer < depth - 1,
                **{**style.kernel, "kernel_initializer": "glorot_uniform"},
            )
            if is_both_ways:
                recurrent = keras.layers.Bidirectional(recurrent)
            x = recurrent(x)
            x = keras.layers.BatchNormalization()(x) if style.batch_norm else x
        return x

    def _steps(self, ask: Ask, inputs: Any) -> Any:
        """Return the sequence as steps of features."""
        if len(inputs.shape) == 3:
            return inputs
        if len(inputs.shape) > 3:
            raise SearchSpaceError(
                "A sequence has shape (n_samples, n_steps) or (n_samples, n_steps, "
                f"n_features), but got rows of shape {tuple(inputs.shape[1:])}."
            )
        if not self.bound_shapes.is_integer:
            return keras.layers.Reshape((*inputs.shape[1:], 1))(inputs)
        size = vocabulary_size(self.options["vocabulary"], self.bound_shapes)
        width = ask("embedding", _embedding)
        return keras.layers.Embedding(size, width)(known_words(inputs, size))


_RECURRENT = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


def _cell(hp: keras_tuner.HyperParameters) -> str:
    return space.choice(hp, name="cell", values=CELLS)


def _bidirectional(hp: keras_tuner.HyperParameters) -> bool:
    return space.choice(hp, name="bidirectional", values=[False, True])


def _embedding(hp: keras_tuner.HyperParameters) -> int:
    return space.units(hp, name="embedding", min_value=8, max_value=128, default=32)


def _convolutions(style: Style, x: Any, depth: int, units: int) -> Any:
    """Add convolutions, each of which halves the length, and look for the highest."""
    for _ in range(depth):
        x = keras.layers.Conv1D(
            units, 3, padding="same", use_bias=not style.batch_norm, **style.kernel
        )(x)
        x = style.activate(x)
        if x.shape[1] >= _TIMES_SHORTER:
            x = keras.layers.MaxPooling1D(_TIMES_SHORTER)(x)
    return keras.layers.GlobalMaxPooling1D()(x)


def vocabulary_size(given: int | None, shapes: Shapes) -> int:
    """Return how many words are told apart.

    Args:
        given: what the user says, or None.
        shapes: know the highest word number.

    Returns:
        A number of words.

    Raises:
        SearchSpaceError: if it is below 2.
    """
    size = shapes.largest + 1 if given is None else given
    if size < 2:
        raise SearchSpaceError(
            f"vocabulary >= 2 must hold, but got {size}. It is the highest word number "
            "and one more."
        )
    return size


def known_words(inputs: Any, size: int) -> Any:
    """Count words beyond the vocabulary as its last one.

    Args:
        inputs: word numbers of shape (None, n_words).
        size: of the vocabulary.

    Returns:
        Word numbers below `size`.
    """
    return keras.ops.minimum(keras.ops.cast(inputs, "int32"), size - 1)
