"""The reference engine: `model.fit`, a fold at a time.

What it computes is, to the letter, a loop of `keras.utils.set_random_seed`,
`build(hp)` and `model.fit(..., validation_data=...)`. Every faster engine is
measured against it.
"""

from kttoolkit.engine._base import Assignment, Engine
from kttoolkit.engine._folds import not_at_all, train_folds
from kttoolkit.scoring import FoldFit


class ReferenceEngine(Engine):
    """Trains with `HyperModel.fit`, which is `model.fit` unless overridden."""

    name = "reference"

    def fit_folds(self, assignment: Assignment) -> tuple[FoldFit, ...]:
        """Train every fold and execution, one after the other."""
        return train_folds(assignment, not_at_all)
