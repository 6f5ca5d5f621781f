"""What hyperparameters of a builder may be fixed to, known before it builds."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import keras

from kttoolkit import space
from kttoolkit.exceptions import SearchError, SearchSpaceError
from kttoolkit.options import OF_A_SEARCH, Rule, flag, maybe, number, positive, whole
from kttoolkit.plain import meant, shown

CELLS = ("lstm", "gru", "conv1d")
_ADAMS = ("adam", "adamw", "nadam")
# Without these an optimizer has no use for the hyperparameter.
_OWNERS: Mapping[str, Sequence[str]] = {
    "momentum": ("sgd",),
    "nesterov": ("sgd",),
    "betas": _ADAMS,
    "epsilon": (*_ADAMS, "rmsprop"),
}
# A level of `tune=` has both, for whichever the optimizer has.
_EITHER = {"momentum": "betas", "betas": "momentum"}


def checked_values(fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Hold values that are not searched against their rules.

    Args:
        fixed: names of hyperparameters to values.

    Returns:
        The same names to values of the types that are meant.

    Raises:
        SearchSpaceError: naming the first that breaks its rule.
    """
    try:
        return {name: _RULES[name](name, value) for name, value in fixed.items()}
    except SearchError as error:
        raise SearchSpaceError(str(error)) from error


def check_owners(tuned: Collection[str], fixed: Mapping[str, Any]) -> None:
    """Refuse what the optimizer has no use for.

    Args:
        tuned: names of hyperparameters that are searched.
        fixed: names to values of those that are not.

    Raises:
        SearchSpaceError: naming the optimizers that have.
    """
    if "optimizer" in tuned:
        return
    optimizer = fixed.get("optimizer", "adam")
    for name, owners in _OWNERS.items():
        other = _EITHER.get(name)
        is_asked = name in tuned and not (other in tuned or other in fixed)
        if optimizer in owners or not (is_asked or name in fixed):
            continue
        given = f"{name}={shown(fixed[name])}" if name in fixed else f"tune=[{name!r}]"
        raise SearchSpaceError(
            f"{name} belongs to the optimizers {list(owners)}, but got {given} with "
            f"optimizer={optimizer!r}. Pass optimizer={owners[0]!r} as well, or leave "
            f"{name} out."
        )


def doubled(name: str, value: Any, least: int) -> int:
    """Hold the highest of values that are doubled against its rule.

    Args:
        name: of the argument.
        value: as it was given.
        least: the lowest of these values.

    Returns:
        The highest.

    Raises:
        SearchSpaceError: if doubling does not arrive at it.
    """
    try:
        most = whole()(name, value)
    except SearchError as error:
        raise SearchSpaceError(str(error)) from error
    doublings = max(most // least, 1).bit_length() - 1
    if most != least << doublings:
        raise SearchSpaceError(
            f"{name} must be {least}, doubled some times, but got {shown(value)}. Take "
            f"{least << doublings}."
        )
    return int(most)


# -- rules ---


def _refuse(rule: str, value: Any, hint: str = "") -> SearchError:
    return SearchError(f"{rule}, but got {shown(value)}.{hint}")


def _among(kinds: Sequence[str]) -> Rule:
    def rule(name: str, value: Any) -> Any:
        if not isinstance(value, str) or value not in kinds:
            hint = meant(value, kinds)
            raise _refuse(f"{name} must be one of {list(kinds)}", value, hint)
        return value

    return rule


def _share(name: str, value: Any) -> float:
    share = number(name, value)
    if not 0 <= share < 1:
        raise _refuse(f"0 <= {name} < 1 must hold", value)
    return share


def _pair(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise _refuse(f"{name} must be a pair of numbers such as (0.9, 0.999)", value)
    return _share(f"{name}[0]", value[0]), _share(f"{name}[1]", value[1])


def _above_zero(name: str, value: Any) -> float:
    return number(name, positive(name, value))


def _not_negative(name: str, value: Any) -> float:
    if number(name, value) < 0:
        raise _refuse(f"{name} >= 0 must hold", value)
    return float(value)


def _one_or_several(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [whole()(f"{name}[{i}]", one) for i, one in enumerate(value)]
    return whole()(name, value)


def _known_to_keras(get: Callable[[Any], Any]) -> Rule:
    def rule(name: str, value: Any) -> Any:
        if value == "none":  # as the search calls it
            return None
        try:
            get(value)
        except (ValueError, TypeError) as error:
            raise _refuse(f"{name} must be one that Keras knows", value) from error
        return value

    return rule


def _layers(name: str, value: Any) -> Any:
    is_list = isinstance(value, list | tuple)
    if not is_list or not all(isinstance(one, keras.layers.Layer) for one in value):
        raise _refuse(f"{name} must be a list of Keras layers", value)
    return value


def _class_weight(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return value
    return _among(space.CLASS_WEIGHTS)(name, value)


def _loss(name: str, value: Any) -> Any:
    return OF_A_SEARCH["loss"](name, value)


_RULES: dict[str, Rule] = {
    "learning_rate": _above_zero,
    "momentum": _share,
    "nesterov": flag,
    "betas": _pair,
    "epsilon": _above_zero,
    "weight_decay": maybe(_not_negative),
    "clipnorm": maybe(_above_zero),
    "optimizer": _among(space.OPTIMIZERS),
    "schedule": _among(space.SCHEDULES),
    "batch_size": whole(),
    "epochs": whole(),
    "early_stopping": whole(),
    "class_weight": maybe(_class_weight),
    "loss": _loss,
    "units": _one_or_several,
    "widths": _among(space.SHAPES),
    "depth": whole(0),
    "activation": _known_to_keras(keras.activations.get),
    "initializer": _known_to_keras(keras.initializers.get),
    "regularizer": _known_to_keras(keras.regularizers.get),
    "constraint": _known_to_keras(keras.constraints.get),
    "dropout": maybe(_share),
    "batch_norm": flag,
    "filters": whole(),
    "kernel_size": _one_or_several,
    "pooling": _among(space.POOLINGS),
    "global_pooling": _among(space.GLOBAL_POOLINGS),
    "image_size": whole(),
    "augmentation": maybe(_layers),
    "embedding": whole(),
    "bidirectional": flag,
    "cell": _among(CELLS),
}
