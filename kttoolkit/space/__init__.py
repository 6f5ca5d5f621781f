"""Hyperparameters on the right scale, one function each."""

from kttoolkit.space._dense import depth, dropout, units
from kttoolkit.space._optimizer import learning_rate

__all__ = ["depth", "dropout", "learning_rate", "units"]
