"""Ready model families whose search spaces are on the right scale."""

from kttoolkit.builders._base import Builder, Shapes
from kttoolkit.builders._mlp import mlp

__all__ = ["Builder", "Shapes", "mlp"]
