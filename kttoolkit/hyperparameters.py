"""Keras Tuner's `hp` with ranges that hold what they promise.

With `kttoolkit.tuners._compat`, this is the module that knows Keras Tuner's private
members, and it was checked on the same version.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.src import protos
from keras_tuner.src.engine.hyperparameters import hp_types

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import meant, shown

GRID_POINTS = 10


class _GridValues:
    """Ten values in ascending order, both bounds among them, for a range."""

    @property
    def values(self) -> Any:
        """Return the values that a grid search tries."""
        if self.step is not None:  # type: ignore[attr-defined]
            return super().values  # type: ignore[misc]
        points = (i / (GRID_POINTS - 1) for i in range(GRID_POINTS))
        return tuple(sorted({self.prob_to_value(p) for p in points}))  # type: ignore[attr-defined]


class Int(_GridValues, hp_types.Int):  # type: ignore[misc]
    """An integer range that is never left: `prob_to_value(1.0)` is the maximum."""

    def prob_to_value(self, prob: float) -> int:
        """Convert a cumulative probability in [0, 1] to a value."""
        return min(int(super().prob_to_value(prob)), self.max_value)


class Float(_GridValues, hp_types.Float):  # type: ignore[misc]
    """A range of floats whose steps reach the maximum, however they round."""

    def prob_to_value(self, prob: float) -> float:
        """Convert a cumulative probability in [0, 1] to a value."""
        value = float(super().prob_to_value(prob))
        return min(max(value, self.min_value), self.max_value)

    def _get_n_values(self) -> int:
        if self.sampling == "linear":
            steps = (self.max_value - self.min_value) / self.step
            return int(np.floor(steps + 1e-8)) + 1
        return int(super()._get_n_values())

    def _get_value_by_index(self, index: int) -> float:
        value = float(super()._get_value_by_index(index))
        # 0.1 * 3 is 0.30000000000000004; what is written should read 0.3.
        return min(float(f"{value:.12g}"), self.max_value)

    def _to_prob_with_step(self, value: float) -> float:
        values = list(self.values)
        index = int(np.argmin([abs(value - known) for known in values]))
        return (index + 0.5) / len(values)


class Choice(hp_types.Choice):  # type: ignore[misc]
    """A choice that keeps booleans booleans."""

    def __init__(
        self,
        name: str,
        values: Any,
        ordered: bool | None = None,
        default: Any = None,
        **kwargs: Any,
    ) -> None:
        values = list(values)
        booleans = bool(values) and all(isinstance(value, bool) for value in values)
        super().__init__(name, values, ordered=ordered, default=default, **kwargs)
        if booleans:
            self._values = values
            self._default = None if default is None else bool(default)

    def to_proto(self) -> Any:
        """Return the message that workers are sent."""
        if not isinstance(self.values[0], bool):
            return super().to_proto()
        messages = protos.get_proto()
        return messages.Choice(
            name=self.name,
            ordered=self.ordered,
            values=[messages.Value(boolean_value=known) for known in self.values],
            default=messages.Value(boolean_value=self.default),
            conditions=[condition.to_proto() for condition in self.conditions],
        )


_MENDED: dict[str, Any] = {"Int": Int, "Float": Float, "Choice": Choice}


class HyperParameters(keras_tuner.HyperParameters):  # type: ignore[misc]
    """Keras Tuner's `hp` with ranges that hold what they promise.

    Bounds are reached and never left, `Choice([True, False])` gives booleans,
    and copies are reproducible. Anything that works with
    `keras_tuner.HyperParameters` works with it.

    Example:
        >>> hp = HyperParameters()
        >>> hp.Choice("batch_norm", [True, False])
        True
    """

    def Choice(  # noqa: N802
        self,
        name: str,
        values: Any,
        ordered: bool | None = None,
        default: Any = None,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """Choose one of several values; see `keras_tuner.HyperParameters.Choice`."""
        with self._maybe_conditional_scope(parent_name, parent_values):
            choice = Choice(
                self._get_name(name),
                values,
                ordered=ordered,
                default=default,
                conditions=self._conditions,
            )
            return self._retrieve(choice)

    def _exists(self, name: str, conditions: Any = None) -> bool:
        """Find a parent in the scopes around the present one too."""
        if conditions is not None:
            return bool(super()._exists(name, conditions))
        around = (self._conditions[:n] for n in range(len(self._conditions) + 1))
        return any(super(HyperParameters, self)._exists(name, c) for c in around)

    def _register(self, hyperparameter: Any, overwrite: bool = False) -> Any:
        return super()._register(mended(hyperparameter), overwrite)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, keras_tuner.HyperParameters):
            return NotImplemented
        return bool(self.get_config() == other.get_config())

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> "HyperParameters":
        """Return an independent copy."""
        # By way of a configuration Keras Tuner's own kinds would come of it.
        return as_hyperparameters(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "HyperParameters":
        """Rebuild what `get_config` gave, Keras Tuner's own files included."""
        hp = cls()
        hp._take(map(_rebuilt, config["space"]), config["values"])
        return hp

    def _take(self, space: Iterable[Any], values: Mapping[str, Any]) -> None:
        """Become this space with these values, from nothing."""
        for hyperparameter in space:
            self._hps[hyperparameter.name].append(hyperparameter)
            self._space.append(hyperparameter)
        self.values = dict(values)

    def ensure_active_values(self) -> None:
        """Drop inactive values and draw missing ones, the same ones every time."""
        for hp in self.space:
            if not self.is_active(hp):
                self.values.pop(hp.name, None)
            elif hp.name not in self.values:
                known = json.dumps([hp.name, sorted(map(str, self.values.items()))])
                seed = int.from_bytes(hashlib.sha256(known.encode()).digest()[:4])
                self.values[hp.name] = hp.random_sample(seed)


def mended(hyperparameter: Any, value: Any = None) -> Any:
    """Return our own kind of a hyperparameter, for those kinds that need it."""
    kind = _MENDED.get(type(hyperparameter).__name__)
    if kind is None or isinstance(hyperparameter, kind):
        return hyperparameter
    config = hyperparameter.get_config()
    if isinstance(value, bool):
        # Of what a worker and its chief send, Keras Tuner has made numbers.
        config["values"] = list(map(bool, config["values"]))
    return kind.from_config(config)


def as_hyperparameters(hp: keras_tuner.HyperParameters) -> HyperParameters:
    """Return a mended copy of a search space with its values."""
    copy = HyperParameters()
    space = (mended(one, hp.values.get(one.name)) for one in hp.space)
    copy._take(space, hp.values)  # noqa: SLF001
    return copy


def _rebuilt(entry: Mapping[str, Any]) -> Any:
    """Make a hyperparameter of its configuration, of our own kind if there is one."""
    # Of Keras Tuner's kind, booleans would be lost before it could be mended. Either
    # puts conditions where their configurations were.
    kind, own = _MENDED.get(entry["class_name"]), deepcopy(dict(entry))
    if kind is None:
        return hp_types.deserialize(own)
    return kind.from_config(own["config"])


def completed(
    space: keras_tuner.HyperParameters, setting: Mapping[str, Any]
) -> dict[str, Any]:
    """Complete a setting by the defaults of what it leaves out.

    Args:
        space: a search space.
        setting: hyperparameter names to values.

    Returns:
        Values of all hyperparameters that are active in this setting.
    """
    known = HyperParameters()
    values = dict(setting)
    known.values = values
    for hp in space.space:
        known.merge([hp], overwrite=False)
        if known.is_active(hp):
            values.setdefault(hp.name, hp.default)
    return values


def check_names(setting: Mapping[str, Any], known: Iterable[str], what: str) -> None:
    """Refuse a setting of something that is never asked for.

    Args:
        setting: hyperparameter names to values.
        known: names that the build function asks for.
        what: the setting's name in the message.

    Raises:
        SearchSpaceError: with the closest known name.
    """
    names = sorted(set(known))
    for name in setting:
        if name not in names:
            raise SearchSpaceError(
                "A setting may name only hyperparameters that the build function asks "
                f"for, but {what} names {shown(name)}; known are {names}."
                f"{meant(name, names)}"
            )
