"""Engines train the folds of one trial; `choose` picks one."""

from kttoolkit.engine._base import (
    Engine,
    FitPlan,
    ModelFactory,
    Observer,
    fit_arguments,
    trainable_size,
)
from kttoolkit.engine._compiled import CompiledEngine, fit
from kttoolkit.engine._random import own_random_state
from kttoolkit.engine._reference import ReferenceEngine
from kttoolkit.engine._weights import (
    CHECKPOINT_FILE,
    best_file,
    last_file,
    publish,
    restore,
    save,
)
from kttoolkit.exceptions import SearchError

__all__ = [
    "CHECKPOINT_FILE",
    "CompiledEngine",
    "Engine",
    "FitPlan",
    "ModelFactory",
    "Observer",
    "ReferenceEngine",
    "best_file",
    "choose",
    "fit",
    "fit_arguments",
    "last_file",
    "own_random_state",
    "publish",
    "restore",
    "save",
    "trainable_size",
]

_ENGINES: dict[str, type[Engine]] = {
    "compiled": CompiledEngine,
    "reference": ReferenceEngine,
}


def choose(name: str) -> Engine:
    """Return the engine of that name.

    Args:
        name: "compiled" runs whole epochs on the device and leaves what it cannot
            run to `model.fit`; "reference" is `model.fit`; "auto" is the fastest
            that computes the same.

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
