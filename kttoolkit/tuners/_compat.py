"""What Keras Tuner's oracles do not do right, mended by subclasses.

This module and `kttoolkit.hyperparameters` alone know Keras Tuner's private members.
They were checked on Keras Tuner 1.4.8 (`CHECKED`); `tests/test_keras_tuner_faults.py`
shows each fault on plain Keras Tuner and its absence here, and says so when a later
version has mended one.
"""

import inspect
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.src import utils as kt_utils
from keras_tuner.src.engine import oracle as kt_oracle
from keras_tuner.src.engine import trial as kt_trial
from keras_tuner.src.engine import tuner_utils as kt_tuner_utils
from keras_tuner.src.engine.metrics_tracking import MetricsTracker

from kttoolkit.exceptions import ObjectiveError, OversizedModelError, StudyFolderError
from kttoolkit.files import read_json, write_json
from kttoolkit.hyperparameters import HyperParameters, as_hyperparameters
from kttoolkit.options import OF_A_TUNER, checked, checked_together
from kttoolkit.plain import visible
from kttoolkit.results import RECORD_FILE, check_project
from kttoolkit.scoring import direction_of
from kttoolkit.tuners._guard import made

CHECKED = ("1.4.8", "1.4.8")

convert_to_metrics_dict = kt_tuner_utils.convert_to_metrics_dict
get_best_step = kt_tuner_utils.get_best_step
validate_trial_results = kt_tuner_utils.validate_trial_results
# What reading a project raises, whatever is missing or wrong in it.
_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, OSError, RuntimeError)
# Trials that failed for good, and those that may be tried again.
NOT_SCORED = frozenset(["FAILED", "INVALID"])
# The line of a traceback that names the exception.
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt)\b")


def _direct(known: Any, metrics: Any, objective: Any) -> None:
    """Say which way metrics get better, where Keras Tuner raises or guesses wrong."""
    objectives = getattr(objective, "objectives", [objective])
    directed = {getattr(one, "name", None) for one in objectives}
    for name in metrics:
        if name not in directed and not known.exists(name):
            # A metric of unknown direction is no objective, and Keras Tuner's default.
            with suppress(ObjectiveError):
                known.register(name, direction=direction_of(name))


class MendedOracle(keras_tuner.Oracle):  # type: ignore[misc]
    """Mixed into every oracle of ours, in front of Keras Tuner's.

    It keeps a seed of 0, writes files whole or not at all, keeps the reason of
    every failure, counts oversized models apart, forgets the metrics of a failed
    attempt before the next, and gives its lock back when a call fails.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = inspect.signature(super().__init__).bind(*args, **kwargs)
        given.arguments.update(checked(given.arguments, OF_A_TUNER))
        checked_together(given.arguments)
        seed = given.arguments.get("seed", kwargs.get("seed"))
        super().__init__(*given.args, **given.kwargs)
        self.has_own_seed = seed is not None
        if seed is not None:
            # Keras Tuner takes a seed of 0 for none.
            self.seed = seed
            # It draws each value with a generator of its own, seeded by counting on
            # from here: without a leap, neighbouring seeds would share their draws.
            self._seed_state = _leap(seed)
        self.hyperparameters = as_hyperparameters(self.hyperparameters)
        self._display = Display(oracle=self)

    hyperparameters: HyperParameters
    trials: dict[str, Any]
    ongoing_trials: dict[str, Any]

    def attempts(self, trial_id: str) -> int:
        """Return how often a trial has been run to its end already."""
        return int(self._run_times[trial_id])

    def planned_trials(self) -> int | None:
        """Return how many trials there will be at most, or None."""
        return self.max_trials or None

    def create_trial(self, tuner_id: str) -> Any:
        """Propose a trial."""
        with released_on_error(self):
            return super().create_trial(tuner_id)

    def update_trial(self, trial_id: str, metrics: Any, step: int = 0) -> Any:
        """Take the metrics of a trial."""
        with released_on_error(self):
            _direct(self.trials[trial_id].metrics, metrics, self.objective)
            return super().update_trial(trial_id, metrics, step=step)

    def update_space(self, hyperparameters: Any) -> None:
        """Take note of new hyperparameters, a worker's too."""
        super().update_space(_own(hyperparameters))

    def expect(self, trial: Any) -> None:
        """Take note of what a trial was found to ask for while it still runs."""
        self.update_space(trial.hyperparameters)
        self._record_values(trial)
        self._save_trial(trial)
        self.save()

    def end_trial(self, trial: Any, *args: Any, **kwargs: Any) -> None:
        """Take note that a trial is over, with whatever it failed of."""
        with released_on_error(self):
            if hasattr(trial, "hyperparameters"):
                trial.hyperparameters = _own(trial.hyperparameters)
            if getattr(trial, "message", "") is None:
                trial.message = read_reason(Path(self._get_trial_dir(trial.trial_id)))
            super().end_trial(trial, *args, **kwargs)
            trial_id = getattr(trial, "trial_id", trial)
            if trial_id in self._retry_queue:
                forget_metrics(self.trials[trial_id])
                self._save_trial(self.trials[trial_id])

    def score_trial(self, trial: Any) -> None:
        """Score a completed trial, an infinite score counting as none."""
        super().score_trial(trial)
        if trial.score is not None and not np.isfinite(trial.score):
            trial.message = trial.message or (
                f"The objective must be finite, but it is {trial.score}."
            )
            trial.score = float("nan")

    def _check_consecutive_failures(self) -> None:
        """Save the failed trial first: the error that may follow must not lose it."""
        last = self.trials[self.end_order[-1]]
        self._save_trial(last)
        self.save()
        limit = self.max_consecutive_failed_trials
        if limit is None:
            return
        recent = [self.trials[trial_id] for trial_id in self.end_order]
        recent = [trial for trial in recent if not is_oversized(trial)][-limit:]
        if len(recent) == limit and all(t.status == "FAILED" for t in recent):
            raise RuntimeError(
                "Number of consecutive failures exceeded the limit of "
                f"{limit}.\n{recent[0].message or ''}"
            )

    def get_best_trials(self, num_trials: int = 1) -> list[Any]:
        """Return the best of the trials that completed, never a failed one."""
        completed = [t for t in self.trials.values() if t.status == "COMPLETED"]
        return super().get_best_trials(min(num_trials, len(completed)))

    def save(self) -> None:
        """Write the oracle's state, whole or not at all."""
        write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        folder = Path(self._get_trial_dir(trial.trial_id))
        write_json(folder / "trial.json", trial.get_state())

    @property
    def _project_dir(self) -> str:
        return made(Path(str(self._directory)) / self._project_name)

    def _get_trial_dir(self, trial_id: str) -> str:
        return made(Path(self._project_dir) / f"trial_{trial_id}")

    def reload(self) -> None:
        """Take up a project where it stopped, at whatever moment that was."""
        check_project(Path(self._project_dir))
        try:
            self._read_trials()
            super(keras_tuner.Oracle, self).reload(self._get_oracle_fname())
            # Those that were running are run again.
            self._retry_queue += [t.trial_id for t in self.ongoing_trials.values()]
            self.ongoing_trials = {}
            # In the order of their proposal, as before. A trial whose files were
            # written when the oracle's state was not is left out: it will be proposed
            # again, with the same values.
            self.trials = {name: self.trials[name] for name in self.start_order}
        except _DAMAGED as error:
            raise StudyFolderError(
                "A study folder must hold what Keras Tuner wrote, but "
                f"{self._project_dir} cannot be read as that of a "
                f"{type(self).__name__}: {error!r}. Choose another project_name if "
                "another tuner wrote it. If it is damaged, restore it from a copy, or "
                "start again with overwrite=True."
            ) from error
        for trial_id in list(self._retry_queue):
            trial = self.trials[trial_id]
            if trial.status in {"COMPLETED", "FAILED"}:
                self._retry_queue.remove(trial_id)
                self.end_trial(trial)
            else:
                forget_metrics(trial)

    def _read_trials(self) -> None:
        """Read the trials of this folder: brackets in its path are no pattern."""
        for path in Path(self._project_dir).glob("trial_*/trial.json"):
            state = read_json(path)
            hp = HyperParameters.from_config(state["hyperparameters"])
            trial = kt_trial.Trial.from_state(state)
            trial.hyperparameters = hp
            self.trials[trial.trial_id] = trial

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what `get_state` gave."""
        space = HyperParameters.from_config(state["hyperparameters"])
        super().set_state(state)
        self.hyperparameters = space


def _own(hp: Any) -> HyperParameters:
    """Return hyperparameters as they are, unless they are of Keras Tuner's kind."""
    return hp if isinstance(hp, HyperParameters) else as_hyperparameters(hp)


def _leap(seed: int) -> int:
    """Bring neighbouring seeds far apart."""
    return int(np.random.SeedSequence(seed).generate_state(1)[0] >> 1)


class Display(kt_oracle.Display):  # type: ignore[misc]
    """Keras Tuner's printed lines, which clear the output in notebooks only.

    Of a trial that failed they say why.
    """

    def on_trial_end(self, trial: Any) -> None:
        """Print the score of a trial, or why it has none."""
        if self.verbose < 1 or trial.trial_id not in self.trial_start:
            return
        told = kt_utils.IS_NOTEBOOK
        kt_utils.IS_NOTEBOOK = told and in_notebook()
        try:
            if trial.status in NOT_SCORED:
                self._tell_failure(trial)
            else:
                super().on_trial_end(trial)
        finally:
            kt_utils.IS_NOTEBOOK = told

    def _tell_failure(self, trial: Any) -> None:
        now, number = datetime.now(), self.trial_number[trial.trial_id]
        taken = self.format_duration(now - self.trial_start[trial.trial_id])
        best = [known.score for known in self.oracle.get_best_trials()] or [None]
        kt_utils.try_clear()
        sys.stdout.write(
            f"Trial {number} Failed [{taken}]\n"
            f"{failure_of(trial.message)}\n\n"
            f"Best {self.oracle.objective.name} So Far: {best[0]}\n"
            f"Total elapsed time: {self.format_duration(now - self.search_start)}\n"
        )


def failure_of(message: str | None) -> str:
    r"""Return the exception that a trial failed of, in one line.

    Args:
        message: of the trial; ours begin with it, and in a traceback, which Keras
            Tuner's are, it comes last.

    Returns:
        Text that a terminal only prints.

    Example:
        >>> failure_of("Traceback (most recent call last):\n  ...\nKeyError: 'a'\n")
        "KeyError: 'a'"
    """
    lines = (message or "").strip().splitlines() or ["No reason is known."]
    if not lines[0].startswith("Traceback "):
        return visible(lines[0])
    named = [line for line in lines if _EXCEPTION.match(line)]
    return visible((named or lines)[-1])


def in_notebook() -> bool:
    """Tell whether output goes to a Jupyter cell, not merely IPython installed."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "Terminal" not in type(shell).__name__


@contextmanager
def released_on_error(oracle: Any) -> Iterator[None]:
    """Give an oracle's lock back when a synchronized call raises.

    Keras Tuner's decorator releases it only on the way past the last line.
    """
    name = threading.current_thread().name
    is_outermost = kt_oracle.THREADS[oracle] != name
    try:
        yield
    except BaseException:
        if is_outermost and kt_oracle.THREADS[oracle] == name:
            kt_oracle.THREADS[oracle] = None
            kt_oracle.LOCKS[oracle].release()
        raise


def forget_metrics(trial: Any) -> None:
    """Make a trial as if it had never been run."""
    trial.metrics = MetricsTracker()
    trial.score = None
    trial.message = None
    trial.status = kt_trial.TrialStatus.RUNNING


def is_oversized(trial: Any) -> bool:
    """Tell whether a trial was skipped because its model is too large."""
    return OversizedModelError.__name__ in (trial.message or "")


def read_reason(folder: Path) -> str | None:
    """Return why a trial failed, as the worker that ran it wrote it down."""
    record = folder / RECORD_FILE
    if not record.exists():
        return None
    return json.loads(record.read_text("utf-8")).get("message") or None
