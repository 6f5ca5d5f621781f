"""Where trials run that run several at a time."""

from concurrent.futures import Executor
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from kttoolkit.exceptions import SearchError
from kttoolkit.plain import shown
from kttoolkit.workers import n_cores, width_of

# Far more processes than any machine has cores.
_MOST = 10_000


@dataclass(frozen=True)
class Parallel:
    """Where trials run.

    Attributes:
        n_workers: processes to start, where `executor` is None.
        executor: the user's own.
    """

    n_workers: int = 0
    executor: Executor | None = None

    @property
    def width(self) -> int:
        """How many trials run at a time."""
        return self.n_workers if self.executor is None else width_of(self.executor)


def as_parallel(value: Any) -> Parallel | None:
    """Check where trials are to run.

    Args:
        value: a number of processes, -1 for one a core, an executor, or None.

    Returns:
        The same checked; None for one trial at a time in this process.

    Raises:
        SearchError: if it is something else, or an executor that forks.
    """
    if isinstance(value, Executor):
        _refuse_forks(value)
        return Parallel(executor=value)
    is_whole = isinstance(value, Integral) and not isinstance(value, bool)
    if value is not None and not (is_whole and (1 <= value <= _MOST or value == -1)):
        raise SearchError(
            f"parallel must be a whole number >= 1 and <= {_MOST:,} of trials at a "
            "time, -1 for one a core, or a concurrent.futures.Executor, but got "
            f"{shown(value)}."
        )
    n_workers = n_cores() if value == -1 else int(value or 1)
    return Parallel(n_workers) if n_workers > 1 else None


def _refuse_forks(executor: Executor) -> None:
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise SearchError(
            "TensorFlow does not survive a fork, but the processes of this "
            f"{type(executor).__name__} are forked. Pass a number, or make it with "
            'mp_context=multiprocessing.get_context("spawn").'
        )
