"""Hyperparameters of the optimizer."""

from typing import Any

import keras_tuner

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import shown
from kttoolkit.space._scales import log_float, one_minus_log


def learning_rate(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: float = 1e-4,
    max_value: float = 1.0,
    default: float = 1e-3,
    name: str = "learning_rate",
) -> float:
    """Ask for a learning rate, drawn on a log scale.

    Of all hyperparameters it matters most. Every power of ten is as likely as any
    other; drawn uniformly between 1e-4 and 1, nine of ten values would fall above
    0.1, where most networks diverge.

    Args:
        hp: the trial's hyperparameters.
        min_value: the lowest rate, above 0.
        max_value: the highest rate. Plain SGD may want 1; Adam and its kin rarely
            learn above 0.1.
        default: the rate before any search; Adam's own.
        name: what it is called in tables.

    Returns:
        The rate of this trial.

    Raises:
        SearchSpaceError: if 0 < min_value <= default <= max_value does not hold.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> learning_rate(HyperParameters())
        0.001

    References:
        J. Bergstra and Y. Bengio, "Random search for hyper-parameter
        optimization", JMLR 13, 2012.
    """
    return log_float(
        hp, name=name, min_value=min_value, max_value=max_value, default=default
    )


def momentum(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: float = 0.9,
    max_value: float = 0.999,
    points: int | None = None,
    default: float = 0.9,
    name: str = "momentum",
) -> float:
    """Ask for a momentum β, drawn so that 1 - β is on a log scale.

    The velocity looks back over about 1 / (1 - β) gradients, 10 at 0.9 and 1000 at
    0.999, and both decades are as likely. Keras's SGD sums them and takes no mean
    (v = β·v - rate·gradient): along a gradient that stays the same its steps grow to
    rate·gradient / (1 - β). A higher momentum wants a lower learning rate, so search
    the two together.

    Args:
        hp: the trial's hyperparameters.
        min_value: the lowest, at least 0.
        max_value: the highest, below 1.
        points: how finely the range is laid out; see `one_minus_log`.
        default: before any search; the classic choice.
        name: what it is called in tables.

    Returns:
        The momentum of this trial.

    Raises:
        SearchSpaceError: if 0 <= min_value <= max_value < 1 does not hold.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> momentum(HyperParameters())
        0.9

    References:
        I. Sutskever et al., "On the importance of initialization and momentum in
        deep learning", ICML 2013.
    """
    return one_minus_log(
        hp,
        name=name,
        min_value=min_value,
        max_value=max_value,
        points=points,
        default=default,
    )


def adam_betas(
    hp: keras_tuner.HyperParameters,
    *,
    min_values: tuple[float, float] = (0.8, 0.9),
    max_values: tuple[float, float] = (0.99, 0.9999),
    points: int | None = None,
    defaults: tuple[float, float] = (0.9, 0.999),
    name: str = "beta",
) -> tuple[float, float]:
    """Ask for Adam's β1 and β2, each drawn so that 1 - β is on a log scale.

    They are nearly always left alone; search them last, β1 first.

    Args:
        hp: the trial's hyperparameters.
        min_values: the lowest β1 and β2, at least 0.
        max_values: the highest β1 and β2, below 1.
        points: how finely each range is laid out; see `one_minus_log`.
        defaults: before any search; those of the paper and of Keras.
        name: tables show `<name>_1` and `<name>_2`.

    Returns:
        β1 and β2 of this trial.

    Raises:
        SearchSpaceError: if 0 <= min <= max < 1 does not hold for one of them, or
            bounds or defaults are no pair.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> adam_betas(HyperParameters())
        (0.9, 0.999)

    References:
        D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization",
        arXiv:1412.6980.
    """
    bounds = zip(
        _pair("min_values", min_values),
        _pair("max_values", max_values),
        _pair("defaults", defaults),
        strict=True,
    )
    first, second = (
        one_minus_log(
            hp,
            name=f"{name}_{number}",
            min_value=low,
            max_value=high,
            points=points,
            default=default,
        )
        for number, (low, high, default) in enumerate(bounds, start=1)
    )
    return first, second


def _pair(name: str, value: Any) -> tuple[float, float]:
    try:
        first, second = value
    except (TypeError, ValueError) as error:
        raise SearchSpaceError(
            f"{name} must be a pair, of β1 and of β2, but got {shown(value)}. Pass "
            f"e.g. {name}=(0.9, 0.999)."
        ) from error
    return first, second


def epsilon(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: float = 1e-8,
    max_value: float = 1e-2,
    default: float = 1e-7,
    name: str = "epsilon",
) -> float:
    """Ask for the ε that Adam and its kin add to the denominator, on a log scale.

    A large one makes Adam behave like SGD with momentum, which some networks want.

    Args:
        hp: the trial's hyperparameters.
        min_value: the lowest, above 0; the paper's.
        max_value: the highest.
        default: before any search; Keras's.
        name: what it is called in tables.

    Returns:
        The ε of this trial.

    Raises:
        SearchSpaceError: if 0 < min_value <= default <= max_value does not hold.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> epsilon(HyperParameters())
        1e-07

    References:
        D. Choi et al., "On empirical comparisons of optimizers for deep learning",
        arXiv:1910.05446.
    """
    return log_float(
        hp, name=name, min_value=min_value, max_value=max_value, default=default
    )


def weight_decay(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: float = 1e-5,
    max_value: float = 1e-1,
    default: float = 4e-3,
    name: str = "weight_decay",
) -> float:
    """Ask for a decoupled weight decay, on a log scale.

    Args:
        hp: the trial's hyperparameters.
        min_value: the lowest, above 0.
        max_value: the highest.
        default: before any search; that of Keras's AdamW.
        name: what it is called in tables.

    Returns:
        The decay of this trial, for an optimizer's `weight_decay`.

    Raises:
        SearchSpaceError: if 0 < min_value <= default <= max_value does not hold.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> weight_decay(HyperParameters())
        0.004

    References:
        I. Loshchilov and F. Hutter, "Decoupled weight decay regularization",
        arXiv:1711.05101.
    """
    return log_float(
        hp, name=name, min_value=min_value, max_value=max_value, default=default
    )


def clipnorm(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: float = 0.1,
    max_value: float = 10.0,
    default: float = 1.0,
    name: str = "clipnorm",
) -> float:
    """Ask for the norm that a gradient is clipped to, on a log scale.

    It matters where gradients explode, in recurrent networks above all.

    Args:
        hp: the trial's hyperparameters.
        min_value: the lowest, above 0.
        max_value: the highest, at which little is clipped.
        default: before any search.
        name: what it is called in tables.

    Returns:
        The norm of this trial, for an optimizer's `clipnorm` or
        `global_clipnorm`.

    Raises:
        SearchSpaceError: if 0 < min_value <= default <= max_value does not hold.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> clipnorm(HyperParameters())
        1.0

    References:
        R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training
        recurrent neural networks", arXiv:1211.5063.
    """
    return log_float(
        hp, name=name, min_value=min_value, max_value=max_value, default=default
    )


def clipvalue(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: float = 0.01,
    max_value: float = 1.0,
    default: float = 0.5,
    name: str = "clipvalue",
) -> float:
    """Ask for the value that each part of a gradient is clipped to, on a log scale.

    Unlike `clipnorm` it turns the gradient's direction.

    Args:
        hp: the trial's hyperparameters.
        min_value: the lowest, above 0.
        max_value: the highest.
        default: before any search.
        name: what it is called in tables.

    Returns:
        The value of this trial, for an optimizer's `clipvalue`.

    Raises:
        SearchSpaceError: if 0 < min_value <= default <= max_value does not hold.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> clipvalue(HyperParameters())
        0.5

    References:
        R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training
        recurrent neural networks", arXiv:1211.5063.
    """
    return log_float(
        hp, name=name, min_value=min_value, max_value=max_value, default=default
    )
