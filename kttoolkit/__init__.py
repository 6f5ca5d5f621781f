"""kttoolkit: cross-validated hyperparameter tuning for Keras, on Keras Tuner.

Importing it is instant; TensorFlow is loaded when something that trains is first
used.
"""

import contextlib
import importlib
import sys
from typing import TYPE_CHECKING, Any

from kttoolkit.quiet import quiet_start

if TYPE_CHECKING:
    from keras_tuner import (
        HyperModel,
        Objective,
        SklearnTuner,
        synchronized,
    )

    from kttoolkit import (
        applications,
        builders,
        cv,
        datasets,
        engine,
        errors,
        exceptions,
        importance,
        methods,
        oracles,
        plots,
        report,
        scoring,
        space,
        trackers,
        tuners,
    )
    from kttoolkit._open import load_result
    from kttoolkit._tune import tune
    from kttoolkit.engine import fit
    from kttoolkit.exporting import load_model
    from kttoolkit.results import TuneResult
    from kttoolkit.tuners import (
        BayesianOptimization,
        CoarseToFine,
        GridSearch,
        Hyperband,
        HyperParameters,
        ManualSearch,
        Oracle,
        RandomSearch,
        Tuner,
    )

__version__ = "0.1.0"

__all__ = [
    "BayesianOptimization",
    "CoarseToFine",
    "GridSearch",
    "HyperModel",
    "HyperParameters",
    "Hyperband",
    "ManualSearch",
    "Objective",
    "Oracle",
    "RandomSearch",
    "SklearnTuner",
    "TuneResult",
    "Tuner",
    "applications",
    "builders",
    "cv",
    "datasets",
    "engine",
    "errors",
    "exceptions",
    "fit",
    "importance",
    "load_model",
    "load_result",
    "methods",
    "oracles",
    "plots",
    "report",
    "scoring",
    "space",
    "synchronized",
    "trackers",
    "tune",
    "tuners",
]

_HOME = {
    "BayesianOptimization": "kttoolkit.tuners",
    "CoarseToFine": "kttoolkit.tuners",
    "GridSearch": "kttoolkit.tuners",
    "HyperParameters": "kttoolkit.tuners",
    "Hyperband": "kttoolkit.tuners",
    "ManualSearch": "kttoolkit.tuners",
    "Oracle": "kttoolkit.tuners",
    "RandomSearch": "kttoolkit.tuners",
    "TuneResult": "kttoolkit.results",
    "Tuner": "kttoolkit.tuners",
    "fit": "kttoolkit.engine",
    "load_model": "kttoolkit.exporting",
    "load_result": "kttoolkit._open",
    "tune": "kttoolkit._tune",
    # Keras Tuner's own, so that `import kttoolkit as kt` runs code written for it.
    "HyperModel": "keras_tuner",
    "Objective": "keras_tuner",
    "SklearnTuner": "keras_tuner",
    "synchronized": "keras_tuner",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(_imported(_HOME[name]), name)
    if name in __all__:
        return _imported(f"kttoolkit.{name}")
    raise AttributeError(f"module 'kttoolkit' has no attribute {name!r}")


def _imported(module: str) -> Any:
    """Import a room, quietly where TensorFlow comes with it for the first time."""
    with contextlib.nullcontext() if "tensorflow" in sys.modules else quiet_start():
        return importlib.import_module(module)


def __dir__() -> list[str]:
    return sorted({*__all__, *globals()})
