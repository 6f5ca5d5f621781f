"""The scales themselves: one function each, for hyperparameters of one's own."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import keras_tuner
import numpy as np

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import is_number, one_of, shown

_POINTS_A_DECADE = 50
_MOST_POINTS = 10_000
_MOST_STEPS = 1e9
_VALUES = (str, bool, int, float)


def choice(
    hp: keras_tuner.HyperParameters,
    *,
    name: str,
    values: Sequence[Any],
    default: Any = None,
) -> Any:
    """Ask for one of several values, each as likely.

    Numbers count as ordered, so that Bayesian optimisation knows which are
    neighbours.

    Args:
        hp: the trial's hyperparameters.
        name: what it is called in tables.
        values: strings, numbers or booleans, all of one type and none twice; those of
            NumPy become Python's.
        default: before any search; the first value if left out.

    Returns:
        The value of this trial; None in a conditional scope that is not active.

    Raises:
        SearchSpaceError: if there are no values, some twice, or the default is none
            of them.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> choice(HyperParameters(), name="pool", values=["max", "average"])
        'max'
    """
    values = _as_values(name, values)
    default = values[0] if default is None else _as_python(default)
    if not isinstance(default, _VALUES) or default not in values:
        raise SearchSpaceError(
            f"The default of {name} must be one of its values, but got {default=} and "
            f"{values=}. Choose one of these, or add it."
        )
    if all(isinstance(value, bool) for value in values):
        # Keras Tuner makes strings of booleans, Boolean apart.
        if len(values) == 1:
            return hp.Fixed(name, values[0])
        return hp.Boolean(name, default=default)
    return hp.Choice(name, values, default=default)


def integer(
    hp: keras_tuner.HyperParameters,
    *,
    name: str,
    min_value: int,
    max_value: int,
    step: int | None = None,
    sampling: Literal["linear", "log"] = "linear",
    default: int | None = None,
) -> int:
    """Ask for a whole number.

    Args:
        hp: the trial's hyperparameters.
        name: what it is called in tables.
        min_value: the lowest, included.
        max_value: the highest, included.
        step: distance of two values, or with `sampling="log"` their ratio; any
            whole number (any ratio) if left out.
        sampling: "linear", or "log" where a doubling counts, not a difference.
        default: before any search; `min_value` if left out.

    Returns:
        The number of this trial; None in a conditional scope that is not active.

    Raises:
        SearchSpaceError: if the bounds are reversed, a log scale begins at 0, the
            steps miss `max_value`, or the default is outside.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> integer(HyperParameters(), name="heads", min_value=1, max_value=8)
        1
    """
    _check_bounds(name, min_value, max_value, default)
    for number in (min_value, max_value, step, default):
        if number is not None and not _is_whole(number):
            raise SearchSpaceError(
                f"Bounds, step and default of {name} must be whole numbers, but got "
                f"{shown(number)}. Round them, or use linear_float or log_float."
            )
    if not one_of("linear", "log")(sampling):
        raise SearchSpaceError(
            f"sampling of {name} must be 'linear' or 'log', but got {shown(sampling)}."
        )
    if sampling == "log":
        _check_log(name, min_value)
    _check_steps(name, min_value, max_value, step, sampling)
    default = min_value if default is None else default
    return _or_none(
        int,
        hp.Int(
            name, min_value, max_value, step=step, sampling=sampling, default=default
        ),
    )


def linear_float(
    hp: keras_tuner.HyperParameters,
    *,
    name: str,
    min_value: float,
    max_value: float,
    step: float | None = None,
    default: float | None = None,
) -> float:
    """Ask for a number of which differences count, every part of the range alike.

    Args:
        hp: the trial's hyperparameters.
        name: what it is called in tables.
        min_value: the lowest, included.
        max_value: the highest, included.
        step: distance of two values; any value if left out.
        default: before any search; `min_value` if left out.

    Returns:
        The number of this trial; None in a conditional scope that is not active.

    Raises:
        SearchSpaceError: if the bounds are reversed, the steps miss `max_value`, or
            the default is outside.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> linear_float(HyperParameters(), name="share", min_value=0, max_value=1)
        0.0
    """
    _check_bounds(name, min_value, max_value, default)
    _check_steps(name, min_value, max_value, step, "linear")
    default = min_value if default is None else default
    value = hp.Float(name, min_value, max_value, step=step, default=float(default))
    return _or_none(float, value)


def log_float(
    hp: keras_tuner.HyperParameters,
    *,
    name: str,
    min_value: float,
    max_value: float,
    default: float | None = None,
) -> float:
    """Ask for a positive number of which ratios count: every power of ten alike.

    `r` is drawn uniformly between log10(min_value) and log10(max_value), and the
    number is 10 ** r.

    Args:
        hp: the trial's hyperparameters.
        name: what it is called in tables.
        min_value: the lowest, above 0, included.
        max_value: the highest, included.
        default: before any search; the middle of the scale, the square root of
            `min_value * max_value`, if left out.

    Returns:
        The number of this trial; None in a conditional scope that is not active.

    Raises:
        SearchSpaceError: if the bounds are reversed or not above 0, or the default
            is outside.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> log_float(HyperParameters(), name="alpha", min_value=0.01, max_value=1.0)
        0.1
    """
    _check_bounds(name, min_value, max_value, default)
    _check_log(name, min_value)
    if default is None:
        default = float(f"{math.sqrt(min_value) * math.sqrt(max_value):.6g}")
        default = min(max(default, min_value), max_value)
    value = hp.Float(name, min_value, max_value, sampling="log", default=float(default))
    return _or_none(float, value)


def one_minus_log(
    hp: keras_tuner.HyperParameters,
    *,
    name: str,
    min_value: float,
    max_value: float,
    points: int | None = None,
    default: float | None = None,
) -> float:
    """Ask for a number close to 1, drawn so that 1 - value is on a log scale.

    A moving average with factor β spans 1 / (1 - β) values. From 0.9 to 0.9005 that
    is 10 values either way, from 0.999 to 0.9995 it is 1000 or 2000: what counts is
    the ratio of 1 - β. So 0.9 to 0.99 is as likely as 0.99 to 0.999.

    Keras Tuner has no such scale (its `sampling="reverse_log"` mirrors the logarithm
    of the range, which between 0.9 and 0.999 is nearly linear). The range is laid
    out as a choice of ordered values instead, evenly on the scale, which every tuner
    and every Keras Tuner project folder can hold, and of which Bayesian optimisation
    knows the neighbours.

    Args:
        hp: the trial's hyperparameters.
        name: what it is called in tables.
        min_value: the lowest, at least 0, included.
        max_value: the highest, below 1, included.
        points: how many values, 2 or more; 50 for each power of ten of 1 - value if
            left out, neighbours of which differ by 5 % in what they span. A grid
            search wants few.
        default: before any search; `min_value` if left out.

    Returns:
        The number of this trial; None in a conditional scope that is not active.

    Raises:
        SearchSpaceError: if 0 <= min_value <= max_value < 1 does not hold, or the
            default is outside.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> hp = HyperParameters()
        >>> one_minus_log(hp, name="beta", min_value=0.9, max_value=0.999)
        0.9
    """
    _check_bounds(name, min_value, max_value, default)
    if min_value < 0 or max_value >= 1:
        why = (
            "a factor below 0 would turn about at every step. Take 0 or more as the "
            "lowest."
            if min_value < 0
            else "a factor of 1 would average over infinitely many steps. Take 0.999 "
            "or 0.9999 as the highest."
        )
        raise SearchSpaceError(
            f"0 <= min_value <= max_value < 1 must hold for {name}, but got "
            f"{min_value=} and {max_value=}: {why}"
        )
    if points is not None and not (_is_whole(points) and 2 <= points <= _MOST_POINTS):
        raise SearchSpaceError(
            f"points >= 2 must hold for {name}, as a whole number of at most "
            f"{_MOST_POINTS}, but got points={shown(points)}."
        )
    default = min_value if default is None else default
    values = _laid_out(float(min_value), float(max_value), points, float(default))
    return _or_none(float, hp.Choice(name, values, ordered=True, default=default))


def _laid_out(
    low: float, high: float, points: int | None, default: float
) -> list[float]:
    """Lay values evenly on the log scale of 1 - value, the default among them."""
    if low == high:
        return [low]
    decades = math.log10((1 - low) / (1 - high))
    points = points or max(2, round(_POINTS_A_DECADE * decades) + 1)
    gaps = np.geomspace(1 - low, 1 - high, points).tolist()
    inner = [_rounded(1 - gap) for gap in gaps]
    values = sorted({low, *inner[1:-1], high})
    if default not in values and len(values) > 2:
        inside = values[1:-1]
        ratios = [abs(math.log((1 - value) / (1 - default))) for value in inside]
        inside[int(np.argmin(ratios))] = default
        values = [low, *inside, high]
    return sorted({*values, default})


def _rounded(value: float) -> float:
    """Keep three digits of 1 - value."""
    return round(value, 3 - math.ceil(math.log10(1 - value)))


def _check_bounds(name: str, low: Any, high: Any, default: Any) -> None:
    for bound in (low, high):
        if not _is_finite(bound):
            raise SearchSpaceError(
                f"The bounds of {name} must be finite numbers, but got {shown(bound)}."
            )
    if default is not None and not _is_finite(default):
        raise SearchSpaceError(
            f"The default of {name} must be a finite number, but got {shown(default)}."
        )
    if float(low) > float(high):
        raise SearchSpaceError(
            f"min_value <= max_value must hold for {name}, but got min_value={low} and "
            f"max_value={high}. Exchange them."
        )
    if default is not None and not float(low) <= float(default) <= float(high):
        raise SearchSpaceError(
            f"min_value <= default <= max_value must hold for {name}, but got "
            f"min_value={low}, default={default} and max_value={high}. Pass default= "
            "inside the range, or widen it."
        )


def _check_log(name: str, low: float) -> None:
    if low <= 0:
        raise SearchSpaceError(
            f"min_value > 0 must hold for {name}, which is on a log scale, but got "
            f"min_value={low}: there is no logarithm of it. Take a small positive "
            "number, e.g. 1e-6."
        )


def _check_steps(
    name: str, low: float, high: float, step: float | None, sampling: str
) -> None:
    """Refuse steps that never arrive at the upper bound."""
    if step is None:
        return
    least = 1 if sampling == "log" else 0
    if not _is_finite(step) or step <= least:
        raise SearchSpaceError(
            f"step > {least} must hold for {name}, but got step={shown(step)}."
        )
    steps = (
        (math.log(high) - math.log(low)) / math.log(step)
        if sampling == "log"
        else (float(high) - float(low)) / step
    )
    if steps > _MOST_STEPS:
        raise SearchSpaceError(
            f"{name} must have at most {_MOST_STEPS:.0g} steps, but from {low} to "
            f"{high} in steps of {step} there are {steps:.3g}. Leave step out."
        )
    if abs(steps - round(steps)) > 1e-6:
        way = f"multiplied by {step}" if sampling == "log" else f"in steps of {step}"
        nearest = (
            low * step ** int(steps + 1e-6)
            if sampling == "log"
            else low + step * int(steps + 1e-6)
        )
        raise SearchSpaceError(
            f"The steps of {name} must arrive at max_value, but from {low} {way} they "
            f"miss {high}. Take max_value={nearest:g}, or another step."
        )


def _as_values(name: str, values: Any) -> list[Any]:
    """Return the values of a choice: some, of one type, none twice."""
    try:
        found = [_as_python(value) for value in values]
        n_different = len(set(found))
    except TypeError:
        found, n_different = [], 0
    kinds = {type(value) for value in found}
    if not n_different or n_different < len(found):
        raise SearchSpaceError(
            f"{name} must be chosen of one or more values, none twice, but got "
            f"values={shown(values)}."
        )
    if len(kinds) > 1 or not isinstance(found[0], _VALUES):
        raise SearchSpaceError(
            f"{name} must be chosen of texts, numbers or booleans, all of one type, "
            f"but got values={shown(values)}. Write them all as text."
        )
    return found


def _as_python(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _is_finite(value: Any) -> bool:
    value = _as_python(value)
    return is_number(value) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return _is_finite(value) and int(value) == value


def _or_none(kind: type, value: Any) -> Any:
    """Convert a value; Keras Tuner gives None in a scope that is not active."""
    return None if value is None else kind(value)
