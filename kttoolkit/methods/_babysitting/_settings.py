"""What can be changed on a babysat model: names, ranges, and what is wrong with one."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from kttoolkit.engine import own_random_state
from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.methods._babysitting._state import Setup, dropout_layers, plain_optimizer
from kttoolkit.plain import shown

_LARGEST = 1e308
# They decide which slots there are, or how they start, when the optimizer is built.
_FIXED = {
    "name", "use_ema", "ema_overwrite_frequency", "gradient_accumulation_steps",
    "loss_scale_factor", "initial_accumulator_value", "exclude_embeddings",
}  # fmt: skip
_OPTIONAL = {"weight_decay", "clipnorm", "clipvalue", "global_clipnorm"}
_Rule = tuple[str, Callable[[float], bool]]
_ABOVE_0: _Rule = ("0 < {}", lambda value: value > 0)
_FROM_0: _Rule = ("0 <= {}", lambda value: value >= 0)
_SHARE: _Rule = ("0 <= {} < 1", lambda value: 0 <= value < 1)
_RULES: dict[str, _Rule] = {
    "learning_rate": _ABOVE_0,
    "epsilon": _ABOVE_0,
    "clipnorm": _ABOVE_0,
    "clipvalue": _ABOVE_0,
    "global_clipnorm": _ABOVE_0,
    "weight_decay": _FROM_0,
    "l2": _FROM_0,
    "momentum": _SHARE,
    "beta_1": _SHARE,
    "beta_2": _SHARE,
    "rho": _SHARE,
    "ema_momentum": _SHARE,
    "dropout": _SHARE,
}
_MEANT = {
    "lr": "learning_rate", "decay": "weight_decay", "beta1": "beta_1",
    "beta2": "beta_2", "rate": "dropout", "batch": "batch_size", "bs": "batch_size",
}  # fmt: skip
_FIXES = {
    "dropout": "Build the model with keras.layers.Dropout(0.0) where it may be needed.",
    "l2": (
        "Build the layers with kernel_regularizer=keras.regularizers.L2(0.0), or set "
        "weight_decay."
    ),
}


def settings_of(model: keras.Model, setup: Setup) -> dict[str, Any]:
    """Return every setting that a model can take, and its value.

    Args:
        model: the model.
        setup: its settings.

    Returns:
        Names as `Session.set` takes them. A learning-rate schedule is told by the
        name of its class; dropout rates that differ, by the names of their layers,
        L2 factors that differ, by the paths of their variables.
    """
    found: dict[str, Any] = {
        "learning_rate": _learning_rate(setup.optimizer["learning_rate"]),
        "batch_size": setup.batch_size,
    }
    for name, value in setup.optimizer.items():
        is_used = name != "ema_momentum" or setup.optimizer.get("use_ema")
        if name not in _FIXED and name not in found and is_used and _is_scalar(value):
            found[name] = value
    layers = [layer.name for layer in dropout_layers(model)]
    rates = dict(zip(layers, setup.rates, strict=True))
    penalties = {
        variable.path: factor
        for variable, factor in zip(
            model.trainable_variables, setup.penalties, strict=True
        )
        if factor is not None
    }
    for name, values in (("dropout", rates), ("l2", penalties)):
        if values:
            same = len(set(values.values())) == 1
            found[name] = next(iter(values.values())) if same else values
    return found


def changed(
    model: keras.Model, setup: Setup, changes: Mapping[str, Any], *, n_rows: int
) -> Setup:
    """Check new settings and return what they make of the old ones.

    Args:
        model: the model.
        setup: its settings now.
        changes: setting to new value.
        n_rows: rows there are to train on.

    Returns:
        The new settings; the model is as it was.

    Raises:
        SearchSpaceError: if the model has no such setting, or it cannot have such a
            value.
    """
    now = settings_of(model, setup)
    if not changes:
        raise SearchSpaceError(
            "At least one setting must be given, but got none. This model has: "
            f"{', '.join(now)}; e.g. session.set(learning_rate=0.01)."
        )
    kind = type(plain_optimizer(model)).__name__
    optimizer = dict(setup.optimizer)
    for name, value in changes.items():
        _check_name(name, now, kind)
        if name == "batch_size":
            setup = replace(setup, batch_size=check_batch_size(value, n_rows))
        elif name == "dropout":
            setup = replace(setup, rates=_rates(model, setup, value))
        elif name == "l2":
            factor = _number(name, value)
            penalties = [p if p is None else factor for p in setup.penalties]
            setup = replace(setup, penalties=tuple(penalties))
        else:
            optimizer[name] = _like(name, value, optimizer[name])
    _check_together(model, optimizer, changes)
    return replace(setup, optimizer=optimizer)


def check_batch_size(value: Any, n_rows: int) -> int:
    """Refuse a batch that is larger than the data.

    Args:
        value: rows a step.
        n_rows: rows there are to train on.

    Returns:
        The value.

    Raises:
        SearchSpaceError: if it is no whole number in the range.
    """
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if is_whole and 1 <= value <= n_rows:
        return int(value)
    raise SearchSpaceError(
        "1 <= batch_size <= rows to train on must hold for a whole number, but got "
        f"batch_size={shown(value)} and {n_rows} rows. Take a power of two up to "
        f"{2 ** int(math.log2(n_rows))}."
    )


def _check_name(name: str, now: Mapping[str, Any], kind: str) -> None:
    if name in now:
        return
    if name == "momentum" and "beta_1" in now:
        fix = f"beta_1 is the momentum of {kind}: session.set(beta_1=...)."
    elif name in _FIXES:
        fix = _FIXES[name]
    elif name in _FIXED:
        fix = f"{name} is decided when the optimizer is made: compile the model anew."
    else:
        near = _MEANT.get(name) or next(
            iter(difflib.get_close_matches(name, now, n=1)), None
        )
        fix = f"Did you mean {near}?" if near in now else "Take one of these."
    raise SearchSpaceError(
        f"A setting must be one that the model has ({', '.join(now)}), but got "
        f"{shown(name)} for a model with {kind}. {fix}"
    )


def _like(name: str, value: Any, old: Any) -> Any:
    """Return an optimizer's setting in the type that its constructor takes."""
    if value is None and name in _OPTIONAL:
        return None
    if isinstance(old, bool):
        if isinstance(value, bool | np.bool_):
            return bool(value)
        raise SearchSpaceError(
            f"{name} must be True or False, but got {shown(value)}. It is {old} now."
        )
    number = _number(name, value)
    return int(number) if isinstance(old, int) and number.is_integer() else number


def _number(name: str, value: Any) -> float:
    rule, holds = _RULES.get(name, ("-inf < {} < inf", math.isfinite))
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if is_number and not isinstance(value, bool) and abs(value) <= _LARGEST:
        if holds(float(value)):
            return float(value)
        fix = "Take a number in this range."
    elif name == "learning_rate" and callable(value):
        fix = "Give a schedule to the optimizer when the model is compiled."
    else:
        fix = f"Give a number: session.set({name}=0.1)."
    raise SearchSpaceError(
        f"{rule.format(name)} must hold, but got {shown(value)}. {fix}"
    )


def _rates(model: keras.Model, setup: Setup, value: Any) -> tuple[float, ...]:
    names = [layer.name for layer in dropout_layers(model)]
    if not isinstance(value, Mapping):
        return (_number("dropout", value),) * len(names)
    if unknown := [name for name in value if name not in names]:
        raise SearchSpaceError(
            f"dropout={{layer: rate}} must name dropout layers ({', '.join(names)}), "
            f"but got {unknown}. Give one number for all, or names from the list."
        )
    return tuple(
        _number("dropout", value[name]) if name in value else rate
        for name, rate in zip(names, setup.rates, strict=True)
    )


def _check_together(
    model: keras.Model, config: Mapping[str, Any], changes: Mapping[str, Any]
) -> None:
    """Let the optimizer's own constructor say what does not go together."""
    kind = type(plain_optimizer(model))
    try:
        with own_random_state():
            kind.from_config(dict(config))
    except (ValueError, TypeError) as error:
        raise SearchSpaceError(
            f"{kind.__name__} must take its settings together, but got "
            f"{dict(changes)} and says: {error}. Set the others too, or None."
        ) from error


def _learning_rate(value: Any) -> Any:
    if not isinstance(value, float):
        return getattr(value, "__name__", type(value).__name__)
    # The shortest number that is the same in the variable: 0.01, not 0.00999999978.
    return float(str(np.dtype(keras.config.floatx()).type(value)))


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float)
