"""One hyperparameter's range, and the scale that it lies on."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kttoolkit.plain import is_number, is_scalar

Scale = Literal["linear", "log", "one_minus_log", "ordered", "categorical", "fixed"]

_GRID_POINTS = 10
_EVENLY = 0.05
_LONG = 20


@dataclass(frozen=True)
class Range:
    """What one hyperparameter may be.

    Attributes:
        name: as tables show it.
        kind: Keras Tuner's class: "Float", "Int", "Choice", "Boolean" or "Fixed".
        scale: on which differences count. "ordered" numbers are evenly spaced on no
            scale known here, "categorical" values have no order.
        values: of a choice, in order; else empty.
        low: the lowest number; NaN where there are none.
        high: the highest number; NaN where there are none.
        step: distance of two values, or on a log scale their ratio; 0 for any value.
        default: before any search.
        conditions: names of others to the values that this one belongs to.
        config: Keras Tuner's own, class and all.
    """

    name: str
    kind: str
    scale: Scale
    values: tuple[Any, ...]
    low: float
    high: float
    step: float
    default: Any
    conditions: tuple[tuple[str, tuple[Any, ...]], ...]
    config: Mapping[str, Any]

    @property
    def is_numeric(self) -> bool:
        """Whether its values are numbers in an order."""
        return self.scale not in {"categorical", "fixed"}

    @property
    def is_laid_out(self) -> bool:
        """Whether a choice stands for a range: many values, even on a scale."""
        is_even = self.scale in {"linear", "log", "one_minus_log"}
        return self.kind == "Choice" and is_even and len(self.values) >= _LONG

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        is_whole = all(isinstance(value, int) for value in self.values)
        return self.kind == "Int" or (self.kind == "Choice" and is_whole)

    @property
    def step_on_scale(self) -> float:
        """Distance of two values on the scale; 0 for any value."""
        return math.log(self.step) if self.step and self.scale == "log" else self.step

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Tell whether a trial with these values has it.

        Args:
            values: names to values.

        Returns:
            Whether all conditions hold.
        """
        return all(values.get(name) in allowed for name, allowed in self.conditions)

    def is_value(self, value: Any) -> bool:
        """Tell whether a value may be one of it, be it outside of its bounds.

        Args:
            value: of a trial, which may be a user's own.

        Returns:
            Whether it is a finite number with a place on the scale, or one of the
            values of a choice that stands for no range.
        """
        if self.values and not self.is_laid_out:
            return value in self.values
        is_kind = is_number(value) and not (self.is_whole and value % 1)
        return is_kind and math.isfinite(self.to_scale(value))

    def has_place(self, values: Mapping[str, Any]) -> bool:
        """Tell whether a trial has a value of it that can be laid beside others.

        Args:
            values: of a trial, which may be a user's own.

        Returns:
            Whether it is a number of the scale, or some choice.
        """
        if self.name not in values:
            return False
        value = values[self.name]
        return self.is_value(value) if self.is_numeric else is_scalar(value)

    def to_scale(self, value: float) -> float:
        """Bring a value to where equal distances count alike.

        Args:
            value: in the range.

        Returns:
            Its logarithm, minus the logarithm of 1 - value, its place in the order,
            or the value itself; NaN for what has no place on the scale.
        """
        if self.scale == "ordered":
            return float(self.values.index(value)) if value in self.values else math.nan
        # Settings of a user's own may lie anywhere.
        try:
            return float(_FORTH[self.scale](value))
        except (TypeError, ValueError, OverflowError):
            return math.nan

    def from_scale(self, place: float) -> float:
        """Undo `to_scale`.

        Args:
            place: on the scale.

        Returns:
            The value there; infinity beyond the largest number.
        """
        try:
            return float(_BACK[self.scale](place))
        except OverflowError:
            return math.inf if self.scale == "log" else -math.inf

    def grid(self) -> tuple[Any, ...]:
        """Return the values that a grid search tries, the default among them."""
        if self.kind in {"Choice", "Boolean", "Fixed"}:
            return self.values
        count = self._n_steps()
        shares = np.linspace(0, 1, count)
        low, high = self.to_scale(self.low), self.to_scale(self.high)
        found = [self.from_scale(p) for p in low * (1 - shares) + high * shares]
        if self.kind == "Int":
            return tuple(sorted({round(value) for value in found} | {self.default}))
        return tuple(sorted({float(f"{v:.12g}") for v in found} | {self.default}))

    def _n_steps(self) -> int:
        if self.low == self.high:
            return 1
        if not self.step:
            return _GRID_POINTS
        if self.scale == "log":
            ratio = math.log(self.high) - math.log(self.low)
            return int(ratio / math.log(self.step) + 1e-8) + 1
        return int((self.high - self.low) / self.step + 1e-8) + 1


def ranges_of(space: Iterable[Mapping[str, Any]]) -> list[Range]:
    """Read a search space as Keras Tuner writes it down.

    Args:
        space: the configurations, as in `HyperParameters.get_config()["space"]`.

    Returns:
        One range each, in the same order.
    """
    return [_range_of(entry) for entry in space]


def _range_of(entry: Mapping[str, Any]) -> Range:
    kind, config = str(entry["class_name"]), entry["config"]
    conditions = tuple(
        (c["config"]["name"], tuple(c["config"]["values"]))
        for c in config.get("conditions", ())
    )
    values, scale, low, high, step = _extent(kind, config)
    default = config.get("default", config.get("value"))
    if default is None:
        default = values[0] if values else config.get("min_value")
    return Range(
        config["name"], kind, scale, values, low, high, step, default, conditions, entry
    )


def _extent(
    kind: str, config: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Scale, float, float, float]:
    if kind == "Fixed":
        return (config["value"],), "fixed", math.nan, math.nan, 0.0
    if kind == "Boolean":
        return (False, True), "categorical", math.nan, math.nan, 0.0
    if kind == "Choice":
        values = tuple(config["values"])
        if not config.get("ordered") or isinstance(values[0], str | bool):
            return values, "categorical", math.nan, math.nan, 0.0
        return values, _scale_of(values), float(min(values)), float(max(values)), 0.0
    # Keras Tuner's reverse_log mirrors a log range; nearly linear, it counts as that.
    scale: Scale = "log" if config.get("sampling") == "log" else "linear"
    step = float(config.get("step") or 0)
    return (), scale, float(config["min_value"]), float(config["max_value"]), step


def _scale_of(values: Sequence[float]) -> Scale:
    """Find the scale on which numbers are evenly spaced."""
    if len(values) < 3 or list(values) not in (sorted(values), sorted(values)[::-1]):
        return "ordered"
    candidates: list[Scale] = ["linear"]
    if min(values) > 0:
        candidates.append("log")
    if max(values) < 1 and min(values) >= 0:
        candidates.append("one_minus_log")
    spread = {scale: _unevenness(values, scale) for scale in candidates}
    best = min(spread, key=lambda scale: spread[scale])
    return best if spread[best] < _EVENLY else "ordered"


def _unevenness(values: Sequence[float], scale: Scale) -> float:
    """Return how much the middle distance is off the average one, as a share."""
    places = np.array([_FORTH[scale](value) for value in values])
    gaps = np.abs(np.diff(places))
    return float(np.mean(np.abs(gaps - gaps.mean())) / gaps.mean())


_FORTH: dict[str, Callable[[float], float]] = {
    "linear": float,
    "log": math.log,
    "one_minus_log": lambda value: -math.log1p(-value),
}
_BACK: dict[str, Callable[[float], float]] = {
    "linear": float,
    "log": math.exp,
    "one_minus_log": lambda place: -math.expm1(-place),
}
