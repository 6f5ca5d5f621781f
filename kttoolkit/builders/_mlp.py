"""Dense networks for tables, and the linear model they have to beat."""

from collections.abc import Sequence
from typing import Any, ClassVar

import keras

from kttoolkit.builders._ask import ON_REQUEST, Ask, Levels
from kttoolkit.builders._base import Builder
from kttoolkit.builders._fixed import doubled
from kttoolkit.builders._style import Style, hidden_widths


def mlp(
    *,
    task: str = "auto",
    tune: str | Sequence[str] = "essential",
    max_units: int = 256,
    jit_compile: bool | str = "auto",
    **fixed: Any,
) -> Builder:
    """Return a builder of dense networks, the first thing to try on a table.

    Inputs of more than one axis are flattened. Scale the columns of a table
    (`preprocessor=StandardScaler()`): a warning names the largest if you do not. What
    is neither searched nor fixed has its default: two layers of 64 units, ReLU, He's
    initial weights, Adam at 0.001.

    Args:
        task: "auto", "classification" or "regression".
        tune: how much is searched, in the order in which practitioners rank it:
            "essential" (the learning rate), "standard" (and momentum or betas, units,
            batch size), "wide" (and depth, schedule, initializer, activation,
            regularizer, dropout, batch normalisation), "all" (and optimizer, the
            shape of the widths, weight decay, epsilon, clipnorm, constraint, loss,
            class weights, early stopping), or a list of names. These are the names
            by which values are fixed, not always those of columns in tables: `betas`
            (there `beta_1`, `beta_2`), `early_stopping` (`patience`), `widths`
            (`units_shape`).
        max_units: the widest hidden layer, 16 doubled some times; a narrowed space
            (`coarse_to_fine`) may go on beyond it, as beyond every bound.
        jit_compile: as `keras.Model.compile` takes it. "auto" is Keras's choice: XLA on
            a GPU, where it pays for long searches over numbers; False is faster there
            in short ones, and where layers or units are searched.
        **fixed: values of hyperparameters that are not searched, such as
            `activation="tanh"`, `optimizer="sgd"`, `units=[128, 64]`.

    Returns:
        A `keras_tuner.HyperModel`.

    Raises:
        SearchSpaceError: if a name is unknown, or max_units senseless.

    Example:
        >>> import kttoolkit
        >>> builder = kttoolkit.builders.mlp(tune="standard", activation="tanh")
        >>> wine = kttoolkit.datasets.load("wine")
        >>> scaler = sklearn.preprocessing.StandardScaler()  # doctest: +SKIP
        >>> kttoolkit.tune(  # doctest: +SKIP
        ...     builder, wine.x, wine.y, cv=5, preprocessor=scaler
        ... )
    """
    return MLP(
        task=task,
        tune=tune,
        fixed=fixed,
        jit_compile=jit_compile,
        max_units=doubled("max_units", max_units, 16),
    )


def linear(
    *,
    task: str = "auto",
    tune: str | Sequence[str] = "essential",
    jit_compile: bool | str = "auto",
    **fixed: Any,
) -> Builder:
    """Return a builder of linear models: the baseline that others have to beat.

    It is linear regression, or logistic regression for classes.

    Args:
        task: "auto", "classification" or "regression".
        tune: "essential" (the learning rate), "standard" (and momentum or betas,
            batch size), "wide" (and schedule, regularizer), "all", or a list of
            names; see `mlp`.
        jit_compile: as `keras.Model.compile` takes it. "auto" is Keras's choice: XLA on
            a GPU, where it pays for long searches over numbers; False is faster there
            in short ones, and where layers or units are searched.
        **fixed: values of hyperparameters that are not searched.

    Returns:
        A `keras_tuner.HyperModel`.

    Raises:
        SearchSpaceError: if a name is unknown.

    Example:
        >>> import kttoolkit
        >>> builder = kttoolkit.builders.linear()
        >>> boston = kttoolkit.datasets.load("boston_housing")
        >>> scaler = sklearn.preprocessing.StandardScaler()  # doctest: +SKIP
        >>> kttoolkit.tune(  # doctest: +SKIP
        ...     builder, boston.x, boston.y, preprocessor=scaler
        ... )
    """
    return Linear(task=task, tune=tune, fixed=fixed, jit_compile=jit_compile)


class MLP(Builder):
    """Dense layers; see `mlp`."""

    family: ClassVar[str] = "mlp"
    wants_scaled: ClassVar[str] = "fiu"
    levels: ClassVar[Levels] = {
        "essential": ("learning_rate",),
        "standard": ("momentum", "betas", "units", "batch_size"),
        "wide": ("depth", "schedule", "initializer", "activation", "regularizer",
                 "dropout", "batch_norm"),
        "all": ("optimizer", "widths", "weight_decay", "epsilon", "clipnorm",
                "constraint", "loss", "class_weight", "early_stopping"),
        ON_REQUEST: ("epochs", "nesterov"),
    }  # fmt: skip

    def features(self, ask: Ask, inputs: Any) -> Any:
        """Flatten, then add dense layers."""
        x = keras.layers.Flatten()(inputs) if len(inputs.shape) > 2 else inputs
        widths = hidden_widths(ask, max_value=self.options["max_units"])
        style = Style.of(ask)
        for width in widths:
            x = style.dense(x, width)
        return x


class Linear(Builder):
    """The last layer alone; see `linear`."""

    family: ClassVar[str] = "linear"
    wants_scaled: ClassVar[str] = "fiu"
    regularizes_head: ClassVar[bool] = True
    levels: ClassVar[Levels] = {
        "essential": ("learning_rate",),
        "standard": ("momentum", "betas", "batch_size"),
        "wide": ("schedule", "regularizer"),
        "all": ("optimizer", "weight_decay", "epsilon", "clipnorm", "loss",
                "class_weight", "early_stopping"),
        ON_REQUEST: ("epochs", "nesterov"),
    }  # fmt: skip

    def features(self, ask: Ask, inputs: Any) -> Any:
        """Flatten."""
        del ask
        return keras.layers.Flatten()(inputs) if len(inputs.shape) > 2 else inputs
