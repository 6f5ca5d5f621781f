"""Search spaces as plain data: which scale, how many values, and narrowed ones.

Works on the configurations that Keras Tuner writes down, and needs no Keras.
"""

from kttoolkit.ranges._grid import (
    Shrunk,
    grid_size,
    n_active_values,
    ways_to_shrink,
)
from kttoolkit.ranges._narrow import Scored, narrowed
from kttoolkit.ranges._range import Range, Scale, ranges_of

__all__ = [
    "Range",
    "Scale",
    "Scored",
    "Shrunk",
    "grid_size",
    "n_active_values",
    "narrowed",
    "ranges_of",
    "ways_to_shrink",
]
