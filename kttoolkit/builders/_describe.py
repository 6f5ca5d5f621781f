"""A search space in a table: scale, bounds, size of the grid."""

from dataclasses import dataclass
from typing import Any

import keras_tuner
import pandas as pd

from kttoolkit.builders._base import Builder
from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.hyperparameters import HyperParameters
from kttoolkit.plain import shown, visible_lines
from kttoolkit.ranges import Range, grid_size, ranges_of

_SCALES = {"one_minus_log": "log of 1 - value", "fixed": "-"}


@dataclass(frozen=True)
class SpaceDescription:
    """A search space, row by row.

    Attributes:
        frame: one row a hyperparameter; columns `name`, `scale`, `range`, `grid`
            (values on a grid), `default` and `active` (when it is asked for).
        grid_size: combinations of all values.
    """

    frame: pd.DataFrame
    grid_size: int

    def __repr__(self) -> str:
        table = self.frame.to_string(index=False) if len(self.frame) else "nothing"
        return f"{visible_lines(table)}\ngrid: {self.grid_size:,} combinations"

    def _repr_html_(self) -> str:
        table = self.frame.to_html(index=False, border=0, escape=True)
        return f"{visible_lines(table)}<p>grid: {self.grid_size:,} combinations</p>"


def describe(build: Any) -> SpaceDescription:
    """Show what a builder, or any build function, searches.

    Args:
        build: a builder of `kttoolkit.builders`, with or without its data (batch
            sizes and depths may depend on those), a `keras_tuner.HyperModel`, a
            function `hp -> model`, or hyperparameters, such as
            `TuneResult.narrowed_space` returns.

    Returns:
        A table that prints itself.

    Raises:
        SearchSpaceError: if it is none of these.

    Example:
        >>> from kttoolkit import builders
        >>> builders.describe(builders.mlp(tune=["learning_rate", "units"]))
                 name scale         range  grid default active
                units   log     16 to 256     5      64 always
        learning_rate   log 0.0001 to 0.1    10   0.001 always
        grid: 50 combinations
    """
    if isinstance(build, Builder) and build.shapes is None:
        build = build.for_shapes(build.example)
    hp = HyperParameters()
    if isinstance(build, keras_tuner.HyperParameters):
        hp.merge(build)
    else:
        make = build.build if isinstance(build, keras_tuner.HyperModel) else build
        if not callable(make):
            raise SearchSpaceError(
                "describe takes a builder, a HyperModel, a function hp -> model or "
                f"hyperparameters, but got {shown(build)}. Pass e.g. builders.mlp()."
            )
        make(hp)
    ranges = ranges_of(hp.get_config()["space"])
    columns = ["name", "scale", "range", "grid", "default", "active"]
    frame = pd.DataFrame([_row(one) for one in ranges], columns=columns)
    return SpaceDescription(frame, grid_size(ranges))


def _row(one: Range) -> tuple[str, str, str, int, str, str]:
    active = " and ".join(
        f"{name} is {' or '.join(map(_shown, values))}"
        for name, values in one.conditions
    )
    return (
        one.name,
        _SCALES.get(one.scale, one.scale),
        _extent(one),
        len(one.grid()),
        _shown(one.default),
        active or "always",
    )


def _extent(one: Range) -> str:
    if one.kind in {"Float", "Int"} or one.is_laid_out:
        return f"{_shown(one.low)} to {_shown(one.high)}"
    return ", ".join(map(_shown, one.values))


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
