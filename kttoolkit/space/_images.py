"""Hyperparameters of image networks."""

from collections.abc import Callable, Sequence

import keras
import keras_tuner

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.space._conditions import ask_kind, check_kinds
from kttoolkit.space._dense import units
from kttoolkit.space._scales import choice, linear_float

POOLINGS = ("max", "average", "strided")
GLOBAL_POOLINGS = ("average", "max", "flatten")
AUGMENTATIONS = ("flip", "rotation", "zoom", "translation", "contrast")
FLIPS = ("none", "horizontal", "vertical", "horizontal_and_vertical")


def filters(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: int = 8,
    max_value: int = 64,
    default: int = 16,
    name: str = "filters",
) -> int:
    """Ask for the filters of the first convolution, by doubling.

    They are powers of two where `min_value` is one. Later convolutions usually double
    them whenever the image is halved.

    Args:
        hp: the trial's hyperparameters.
        min_value: the fewest.
        max_value: the most, `min_value` doubled some times.
        default: before any search; the nearest bound if it is outside.
        name: what it is called in tables.

    Returns:
        The number of this trial.

    Raises:
        SearchSpaceError: if 1 <= min_value <= max_value does not hold, or doubling
            misses `max_value`.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> filters(HyperParameters())
        16
    """
    return units(
        hp, name=name, min_value=min_value, max_value=max_value, default=default
    )


def kernel_size(
    hp: keras_tuner.HyperParameters,
    *,
    values: Sequence[int] = (3, 5, 7),
    default: int = 3,
    name: str = "kernel_size",
) -> int:
    """Ask for the side of a convolution's window.

    Args:
        hp: the trial's hyperparameters.
        values: odd numbers, so that a window has a middle.
        default: before any search; the first value if it is none of them.
        name: what it is called in tables.

    Returns:
        The side of this trial, in pixels.

    Raises:
        SearchSpaceError: if a value is even or below 1.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> kernel_size(HyperParameters())
        3
    """
    for value in values:
        if value < 1 or value % 2 == 0:
            raise SearchSpaceError(
                f"{name} must be odd numbers >= 1, so that a window has a middle, but "
                f"got {value}."
            )
    default = default if default in values else next(iter(values), default)
    return choice(hp, name=name, values=values, default=default)


def pooling(
    hp: keras_tuner.HyperParameters,
    *,
    kinds: Sequence[str] = POOLINGS,
    default: str = "max",
    name: str = "pooling",
) -> str:
    """Ask how an image is halved between two convolutions.

    Args:
        hp: the trial's hyperparameters.
        kinds: of "max", "average", and "strided" (the convolution itself takes every
            second pixel).
        default: before any search; the first kind if it is none of them.
        name: what it is called in tables.

    Returns:
        The kind of this trial.

    Raises:
        SearchSpaceError: if a kind is unknown.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> pooling(HyperParameters())
        'max'
    """
    return ask_kind(hp, name=name, kinds=kinds, known=POOLINGS, default=default)


def global_pooling(
    hp: keras_tuner.HyperParameters,
    *,
    kinds: Sequence[str] = GLOBAL_POOLINGS,
    default: str = "average",
    name: str = "global_pooling",
) -> str:
    """Ask how the last feature maps become a vector.

    Args:
        hp: the trial's hyperparameters.
        kinds: of "average", "max" (one number a filter) and "flatten" (all pixels of
            all filters, which needs many more weights behind it).
        default: before any search; the first kind if it is none of them.
        name: what it is called in tables.

    Returns:
        The kind of this trial.

    Raises:
        SearchSpaceError: if a kind is unknown.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> global_pooling(HyperParameters())
        'average'
    """
    return ask_kind(hp, name=name, kinds=kinds, known=GLOBAL_POOLINGS, default=default)


def image_size(
    hp: keras_tuner.HyperParameters,
    *,
    max_value: int,
    min_value: int | None = None,
    poolings: int = 0,
    name: str = "image_size",
) -> int:
    """Ask for the side that images are resized to: detail against cost.

    Args:
        hp: the trial's hyperparameters.
        max_value: the largest side; the images' own before any search.
        min_value: the smallest side; half of the largest if left out, or as much as
            the poolings need.
        poolings: how often the network halves the image.
        name: what it is called in tables.

    Returns:
        The side of this trial, in pixels, for `keras.layers.Resizing`.

    Raises:
        SearchSpaceError: if the smallest image is used up by the poolings, or the
            bounds are reversed.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> image_size(HyperParameters(), max_value=64, poolings=3)
        64
    """
    needed = 2**poolings
    if min_value is None:
        min_value = max(max_value // 2, needed)
    if min_value < needed or max_value < min_value:
        raise SearchSpaceError(
            f"2 ** poolings <= min_value <= max_value must hold for {name}, since each "
            f"pooling halves the image, but got {poolings=} ({needed} pixels), "
            f"{min_value=} and {max_value=}. Take fewer poolings or larger images."
        )
    step = max(needed, -(-(max_value - min_value) // 4), 1)
    values = list(range(max_value, min_value - 1, -step))[::-1]
    if values[0] != min_value:
        values.insert(0, min_value)
    return choice(hp, name=name, values=values, default=max_value)


def augmentation(
    hp: keras_tuner.HyperParameters,
    *,
    kinds: Sequence[str] = AUGMENTATIONS,
    flips: Sequence[str] = FLIPS[:2],
    max_strength: float = 0.3,
    step: float = 0.1,
    default: float = 0.0,
    name: str = "augmentation",
) -> list[keras.layers.Layer]:
    """Ask how strongly training images are varied; a strength of 0 leaves one out.

    The layers are active in training only. Each strength is a hyperparameter of its
    own, `<name>_rotation`, `<name>_zoom` and so on, uniform between 0 and
    `max_strength`: the share of a full turn, of the size, of the side, of the
    contrast.

    Args:
        hp: the trial's hyperparameters.
        kinds: of "flip", "rotation", "zoom", "translation", "contrast".
        flips: of "none", "horizontal", "vertical", "horizontal_and_vertical". A
            flipped digit is no digit: pass ["none"], or kinds without "flip".
        max_strength: the highest strength, at most 1.
        step: distance of two strengths.
        default: strength before any search; none.
        name: what it is called in tables.

    Returns:
        Layers for the beginning of a network; none if all strengths are 0.

    Raises:
        SearchSpaceError: if a kind is unknown, or 0 <= default <= max_strength <= 1
            does not hold.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> augmentation(HyperParameters())
        []
    """
    check_kinds(name, kinds, AUGMENTATIONS)
    if max_strength > 1:
        raise SearchSpaceError(
            f"max_strength <= 1 must hold for {name}, but got {max_strength=}."
        )
    layers = []
    for kind in kinds:
        if kind == "flip":
            flip = ask_kind(
                hp, name=f"{name}_flip", kinds=flips, known=FLIPS, default="none"
            )
            if flip not in {None, "none"}:
                layers.append(keras.layers.RandomFlip(flip))
            continue
        strength = linear_float(
            hp,
            name=f"{name}_{kind}",
            min_value=0.0,
            max_value=max_strength,
            step=step,
            default=default,
        )
        if strength:
            layers.append(_RANDOM[kind](strength))
    return layers


_RANDOM: dict[str, Callable[[float], keras.layers.Layer]] = {
    "rotation": keras.layers.RandomRotation,
    "zoom": keras.layers.RandomZoom,
    "translation": lambda share: keras.layers.RandomTranslation(share, share),
    "contrast": keras.layers.RandomContrast,
}
