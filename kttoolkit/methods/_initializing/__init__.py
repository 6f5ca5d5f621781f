"""What initial weights do to signals and gradients, before any training."""

from kttoolkit.methods._initializing._check import initialization_check
from kttoolkit.methods._initializing._report import InitializationReport

__all__ = ["InitializationReport", "initialization_check"]
