"""Dense networks for tables."""

import keras
import keras_tuner

from kttoolkit import space
from kttoolkit.builders._base import Builder, Shapes, output_head


def mlp(*, activation: str = "relu", max_units: int = 256) -> Builder:
    """Return a builder of dense networks, the first thing to try on a table.

    It searches the learning rate, the number of hidden layers, their width and
    dropout; the last layer, the loss and the metrics follow from the data.

    Args:
        activation: of the hidden layers.
        max_units: the widest hidden layer.

    Returns:
        A `keras_tuner.HyperModel`.

    Example:
        >>> import kttoolkit
        >>> builder = kttoolkit.builders.mlp()
        >>> wine = kttoolkit.datasets.load("wine")
        >>> kttoolkit.tune(builder, wine.x, wine.y, cv=5)  # doctest: +SKIP
    """
    return _MLP(activation, max_units, None)


class _MLP(Builder):
    def __init__(self, activation: str, max_units: int, shapes: Shapes | None) -> None:
        self.activation = activation
        self.max_units = max_units
        self.shapes = shapes
        super().__init__(name="mlp")

    def for_shapes(self, shapes: Shapes) -> Builder:
        return _MLP(self.activation, self.max_units, shapes)

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        shapes = self.bound_shapes
        head, loss, metrics = output_head(shapes)
        units = space.units(hp, max_value=self.max_units)
        dropout = space.dropout(hp)
        layers = [keras.Input(shapes.inputs)]
        if len(shapes.inputs) > 1:
            layers.append(keras.layers.Flatten())
        for _ in range(space.depth(hp)):
            layers.append(
                keras.layers.Dense(
                    units, self.activation, kernel_initializer="he_normal"
                )
            )
            if dropout:
                layers.append(keras.layers.Dropout(dropout))
        layers.append(keras.layers.Dense(shapes.outputs, head))
        model = keras.Sequential(layers)
        optimizer = keras.optimizers.Adam(space.learning_rate(hp))
        model.compile(optimizer=optimizer, loss=loss, metrics=metrics)
        return model
