"""Which engine trains a trial."""

import warnings
from typing import Any

import keras_tuner

from kttoolkit.cv import Folds
from kttoolkit.data import TrainingData
from kttoolkit.engine._base import Engine, FitPlan, ModelFactory, Observer
from kttoolkit.engine._call import RefusedError
from kttoolkit.engine._compiled import CompiledEngine
from kttoolkit.engine._reference import ReferenceEngine
from kttoolkit.engine._stacked import StackedEngine
from kttoolkit.exceptions import EngineWarning, SearchError
from kttoolkit.scoring import FoldFit


class StackedOrCompiled(Engine):
    """Stacks the folds where that can be done, and trains them singly elsewhere."""

    name = "stacked"

    def fit_folds(
        self,
        factory: ModelFactory,
        hp: keras_tuner.HyperParameters,
        data: TrainingData | None,
        folds: Folds | None,
        plan: FitPlan,
        observer: Observer,
    ) -> tuple[FoldFit, ...]:
        """Train every fold and execution."""
        arguments: Any = (factory, hp, data, folds, plan, observer)
        try:
            return StackedEngine().fit_folds(*arguments)
        except RefusedError as refusal:
            message = f"Folds are trained singly, not stacked: {refusal}."
            warnings.warn(message, EngineWarning, stacklevel=2)
        return CompiledEngine().fit_folds(*arguments)


_ENGINES: dict[str, type[Engine]] = {
    "compiled": CompiledEngine,
    "reference": ReferenceEngine,
    "stacked": StackedOrCompiled,
}


def choose(name: str) -> Engine:
    """Return the engine of that name.

    Args:
        name: "compiled" runs whole epochs on the device, fold by fold, and leaves
            what it cannot run to `model.fit`; "stacked" trains all folds side by
            side where layers and optimizer allow; "reference" is `model.fit`;
            "auto" is the fastest that computes the same.

    Returns:
        An engine.

    Raises:
        SearchError: if there is none of that name.

    Example:
        >>> choose("auto").name
        'compiled'
    """
    if name == "auto":
        return CompiledEngine()
    if name not in _ENGINES:
        names = ", ".join(repr(known) for known in ("auto", *_ENGINES))
        raise SearchError(f"engine must be one of {names}, but got {name!r}.")
    return _ENGINES[name]()
