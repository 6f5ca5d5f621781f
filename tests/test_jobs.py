"""Trainings that take turns: nothing depends on how long a job takes."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttoolkit.engine._jobs import after_others, run, run_side_by_side, timed


def training(number, n_jobs, told):
    total = 0
    for i in range(n_jobs):
        told.append((number, i, threading.current_thread().name))
        total += yield lambda i=i: time.sleep(i % 2 / 2000) or i
    return number, total


@given(
    jobs=st.lists(st.integers(0, 5), max_size=6),
    n_open=st.integers(1, 7),
    n_workers=st.integers(1, 4),
)
def test_results_and_turns_are_those_of_the_order_they_began_in(
    jobs, n_open, n_workers
):
    turns = []
    for _ in range(2):
        told = []
        got = run_side_by_side(
            (training(number, n, told) for number, n in enumerate(jobs)),
            lambda n: n < n_open,
            n_workers,
        )
        alone = [run(training(number, n, [])) for number, n in enumerate(jobs)]
        assert got == alone
        turns.append(told)
    assert turns[0] == turns[1]
    assert {name for *_, name in turns[0]} <= {threading.current_thread().name}


@pytest.mark.parametrize("n_workers", [1, 3])
def test_a_training_may_wait_for_all_that_began_earlier(n_workers):
    told = []

    def waiting(number):
        if number % 2:
            yield after_others
        for _ in range(3):
            told.append(number)
            yield lambda: time.sleep(1e-3)
        return number

    trainings = (timed(waiting(number)) for number in range(5))
    got = run_side_by_side(trainings, lambda n: n < 3, n_workers)
    assert [number for number, _ in got] == list(range(5))
    for number in (1, 3):
        earlier = max(i for i, other in enumerate(told) if other < number)
        assert told.index(number) > earlier
    assert run(waiting(1)) == 1


def test_no_more_are_open_than_there_is_room_for():
    n_open, most = 0, 0

    def counting():
        nonlocal n_open, most
        n_open += 1
        most = max(most, n_open)
        yield lambda: None
        yield lambda: None
        n_open -= 1

    run_side_by_side((counting() for _ in range(6)), lambda n: n < 3, 2)
    assert most == 3


@pytest.mark.fault
def test_a_job_that_fails_ends_all_and_leaves_no_thread():
    closed = []

    def failing(number):
        try:
            yield lambda: None
            yield lambda: 1 // (number - 1)
            yield lambda: None
        finally:
            closed.append(number)

    with pytest.raises(ZeroDivisionError, match="division"):
        run_side_by_side(map(failing, range(3)), lambda n: True, 2)
    assert sorted(closed) == [0, 1, 2]
    assert not [t for t in threading.enumerate() if t.name.startswith("kttoolkit")]


def test_seconds_are_those_of_the_training_alone():
    def sleeping():
        yield lambda: time.sleep(0.05)

    fits = run_side_by_side((timed(sleeping()) for _ in range(3)), lambda n: True, 1)
    assert all(0.05 <= seconds < 0.1 for _, seconds in fits)
