"""kttoolkit: cross-validated hyperparameter tuning for Keras, on Keras Tuner.

Importing it is instant; TensorFlow is loaded when something that trains is first
used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kttoolkit import builders, cv, datasets, exceptions, scoring, space, trackers
    from kttoolkit._open import load_result
    from kttoolkit._tune import tune
    from kttoolkit.results import TuneResult
    from kttoolkit.tuners import (
        BayesianOptimization,
        GridSearch,
        Hyperband,
        HyperParameters,
        ManualSearch,
        RandomSearch,
    )

__version__ = "0.1.0"

__all__ = [
    "BayesianOptimization",
    "GridSearch",
    "HyperParameters",
    "Hyperband",
    "ManualSearch",
    "RandomSearch",
    "TuneResult",
    "builders",
    "cv",
    "datasets",
    "exceptions",
    "load_result",
    "scoring",
    "space",
    "trackers",
    "tune",
]

_HOME = {
    "BayesianOptimization": "kttoolkit.tuners",
    "GridSearch": "kttoolkit.tuners",
    "HyperParameters": "kttoolkit.tuners",
    "Hyperband": "kttoolkit.tuners",
    "ManualSearch": "kttoolkit.tuners",
    "RandomSearch": "kttoolkit.tuners",
    "TuneResult": "kttoolkit.results",
    "load_result": "kttoolkit._open",
    "tune": "kttoolkit._tune",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in __all__:
        return importlib.import_module(f"kttoolkit.{name}")
    raise AttributeError(f"module 'kttoolkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *globals()})
