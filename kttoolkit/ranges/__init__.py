"""Search spaces as plain data: which scale, how many values, and narrowed ones.

Works on the configurations that Keras Tuner writes down, and needs no Keras.
"""

from kttoolkit.ranges._grid import grid_size, n_active_values
from kttoolkit.ranges._narrow import Scored, narrowed
from kttoolkit.ranges._range import Range, Scale, ranges_of

__all__ = [
    "Range",
    "Scale",
    "Scored",
    "grid_size",
    "n_active_values",
    "narrowed",
    "ranges_of",
]
