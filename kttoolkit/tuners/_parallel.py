"""The search loop with several trials at a time, over an executor.

Oracle, tuner and trackers stay in this process and thread. A trial goes out as a call
of `kttoolkit.workers.training.run`; what comes back is taken as in a serial search.
Proposals do not wait for the trials before them, and yet are those of a serial search
wherever these do not depend on scores: a setting is built once here when it goes out,
so that hyperparameters first asked for by it are known to the next proposal.
"""

import os
import re
import tempfile
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kttoolkit.engine import FitPlan
from kttoolkit.evaluate import Outcome
from kttoolkit.exceptions import SearchError, TrialError
from kttoolkit.hyperparameters import as_hyperparameters
from kttoolkit.tuners._call import Call
from kttoolkit.tuners._executors import Parallel
from kttoolkit.tuners._trial import TrialObserver, overrides_build_and_fit
from kttoolkit.workers import Workers
from kttoolkit.workers.training import (
    Events,
    Payload,
    Report,
    Task,
    alone,
    pack,
    run,
)

_POLL_SECONDS = 0.1
_DETAIL_WIDTH = 160


class SearchStopped(BaseException):
    """Ends a search between two epochs; not an error of the trial."""


@dataclass(frozen=True)
class Handlers:
    """What a tuner does with a trial, wherever it runs.

    Attributes:
        plan: completes the plan of all trials by what is a trial's own.
        end: takes an outcome and tells the oracle.
        settle: does what ends a trial and puts on record how, and in how many seconds.
    """

    plan: Callable[[Any, FitPlan], FitPlan]
    end: Callable[[Any, Outcome], None]
    settle: Callable[[Any, Callable[[], None], Callable[[], float]], None]


@dataclass(frozen=True)
class _Running:
    """A trial that was sent out."""

    trial: Any
    tuner_id: str
    task: Task
    future: Future[Report]
    events: Events
    deaths: int = 0


def refuse_what_stays_here(tuner: Any, *, keeps_run_trial: bool) -> None:
    """Refuse what cannot run in another process.

    Args:
        tuner: any of ours.
        keeps_run_trial: whether no subclass runs trials in its own way.

    Raises:
        SearchError: if there is such a thing.
    """
    name = type(tuner).__name__
    if "KERASTUNER_ORACLE_IP" in os.environ:
        raise SearchError(
            "Chief and workers of Keras Tuner share a search already, but got "
            f"parallel={tuner.parallel.width}. Start more workers and leave it out."
        )
    if tuner.distribution_strategy is not None:
        raise SearchError(
            "distribution_strategy spreads one trial over devices, and parallel= "
            "gives each trial devices of its own, but got both. Leave one out."
        )
    if not keeps_run_trial or overrides_build_and_fit(tuner, uses_folds=False):
        hook = "_build_and_fit_model" if keeps_run_trial else "run_trial"
        raise SearchError(
            f"With parallel=, trials run in other processes, but {name} overrides "
            f"{hook}, which needs the tuner. Override HyperModel.build and "
            "HyperModel.fit instead, or leave parallel out."
        )


def search_in_parallel(tuner: Any, call: Call, handlers: Handlers) -> None:
    """Search with several trials at a time.

    Args:
        tuner: any of ours.
        call: what the calls of all trials share.
        handlers: what becomes of a trial.
    """
    _warn_of_hooks(tuner)
    tuner.on_search_begin()
    with (
        tempfile.TemporaryDirectory(
            prefix="kttoolkit-", ignore_cleanup_errors=True
        ) as folder,
        _executor(tuner.parallel) as executor,
    ):
        shared = Payload(call.factory, call.data, call.folds, call.plan, tuner.engine)
        payload = pack(shared, Path(folder))
        _Search(tuner, call, handlers, executor, payload).run()
    tuner.on_search_end()


@contextmanager
def _executor(parallel: Parallel) -> Iterator[Executor]:
    """Lend the user's executor, or start processes and end them in any case."""
    if parallel.executor is not None:
        yield parallel.executor
        return
    workers = Workers(parallel.n_workers)
    try:
        yield workers
    except BaseException:
        workers.shutdown(cancel_futures=True)
        raise
    workers.shutdown()


class _Search:
    """One search: at most so many trials are out at a time."""

    def __init__(
        self, tuner: Any, call: Call, handlers: Handlers, executor: Executor,
        payload: str,
    ) -> None:  # fmt: skip
        self.tuner = tuner
        self.oracle = tuner.oracle
        self.call = call
        self.handlers = handlers
        self.executor = executor
        self.payload = payload
        self._running: list[_Running] = []
        self._is_stopped = False
        self._n_sent = 0
        self._warned: set[tuple[type[Warning], str]] = set()

    def run(self) -> None:
        """Search until the oracle has no more to propose and all trials ended."""
        try:
            self._fill()
            while self._running:
                self._collect()
                self._stop_if_spent()
                self._fill()
        finally:
            for running in self._running:
                running.future.cancel()
        if self._is_stopped:
            raise SearchStopped

    # -- trials go out ---

    def _fill(self) -> None:
        while not self._is_stopped and len(self._running) < self._room():
            try:
                self.tuner.pre_create_trial()
            except SearchStopped:
                self._is_stopped = True
                return
            tuner_id = self._free_id()
            trial = self.oracle.create_trial(tuner_id)
            if trial.status == "RUNNING":
                self._start(trial, tuner_id)
            elif trial.status == "STOPPED" or self._running:
                # Asked again when a trial has ended: it may have to be retried.
                return
            else:
                time.sleep(_POLL_SECONDS)

    def _room(self) -> int:
        """Return how many trials may be out.

        The first one goes alone where a `HyperModel.fit` of the user's own may ask
        for hyperparameters: no proposal before its end can know of them.
        """
        if self.call.factory.has_own_fit and not self.oracle.end_order:
            return 1
        return int(self.tuner.parallel.width)

    def _free_id(self) -> str:
        """Return an id under which to ask for a trial, of interrupted ones first."""
        busy = {running.tuner_id for running in self._running}
        ongoing = [name for name in self.oracle.ongoing_trials if name not in busy]
        fresh = (f"tuner{number}" for number in range(len(busy) + 1))
        return next(name for name in (*ongoing, *fresh) if name not in busy)

    def _start(self, trial: Any, tuner_id: str) -> None:
        self.tuner.on_trial_begin(trial)
        common = self.call.plan
        plan = self.handlers.plan(trial, FitPlan(common.objective, common.seed))
        plan = replace(
            plan,
            directory=_absolute(plan.directory),
            continue_from=_absolute(plan.continue_from),
        )
        hp = as_hyperparameters(trial.hyperparameters)
        task = Task(self.payload, hp, plan, "")
        self._send(trial, tuner_id, task)
        with alone():
            found = self.call.asked_for(hp)
        if len(found.space) > len(trial.hyperparameters.space):
            trial.hyperparameters = found
            expect = getattr(self.oracle, "expect", None)
            if expect is None:
                self.oracle.update_space(found)
            else:
                expect(trial)

    def _send(self, trial: Any, tuner_id: str, task: Task, *, deaths: int = 0) -> None:
        self._n_sent += 1
        events = f"{self.payload}.{self._n_sent}"
        task = replace(task, events=events)
        try:
            future = self.executor.submit(run, task)
        except RuntimeError as error:
            raise SearchError(
                "An executor must take calls until the search ends, but this "
                f"{type(self.executor).__name__} takes none: {error} Continue the "
                "search with resume=True; parallel=N replaces workers that die."
            ) from error
        self._running.append(
            _Running(trial, tuner_id, task, future, Events(events), deaths)
        )

    def _stop_if_spent(self) -> None:
        """Let workers end between two epochs when nothing more is to be trained."""
        if self.tuner.budget.is_over:
            self._is_stopped = True
            # Whose absence tells them that nobody waits for the trial.
            Path(self.payload).unlink(missing_ok=True)

    # -- trials come back ---

    def _collect(self) -> None:
        done, _ = wait(
            [running.future for running in self._running],
            timeout=_POLL_SECONDS,
            return_when=FIRST_COMPLETED,
        )
        for running in list(self._running):
            self._tell(running)
            if running.future in done:
                self._running.remove(running)
                self._close(running)

    def _tell(self, running: _Running) -> None:
        """Tell the trackers what the trial has written down."""
        for event, *arguments in running.events.new():
            getattr(self.tuner.trackers, event)(running.trial.trial_id, *arguments)
            if event == "epoch_ended":
                self.tuner.budget.spend_epoch()

    def _close(self, running: _Running) -> None:
        try:
            report = running.future.result()
        except Exception as error:
            self._died(running, error)
            return
        # What was written between the last look and the end.
        self._tell(running)
        for warning in report.warnings:
            self._warn(*warning)
        if report.outcome is None and self._is_stopped:
            return
        if report.stopped:
            raise SearchError(
                "What trials share must stay on disk until the search ends, but "
                f"{self.payload} is gone. Continue the search with resume=True, and "
                "set TMPDIR to a folder that is not cleaned meanwhile."
            )
        self._end(running.trial, report)

    def _end(self, trial: Any, report: Report) -> None:
        self.handlers.settle(
            trial,
            lambda: self.handlers.end(trial, report.result()),
            lambda: report.seconds,
        )
        self.tuner.on_trial_end(trial)

    def _died(self, running: _Running, error: Exception) -> None:
        """Send a trial out again, once: it may not be its fault."""
        if not running.deaths:
            self._send(running.trial, running.tuner_id, running.task, deaths=1)
            return
        failure = TrialError(
            "A worker process must live until its trial has ended, but two that ran "
            f"this one did not: {_detail(error)}. The system ends processes when "
            "memory runs out: take fewer workers, or smaller models and batches."
        )
        self._end(running.trial, Report(error=failure))

    def _warn(self, category: type[Warning], text: str) -> None:
        if (category, text) not in self._warned:
            self._warned.add((category, text))
            warnings.warn(text, category, stacklevel=2)


def _absolute(folder: str | None) -> str | None:
    return None if folder is None else str(Path(folder).absolute())


def _detail(error: Exception) -> str:
    codes = re.search(r"exit codes of the workers are (\{.*?\})", str(error))
    if codes:
        return f"exit code {codes[1]}"
    text = f"{type(error).__name__}: {error}"
    return textwrap.shorten(text, _DETAIL_WIDTH, placeholder=" ...")


def _warn_of_hooks(tuner: Any) -> None:
    if TrialObserver(tuner, None).callbacks():
        warnings.warn(
            "With parallel=, models are trained in other processes, where the "
            f"on_epoch_* and on_batch_* hooks of {type(tuner).__name__} are not "
            "called. Pass callbacks=, or a tracker, or leave parallel out.",
            UserWarning,
            stacklevel=4,
        )
