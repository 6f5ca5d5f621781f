"""Hyperparameters of weights: how they begin, and what holds them back."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.space._conditions import ask_kind, check_kinds, searched_values, when
from kttoolkit.space._scales import choice, linear_float, log_float

_HE = ("he_normal", "he_uniform", "orthogonal")
_GLOROT = ("glorot_normal", "glorot_uniform", "orthogonal")
_LECUN = ("lecun_normal", "lecun_uniform")
INITIALIZERS = (
    "zeros", "random_normal", "random_uniform", *_GLOROT, *_HE[:2], *_LECUN,
)  # fmt: skip
_SUITED = {
    **dict.fromkeys(("selu",), ("selu", _LECUN)),
    **dict.fromkeys(
        ("sigmoid", "tanh", "softsign", "softmax", "linear", "hard_sigmoid",
         "hard_tanh"),
        ("tanh", _GLOROT),
    ),
}  # fmt: skip
REGULARIZERS = ("none", "l1", "l2", "l1_l2")
CONSTRAINTS = ("none", "max_norm")


def initializer(
    hp: keras_tuner.HyperParameters,
    *,
    activation: str | None = None,
    kinds: Sequence[str] | None = None,
    activation_name: str = "activation",
    name: str = "initializer",
) -> str:
    """Ask for the initial weights, among those that suit the activation.

    He's for ReLU and its kin (standard deviation √(2 / n) for n inputs), Glorot's,
    also called Xavier, for sigmoid, tanh and linear layers, LeCun's (√(1 / n)) for
    SELU. They keep the signal's size from layer to layer; "random_normal" (0.05 in
    Keras) does not. Orthogonal matrices are there for the first two: square ones keep
    the length of every vector as long as layers are linear, but a ReLU behind them
    halves the mean square in every layer, unless their gain is √2 (Keras's is 1).
    "zeros" is there for those who want to see what it does: all units of a layer get
    the same gradient and stay the same unit for ever.

    Where the activation is itself searched, each family of activations has a
    hyperparameter of its own, `<name>_relu`, `<name>_tanh`, `<name>_selu`.

    Args:
        hp: the trial's hyperparameters.
        activation: that of the layer in this trial; None is a linear layer.
        kinds: names of Keras initializers, such as "zeros"; those that suit the
            activation if left out.
        activation_name: the hyperparameter that `activation` came from.
        name: what it is called in tables.

    Returns:
        The name of a Keras initializer, "he_normal", "glorot_normal" or
        "lecun_normal" before any search.

    Raises:
        SearchSpaceError: if a kind is unknown.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> initializer(HyperParameters(), activation="relu")
        'he_normal'
        >>> initializer(HyperParameters(), activation="tanh")
        'glorot_normal'

    References:
        X. Glorot and Y. Bengio, "Understanding the difficulty of training deep
        feedforward neural networks", AISTATS 2010; K. He et al., "Delving deep into
        rectifiers", arXiv:1502.01852; A. Saxe et al., arXiv:1312.6120.
    """
    if kinds is not None:
        check_kinds(name, kinds, INITIALIZERS)
        return choice(hp, name=name, values=kinds)
    searched = searched_values(hp, activation_name)
    searched = searched if activation in searched else [activation]
    families: dict[str, list[str | None]] = {}
    for known in searched:
        families.setdefault(_suited(known)[0], []).append(known)
    if len(families) == 1:
        return choice(hp, name=name, values=_suited(activation)[1])
    asked = {}
    for family, activations in families.items():
        suited = _suited(activations[0])[1]
        with when(hp, activation_name, activations, searched):
            asked[family] = choice(hp, name=f"{name}_{family}", values=suited)
    return asked[_suited(activation)[0]]


def _suited(activation: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the family of an activation and the initializers that suit it."""
    return _SUITED.get(activation or "linear", ("relu", _HE))


def regularizer(
    hp: keras_tuner.HyperParameters,
    *,
    kinds: Sequence[str] = REGULARIZERS,
    default: str = "none",
    min_value: float = 1e-6,
    max_value: float = 1e-1,
    default_value: float = 1e-3,
    name: str = "regularizer",
) -> keras.regularizers.Regularizer | None:
    """Ask for a penalty on the weights and its factor, on a log scale.

    L1 drives weights to 0, L2 keeps them small. Where nothing overfits, neither is
    needed. The factors are `<name>_l1` and `<name>_l2`.

    Args:
        hp: the trial's hyperparameters.
        kinds: of "none", "l1", "l2", "l1_l2".
        default: before any search; the first kind if it is none of them.
        min_value: the lowest factor, above 0.
        max_value: the highest factor.
        default_value: the factor before any search.
        name: what it is called in tables.

    Returns:
        A regularizer, or None.

    Raises:
        SearchSpaceError: if a kind is unknown or a bound senseless.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> regularizer(HyperParameters(), kinds=["l2"]).l2
        0.001
    """
    kind = ask_kind(hp, name=name, kinds=kinds, known=REGULARIZERS, default=default)
    factors: dict[str, Any] = {}
    for part in ("l1", "l2"):
        with when(hp, name, (part, "l1_l2"), kinds) as is_possible:
            if is_possible:
                factors[part] = log_float(
                    hp,
                    name=f"{name}_{part}",
                    min_value=min_value,
                    max_value=max_value,
                    default=default_value,
                )
    active = {part: factor for part, factor in factors.items() if factor is not None}
    if kind == "none" or not active:
        return None
    if kind == "l1":
        return keras.regularizers.L1(active["l1"])
    if kind == "l2":
        return keras.regularizers.L2(active["l2"])
    return keras.regularizers.L1L2(**active)


def constraint(
    hp: keras_tuner.HyperParameters,
    *,
    kinds: Sequence[str] = CONSTRAINTS,
    default: str = "none",
    min_value: float = 1.0,
    max_value: float = 5.0,
    default_value: float = 2.0,
    name: str = "constraint",
) -> keras.constraints.Constraint | None:
    """Ask for a limit on the norm of each unit's weights.

    It goes well with dropout and a high learning rate. The limit is
    `<name>_max_norm`.

    Args:
        hp: the trial's hyperparameters.
        kinds: of "none", "max_norm".
        default: before any search; the first kind if it is none of them.
        min_value: the lowest limit, above 0.
        max_value: the highest limit.
        default_value: the limit before any search.
        name: what it is called in tables.

    Returns:
        A constraint, or None.

    Raises:
        SearchSpaceError: if a kind is unknown or a bound senseless.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> constraint(HyperParameters(), kinds=["max_norm"]).max_value
        2.0

    References:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks
        from overfitting", JMLR 15, 2014.
    """
    if min_value <= 0:
        raise SearchSpaceError(
            f"min_value > 0 must hold for {name}, but got {min_value=}: of 0, all "
            "weights would be 0."
        )
    kind = ask_kind(hp, name=name, kinds=kinds, known=CONSTRAINTS, default=default)
    limit = None
    with when(hp, name, ("max_norm",), kinds) as is_possible:
        if is_possible:
            limit = linear_float(
                hp,
                name=f"{name}_max_norm",
                min_value=min_value,
                max_value=max_value,
                default=default_value,
            )
    if kind == "none" or limit is None:
        return None
    return keras.constraints.MaxNorm(limit)
