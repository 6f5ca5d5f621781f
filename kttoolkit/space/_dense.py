"""Hyperparameters of layers: how many, how wide, with what activation."""

from collections.abc import Sequence

import keras_tuner

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.space._conditions import ask_kind, searched_values, when
from kttoolkit.space._scales import choice, integer, linear_float

SHAPES = ("constant", "funnel", "free")
ACTIVATIONS = ("relu", "gelu", "silu", "elu", "selu", "tanh")


def units(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: int = 16,
    max_value: int = 256,
    step: int | None = None,
    default: int = 64,
    name: str = "units",
) -> int:
    """Ask for the width of hidden layers, by doubling or in steps.

    The use of a layer grows with the logarithm of its width, so widths are tried by
    doubling, each as likely.

    Args:
        hp: the trial's hyperparameters.
        min_value: the narrowest.
        max_value: the widest; `min_value` doubled some times, or some steps wider.
        step: distance of two widths; they are doubled if left out.
        default: before any search; the nearest bound if it is outside.
        name: what it is called in tables.

    Returns:
        The width of this trial.

    Raises:
        SearchSpaceError: if 1 <= min_value <= max_value does not hold, or the
            steps miss `max_value`.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> units(HyperParameters())
        64
        >>> units(HyperParameters(), min_value=32, max_value=512, step=32)
        64
    """
    sampling = "log" if step is None else "linear"
    if min_value == max_value:
        step, sampling = 1, "linear"
    if min_value < 1:
        raise SearchSpaceError(
            f"min_value >= 1 must hold for {name}, but got {min_value=}: a layer needs "
            "a unit."
        )
    return integer(
        hp,
        name=name,
        min_value=min_value,
        max_value=max_value,
        step=2 if step is None else step,
        sampling=sampling,  # type: ignore[arg-type]
        default=min(max(default, min_value), max_value),
    )


def depth(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: int = 1,
    max_value: int = 3,
    default: int = 2,
    name: str = "depth",
) -> int:
    """Ask for the number of hidden layers, each as likely.

    Args:
        hp: the trial's hyperparameters.
        min_value: the fewest; 0 is a linear model.
        max_value: the most.
        default: before any search; the nearest bound if it is outside.
        name: what it is called in tables.

    Returns:
        The number of this trial.

    Raises:
        SearchSpaceError: if 0 <= min_value <= max_value does not hold.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> depth(HyperParameters())
        2
    """
    if min_value < 0:
        raise SearchSpaceError(
            f"min_value >= 0 must hold for {name}, but got {min_value=}."
        )
    default = min(max(default, min_value), max_value)
    return integer(
        hp, name=name, min_value=min_value, max_value=max_value, default=default
    )


def widths(
    hp: keras_tuner.HyperParameters,
    *,
    depth: int,
    kinds: Sequence[str] = SHAPES,
    default: str = "constant",
    min_value: int = 16,
    max_value: int = 256,
    depth_name: str = "depth",
    name: str = "units",
) -> tuple[int, ...]:
    """Ask for the widths of all hidden layers.

    "constant" makes them all alike, "funnel" halves the width from layer to layer,
    down to `min_value`, and "free" asks for each layer's own, `<name>_1`,
    `<name>_2` ... As many are active as the trial has layers.

    Args:
        hp: the trial's hyperparameters.
        depth: the number of layers in this trial.
        kinds: of "constant", "funnel", "free".
        default: before any search; the first kind if it is none of them.
        min_value: the narrowest.
        max_value: the widest, `min_value` doubled some times.
        depth_name: the hyperparameter that `depth` came from; where there is none of
            that name, every layer is there in every trial.
        name: of the width, in tables; the kind is `<name>_shape`.

    Returns:
        One width a layer, of length `depth`.

    Raises:
        SearchSpaceError: if a kind is unknown or a bound senseless.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> widths(HyperParameters(), depth=3, kinds=["funnel"])
        (64, 32, 16)
    """
    shape = f"{name}_shape"
    kind = ask_kind(hp, name=shape, kinds=kinds, known=SHAPES, default=default)
    first = None
    bounds = {"min_value": min_value, "max_value": max_value}
    with when(hp, shape, ("constant", "funnel"), kinds) as is_possible:
        if is_possible:
            first = units(hp, name=name, **bounds)
    own: list[int] = []
    with when(hp, shape, ("free",), kinds) as is_possible:
        if is_possible:
            own = _own_widths(hp, depth, depth_name, name, bounds)
    if kind == "free":
        return tuple(own)
    if first is None:
        return ()
    if kind == "constant":
        return (first,) * depth
    return tuple(max(first >> layer, min_value) for layer in range(depth))


def _own_widths(
    hp: keras_tuner.HyperParameters,
    depth: int,
    depth_name: str,
    name: str,
    bounds: dict[str, int],
) -> list[int]:
    depths = searched_values(hp, depth_name) or [depth]
    asked = []
    for layer in range(1, max(depths) + 1):
        with when(hp, depth_name, [d for d in depths if d >= layer], depths):
            asked.append(units(hp, name=f"{name}_{layer}", **bounds))
    return asked[:depth]


def activation(
    hp: keras_tuner.HyperParameters,
    *,
    kinds: Sequence[str] = ACTIVATIONS,
    default: str = "relu",
    name: str = "activation",
) -> str:
    """Ask for the activation of hidden layers, each as likely.

    The last layer's follows from the task and is not searched.

    Args:
        hp: the trial's hyperparameters.
        kinds: names of Keras activations.
        default: before any search; the first kind if it is none of them.
        name: what it is called in tables.

    Returns:
        The activation's name in this trial.

    Raises:
        SearchSpaceError: if there are no kinds, or one twice.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> activation(HyperParameters())
        'relu'
    """
    default = default if default in kinds else next(iter(kinds), default)
    return choice(hp, name=name, values=kinds, default=default)


def dropout(
    hp: keras_tuner.HyperParameters,
    *,
    max_value: float = 0.5,
    step: float | None = 0.1,
    default: float = 0.0,
    name: str = "dropout",
) -> float:
    """Ask for the share of a layer's outputs to drop in training.

    Args:
        hp: the trial's hyperparameters.
        max_value: the highest share, below 1; half of the units is the classic
            choice.
        step: distance of two shares, or None for any share.
        default: before any search; none.
        name: what it is called in tables.

    Returns:
        The share of this trial, 0 for none.

    Raises:
        SearchSpaceError: if 0 <= default <= max_value < 1 does not hold, or the
            steps miss `max_value`.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> dropout(HyperParameters())
        0.0

    References:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks
        from overfitting", JMLR 15, 2014.
    """
    if max_value >= 1:
        raise SearchSpaceError(
            f"max_value < 1 must hold for {name}, but got {max_value=}: of 1, no unit "
            "is left."
        )
    return linear_float(
        hp, name=name, min_value=0.0, max_value=max_value, step=step, default=default
    )


def batch_norm(
    hp: keras_tuner.HyperParameters,
    *,
    default: bool = False,
    name: str = "batch_norm",
) -> bool:
    """Ask whether layers are followed by batch normalisation.

    Args:
        hp: the trial's hyperparameters.
        default: before any search.
        name: what it is called in tables.

    Returns:
        Whether, in this trial.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> batch_norm(HyperParameters())
        False

    References:
        S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network
        training by reducing internal covariate shift", arXiv:1502.03167.
    """
    return choice(hp, name=name, values=[False, True], default=default)
