"""Which engine trains a trial."""

import math
import warnings
from contextlib import suppress
from typing import Any

from kttoolkit.engine._base import Assignment, Engine
from kttoolkit.engine._call import RefusedError
from kttoolkit.engine._compiled import CompiledEngine
from kttoolkit.engine._device import has_gpu
from kttoolkit.engine._measured import fastest
from kttoolkit.engine._programs import unused
from kttoolkit.engine._reference import ReferenceEngine
from kttoolkit.engine._stacked import StackedEngine
from kttoolkit.exceptions import EngineWarning, SearchError
from kttoolkit.plain import shown
from kttoolkit.scoring import FoldFit


class StackedOrCompiled(Engine):
    """Stacks the folds where that can be done, and trains them singly elsewhere."""

    name = "stacked"

    def fit_folds(self, assignment: Assignment) -> tuple[FoldFit, ...]:
        """Train every fold and execution."""
        try:
            return StackedEngine().fit_folds(assignment)
        except RefusedError as refusal:
            message = f"Folds are trained singly, not stacked: {refusal}."
            warnings.warn(message, EngineWarning, stacklevel=2)
        return CompiledEngine().fit_folds(assignment)


class FastestEngine(Engine):
    """Picks what was measured fastest for device, model and length of the training."""

    name = "auto"

    def fit_folds(self, assignment: Assignment) -> tuple[FoldFit, ...]:
        """Train every fold and execution."""
        if _fastest(assignment) == "stacked":
            # Layers and optimizers that cannot be stacked are no news to the user.
            with suppress(RefusedError):
                return StackedEngine().fit_folds(assignment)
        return CompiledEngine().fit_folds(assignment)


def _fastest(assignment: Assignment) -> str:
    device = "GPU" if has_gpu() else "CPU"
    n_steps = _n_steps(assignment)
    names = {xla: fastest(device, n_steps, xla=xla) for xla in (False, True)}
    if names[False] == names[True]:
        return names[False]
    return names[bool(unused(assignment.build).jit_compile)]


def _n_steps(assignment: Assignment) -> int:
    """Return how many steps a training takes, all epochs together."""
    given = assignment.plan.fit_kwargs
    n_train = assignment.trainings()[0].n_train
    n_batches = math.ceil(n_train / (given.get("batch_size") or 32))
    return n_batches * (given.get("epochs", 1) - given.get("initial_epoch", 0))


_ENGINES: dict[str, type[Engine]] = {
    "auto": FastestEngine,
    "compiled": CompiledEngine,
    "reference": ReferenceEngine,
    "stacked": StackedOrCompiled,
}


def choose(name: Any) -> Engine:
    """Return the engine of that name.

    "auto" goes by a table of measurements (`_measured.py`). It is the compiled engine,
    but for models of dense layers that train on a GPU without XLA: launching operations
    takes longer there than they do, and the stacked engine launches them for all folds
    at once.

    Args:
        name: "compiled" runs whole epochs on the device, on processors several folds
            at a time, and leaves what it cannot run to `model.fit`; "stacked" makes one
            network of all folds where layers and optimizer allow; "reference" is
            `model.fit`; "auto" is the fastest that computes the same.

    Returns:
        An engine.

    Raises:
        SearchError: if there is none of that name.

    Example:
        >>> choose("auto").name
        'auto'
    """
    if not isinstance(name, str) or name not in _ENGINES:
        names = ", ".join(repr(known) for known in _ENGINES)
        raise SearchError(f"engine must be one of {names}, but got {shown(name)}.")
    return _ENGINES[name]()
