"""What the hidden layers of a network have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from kttoolkit import space
from kttoolkit.builders._ask import Ask
from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import shown


@dataclass(frozen=True)
class Style:
    """Activation, initial weights and whatever holds weights back.

    Attributes:
        activation: of hidden layers.
        batch_norm: whether layers are normalised before their activation.
        dropout: share of a layer's outputs to drop.
        kernel: arguments that every layer with a kernel takes.
    """

    activation: str
    batch_norm: bool
    dropout: float
    kernel: Mapping[str, Any]

    @classmethod
    def of(cls, ask: Ask, *, batch_norm: bool = False) -> "Style":
        """Ask for the style of a trial.

        Args:
            ask: gives the values of hyperparameters.
            batch_norm: whether to normalise where that is not searched.

        Returns:
            The style.
        """
        activation = ask("activation", space.activation)
        return cls(
            activation,
            ask("batch_norm", space.batch_norm, default=batch_norm),
            ask("dropout", space.dropout),
            {
                "kernel_initializer": ask(
                    "initializer", space.initializer, activation=activation
                ),
                "kernel_regularizer": ask("regularizer", space.regularizer),
                "kernel_constraint": ask("constraint", space.constraint),
            },
        )

    def activate(self, x: Any, *, drop: bool = True) -> Any:
        """Normalise, activate and drop the outputs of a layer.

        Args:
            x: a `keras.KerasTensor`.
            drop: whether outputs are dropped here.

        Returns:
            Another one of the same shape.
        """
        if self.batch_norm:
            x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Activation(self.activation)(x)
        if self.dropout and drop:
            x = keras.layers.Dropout(self.dropout)(x)
        return x

    def dense(self, x: Any, units: int) -> Any:
        """Add a dense layer with all that belongs to it.

        Args:
            x: a `keras.KerasTensor` of shape (None, n).
            units: its width.

        Returns:
            One of shape (None, units).
        """
        layer = keras.layers.Dense(units, use_bias=not self.batch_norm, **self.kernel)
        return self.activate(layer(x))


def hidden_widths(ask: Ask, **bounds: Any) -> tuple[int, ...]:
    """Ask for the widths of all hidden layers; a list of them may be fixed.

    Args:
        ask: gives the values of hyperparameters.
        **bounds: of `kttoolkit.space.widths`.

    Returns:
        One width a layer.

    Raises:
        SearchSpaceError: if a list is fixed and the depth is searched.
    """
    fixed = ask.fixed.get("units")
    if isinstance(fixed, list | tuple):
        if "depth" in ask.tuned:
            raise SearchSpaceError(
                f"A list of widths says how many layers there are, but got "
                f"units={shown(fixed)} while the depth is searched. Pass one number, "
                "or fix depth= as well."
            )
        return tuple(fixed)
    depth = ask("depth", space.depth)
    if fixed is not None:
        return (fixed,) * depth
    kinds = space.SHAPES if "widths" in ask.tuned else ["constant"]
    kinds = [ask.fixed["widths"]] if "widths" in ask.fixed else kinds
    return space.widths(ask.of("units", "widths"), depth=depth, kinds=kinds, **bounds)
