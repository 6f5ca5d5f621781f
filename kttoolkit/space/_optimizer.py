"""Hyperparameters of the optimizer."""

import keras_tuner


def learning_rate(
    hp: keras_tuner.HyperParameters,
    *,
    min_value: float = 1e-4,
    max_value: float = 1e-1,
    default: float = 1e-3,
    name: str = "learning_rate",
) -> float:
    """Ask for a learning rate, drawn on a log scale.

    Every power of ten is as likely as any other. Drawn uniformly between 1e-4 and
    1, nine of ten values would fall above 0.1, where most networks diverge.

    Args:
        hp: the trial's hyperparameters.
        min_value: the lowest rate, above 0.
        max_value: the highest rate.
        default: the rate before any search; Adam's own.
        name: what it is called in tables.

    Returns:
        The rate of this trial.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> learning_rate(HyperParameters())
        0.001

    References:
        J. Bergstra and Y. Bengio, "Random search for hyper-parameter
        optimization", JMLR 13, 2012.
    """
    return float(hp.Float(name, min_value, max_value, sampling="log", default=default))
