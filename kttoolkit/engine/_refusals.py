"""What only `model.fit` can do."""

import re
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf

from kttoolkit.engine._call import FitCall, RefusedError
from kttoolkit.engine._keras import compiled_metrics, is_kerass, is_own, layers_of
from kttoolkit.exceptions import EngineWarning

_BATCH_HOOKS = (
    "on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end",
    "on_test_batch_begin", "on_test_batch_end",
)  # fmt: skip
# What a graph does that these are in depends on how it is traced.
_TRACED_OTHERWISE = {
    "RandomElasticTransform": "does otherwise where batches differ in size",
    "AugMix": "draws its layers when it is traced, once or twice",
    "ScheduleFreeAdamW": "sets its momentum when it is traced",
}
# Their generator belongs to the traced graph: another graph draws other numbers.
_RANDOM = {
    "RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal",
    "ParameterizedTruncatedNormal", "RandomShuffle", "Multinomial", "RandomGamma",
    "RandomPoisson", "RandomPoissonV2", "RandomCrop",
}  # fmt: skip
_ASSIGN = {"assign", "assign_add", "assign_sub"}
# What calls Python from a graph.
_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
_KNOWN = ("keras.", "kttoolkit.")
# Marks a `fit` of the engine's.
ENGINE = "_is_of_kttoolkit"
# Parts of `fit` that a model may replace, and that are not traced.
_REPLACEABLE = (
    "fit", "evaluate", "make_train_function", "make_test_function", "reset_metrics",
)  # fmt: skip


def check(model: keras.Model, call: FitCall) -> None:
    """Refuse what only `model.fit` can do.

    Args:
        model: compiled.
        call: the arguments of `fit`.

    Raises:
        RefusedError: with the reason.
    """
    reason = (
        _reason_of_model(model)
        or _reason_of_call(call)
        or _reason_of_frozen_layers(model, call)
    )
    if reason is not None:
        raise RefusedError(reason)


def check_operations(model: keras.Model, operations: set[str]) -> None:
    """Refuse a traced graph that would compute otherwise than one of `model.fit`.

    Args:
        model: it is of, with its metrics made.
        operations: the types of those in it.

    Raises:
        RefusedError: with the reason.
    """
    drawn = operations & _RANDOM
    if drawn:
        raise RefusedError(
            f"it draws random numbers with tf.random ({', '.join(sorted(drawn))}), "
            "whose stream belongs to one graph; keras.random has seeds of its own"
        )
    own = [
        type(metric).__name__
        for metric in (*model.metrics, *compiled_metrics(model))
        if not is_kerass(type(metric).reset_state)
    ]
    if own and operations & _PYTHON:
        raise RefusedError(
            f"{own[0]} may keep values in Python, which its reset_state has to drop "
            "before every epoch"
        )


@contextmanager
def refusing() -> Iterator[None]:
    """Leave a model whose graph cannot be traced to `model.fit`.

    Should the fault be the user's, `model.fit` meets it and tells it.

    Yields:
        Nothing.

    Raises:
        RefusedError: with the reason.
    """
    try:
        yield
    except RefusedError:
        raise
    except Exception as error:
        raise RefusedError(f"its graph cannot be traced: {_told(error)}") from error


def warn(refusal: RefusedError) -> None:
    """Say why a training was left to `model.fit`.

    Args:
        refusal: the reason.
    """
    message = f"Trained with model.fit, not with the compiled engine: {refusal}."
    warnings.warn(message, EngineWarning, stacklevel=3)


def _reason_of_model(model: keras.Model) -> str | None:
    if keras.backend.backend() != "tensorflow":
        return f"Keras runs on {keras.backend.backend()}, not on TensorFlow"
    if not model.compiled or getattr(model, "optimizer", None) is None:
        return "the model is not compiled with an optimizer"
    if model.run_eagerly or tf.config.functions_run_eagerly():
        return "the model runs eagerly (run_eagerly=True)"
    return _reason_of_class(model)


def _reason_of_class(model: keras.Model) -> str | None:
    if model.distribute_strategy is not tf.distribute.get_strategy():
        return "the model belongs to a distribution strategy"
    if tf.distribute.has_strategy():
        return "it is trained under a distribution strategy"
    for name in _REPLACEABLE:
        # Only while `HyperModel.fit` runs the engine stands in for `fit`.
        if is_own(model, name) and not hasattr(vars(model).get(name), ENGINE):
            return f"{type(model).__name__} has a {name} of its own"
    return _reason_of_parts(model)


def _reason_of_parts(model: keras.Model) -> str | None:
    optimizer = [] if model.optimizer.built else [model.optimizer]
    for part in (*optimizer, *layers_of(model)):
        name = type(part).__name__
        if name in _TRACED_OTHERWISE:
            return f"{name} {_TRACED_OTHERWISE[name]}"
    if optimizer and _assigns_in_build(type(model.optimizer)):
        name = type(model.optimizer).__name__
        return f"{name}.build assigns values, which model.fit does in every step"
    return None


def _assigns_in_build(kind: type[keras.optimizers.Optimizer]) -> bool:
    """Tell whether an optimizer's own `build` does more than to make variables."""
    code = getattr(kind.build, "__code__", None)
    if code is None or is_kerass(kind.build):
        return False
    return not _ASSIGN.isdisjoint(code.co_names)


def _reason_of_call(call: FitCall) -> str | None:
    for callback in call.callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            return f"{type(callback).__name__} is no callback of Keras"
        hook = _batch_hook(callback)
        if hook is not None:
            return f"{type(callback).__name__} is called for every batch ({hook})"
    if not isinstance(call.validation_freq, int | list):
        return "validation_freq is neither a whole number nor a list"
    if keras.config.max_epochs() or keras.config.max_steps_per_epoch():
        return "keras.config limits epochs or steps"
    return None


def _reason_of_frozen_layers(model: keras.Model, call: FitCall) -> str | None:
    """Wait for callbacks that may unfreeze a layer: an optimizer is made only once."""
    if model.optimizer.built or all(layer.trainable for layer in layers_of(model)):
        return None
    for callback in call.callbacks:
        hooks = (callback.on_train_begin, callback.on_epoch_begin)
        if not all(str(hook.__module__).startswith(_KNOWN) for hook in hooks):
            return f"{type(callback).__name__} may unfreeze layers before training"
    return None


def _batch_hook(callback: keras.callbacks.Callback) -> str | None:
    """Return the name of a hook that would have to be called for every batch."""
    if isinstance(callback, keras.callbacks.ProgbarLogger):
        return None
    writes_epochs = getattr(callback, "update_freq", getattr(callback, "save_freq", 0))
    traces_batches = getattr(callback, "_should_trace", False)
    for hook in _BATCH_HOOKS:
        own = getattr(callback, hook)
        if getattr(own, "__func__", own) is getattr(keras.callbacks.Callback, hook):
            continue
        # TensorBoard, ModelCheckpoint: hooks that do nothing but at their frequency.
        if writes_epochs == "epoch" and not traces_batches and is_kerass(own):
            continue
        return hook
    return None


def _told(error: Exception) -> str:
    """Return what an error says in a line; Keras's reason stands in its second one."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", f"{type(error).__name__}: {error}")
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    is_kerass = "Exception encountered when calling" in lines[0]
    told = " ".join(lines[: 1 + is_kerass]).rstrip(".")
    return textwrap.shorten(told, 300, placeholder=" ...")
