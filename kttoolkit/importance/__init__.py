"""Which hyperparameters mattered, alone and in pairs, and how sure that is."""

from kttoolkit.importance._interactions import interactions
from kttoolkit.importance._shares import (
    METHODS,
    Importance,
    Method,
    features,
    importance,
)

__all__ = ["METHODS", "Importance", "Method", "features", "importance", "interactions"]
