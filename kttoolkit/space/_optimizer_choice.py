"""The choice of an optimizer, with what belongs to the chosen one."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from kttoolkit.space._conditions import ask_kind, when
from kttoolkit.space._optimizer import adam_betas
from kttoolkit.space._optimizer import learning_rate as _ask_rate
from kttoolkit.space._optimizer import momentum as _ask_momentum
from kttoolkit.space._optimizer import weight_decay as _ask_decay
from kttoolkit.space._scales import choice, one_minus_log

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop", "nadam")
_ADAMS = ("adam", "adamw", "nadam")


def optimizer(
    hp: keras_tuner.HyperParameters,
    *,
    kinds: Sequence[str] = OPTIMIZERS,
    default: str = "adam",
    learning_rate: Any = None,
    momentum: float | None = None,
    nesterov: bool | None = None,
    betas: tuple[float, float] | None = None,
    weight_decay: float | None = None,
    epsilon: float | None = None,
    name: str = "optimizer",
    **options: Any,
) -> keras.optimizers.Optimizer:
    """Ask for an optimizer and for what belongs to the chosen one.

    `momentum` and `nesterov` belong to SGD, `beta_1` and `beta_2` to Adam, AdamW and
    Nadam, `rho` to RMSprop, `weight_decay` to AdamW. They are asked for in
    conditional scopes: a trial with SGD has no betas.

    Args:
        hp: the trial's hyperparameters.
        kinds: of "sgd", "adam", "adamw", "rmsprop", "nadam"; of a single one,
            nothing is chosen.
        default: before any search; the first kind if it is none of them.
        learning_rate: a number or a schedule; asked for if left out, up to 1.
        momentum: asked for if left out.
        nesterov: asked for if left out.
        betas: β1 and β2; asked for if left out.
        weight_decay: of whichever is chosen; asked for if left out, for AdamW alone.
        epsilon: of all but SGD; Keras's if left out.
        name: what it is called in tables.
        **options: go to the optimizer, such as `clipnorm=`.

    Returns:
        A new optimizer, of the first kind where a conditional scope around it is
        not active.

    Raises:
        SearchSpaceError: if a kind is unknown.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> hp = HyperParameters()
        >>> type(optimizer(hp)).__name__
        'Adam'
        >>> sorted(hp.values)
        ['beta_1', 'beta_2', 'learning_rate', 'optimizer']
    """
    asked = ask_kind(hp, name=name, kinds=kinds, known=OPTIMIZERS, default=default)
    kind = asked or kinds[0]
    if learning_rate is None:
        learning_rate = _ask_rate(hp)
    own = _belongings(hp, name, kinds, (momentum, nesterov, betas, weight_decay))[kind]
    if kind != "sgd" and epsilon is not None:
        own["epsilon"] = epsilon
    if weight_decay is not None:
        own["weight_decay"] = weight_decay
    chosen = {k: v for k, v in own.items() if v is not None}
    return _CLASSES[kind](
        1e-3 if learning_rate is None else learning_rate, **chosen, **options
    )


_CLASSES: dict[str, type[keras.optimizers.Optimizer]] = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
    "nadam": keras.optimizers.Nadam,
}


def _belongings(
    hp: keras_tuner.HyperParameters,
    name: str,
    kinds: Sequence[str],
    given: tuple[Any, Any, Any, Any],
) -> dict[str, dict[str, Any]]:
    """Ask for what belongs to each kind, unless it is given."""
    momentum, nesterov, betas, weight_decay = given
    arguments: dict[str, dict[str, Any]] = {known: {} for known in OPTIMIZERS}
    with when(hp, name, ("sgd",), kinds) as is_possible:
        if is_possible:
            arguments["sgd"] = _sgd(hp, momentum, nesterov)
    with when(hp, name, _ADAMS, kinds) as is_possible:
        if is_possible:
            first, second = adam_betas(hp) if betas is None else betas
            for known in _ADAMS:
                arguments[known] |= {"beta_1": first, "beta_2": second}
    with when(hp, name, ("rmsprop",), kinds) as is_possible:
        if is_possible:
            rho = one_minus_log(hp, name="rho", min_value=0.9, max_value=0.999)
            arguments["rmsprop"]["rho"] = rho
    with when(hp, name, ("adamw",), kinds) as is_possible:
        if is_possible and weight_decay is None:
            arguments["adamw"]["weight_decay"] = _ask_decay(hp)
    return arguments


def _sgd(
    hp: keras_tuner.HyperParameters, momentum: float | None, nesterov: Any
) -> dict[str, Any]:
    if nesterov is None:
        nesterov = choice(hp, name="nesterov", values=[False, True])
    return {
        "momentum": _ask_momentum(hp) if momentum is None else momentum,
        "nesterov": nesterov,
    }
