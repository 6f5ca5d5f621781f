"""Hyperparameters of dense layers."""

import keras_tuner


def units(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: int = 16,
    max_value: int = 256,
    default: int = 64,
    name: str = "units",
) -> int:
    """Ask for the width of hidden layers, as a power of two.

    The cost of a layer grows with its width, its use with the logarithm of it, so
    widths are tried by doubling.

    Args:
        hp: the trial's hyperparameters.
        min_value: the narrowest, a power of two.
        max_value: the widest.
        default: before any search.
        name: what it is called in tables.

    Returns:
        The width of this trial.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> units(HyperParameters())
        64
    """
    return int(
        hp.Int(name, min_value, max_value, step=2, sampling="log", default=default)
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
        min_value: the fewest.
        max_value: the most.
        default: before any search.
        name: what it is called in tables.

    Returns:
        The number of this trial.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> depth(HyperParameters())
        2
    """
    return int(hp.Int(name, min_value, max_value, default=default))


def dropout(
    hp: keras_tuner.HyperParameters,
    *,
    max_value: float = 0.5,
    step: float = 0.1,
    default: float = 0.0,
    name: str = "dropout",
) -> float:
    """Ask for the share of a layer's outputs to drop in training.

    Args:
        hp: the trial's hyperparameters.
        max_value: the highest share; half of the units is the classic choice.
        step: distance of two shares.
        default: before any search; none.
        name: what it is called in tables.

    Returns:
        The share of this trial, 0 for none.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> dropout(HyperParameters())
        0.0

    References:
        N. Srivastava et al., "Dropout: a simple way to prevent neural networks
        from overfitting", JMLR 15, 2014.
    """
    return float(hp.Float(name, 0.0, max_value, step=step, default=default))
