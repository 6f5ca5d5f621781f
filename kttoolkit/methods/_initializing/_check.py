"""How the signal fares at the start of training, for each way to draw weights."""

import inspect
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import keras_tuner
import numpy as np

from kttoolkit.builders import Builder
from kttoolkit.data import TrainingData, as_training_data
from kttoolkit.engine import own_random_state
from kttoolkit.exceptions import DataError, SearchSpaceError
from kttoolkit.methods._initializing._calls import kernel_layers, kernels_of
from kttoolkit.methods._initializing._frames import histograms_frame, layers_frame
from kttoolkit.methods._initializing._initializers import Initializers, as_initializers
from kttoolkit.methods._initializing._report import InitializationReport
from kttoolkit.methods._initializing._signal import Signal, measure, try_rows
from kttoolkit.plain import shown
from kttoolkit.probe import task_of
from kttoolkit.tuners import HyperParameters

_SIGNAL_KEY, _ROWS_KEY, _BUILD_KEY, _KERNEL_KEY = range(4)


def initialization_check(
    build: Callable[..., keras.Model] | keras_tuner.HyperModel | keras.Model,
    x: Any,
    y: Any = None,
    *,
    initializers: Initializers | None = None,
    hp: keras_tuner.HyperParameters | None = None,
    max_rows: int = 256,
    seed: int | None = None,
) -> InitializationReport:
    """Send rows through an untrained model, once for each way to draw its kernels.

    A signal that shrinks or grows from layer to layer is gone, or overflows, after
    some of them, and so do the gradients on their way back. Glorot and Bengio ask
    that Var(W) = 2 / (n_in + n_out), which keeps both nearly, for activations that
    are straight near 0; a rectifier lets half of the variance through, so He et al.
    ask for 2 / n_in. What is measured stands beside it.

    The kernels of all layers that are trained are drawn anew, each layer's on its
    own; biases, recurrent kernels, normalisation and frozen layers stay as they are.
    Layers work as in training: batch normalisation by the batch, dropout on. All
    weights are put back afterwards, should the model live on.

    Args:
        build: a function hp -> model, a function without arguments, a HyperModel, or
            a model, whose biases are used as they stand.
        x: rows of shape (n_samples, ...), or a dict or list of arrays.
        y: their targets, for the gradients of the loss the model is compiled with;
            without them, a random signal is sent back from the outputs.
        initializers: names of Keras or initializers, or a dict from names of one's
            own; None in a dict stands for the kernels as the model drew them. Zeros,
            N(0, 1), Glorot's (Xavier's), He's, LeCun's and orthogonal ones if left
            out.
        hp: the setting to build; the defaults if left out.
        max_rows: as many rows are used at most, chosen at random.
        seed: of rows, weights and the random signal; drawn if left out.

    Returns:
        Tables, plots and a summary.

    Raises:
        SearchSpaceError: if an initializer is unknown or cannot draw a kernel, there
            is no model or no layer with a kernel, or y comes with no loss.
        DataError: if x or y are not what the model takes, or hold NaN.

    Example:
        >>> import keras, kttoolkit
        >>> iris = kttoolkit.datasets.load("iris")
        >>> layers = [keras.layers.Dense(64, "relu") for _ in range(3)]
        >>> model = keras.Sequential([keras.Input((4,)), *layers])
        >>> report = kttoolkit.methods.initialization_check(
        ...     model, iris.x, initializers=["zeros", "he_normal"], seed=0
        ... )
        >>> report.overview["verdict"].tolist()
        ['zero', 'keeps']

    References:
        X. Glorot and Y. Bengio, "Understanding the difficulty of training deep
        feedforward neural networks", AISTATS 2010; K. He et al., "Delving deep into
        rectifiers", arXiv:1502.01852.
    """
    chosen = as_initializers(initializers)
    if max_rows < 2:
        raise DataError(
            f"max_rows >= 2 must hold, but got {max_rows=}: a variance needs two rows."
        )
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    make = _as_maker(build, x, y, hp, seed)
    data = _as_rows(make(), x, y, max_rows, seed)
    signals = _with_names_of_first(
        {
            name: _signals(make(), data, name, initializer, seed)
            for name, initializer in chosen.items()
        }
    )
    return InitializationReport(
        layers_frame(signals),
        histograms_frame(signals),
        "random signal" if y is None else "loss",
        data.n_samples,
        seed,
    )


def _signals(
    model: keras.Model, data: TrainingData, name: str, initializer: Any, seed: int
) -> list[Signal]:
    try_rows(model, data)
    before = [(weight, weight.numpy()) for weight in model.weights]
    try:
        for index, layer in enumerate(kernel_layers(model)):
            for number, kernel in enumerate(kernels_of(layer)):
                own = _seed_of(seed, _KERNEL_KEY, index, number)
                _draw(kernel, name, initializer, own)
        return measure(model, data, signal_seed=_seed_of(seed, _SIGNAL_KEY))
    finally:
        for weight, value in before:
            weight.assign(value)


def _with_names_of_first(
    signals: Mapping[str, list[Signal]],
) -> dict[str, list[Signal]]:
    """Call a layer the same in each model; Keras counts on from model to model."""
    names = [signal.layer for signal in next(iter(signals.values()))]
    return {
        name: [
            replace(signal, layer=layer)
            for signal, layer in zip(found, names, strict=True)
        ]
        for name, found in signals.items()
    }


def _draw(kernel: Any, name: str, initializer: Any, seed: int) -> None:
    """Draw a kernel by a seed of its own; else layers of one shape would be equal."""
    if initializer is None:
        return
    if isinstance(initializer, keras.initializers.Initializer):
        config = initializer.get_config()
        if "seed" in config:
            initializer = type(initializer).from_config({**config, "seed": seed})
    try:
        kernel.assign(initializer(kernel.shape, dtype=kernel.dtype))
    except (ValueError, TypeError) as error:
        raise SearchSpaceError(
            f"An initializer must draw every kernel, but {shown(name)} failed with a "
            f"kernel of shape {tuple(kernel.shape)}: {error}"
        ) from error


def _seed_of(seed: int, *key: int) -> int:
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    return int(sequence.generate_state(1)[0] >> 1)


# -- what was given ---


def _as_maker(
    build: Any, x: Any, y: Any, hp: keras_tuner.HyperParameters | None, seed: int
) -> Callable[[], keras.Model]:
    """Return a function that builds the same model each time."""
    if isinstance(build, keras.Model):
        return lambda: build
    if isinstance(build, Builder) and y is not None:
        build = build.for_data(x, y)
    function = build.build if isinstance(build, keras_tuner.HyperModel) else build
    if isinstance(build, type) or not callable(function):
        raise SearchSpaceError(
            "build must be a function hp -> keras.Model, a keras_tuner.HyperModel "
            f"instance or a keras.Model, but got {shown(build)}."
        )
    values = HyperParameters() if hp is None else hp
    arguments = (values.copy(),) if _takes_hp(function) else ()

    def make() -> keras.Model:
        with own_random_state():
            # Keras draws the seeds of its layers from Python.
            random.seed(_seed_of(seed, _BUILD_KEY))
            model = function(*arguments)
        if not isinstance(model, keras.Model):
            raise SearchSpaceError(
                f"build must return a keras.Model, but got {shown(model)} of type "
                f"{type(model).__name__}. Is `return model` missing?"
            )
        return model

    return make


def _takes_hp(function: Any) -> bool:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # of a function that is not written in Python
        return True
    return True


def _as_rows(
    model: keras.Model, x: Any, y: Any, max_rows: int, seed: int
) -> TrainingData:
    has_loss = model.compiled and model.loss is not None
    if y is not None and not has_loss:
        raise SearchSpaceError(
            "With y, gradients are those of the model's loss, but "
            f"{shown(model.name)} is compiled with none. Call model.compile(loss=...), "
            "or leave y out: a random signal is sent back then."
        )
    task = task_of(model) if has_loss else None
    data = as_training_data(x, y, task=task if y is not None else None)
    if not data.indexable:
        raise DataError(
            "Rows are chosen at random, so x must be arrays, but got "
            f"{type(x).__name__}. Pass one batch of it."
        )
    rng = np.random.default_rng(_seed_of(seed, _ROWS_KEY))
    n_rows = min(max_rows, data.n_samples)
    rows = rng.choice(data.n_samples, n_rows, replace=False)
    return data.take(np.sort(rows))
