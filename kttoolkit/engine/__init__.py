"""Engines train the folds of one trial; `choose` picks one."""

from typing import Any

from kttoolkit.engine._base import (
    Assignment,
    Engine,
    Observer,
    fit_arguments,
)
from kttoolkit.engine._choice import choose
from kttoolkit.engine._compiled import CompiledEngine, fit
from kttoolkit.engine._device import prepare_devices
from kttoolkit.engine._factory import ModelFactory, trainable_size
from kttoolkit.engine._garbage import rare_collections
from kttoolkit.engine._plan import FitPlan
from kttoolkit.engine._random import only_search, own_random_state
from kttoolkit.engine._reference import ReferenceEngine
from kttoolkit.engine._stacked import StackedEngine
from kttoolkit.engine._weights import (
    CHECKPOINT_FILE,
    best_file,
    discard,
    last_file,
    publish,
    restore,
    save,
)

__all__ = [
    "CHECKPOINT_FILE",
    "Assignment",
    "CompiledEngine",
    "Engine",
    "FitPlan",
    "ModelFactory",
    "Observer",
    "ReferenceEngine",
    "StackedEngine",
    "best_file",
    "choose",
    "discard",
    "fit",
    "fit_arguments",
    "last_file",
    "only_search",
    "own_random_state",
    "prepare_devices",
    "publish",
    "rare_collections",
    "restore",
    "save",
    "trainable_size",
]

# The modules of `keras_tuner.engine`, to what is to be used instead.
_OF_KERAS_TUNER = {
    "base_tuner": "kttoolkit.Tuner for its BaseTuner",
    "hypermodel": "kttoolkit.HyperModel",
    "hyperparameters": "kttoolkit.HyperParameters, whose methods make each kind",
    "metrics_tracking": "keras_tuner.engine.metrics_tracking itself",
    "oracle": "kttoolkit.Oracle and kttoolkit.Objective",
    "trial": "keras_tuner.engine.trial itself, whose trials they are",
    "tuner": "kttoolkit.Tuner",
}


def __getattr__(name: str) -> Any:
    told = f"module {__name__!r} has no attribute {name!r}"
    if name in _OF_KERAS_TUNER:
        told += (
            ": it trains the folds of a trial, and is not keras_tuner.engine. Use "
            f"{_OF_KERAS_TUNER[name]}."
        )
    raise AttributeError(told)
