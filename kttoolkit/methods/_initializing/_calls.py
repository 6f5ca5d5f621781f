"""Every call of every layer of a model, and which layer feeds which."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import shown

_ACTIVATION_LAYERS = {
    keras.layers.ReLU: "relu",
    keras.layers.LeakyReLU: "leaky_relu",
    keras.layers.PReLU: "leaky_relu",
    keras.layers.ELU: "elu",
    keras.layers.Softmax: "softmax",
}
# Between a layer and its activation.
_BEFORE_ACTIVATION = (
    keras.layers.BatchNormalization, keras.layers.LayerNormalization,
    keras.layers.GroupNormalization, keras.layers.Dropout, keras.layers.Add,
)  # fmt: skip
# They leave the mean square of what comes in as it is, or change it by a known factor.
_KEEPING = (
    keras.layers.Flatten, keras.layers.Reshape, keras.layers.Permute,
    keras.layers.Dropout,
)  # fmt: skip
_LINEAR_AT_ZERO = (
    "linear", "tanh", "softsign", "hard_tanh", "selu", "elu", "celu",
)  # fmt: skip
_RECTIFIERS = ("relu", "relu6", "leaky_relu", "gelu", "silu", "swish", "mish")


@dataclass(eq=False)
class Call:
    """One call of one layer.

    Attributes:
        layer: that was called.
        inputs: its tensors.
        output: its first tensor, None until it is there.
        preactivation: what its own activation took; the output where it has none.
        own_activation: the name of its activation function.
        activation: the same, or that of a later layer.
        activations: what came out of the activation, be that in a later layer.
    """

    layer: keras.layers.Layer
    inputs: list[Any]
    output: Any = None
    preactivation: Any = None
    own_activation: str = "linear"
    activation: str = "linear"
    activations: Any = None


def kernel_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Find the layers that are trained and have a kernel, those of inner models too.

    Args:
        model: a built model.

    Returns:
        The layers in the order of the model.

    Raises:
        SearchSpaceError: if there is none.
    """
    layers = [layer for layer in dict.fromkeys(_leaves(model)) if kernels_of(layer)]
    if not layers:
        names = [type(layer).__name__ for layer in model.layers]
        raise SearchSpaceError(
            "The model must have a layer with a kernel that is trained, such as Dense "
            f"or Conv2D, but {shown(model.name)} has only {names}. Frozen layers keep "
            "their weights and do not count."
        )
    return layers


def kernels_of(layer: keras.layers.Layer) -> list[Any]:
    """Return the weights that a kernel initializer draws.

    Recurrent kernels have an initializer of their own and are none of them.

    Args:
        layer: a built layer.

    Returns:
        Keras variables, none of a frozen layer.
    """
    return [
        weight
        for weight in layer.trainable_weights
        if weight.name.endswith("kernel") and not weight.name.startswith("recurrent")
    ]


def _leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        else:
            yield layer


# -- listening ---


@contextmanager
def listening(model: keras.Model) -> Iterator[list[Call]]:
    """Note every call of every layer; the layers are as they were afterwards.

    Args:
        model: a built model.

    Yields:
        The calls in their order, as they happen.
    """
    calls: list[Call] = []
    restored: list[Callable[[], None]] = []
    try:
        for layer in dict.fromkeys(_leaves(model)):
            restored.append(_tap(layer, calls))
        yield calls
    finally:
        for restore in restored:
            restore()


def _tap(layer: keras.layers.Layer, calls: list[Call]) -> Callable[[], None]:
    inner, activation = layer.call, vars(layer).get("activation")
    name = _activation_name(layer)
    under_way: list[Call] = []

    @functools.wraps(inner)
    def call(*args: Any, **kwargs: Any) -> Any:
        now = Call(layer, tensors_of((args, kwargs)))
        now.own_activation = now.activation = name
        under_way.append(now)
        outputs = inner(*args, **kwargs)
        under_way.pop()
        now.output = next(iter(tensors_of(outputs)), None)
        if now.preactivation is None:
            now.preactivation = now.output
        now.activations = now.output
        calls.append(now)
        return outputs

    def activate(values: Any, *args: Any, **kwargs: Any) -> Any:
        if under_way:
            under_way[-1].preactivation = values
        return activation(values, *args, **kwargs)

    layer.call = call
    has_own = callable(activation) and bool(kernels_of(layer))
    if has_own:
        layer.activation = activate

    def restore() -> None:
        del layer.call
        if has_own:
            layer.activation = activation

    return restore


def tensors_of(values: Any) -> list[Any]:
    """Return the tensors of a nested structure, in its order."""
    return [value for value in tf.nest.flatten(values) if tf.is_tensor(value)]


def _activation_name(layer: keras.layers.Layer) -> str:
    for kind, name in _ACTIVATION_LAYERS.items():
        if isinstance(layer, kind):
            return name
    inner = getattr(layer, "forward_layer", getattr(layer, "layer", None))
    if isinstance(inner, keras.layers.Layer):  # of a wrapper
        return _activation_name(inner)
    activation = getattr(layer, "activation", None)
    if activation is None:
        return "linear"
    if isinstance(activation, keras.layers.Layer):
        return _activation_name(activation)
    return str(getattr(activation, "__name__", type(activation).__name__))


def _is_activation(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, (keras.layers.Activation, *_ACTIVATION_LAYERS))


# -- who feeds whom ---


@dataclass(frozen=True)
class Graph:
    """The calls of a batch, joined by the tensors that they hand on.

    Attributes:
        makers: the id of a tensor to the call that it came from.
        takers: the id of a tensor to the calls that it went to.
    """

    makers: dict[int, Call] = field(default_factory=dict)
    takers: dict[int, list[Call]] = field(default_factory=dict)

    @classmethod
    def of(cls, calls: Sequence[Call]) -> "Graph":
        """Join calls, which must be kept: ids are those of living tensors."""
        graph = cls()
        for call in calls:
            # Dropout of nothing hands on what it got.
            if any(call.output is tensor for tensor in call.inputs):
                continue
            graph.makers.setdefault(id(call.output), call)
            for tensor in call.inputs:
                graph.takers.setdefault(id(tensor), []).append(call)
        return graph

    def find_activation(self, call: Call) -> None:
        """Let a linear layer have the activation that follows as a layer.

        Args:
            call: of a layer with a kernel.
        """
        last = call
        while call.activation == "linear":
            takers = self.takers.get(id(last.output), [])
            found = next((t for t in takers if _is_activation(t.layer)), None)
            if found is not None:
                call.activation, call.activations = found.activation, found.output
                return
            if len(takers) != 1 or not isinstance(takers[0].layer, _BEFORE_ACTIVATION):
                return
            last = takers[0]

    def source_of(self, call: Call, known: Sequence[Call]) -> tuple[int, float]:
        """Go straight back to the last layer with a kernel, if that is possible.

        Args:
            call: of a layer with a kernel.
            known: all calls of such layers.

        Returns:
            The position of the other call in `known`, and by what factor the mean
            square is changed on the way; -1 and NaN where there is no straight way.
        """
        gain, tensor = 1.0, call.inputs[0] if len(call.inputs) == 1 else None
        while tensor is not None:
            maker = self.makers.get(id(tensor))
            if maker is None or len(maker.inputs) != 1:
                break
            if maker in known:
                # An activation that is a layer has been passed by now.
                return known.index(maker), gain * _gain(maker.own_activation)
            if _is_activation(maker.layer):
                gain *= _gain(maker.activation)
            elif isinstance(maker.layer, _KEEPING):
                gain /= 1 - getattr(maker.layer, "rate", 0.0)
            else:
                break
            tensor = maker.inputs[0]
        return -1, math.nan


def _gain(activation: str) -> float:
    """Return the mean square after an activation for a variance of 1 before it.

    Glorot's theory takes symmetric functions as the straight line that they are near
    0; He's has a rectifier let half of it through, which smooth rectifiers do nearly.
    Of others (sigmoid, softmax) both theories say nothing.
    """
    if activation in _LINEAR_AT_ZERO:
        return 1.0
    return 0.5 if activation in _RECTIFIERS else math.nan
