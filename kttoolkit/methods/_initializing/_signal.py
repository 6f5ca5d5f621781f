"""What goes forward and backward through each layer of a model, in one batch."""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kttoolkit.data import TrainingData
from kttoolkit.exceptions import DataError, SearchSpaceError
from kttoolkit.methods._initializing._calls import (
    Call,
    Graph,
    kernel_layers,
    kernels_of,
    listening,
    tensors_of,
)
from kttoolkit.plain import shown

_PLAIN = (
    keras.layers.Dense,
    keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D,
)  # fmt: skip
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True)
class Signal:
    """What went through one call of a layer with a kernel.

    Attributes:
        layer: its name.
        activation: the name of its activation function.
        kernel_shape: of its first kernel.
        fan_in: inputs of a unit, NaN where the theory does not know the layer.
        fan_out: units that an input reaches, likewise.
        kernel_square: the mean square of the kernel, its variance around 0.
        is_output: whether the model returns it.
        source: the position of the signal that this one was computed from, -1 where
            the way from there is not straight.
        source_gain: the mean square of what comes in, in proportion to the variance
            of that layer's pre-activations, as the theory has it.
        activations: of shape (n_rows, ..., n_units).
        preactivations: of shape (n_rows, ..., n_units).
        gradients: with respect to the pre-activations, of the same shape.
        kernel_gradient: of the first kernel.
    """

    layer: str
    activation: str
    kernel_shape: tuple[int, ...]
    fan_in: float
    fan_out: float
    kernel_square: float
    is_output: bool
    source: int
    source_gain: float
    activations: np.ndarray
    preactivations: np.ndarray
    gradients: np.ndarray
    kernel_gradient: np.ndarray


def _fans(call: Call) -> tuple[float, float]:
    """Count the inputs of a unit, and the units that one input reaches."""
    layer, kernels = call.layer, kernels_of(call.layer)
    if not isinstance(layer, _PLAIN) or len(kernels) != 1:
        return math.nan, math.nan
    *window, inputs, units = kernels[0].shape
    size = math.prod(window)
    reached = size / math.prod(getattr(layer, "strides", (1,)))
    if isinstance(layer, _DEPTHWISE):
        return float(size), float(reached * units)
    return float(size * inputs), float(reached * units / getattr(layer, "groups", 1))


def measure(
    model: keras.Model, data: TrainingData, *, signal_seed: int
) -> list[Signal]:
    """Send one batch forward and its gradients back.

    Layers work as in training: batch normalisation by the batch, dropout on.

    Args:
        model: a built model, compiled where the data have targets.
        data: the rows of the batch.
        signal_seed: of the random signal that is sent back where there are no
            targets.

    Returns:
        One signal for each call of a layer with a kernel, in the order of the calls.

    Raises:
        SearchSpaceError: if the layers run inside a graph, where nothing can be seen.
    """
    with listening(model) as calls, tf.GradientTape() as tape:
        outputs = model(data.x, training=True)
        target = _target(model, data, outputs, signal_seed)
    layers = kernel_layers(model)
    known = [call for call in calls if call.layer in layers]
    if not known or not all(hasattr(c.preactivation, "numpy") for c in known):
        raise SearchSpaceError(
            "Layers must be called by Keras, one after the other, to be looked at, but "
            f"the {len(layers)} with a kernel of {type(model).__name__} are not. Call "
            "them in `call` itself, without @tf.function."
        )
    kernels = [kernels_of(call.layer)[0] for call in known]
    watched = [call.preactivation for call in known]
    gradients = tape.gradient(target, [*watched, *(kernel.value for kernel in kernels)])
    arrays = [
        np.zeros(value.shape) if gradient is None else _array(gradient)
        for gradient, value in zip(gradients, [*watched, *kernels], strict=True)
    ]
    graph = Graph.of(calls)
    for call in known:
        graph.find_activation(call)
    ends = {id(tensor) for tensor in tensors_of(outputs)}
    pairs = zip(known, arrays[: len(known)], arrays[len(known) :], strict=True)
    return [_signal(graph, known, ends, *each) for each in pairs]


def _signal(
    graph: Graph,
    known: Sequence[Call],
    ends: set[int],
    call: Call,
    gradients: np.ndarray,
    kernel_gradient: np.ndarray,
) -> Signal:
    kernel = kernels_of(call.layer)[0]
    source, gain = graph.source_of(call, known)
    if source >= 0 and math.isnan(_fans(known[source])[0]):
        source = -1
    fan_in, fan_out = _fans(call)
    is_first = getattr(call.layer, "data_format", None) == "channels_first"
    moved = functools.partial(_units_last, is_first=is_first)
    again = sum(c.layer is call.layer for c in known[: known.index(call)])
    return Signal(
        layer=f"{call.layer.name} (call {again + 1})" if again else call.layer.name,
        activation=call.activation,
        kernel_shape=tuple(kernel.shape),
        fan_in=fan_in,
        fan_out=fan_out,
        kernel_square=float(np.square(_array(kernel)).mean()),
        is_output=bool({id(call.output), id(call.activations)} & ends),
        source=source,
        source_gain=gain,
        activations=moved(_array(call.activations)),
        preactivations=moved(_array(call.preactivation)),
        gradients=moved(gradients),
        kernel_gradient=kernel_gradient,
    )


def _target(model: keras.Model, data: TrainingData, outputs: Any, seed: int) -> Any:
    """Return what is derived: the sum of the rows' losses, or of a random signal."""
    if data.y is not None:
        loss = model.compute_loss(x=data.x, y=data.y, y_pred=outputs, training=True)
        return loss * data.n_samples
    rng = np.random.default_rng(seed)
    return tf.add_n(
        [
            tf.reduce_sum(
                tf.cast(output, "float32")
                * rng.standard_normal(output.shape, dtype="float32")
            )
            for output in tensors_of(outputs)
        ]
    )


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor), dtype="float64")


def _units_last(values: np.ndarray, *, is_first: bool) -> np.ndarray:
    return np.moveaxis(values, 1, -1) if is_first else values


def try_rows(model: keras.Model, data: TrainingData) -> None:
    """Build a model by its first rows, and see that it takes them.

    Args:
        model: built or not.
        data: the rows.

    Raises:
        DataError: if the model cannot take x, or its loss cannot take y.
    """
    rows = data.take(np.arange(min(2, data.n_samples)))
    given = keras.tree.map_structure(lambda v: ("n", *np.shape(v)[1:]), rows.x)
    try:
        outputs = model(rows.x, training=False)
    except Exception as error:
        raise DataError(
            f"The model must be able to take x, but {shown(model.name)} expects "
            f"{_expected(model)} and got rows of shape {given}. Keras says: {error}"
        ) from error
    if rows.y is None:
        return
    try:
        model.compute_loss(x=rows.x, y=rows.y, y_pred=outputs, training=False)
    except Exception as error:
        raise DataError(
            f"The loss must be able to take y, but loss={shown(model.loss)} failed "
            f"with y of shape {np.shape(rows.y)}. Class numbers need "
            f"sparse_categorical_crossentropy. Keras says: {error}"
        ) from error


def _expected(model: keras.Model) -> str:
    tensors = model.inputs if getattr(model, "inputs", None) else []
    shapes = [("n", *tensor.shape[1:]) for tensor in tensors]
    return ", ".join(map(str, shapes)) or "another shape"
