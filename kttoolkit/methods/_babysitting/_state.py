"""All that a training goes on from, taken out of a Keras model and put back.

The private members of Keras in here (`_flatten_layers`, `_tracker`,
`_learning_rate`, `_compile_config`) were checked on Keras 3.15.
"""

import hashlib
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

from kttoolkit.engine import own_random_state
from kttoolkit.exceptions import SearchError
from kttoolkit.plain import shown

_DROPOUT = (
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
)
_PENALTIES = (keras.regularizers.L2, keras.regularizers.L1L2)


@dataclass(frozen=True)
class Setup:
    """What `Session.set` can change.

    Attributes:
        optimizer: the optimizer's configuration; a learning-rate schedule is the
            object itself.
        rates: of each dropout layer.
        penalties: L2 factor of each trainable variable, None where it has none.
        batch_size: rows a step.
    """

    optimizer: Mapping[str, Any]
    rates: tuple[float, ...]
    penalties: tuple[float | None, ...]
    batch_size: int

    @classmethod
    def of(cls, model: keras.Model, batch_size: int) -> "Setup":
        """Read it off a model."""
        return cls(
            optimizer=_configuration(plain_optimizer(model)),
            rates=tuple(layer.rate for layer in dropout_layers(model)),
            penalties=tuple(
                float(variable.regularizer.l2) if _has_penalty(variable) else None
                for variable in model.trainable_variables
            ),
            batch_size=batch_size,
        )

    def apply(self, model: keras.Model) -> None:
        """Make a model train so from now on; optimizer state is kept."""
        before = Setup.of(model, self.batch_size)
        _configure(model, before.optimizer, self.optimizer)
        for layer, rate in zip(dropout_layers(model), self.rates, strict=True):
            layer.rate = rate
        for variable, factor in zip(
            model.trainable_variables, self.penalties, strict=True
        ):
            if factor is not None:
                variable.regularizer.l2 = factor
        if before.constants != self.constants:
            # Traced graphs have them burnt in; `fit` traces anew where there are none.
            model.train_function = model.test_function = None

    @property
    def constants(self) -> tuple[Any, ...]:
        """The settings that are Python numbers, and no variables, to Keras."""
        rate = self.optimizer["learning_rate"]
        lives_in_variable = isinstance(rate, float)
        optimizer = {**self.optimizer, "learning_rate": lives_in_variable or rate}
        return optimizer, self.rates, self.penalties


@dataclass(frozen=True)
class State:
    """Weights, random states, optimizer state and settings at one moment.

    Attributes:
        weights: values of `model.weights`.
        random_states: values of the seed generators of the model's layers.
        slots: values of `optimizer.variables`.
        setup: the settings.
    """

    weights: tuple[np.ndarray, ...]
    random_states: tuple[np.ndarray, ...]
    slots: tuple[np.ndarray, ...]
    setup: Setup

    @classmethod
    def of(cls, model: keras.Model, batch_size: int) -> "State":
        """Copy it out of a model."""
        return cls(
            _values(model.weights),
            _values(_random_variables(model)),
            _values(model.optimizer.variables),
            Setup.of(model, batch_size),
        )

    def put(self, model: keras.Model) -> None:
        """Bring a model of the same architecture into this state."""
        self.setup.apply(model)
        _assign(model.weights, self.weights)
        _assign(_random_variables(model), self.random_states)
        _assign(model.optimizer.variables, self.slots)

    @cached_property
    def fingerprint(self) -> str:
        """A SHA-256 of weights and optimizer state."""
        return digest([*self.weights, *self.slots])


def prepare(model: keras.Model, x: Any, seed: int) -> None:
    """Make every variable that training will need, as `fit` would.

    Args:
        model: any.
        x: rows as `fit` takes them, of shape (n_samples, ...).
        seed: for dropout layers that were built with rate 0 and so have no
            random generator.

    Raises:
        SearchError: if it is not compiled.
    """
    if not isinstance(model, keras.Model) or not model.compiled:
        raise SearchError(
            "model must be a compiled Keras model, but got "
            f"{'one that is not compiled' if isinstance(model, keras.Model) else model}"
            ". Call model.compile(optimizer=..., loss=...) first."
        )
    if not model.built:
        model(keras.tree.map_structure(lambda part: np.asarray(part)[:1], x))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    for number, layer in enumerate(dropout_layers(model)):
        if getattr(layer, "seed_generator", None) is None:
            # Keras lets nothing be added to a built layer, but has no use for a
            # generator before the rate is set.
            layer._tracker.unlock()  # noqa: SLF001
            layer.seed_generator = keras.random.SeedGenerator(seed + number)
            layer._tracker.lock()  # noqa: SLF001


def copy_of(model: keras.Model) -> keras.Model:
    """Make another compiled model of the same architecture.

    Losses and metrics need not be registered with Keras: functions are shared,
    metric objects are made anew.

    Args:
        model: compiled.

    Returns:
        The copy; its weights are other ones.

    Raises:
        SearchError: if Keras cannot clone it.
    """
    try:
        with own_random_state():
            clone = _uncompiled_clone(model)
            given = model._compile_config.config  # noqa: SLF001
            metrics = {
                name: keras.tree.map_structure(_fresh_metric, given[name])
                for name in ("metrics", "weighted_metrics")
            }
            optimizer = _fresh_optimizer(model.optimizer)
            clone.compile(**{**given, **metrics, "optimizer": optimizer})
    except (ValueError, TypeError, NotImplementedError, AttributeError) as error:
        reason = textwrap.shorten(str(error), 200, placeholder=" ...")
        raise SearchError(
            f"A branch needs a second model, but Keras cannot copy {shown(model.name)} "
            f"({type(model).__name__}): {reason} Build and compile another one in the "
            "same way and hand it over: session.branch(model=build())."
        ) from error
    return clone


def check_alike(model: keras.Model, other: keras.Model) -> None:
    """Refuse a model that cannot be brought into the states of another one.

    Args:
        model: the one that has them.
        other: the one that shall.

    Raises:
        SearchError: if architecture or optimizer differ.
    """
    ours, theirs = _features(model), _features(other)
    if model is other or ours != theirs:
        different = [
            f"{name}: {ours[name]} and {theirs[name]}"
            for name in ours
            if ours[name] != theirs[name]
        ]
        raise SearchError(
            "A branch's model must be another one that was built and compiled in the "
            f"same way, but got {'; '.join(different) or 'the same object'}. Call the "
            "build function again."
        )


def dropout_layers(model: keras.Model) -> list[Any]:
    """Return every layer that drops at random and has a rate, nested ones too.

    Args:
        model: any.

    Returns:
        The layers in the order of the model.
    """
    layers = model._flatten_layers(include_self=False)  # noqa: SLF001
    return [layer for layer in layers if isinstance(layer, _DROPOUT)]


def plain_optimizer(model: keras.Model) -> Any:
    """Return the optimizer that has the settings, inside one that scales the loss.

    Args:
        model: compiled.

    Returns:
        A Keras optimizer.
    """
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def digest(arrays: Iterable[Any]) -> str:
    """Return a SHA-256 over every value.

    Args:
        arrays: of any shape and type.

    Returns:
        Hexadecimal digits.
    """
    found = hashlib.sha256()
    for part in arrays:
        array = np.ascontiguousarray(part)
        found.update(f"{array.dtype}{array.shape}".encode())
        # The bytes of objects are addresses.
        is_object = array.dtype.kind == "O"
        found.update(repr(array.tolist()).encode() if is_object else array.tobytes())
    return found.hexdigest()


def _configuration(optimizer: Any) -> dict[str, Any]:
    config = dict(optimizer.get_config())
    if not isinstance(config["learning_rate"], float):
        # As an object it need not be registered with Keras.
        config["learning_rate"] = vars(optimizer)["_learning_rate"]
    return config


def _configure(
    model: keras.Model, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    optimizer = plain_optimizer(model)
    changed = {name: value for name, value in new.items() if old[name] != value}
    rates = (old["learning_rate"], new["learning_rate"])
    replaces_schedule = rates[0] != rates[1] and not all(
        isinstance(rate, float) for rate in rates
    )
    # What is switched on or off may need slots of its own, as SGD's momentum does.
    is_switched = any(bool(old[name]) != bool(v) for name, v in changed.items())
    if replaces_schedule or is_switched or not all(hasattr(optimizer, n) for n in new):
        _become(optimizer, new, model.trainable_variables)
        return
    for name, value in changed.items():
        setattr(optimizer, name, value)


def _become(optimizer: Any, config: Mapping[str, Any], variables: list[Any]) -> None:
    """Turn an optimizer into one of another configuration, and keep its slots.

    It stays the same object, for the model's compile configuration, which
    `model.save` writes, and the user hold it.
    """
    kept = {key: variable.numpy() for key, variable in _keyed(optimizer.variables)}
    with own_random_state():
        fresh = type(optimizer).from_config(dict(config))
    fresh.build(variables)
    rate = config["learning_rate"]
    vars(optimizer).update(vars(fresh))
    for key, variable in _keyed(optimizer.variables):
        if key in kept:
            variable.assign(kept[key])
    if isinstance(rate, float):
        optimizer.learning_rate = rate


def _keyed(variables: list[Any]) -> list[tuple[tuple[str, int], Any]]:
    """Tell variables apart by path, and by number where layers share a name."""
    seen: Counter[str] = Counter()
    keyed = []
    for variable in variables:
        keyed.append(((variable.path, seen[variable.path]), variable))
        seen[variable.path] += 1
    return keyed


def _fresh_optimizer(optimizer: Any) -> Any:
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        scaled = {
            "initial_scale": optimizer.initial_scale,
            "dynamic_growth_steps": optimizer.dynamic_growth_steps,
        }
        return type(optimizer)(_fresh_optimizer(inner), **scaled)
    return type(optimizer).from_config(_configuration(optimizer))


def _fresh_metric(metric: Any) -> Any:
    if isinstance(metric, keras.metrics.Metric):
        return type(metric).from_config(metric.get_config())
    return metric


def _uncompiled_clone(model: keras.Model) -> keras.Model:
    # `clone_model` compiles the copy by names that only registered objects have.
    model.compiled = False
    try:
        clone = keras.models.clone_model(model)
    finally:
        model.compiled = True
    if type(clone) is not type(model):
        raise TypeError(f"its copy is a {type(clone).__name__}")
    return clone


def _features(model: keras.Model) -> dict[str, Any]:
    return {
        "optimizer": type(plain_optimizer(model)).__name__,
        "shapes of weights": [tuple(variable.shape) for variable in model.weights],
        "dropout layers": len(dropout_layers(model)),
        "random generators": len(_random_variables(model)),
    }


def _has_penalty(variable: Any) -> bool:
    return isinstance(getattr(variable, "regularizer", None), _PENALTIES)


def _random_variables(model: keras.Model) -> list[Any]:
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def _values(variables: Iterable[Any]) -> tuple[np.ndarray, ...]:
    return tuple(np.array(keras.ops.convert_to_numpy(v)) for v in variables)


def _assign(variables: Iterable[Any], values: Iterable[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
