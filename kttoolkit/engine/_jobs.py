"""Trainings that hand out their epochs as jobs, so that several may run side by side.

A training is a generator: it yields a job, a call without arguments that runs on the
device, and is sent what the job returned. Everything else it does, callbacks
included, happens in the caller's thread, in an order that does not depend on how
long jobs take.
"""

import functools
import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
Job = Callable[[], Any]
Steps = Generator[Job, Any, T]
# In place of what a job returns, where there is none.
_WAITING: Future[Any] = Future()
_WAITING.set_result(None)


def after_others() -> None:
    """Wait, as a job, until all trainings that began earlier have ended."""


def run(steps: Steps[T]) -> T:
    """Run one training, every job in the calling thread.

    Args:
        steps: the training.

    Returns:
        What it returns.
    """
    result: Any = None
    while True:
        try:
            job = steps.send(result)
        except StopIteration as end:
            return end.value
        result = job()


def run_side_by_side(
    trainings: Iterable[Steps[T]], has_room: Callable[[int], bool], n_workers: int
) -> list[T]:
    """Run several trainings, their jobs in a pool of threads.

    Trainings take turns: each is sent its job's result in the order in which they
    began, whichever job is done first.

    Args:
        trainings: begun one after the other, as soon as there is room.
        has_room: number of trainings under way -> whether one more may begin.
            Asked only when all of them have begun their first job.
        n_workers: how many jobs may run at a time.

    Returns:
        What they return, in their order.
    """
    waiting = iter(enumerate(trainings))
    turns: deque[tuple[int, Steps[T], Future[Any] | None]] = deque()
    results: dict[int, T] = {}
    pool = ThreadPoolExecutor(n_workers, thread_name_prefix="kttoolkit")
    try:
        while True:
            if not turns or has_room(len(turns)):
                turns.extendleft((*one, None) for one in itertools.islice(waiting, 1))
            if not turns:
                return [results[number] for number in sorted(results)]
            number, steps, future = turns.popleft()
            if future is _WAITING and any(other < number for other, *_ in turns):
                turns.append((number, steps, future))
                continue
            try:
                job = steps.send(future and future.result())
            except StopIteration as end:
                results[number] = end.value
            else:
                waits = job is after_others
                turns.append((number, steps, _WAITING if waits else pool.submit(job)))
    finally:
        pool.shutdown(cancel_futures=True)
        for _, steps, _ in turns:
            steps.close()


def timed(steps: Steps[T]) -> Steps[tuple[T, float]]:
    """Measure how long a training takes, without the time it waits for its turn.

    Args:
        steps: the training.

    Returns:
        The training, which returns seconds too.
    """
    return _timed_steps(steps)


def _timed_steps(steps: Steps[T]) -> Steps[tuple[T, float]]:
    seconds = 0.0
    result: Any = None
    while True:
        start = time.perf_counter()
        try:
            job = steps.send(result)
        except StopIteration as end:
            return end.value, seconds + time.perf_counter() - start
        seconds += time.perf_counter() - start
        if job is after_others:
            result = yield job
            continue
        result, taken = yield functools.partial(_timed, job)
        seconds += taken


def _timed(job: Job) -> tuple[Any, float]:
    start = time.perf_counter()
    return job(), time.perf_counter() - start
