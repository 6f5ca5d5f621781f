"""Which engine trains a trial."""

import warnings

from kttoolkit.engine._base import Assignment, Engine
from kttoolkit.engine._call import RefusedError
from kttoolkit.engine._compiled import CompiledEngine
from kttoolkit.engine._reference import ReferenceEngine
from kttoolkit.engine._stacked import StackedEngine
from kttoolkit.exceptions import EngineWarning, SearchError
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


_ENGINES: dict[str, type[Engine]] = {
    "compiled": CompiledEngine,
    "reference": ReferenceEngine,
    "stacked": StackedOrCompiled,
}


def choose(name: str) -> Engine:
    """Return the engine of that name.

    On processors "auto" is "compiled", which was the fastest in every search that was
    measured (tests/benchmarks/README.md), and gives the very numbers of `model.fit`;
    stacking took 1.3 to 1.7 times as long. On GPUs it is "compiled" too, for want of
    measurements: `python tests/benchmarks/gpu.py` makes them.

    Args:
        name: "compiled" runs whole epochs on the device, on processors several folds
            at a time, and leaves what it cannot run to `model.fit`; "stacked" makes
            one network of all folds where layers and optimizer allow; "reference" is
            `model.fit`; "auto" is the fastest that computes the same.

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
