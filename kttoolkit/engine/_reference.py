"""The reference engine: `model.fit`, a fold at a time.

What it computes is, to the letter, a loop of `keras.utils.set_random_seed`,
`build(hp)` and `model.fit(..., validation_data=...)`. Every faster engine is
measured against it.
"""

from contextlib import nullcontext

import keras_tuner

from kttoolkit.cv import Folds
from kttoolkit.data import TrainingData
from kttoolkit.engine._base import Engine, FitPlan, ModelFactory, Observer
from kttoolkit.engine._folds import train_folds
from kttoolkit.scoring import FoldFit


class ReferenceEngine(Engine):
    """Trains with `HyperModel.fit`, which is `model.fit` unless overridden."""

    name = "reference"

    def fit_folds(
        self,
        factory: ModelFactory,
        hp: keras_tuner.HyperParameters,
        data: TrainingData | None,
        folds: Folds | None,
        plan: FitPlan,
        observer: Observer,
    ) -> tuple[FoldFit, ...]:
        """Train every fold and execution, one after the other."""
        return train_folds(
            factory, hp, data, folds, plan, observer,
            carry=lambda model, build, last: nullcontext(),
        )  # fmt: skip
