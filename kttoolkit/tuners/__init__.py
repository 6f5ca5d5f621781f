"""Keras Tuner's tuners, scored by cross-validation."""

from typing import Any

import keras_tuner

from kttoolkit.exceptions import SearchError
from kttoolkit.hyperparameters import HyperParameters, as_hyperparameters
from kttoolkit.plain import meant, shown
from kttoolkit.tuners._base import FoldTuner
from kttoolkit.tuners._bayesian import BayesianOptimization, BayesianOptimizationOracle
from kttoolkit.tuners._coarse_to_fine import CoarseToFine, CoarseToFineOracle
from kttoolkit.tuners._compat import MendedOracle
from kttoolkit.tuners._grid import GridSearch, GridSearchOracle
from kttoolkit.tuners._hyperband import Hyperband, HyperbandOracle
from kttoolkit.tuners._manual import ManualSearch, ManualSearchOracle
from kttoolkit.tuners._random import RandomSearch, RandomSearchOracle
from kttoolkit.tuners._trial import with_direction

__all__ = [
    "TUNERS",
    "BayesianOptimization",
    "BayesianOptimizationOracle",
    "CoarseToFine",
    "CoarseToFineOracle",
    "FoldTuner",
    "GridSearch",
    "GridSearchOracle",
    "HyperParameters",
    "Hyperband",
    "HyperbandOracle",
    "ManualSearch",
    "ManualSearchOracle",
    "Oracle",
    "RandomSearch",
    "RandomSearchOracle",
    "SklearnTuner",
    "Tuner",
    "as_hyperparameters",
    "get",
    "with_direction",
]

# Keras Tuner's names for the two bases.
Tuner = FoldTuner
Oracle = MendedOracle
SklearnTuner = keras_tuner.SklearnTuner

TUNERS: dict[str, type[FoldTuner]] = {
    "hyperband": Hyperband,
    "random": RandomSearch,
    "bayesian": BayesianOptimization,
    "grid": GridSearch,
    "coarse_to_fine": CoarseToFine,
    "manual": ManualSearch,
}


def get(tuner: Any) -> type[FoldTuner]:
    """Return the tuner class that a name or a class stands for.

    Args:
        tuner: one of `TUNERS`, or a subclass of `keras_tuner.Tuner`. A class that
            knows nothing of folds is given a subclass that does: what it overrides
            stays, and finds folds below.

    Returns:
        A subclass of `FoldTuner`.

    Raises:
        SearchError: if it is neither.

    Example:
        >>> get("random").__name__
        'RandomSearch'
    """
    if isinstance(tuner, str):
        if tuner in TUNERS:
            return TUNERS[tuner]
        raise SearchError(
            f"tuner must be one of {list(TUNERS)}, but got {shown(tuner)}."
            f"{meant(tuner, TUNERS)}"
        )
    if isinstance(tuner, type) and issubclass(tuner, FoldTuner):
        return tuner
    if isinstance(tuner, type) and issubclass(tuner, keras_tuner.Tuner):
        return type(tuner.__name__, (tuner, FoldTuner), {"__doc__": tuner.__doc__})
    raise SearchError(
        f"tuner must be one of {list(TUNERS)}, a list of settings, a keras_tuner.Tuner "
        f"subclass or an Oracle instance, but got {shown(tuner)}."
    )
