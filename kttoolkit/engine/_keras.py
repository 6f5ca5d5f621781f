"""What the engines need of Keras that no public name gives (checked on 3.15)."""

import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.utils import naming

_SAVED_KINDS = ("Operation", "Layer", "Functional", "Sequential", "Metric", "Optimizer",
                "Loss")  # fmt: skip


def reset_names(starts: Mapping[str, int] | None = None) -> None:
    """Count the automatic names of layers from the start again.

    `keras.utils.clear_session` does this too, but it also throws away the kernels
    of every traced function (0.1 s each to make again) and a global dtype policy.

    Args:
        starts: names to the numbers that they are counted from; from none if left out.
    """
    naming.reset_uids()
    if starts:
        counts = defaultdict(int, starts)
        global_state.set_global_attribute("object_name_uids", counts)


def first_epoch(model: keras.Model, initial_epoch: int) -> int:
    """Return where training starts, which `BackupAndRestore` may have moved.

    Args:
        model: the model.
        initial_epoch: as `fit` was given it.

    Returns:
        An epoch, counted from 0.
    """
    return getattr(model, "_initial_epoch", None) or initial_epoch


def logs_of_epoch(model: keras.Model, logs: Any) -> Any:
    """Choose between a model's metrics and what its last step returned.

    Args:
        model: the model.
        logs: what the last step returned.

    Returns:
        Its metrics, where they have the same names.
    """
    return model._get_metrics_result_or_logs(logs)  # noqa: SLF001


def layers_of(model: keras.Model) -> list[keras.layers.Layer]:
    """List a model and all layers in it, whatever they lie in.

    Args:
        model: any.

    Returns:
        The layers.
    """
    return list(model._flatten_layers())  # noqa: SLF001


def is_kerass(thing: Any) -> bool:
    """Tell whether a class or a function is Keras's own.

    Args:
        thing: either, or anything else.

    Returns:
        Whether it was defined in Keras.
    """
    return str(getattr(thing, "__module__", "")).startswith("keras.")


def has_own_code(model: keras.Model) -> bool:
    """Tell whether training a model runs code that is not Keras's.

    Args:
        model: compiled.

    Returns:
        Whether it, a layer or the loss was written by someone else.
    """
    lambdas = (keras.layers.Lambda,)
    loss = [] if isinstance(model.loss, str | None) else keras.tree.flatten(model.loss)
    written = [one for one in loss if not isinstance(one, str | None)]
    kinds = [one if inspect.isfunction(one) else type(one) for one in written]
    parts = [model, *layers_of(model)]
    return any(isinstance(part, lambdas) for part in parts) or any(
        not is_kerass(kind) for kind in (*kinds, *map(type, parts))
    )


def may_not_compile(model: keras.Model) -> bool:
    """Tell whether XLA may fail on the loop of an epoch, if not on a batch alone.

    Args:
        model: compiled, with `jit_compile=True`.

    Returns:
        Whether there is code in it of which that is not known.
    """
    kinds = [type(layer).__module__ for layer in layers_of(model)]
    return has_own_code(model) or any(".preprocessing." in kind for kind in kinds)


def has_all_but_slots(model: keras.Model) -> bool:
    """Tell whether all variables of layers, loss and metrics are made.

    Args:
        model: compiled.

    Returns:
        Whether Keras itself would have nothing left to make.
    """
    parts = (model._compile_metrics, model._compile_loss)  # noqa: SLF001
    made = all(part is None or part.built for part in parts)
    return made and has_all_layers(model)


def has_all_layers(model: keras.Model) -> bool:
    """Tell whether all variables of layers are made.

    Args:
        model: any; without a `call` it is never built itself.

    Returns:
        Whether calling it would make none.
    """
    model_itself, *layers = layers_of(model)
    return all(layer.built for layer in layers) and (
        model_itself.built or not is_own(model, "call")
    )


def compiled_metrics(model: keras.Model) -> list[keras.metrics.Metric]:
    """List the metrics that `compile` was given.

    Args:
        model: compiled, with its metrics made.

    Returns:
        Those of all outputs.
    """
    compiled = model._compile_metrics  # noqa: SLF001
    return [] if compiled is None else compiled.metrics


def compiled_parts(model: keras.Model) -> tuple[Any, ...]:
    """List what `compile` makes anew.

    Args:
        model: compiled.

    Returns:
        Its loss and metrics.
    """
    return model._compile_loss, model._compile_metrics  # noqa: SLF001


def settle_direction(callback: keras.callbacks.Callback, model: keras.Model) -> None:
    """Let a callback find out whether its metric is better when it is greater.

    Args:
        callback: one that watches a metric finds out, and others are left alone.
        model: with its metrics made, which the callback's own need not be.
    """
    if getattr(callback, "monitor_op", model) is None:
        own = callback.model
        callback.set_model(model)
        try:
            callback._set_monitor_op()  # noqa: SLF001
        finally:
            callback.set_model(own)


def forget_counts(model: keras.Model) -> None:
    """Begin anew with metrics that other models have counted with.

    `model.reset_metrics` leaves them alone until the model has seen a batch, so that
    the first epoch would count on from there.

    Args:
        model: compiled.
    """
    for metric in given_metrics(model):
        metric.reset_state()


def given_metrics(model: keras.Model) -> list[keras.metrics.Metric]:
    """List the metrics that `compile` was given as objects.

    Args:
        model: compiled; its metrics need not be made.

    Returns:
        Those that existed before.
    """
    compiled = model._compile_metrics  # noqa: SLF001
    if compiled is None:
        return []
    given = (compiled._user_metrics, compiled._user_weighted_metrics)  # noqa: SLF001
    flat = keras.tree.flatten(given)
    return [metric for metric in flat if isinstance(metric, keras.metrics.Metric)]


def has_own_metrics(model: keras.Model) -> bool:
    """Tell whether a metric that `compile` was given is not Keras's.

    Args:
        model: compiled; its metrics need not be made.

    Returns:
        Whether there is one.
    """
    return any(not is_kerass(type(metric)) for metric in given_metrics(model))


def is_own(model: keras.Model, *names: str) -> bool:
    """Tell whether a model does any of this in a way of its own.

    Args:
        model: any.
        *names: attributes of `keras.Model`.

    Returns:
        Whether it or its class overrides one.
    """
    return any(
        name in vars(model)
        or getattr(type(model), name) is not getattr(keras.Model, name)
        for name in names
    )


def slots_of(
    optimizer: keras.optimizers.Optimizer, weights: Sequence[keras.Variable]
) -> dict[str, list[keras.Variable]]:
    """Find what an optimizer keeps of every weight.

    Args:
        optimizer: built.
        weights: in the order that it was built on.

    Returns:
        Attributes of the optimizer: a variable for each weight, of its shape.

    Raises:
        ValueError: if it was built on other weights, or has more than that.
    """
    shapes = [tuple(weight.shape) for weight in weights]
    slots = {
        name: list(value)
        for name, value in vars(optimizer).items()
        if name not in {"_variables", "_trainable_variables"}
        and isinstance(value, list)
        and all(isinstance(part, keras.Variable) for part in value)
        and [tuple(part.shape) for part in value] == shapes
    }
    found = {id(variable) for variables in slots.values() for variable in variables}
    others = [v for v in optimizer.variables if id(v) not in found]
    known = optimizer._trainable_variables_indices  # noqa: SLF001
    keys = [optimizer._var_key(weight) for weight in weights]  # noqa: SLF001
    if list(known) != keys or any(tuple(variable.shape) for variable in others):
        raise ValueError("The optimizer was built on other weights.")
    return slots


@contextmanager
def on_one_weight(
    optimizer: keras.optimizers.Optimizer,
    weight: keras.Variable,
    slots: Mapping[str, keras.Variable],
) -> Iterator[None]:
    """Let an optimizer believe that it was built on a single weight.

    Args:
        optimizer: built, maybe on others.
        weight: the one to apply it to.
        slots: attributes of the optimizer, and what they hold for this weight.

    Yields:
        Nothing.
    """
    key = optimizer._var_key(weight)  # noqa: SLF001
    instead: dict[str, Any] = {name: [slot] for name, slot in slots.items()}
    instead["_trainable_variables_indices"] = {key: 0}
    state = vars(optimizer)
    held = {name: state[name] for name in instead}
    state.update(instead)
    try:
        yield
    finally:
        state.update(held)


def find_what_saving_stored() -> None:
    """Let Keras find what it has stored to save faster.

    Keras 3.15 keeps the attributes that it need not look into as "skipset" and looks
    for them as "skiplist", so that every save makes a layer, an optimizer and a metric
    only to list their attributes, which takes as long as the rest of it.
    """
    for kind in _SAVED_KINDS:
        stored = global_state.get_global_attribute(f"saving_attr_skipset_{kind}")
        if stored is not None:
            global_state.set_global_attribute(f"saving_attr_skiplist_{kind}", stored)


def number_holders(
    optimizer: keras.optimizers.Optimizer,
) -> tuple[Any, Any]:
    """Return what holds the numbers of an optimizer.

    Args:
        optimizer: any.

    Returns:
        Itself, and its learning rate, which may be a schedule.
    """
    return optimizer, optimizer._learning_rate  # noqa: SLF001
