"""Keras objects written as the calls that make them."""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from kttoolkit.exceptions import ResultError
from kttoolkit.exporting._layout import Call, Node, listed
from kttoolkit.results import as_code

INSTEAD = (
    "Use result.save_model(folder), which needs no code to predict, or change that and "
    "search again."
)
_UNSAID = {"name", "build_config", "registered_name"}
# Of more numbers, code is no place.
_MOST_VALUES = 1000


def unwritable(what: str) -> str:
    """Say why a model cannot be written as code, and what to do.

    Args:
        what: the thing that cannot.

    Returns:
        The message of an error.
    """
    return (
        "A plain Python file needs Keras's own layers and all that they were told, but "
        f"{what}. {INSTEAD}"
    )


def expression(value: Any, seeds: Mapping[str, int] | None = None) -> Node:
    """Write a value of a config as code.

    Args:
        value: plain data, or an object as Keras serialises it.
        seeds: of random states by argument, to be said where they were drawn.

    Returns:
        An expression.
    """
    if isinstance(value, Mapping) and "class_name" in value:
        return _serialized(value, seeds)
    if isinstance(value, Mapping):
        parts = tuple((f"{as_code(k)}: ", expression(v)) for k, v in value.items())
        return Call("", parts, "{}")
    if isinstance(value, list | tuple):
        brackets = "[]" if isinstance(value, list) else "()"
        return listed([expression(part) for part in value], brackets)
    if isinstance(value, np.ndarray):
        return array_code(value, "an array")
    return as_code(value)


def construction(
    state: Mapping[str, Any],
    *,
    seeds: Mapping[str, int] | None = None,
    known: Mapping[str, Node] | None = None,
    name: str | None = None,
) -> Call:
    """Write the call that makes a serialised object, defaults left out.

    Args:
        state: the object as Keras serialises it.
        seeds: of random states by argument, to be said where they were drawn.
        known: arguments that are not in the config.
        name: to give it, or None where Keras has given it one.

    Returns:
        The call.
    """
    path, cls = _public(state)
    config, known, seeds = dict(state["config"]), known or {}, seeds or {}
    signature = inspect.signature(cls)
    parameters = [
        p for p in signature.parameters.values() if p.kind not in {p.VAR_KEYWORD,
                                                                   p.VAR_POSITIONAL}
    ]  # fmt: skip
    required = [p.name for p in parameters if p.default is p.empty]
    defaults = _defaults(cls, {k: config[k] for k in required if k in config})
    order = [p.name for p in parameters]
    order += [key for key in config if key not in order]
    said: dict[str, Node] = {}
    for key in order:
        if key in known:
            said[key] = known[key]
        elif (
            key in config
            and key not in _UNSAID
            and (
                key in required
                or key in seeds
                or _bare(config[key]) != _bare(defaults.get(key))
            )
        ):
            said[key] = _argument(key, config[key], seeds.get(key))
    if name is not None:
        said["name"] = as_code(name)
    return Call(path, _as_parts(said, [p.name for p in parameters], required))


def own_name(state: Mapping[str, Any]) -> str | None:
    """Return the name that a user gave an object, None for one of Keras's.

    Args:
        state: the object as Keras serialises it.

    Returns:
        The name or None.
    """
    name = state["config"].get("name")
    if not isinstance(name, str):
        return None
    bare = re.sub(r"_\d+$", "", name).replace("_", "")
    kind = state["class_name"].lower()
    return None if bare in {kind, f"forward{kind}", f"backward{kind}"} else name


def array_code(values: Any, what: str) -> str:
    """Write a small array as nested lists that give the same float32 numbers.

    Args:
        values: array-like.
        what: the name to use in the message.

    Returns:
        An expression.

    Raises:
        ResultError: if it is large.
    """
    array = np.asarray(values)
    if array.size > _MOST_VALUES:
        raise ResultError(unwritable(f"{what} holds {array.size:,} learned numbers"))
    return _nested(array)


def short_float(value: Any) -> Any:
    """Return the shortest number that is the same in float32."""
    if isinstance(value, float) and float(np.float32(value)) == value:
        return float(str(np.float32(value)))
    return value


def _nested(array: np.ndarray) -> str:
    if array.ndim:
        return f"[{', '.join(map(_nested, array))}]"
    return str(array[()]) if array.dtype.kind == "f" else as_code(array[()])


def _serialized(state: Mapping[str, Any], seeds: Mapping[str, int] | None) -> Node:
    kind = state["class_name"]
    if kind in _SPECIAL:
        return _SPECIAL[kind](state)
    made = construction(state, seeds=seeds, name=_said_name(state))
    if state["module"] == "keras.initializers" and not made.parts:
        return as_code(_snake(kind))
    return made


def _function(state: Mapping[str, Any]) -> str:
    name = str(state["config"])
    if state.get("module") != "builtins" or not _is_of_keras(name):
        raise ResultError(unwritable(f"it uses a function of your own, {name!r}"))
    return as_code(name)


_SPECIAL: dict[str, Callable[[Mapping[str, Any]], Node]] = {
    "__tuple__": lambda s: listed([expression(part) for part in s["items"]], "()"),
    "__numpy__": lambda s: array_code(s["config"]["value"], "an argument"),
    "__tensor__": lambda s: array_code(s["config"]["value"], "an argument"),
    "DTypePolicy": lambda s: as_code(s["config"]["name"]),
    "function": _function,
}


def _said_name(state: Mapping[str, Any]) -> str | None:
    """Name metrics and losses as the user did; optimizers and schedules are not."""
    is_named = state["module"] in {"keras.metrics", "keras.losses", "keras.layers"}
    if not is_named or (name := own_name(state)) is None:
        return None
    default = inspect.signature(_public(state)[1]).parameters.get("name")
    return None if default is not None and default.default == name else name


def _argument(key: str, value: Any, seed: int | None) -> Node:
    if seed is not None and isinstance(value, Mapping):
        config = {**value["config"], "seed": seed}
        return expression({**value, "config": config})
    if seed is not None:
        return as_code(seed)
    return expression(short_float(value) if key == "learning_rate" else value)


def _as_parts(
    said: Mapping[str, Node], order: list[str], required: list[str]
) -> tuple[tuple[str, Node], ...]:
    """Pass what must be given by position, and all else by name."""
    first = list(said) == order[:1] and order[:1] != ["seed"]
    parts: list[tuple[str, Node]] = []
    is_leading = True
    for place, (key, value) in enumerate(said.items()):
        is_leading = is_leading and place < len(order) and order[place] == key
        is_bare = is_leading and (key in required or first)
        parts.append(("" if is_bare else f"{key}=", value))
    return tuple(parts)


def _public(state: Mapping[str, Any]) -> tuple[str, Any]:
    """Find an object's class under the name by which Keras's users know it."""
    kind, module = state["class_name"], str(state.get("module"))
    if kind == "Lambda":
        raise ResultError(
            unwritable("it holds a Lambda layer, whose function has no code to copy")
        )
    found: Any = keras
    for part in [*module.split(".")[1:], kind]:
        found = getattr(found, part, None)
    if module.split(".")[0] != "keras" or not isinstance(found, type):
        raise ResultError(
            unwritable(f"it holds an object of your own, {kind} (of {module})")
        )
    return f"{module}.{kind}", found


def _defaults(cls: Any, required: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of an object that was told no more than it must be."""
    is_plain = not any(isinstance(value, Mapping) for value in required.values())
    try:
        made = cls(**required) if is_plain else cls.from_config(dict(required))
        return dict(made.get_config())
    # Without defaults to leave out, everything is said.
    except (KeyError, TypeError, ValueError):
        return {}


def _bare(value: Any) -> Any:
    """Leave out names, which tell nothing of what an object does."""
    if isinstance(value, Mapping):
        return {k: _bare(v) for k, v in value.items() if k not in _UNSAID}
    if isinstance(value, list | tuple):
        return [_bare(part) for part in value]
    return value


def _is_of_keras(name: str) -> bool:
    rooms = (keras.activations, keras.losses, keras.metrics, keras.initializers)
    return any(hasattr(room, name) for room in rooms)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
