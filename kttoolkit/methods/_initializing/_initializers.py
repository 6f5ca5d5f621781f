"""Initializers by name, as objects or as functions, checked."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import meant, shown

Initializers = Sequence[Any] | Mapping[str, Any]

_DEFAULT = {
    "zeros": "zeros",
    # Keras's own "random_normal" has a standard deviation of 0.05.
    "N(0, 1)": keras.initializers.RandomNormal(stddev=1.0),
    "glorot_normal": "glorot_normal",
    "he_normal": "he_normal",
    "lecun_normal": "lecun_normal",
    "orthogonal": "orthogonal",
}
_KNOWN = sorted(
    name
    for name, value in vars(keras.initializers).items()
    if name.islower() and inspect.isclass(value)
)


def as_initializers(given: Initializers | None) -> dict[str, Any]:
    """Give every initializer a name.

    Args:
        given: names of Keras or initializers, or a dict from names of one's own, or
            None for the usual ones.

    Returns:
        Names to functions of shape and dtype; None stands for a model's own.

    Raises:
        SearchSpaceError: if one is unknown or there twice, or there are none.
    """
    given = _DEFAULT if given is None else given
    if isinstance(given, str) or not given:
        raise SearchSpaceError(
            "initializers must be a list or a dict of one or more, but got "
            f"{shown(given)}. Write initializers=['he_normal']."
        )
    if isinstance(given, Mapping):
        return {str(k): _as_initializer(v, k) for k, v in given.items()}
    named = [(_name_of(value), _as_initializer(value)) for value in given]
    names = [name for name, _ in named]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SearchSpaceError(
            f"Each initializer must be there once, but got {twice} more than once. "
            "Give them names: initializers={'mine': ...}."
        )
    return dict(named)


def _as_initializer(value: Any, name: Any = None) -> Any:
    if value is None and name is not None:
        return None
    try:
        initializer = keras.initializers.get(value)
    except (ValueError, TypeError):
        initializer = None
    if callable(initializer):
        return initializer
    theirs = str(value).lower().replace("xavier", "glorot").replace("kaiming", "he")
    raise SearchSpaceError(
        f"Initializers must be known to Keras, of {_KNOWN}, or be functions of "
        f"shape and dtype, but got {shown(value)}.{meant(theirs, _KNOWN)}"
    )


def _name_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, keras.initializers.Initializer):
        return str(getattr(value, "__name__", type(value).__name__))
    config = {k: v for k, v in value.get_config().items() if k != "seed"}
    options = ", ".join(f"{k}={v!r}" for k, v in config.items())
    return f"{type(value).__name__}({options})"
