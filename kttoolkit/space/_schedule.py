"""How the learning rate changes in the course of a training."""

from collections.abc import Sequence

import keras
import keras_tuner

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.space._conditions import ask_kind, when
from kttoolkit.space._optimizer import learning_rate as _rate
from kttoolkit.space._scales import linear_float, log_float

SCHEDULES = ("none", "exponential", "cosine", "inverse_time", "warm_up")
_FALLING = ("exponential", "cosine", "inverse_time", "warm_up")


def learning_rate_schedule(
    hp: keras_tuner.HyperParameters,
    *,
    total_steps: int,
    learning_rate: float | None = None,
    kinds: Sequence[str] = SCHEDULES,
    default: str = "none",
    name: str = "schedule",
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Ask how the learning rate falls from its first value to a share of it.

    All kinds end at the same share, `<name>_final`, drawn on a log scale, so that
    they differ in their course alone: "exponential" loses the same ratio every step,
    "cosine" falls slowly at both ends, "inverse_time" falls as 1 / (1 + c · step),
    "warm_up" first rises from 0 and then falls as a cosine.

    Args:
        hp: the trial's hyperparameters.
        total_steps: batches of the whole training: batches of an epoch times epochs.
        learning_rate: the first (with "warm_up", highest) rate; asked for if left
            out.
        kinds: of "none", "exponential", "cosine", "inverse_time", "warm_up".
        default: before any search; the first kind if it is none of them.
        name: what it is called in tables.

    Returns:
        What an optimizer takes as `learning_rate`: a number for "none", else a
        schedule.

    Raises:
        SearchSpaceError: if a kind is unknown, or total_steps >= 1 does not hold.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> learning_rate_schedule(HyperParameters(), total_steps=1000)
        0.001

    References:
        I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm
        restarts", arXiv:1608.03983; P. Goyal et al., "Accurate, large minibatch
        SGD", arXiv:1706.02677, for the warm-up.
    """
    if total_steps < 1:
        raise SearchSpaceError(
            f"total_steps >= 1 must hold for {name}, but got {total_steps=}. It is the "
            "number of batches in an epoch times the number of epochs."
        )
    rate = _rate(hp) if learning_rate is None else learning_rate
    kind = ask_kind(hp, name=name, kinds=kinds, known=SCHEDULES, default=default)
    final = warm_share = None
    with when(hp, name, _FALLING, kinds) as is_possible:
        if is_possible:
            final = log_float(
                hp, name=f"{name}_final", min_value=1e-3, max_value=0.5, default=0.01
            )
    with when(hp, name, ("warm_up",), kinds) as is_possible:
        if is_possible:
            warm_share = linear_float(
                hp, name=f"{name}_warm_up", min_value=0.02, max_value=0.2, default=0.1
            )
    if kind == "none" or final is None:
        return rate
    return _course(kind, rate, total_steps, final, warm_share)


def _course(
    kind: str, rate: float, total: int, final: float, warm_share: float | None
) -> keras.optimizers.schedules.LearningRateSchedule:
    schedules = keras.optimizers.schedules
    if kind == "exponential":
        return schedules.ExponentialDecay(rate, total, final)
    if kind == "inverse_time":
        return schedules.InverseTimeDecay(rate, total, 1 / final - 1)
    if kind == "cosine" or warm_share is None:
        return schedules.CosineDecay(rate, total, final)
    warm = max(1, round(warm_share * total))
    return schedules.CosineDecay(
        0.0, max(1, total - warm), final, warmup_target=rate, warmup_steps=warm
    )
