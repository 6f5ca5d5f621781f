"""Ready model families whose search spaces are on the right scale."""

from kttoolkit.builders._base import Builder
from kttoolkit.builders._cnn import cnn, residual_cnn
from kttoolkit.builders._describe import SpaceDescription, describe
from kttoolkit.builders._mlp import linear, mlp
from kttoolkit.builders._shapes import Shapes
from kttoolkit.builders._tabular import tabular
from kttoolkit.builders._text import sequence, text_bag_of_words

__all__ = [
    "Builder",
    "Shapes",
    "SpaceDescription",
    "cnn",
    "describe",
    "linear",
    "mlp",
    "residual_cnn",
    "sequence",
    "tabular",
    "text_bag_of_words",
]
