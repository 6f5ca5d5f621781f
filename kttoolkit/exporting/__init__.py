"""Models taken away: folders that serve raw rows, and plain Python files."""

from kttoolkit.exporting._folder import Trained, check_target, write_folder
from kttoolkit.exporting._logits import as_probabilities
from kttoolkit.exporting._python import python_code, write_python
from kttoolkit.exporting._recipe import Recipe, recorded
from kttoolkit.exporting._rows import RowForm
from kttoolkit.exporting._serve import ServedModel, load_model

__all__ = [
    "Recipe",
    "RowForm",
    "ServedModel",
    "Trained",
    "as_probabilities",
    "check_target",
    "load_model",
    "python_code",
    "recorded",
    "write_folder",
    "write_python",
]
