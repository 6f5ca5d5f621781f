"""Worker processes on this machine, as a `concurrent.futures.Executor`."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import loky

from kttoolkit.exceptions import SearchError
from kttoolkit.plain import shown
from kttoolkit.workers._devices import environment_of, visible_gpus
from kttoolkit.workers._process import begin


class Workers(Executor):
    """Processes of one machine that trials are handed to.

    `tune(..., parallel=4)` starts four and ends them with the search. Starting takes
    some seconds, for each imports TensorFlow; to keep them for several searches, make
    them once and pass them: `parallel=workers`. Each has its share of the cores and,
    where there are several GPUs, one of them to itself.

    Every worker is a pool of its own: when one dies, the others go on and it is clear
    whose trial it was.

    Args:
        n_workers: how many processes.

    Raises:
        SearchError: if that is no number of processes.

    Example:
        >>> from kttoolkit.workers import Workers
        >>> with Workers(4) as workers:  # doctest: +SKIP
        ...     first = kttoolkit.tune(build, x, y, parallel=workers)
        ...     second = kttoolkit.tune(other, x, y, parallel=workers)
    """

    def __init__(self, n_workers: int) -> None:
        given: Any = n_workers
        is_whole = isinstance(given, Integral) and not isinstance(given, bool)
        if not is_whole or n_workers < 1:
            raise SearchError(
                "n_workers >= 1 must hold, as a whole number, but got "
                f"{shown(n_workers)}."
            )
        cores, gpus = n_cores(), visible_gpus(os.environ)
        self._is_shut = False
        self._seats = [
            _Seat(
                environment_of(
                    number, n_workers, gpus=gpus, n_cores=cores, given=os.environ
                )
            )
            for number in range(n_workers)
        ]

    @property
    def n_workers(self) -> int:
        """How many processes there are."""
        return len(self._seats)

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Hand a call to the worker that has least to do.

        Args:
            fn: what to call.
            *args: its arguments.
            **kwargs: its arguments by name.

        Returns:
            Its result to come.

        Raises:
            RuntimeError: after `shutdown`.
        """
        if self._is_shut:
            raise RuntimeError("Workers take no calls after shutdown.")
        seat = min(self._seats, key=lambda seat: len(seat.waiting()))
        return seat.submit(fn, *args, **kwargs)

    def shutdown(
        self,
        wait: bool = True,  # noqa: FBT001, FBT002
        *,
        cancel_futures: bool = False,
    ) -> None:
        """End the processes when they have done what they were handed.

        They are killed then, for TensorFlow takes seconds to take leave.

        Args:
            wait: whether to wait for that; if not, they end by themselves.
            cancel_futures: whether to end them at once, whatever they do.
        """
        self._is_shut = True
        if wait and not cancel_futures:
            futures.wait([f for seat in self._seats for f in seat.waiting()])
        with _uninterrupted():
            for seat in self._seats:
                seat.end(kill=wait or cancel_futures)


class _Seat:
    """The place of one worker: who dies in it is replaced."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self._pool: Any = None
        self._futures: list[Future[Any]] = []

    def waiting(self) -> list[Future[Any]]:
        self._futures = [future for future in self._futures if not future.done()]
        return self._futures

    def submit(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        with _uninterrupted():
            try:
                future = self._started().submit(fn, *args, **kwargs)
            except BrokenExecutor:
                self.end(kill=True)
                future = self._started().submit(fn, *args, **kwargs)
        self._futures.append(future)
        return future

    def end(self, *, kill: bool) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=kill, kill_workers=kill)
        self._pool = None

    def _started(self) -> Any:
        if self._pool is None:
            self._pool = loky.ProcessPoolExecutor(
                1, env=self.environment, initializer=begin, initargs=(os.getpid(),)
            )
        return self._pool


def n_cores() -> int:
    """Count the cores that this process may use.

    Returns:
        Their number, limits of containers and affinity taken into account.
    """
    return int(loky.cpu_count())


def width_of(executor: Executor) -> int:
    """Tell how many trials an executor can run at a time.

    Args:
        executor: any.

    Returns:
        The number of its workers; where it does not tell, that of the cores.
    """
    if isinstance(executor, Workers):
        return executor.n_workers
    client = getattr(executor, "_client", None)
    if client is not None and hasattr(client, "nthreads"):
        # Dask's: threads of one process take turns, see `alone`.
        return max(1, len(client.nthreads()))
    return int(getattr(executor, "_max_workers", None) or n_cores())


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back for a moment.

    Processes that are started meanwhile inherit it, so that a Ctrl-C in a terminal,
    which reaches all of them, is left to the parent; and their end is not broken off.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
