"""Is it a search space? What Keras Tuner writes of hyperparameters, checked."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from kttoolkit.plain import (
    Check,
    fault,
    is_number,
    is_scalar,
    is_text,
    list_of,
    maybe,
    one_of,
)

_COMMON: dict[str, Check] = {
    "name": is_text,
    "conditions": lambda value: list_of(_is_condition)(value),
}
_BOUNDS: dict[str, Check] = {
    **_COMMON,
    "min_value": is_number,
    "max_value": is_number,
    "step": maybe(is_number),
    "sampling": maybe(one_of("linear", "log", "reverse_log")),
    "default": maybe(is_number),
}
_OF_A_KIND: dict[str, dict[str, Check]] = {
    "Int": _BOUNDS,
    "Float": _BOUNDS,
    "Choice": {
        **_COMMON,
        "values": list_of(is_scalar),
        "ordered": maybe(lambda value: isinstance(value, bool)),
        "default": maybe(is_scalar),
    },
    "Boolean": {**_COMMON, "default": maybe(is_scalar)},
    "Fixed": {**_COMMON, "value": is_scalar},
}


def is_space(value: Any) -> bool:
    """Tell whether a value is a search space as Keras Tuner writes one.

    Args:
        value: after it went through JSON.

    Returns:
        Whether every entry is a known kind with bounds and values of its kind.
    """
    return list_of(_is_entry)(value)


def has_values(space: list[Any], values: Mapping[str, Any]) -> bool:
    """Tell whether every hyperparameter that is active has a value of its kind.

    Args:
        space: as Keras Tuner writes one.
        values: by name.

    Returns:
        Whether a model can be built of them, as far as that can be told.

    Example:
        >>> config = {"name": "b", "conditions": []}
        >>> space = [{"class_name": "Boolean", "config": config}]
        >>> has_values(space, {"b": True}), has_values(space, {"b": "yes"})
        (True, False)
    """
    return all(
        config["name"] in values and _IS_VALUE[kind](values[config["name"]], config)
        for kind, config in map(_parts, space)
        if all(_holds(condition, values) for condition in config["conditions"])
    )


_IS_VALUE: dict[str, Callable[[Any, Mapping[str, Any]], bool]] = {
    "Int": lambda value, _: is_number(value) and float(value).is_integer(),
    "Float": lambda value, _: is_number(value),
    # Coarse to fine tries what its narrowed space has left out.
    "Choice": lambda value, config: type(value) in set(map(type, config["values"])),
    "Boolean": lambda value, _: isinstance(value, bool),
    "Fixed": lambda value, _: is_scalar(value),
}


def _holds(condition: Any, values: Mapping[str, Any]) -> bool:
    _, parent = _parts(condition)
    return values.get(parent["name"]) in parent["values"]


def _is_entry(entry: Any) -> bool:
    kind, config = _parts(entry)
    rules = _OF_A_KIND.get(kind)
    if rules is None or fault(config, rules, len(rules)):
        return False
    if kind == "Choice":
        return _is_choice(config["values"])
    return rules is not _BOUNDS or _is_range(config)


def _is_condition(entry: Any) -> bool:
    kind, config = _parts(entry)
    is_known = kind == "Parent" and is_text(config.get("name"))
    values = config.get("values")
    return is_known and list_of(is_scalar)(values) and bool(values)


def _is_choice(values: list[Any]) -> bool:
    """Keras Tuner's choices are of one kind, and numbers of theirs have an order."""
    kinds = {str if isinstance(v, str) else type(v) for v in values}
    return bool(values) and (len(kinds) == 1 or kinds == {int, float})


def _is_range(config: Mapping[str, Any]) -> bool:
    low, high = float(config["min_value"]), float(config["max_value"])
    step, is_log = config.get("step"), config.get("sampling") not in {None, "linear"}
    if not -math.inf < low <= high < math.inf or (is_log and low <= 0):
        return False
    return step is None or (1 if is_log else 0) < step < math.inf


def _parts(entry: Any) -> tuple[str, Mapping[str, Any]]:
    """Return the class and the configuration, empty ones where there are none."""
    state = entry if isinstance(entry, dict) else {}
    kind, config = state.get("class_name"), state.get("config")
    return (
        kind if isinstance(kind, str) else "",
        config if isinstance(config, dict) else {},
    )
