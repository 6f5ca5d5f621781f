"""What makes models from a result, as far as a result has to know."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from kttoolkit.results._result import TuneResult


class Trainer(Protocol):
    """Makes models from a result; it knows the build function and the data."""

    def fit_best(self, result: "TuneResult", x: Any, y: Any, **fit_kwargs: Any) -> Any:
        """Train the best setting on all rows; return model and preprocessor."""

    def ensemble(self, result: "TuneResult") -> Any:
        """Average the fold models of the best trial in one model."""

    def evaluate(
        self, result: "TuneResult", x: Any, y: Any, model: str = "refit"
    ) -> Any:
        """Score the retrained best setting on rows that the search never saw."""

    def out_of_fold(self, result: "TuneResult") -> Any:
        """Predict every row by a model that was not trained on it."""

    def add(self, result: "TuneResult", settings: Any) -> None:
        """Score further settings as the search scored its own."""

    def save_model(
        self, result: "TuneResult", folder: Path, *, model: str, overwrite: bool
    ) -> Path:
        """Save the best model with all that it takes to predict raw rows."""

    def to_python(self, result: "TuneResult", path: Path) -> Path:
        """Write the best setting as a Python file that needs Keras alone."""
