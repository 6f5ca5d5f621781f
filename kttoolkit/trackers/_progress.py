"""Progress in a terminal, in a notebook, and as plain lines in a log."""

import io
import math
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kttoolkit.plain import counted, visible
from kttoolkit.results import TrialRecord, share_of_epochs_saved
from kttoolkit.trackers._base import SearchInfo, Tracker

_REFRESH_SECONDS = 0.25
_MAX_RUNNING = 8
# Of a name or a value, so that one of ten thousand characters leaves room for the rest.
_LONGEST = 80


@dataclass
class RunningTrial:
    """How far a trial is.

    Attributes:
        values: its hyperparameters.
        split: its training, from 0.
        n_splits: how many trainings it has.
        epoch: the epoch that ended last.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    split: int = 0
    n_splits: int = 0
    epoch: int = 0


@dataclass
class SearchState:
    """What a display shows; changed by events only.

    Attributes:
        info: what the search is.
        counts: status to number of trials.
        best: the best trial so far.
        running: the trials that run, in the order of their start.
        at_once: the most trials that ran at a time.
        elapsed: seconds since this run of the search began.
        seconds: wall time of the trials of this run.
        n_starts: trainings of completed trials that began with fresh weights.
        n_epochs: epochs of completed trials.
    """

    info: SearchInfo
    counts: Counter[str] = field(default_factory=Counter)
    best: TrialRecord | None = None
    running: dict[str, RunningTrial] = field(default_factory=dict)
    at_once: int = 1
    elapsed: float = 0.0
    seconds: list[float] = field(default_factory=list)
    n_starts: int = 0
    n_epochs: int = 0

    def start(self, trial_id: str, values: Mapping[str, Any]) -> None:
        """Take note that a trial runs."""
        self.running[trial_id] = RunningTrial(values)
        self.at_once = max(self.at_once, len(self.running))

    def trial(self, trial_id: str) -> RunningTrial:
        """Return how far a trial is."""
        return self.running.setdefault(trial_id, RunningTrial())

    def add(self, record: TrialRecord) -> None:
        """Count a trial that ended."""
        self.counts[record.status] += 1
        if record.status != "completed" or not math.isfinite(record.score):
            return
        self.n_starts += record.n_starts
        self.n_epochs += record.n_epochs
        sign = 1 if self.info.direction == "min" else -1
        if self.best is None or sign * record.score < sign * self.best.score:
            self.best = record

    @property
    def n_ended(self) -> int:
        """Trials that ended, in whatever way."""
        return sum(self.counts.values())

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the mean trial so far, or None."""
        if self.info.n_trials is None or not self.seconds:
            return None
        left = max(0, self.info.n_trials - self.n_ended)
        return left * sum(self.seconds) / len(self.seconds) / self.at_once


class ProgressTracker(Tracker):
    """Shows how a search gets on.

    Args:
        verbose: 1 for a live display where there is a terminal or a notebook and
            a line a trial elsewhere, 2 for a line a trial everywhere.
        console: where to write; standard output by default.
    """

    def __init__(self, verbose: int = 1, *, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stdout, highlight=False)
        self.verbose = verbose
        self.state: SearchState | None = None
        self._live: Live | _NotebookLive | None = None
        self._start = 0.0
        self._shown_at = 0.0

    def search_started(self, info: SearchInfo) -> None:
        """Open the display."""
        self._start = time.monotonic()
        self.state = SearchState(info)
        for record in info.ended:
            self.state.add(record)
        if self.verbose == 1 and self.console.is_jupyter:
            self._live = _NotebookLive()
        elif self.verbose == 1 and self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
        if self._live is not None:
            self._live.start()
        elif info.n_trials is not None:
            told = f"{_told(info.tuner)}: {counted(info.n_trials, 'trial')}"
            self.console.print(Text(told))

    def trial_started(self, trial_id: str, values: Mapping[str, Any]) -> None:
        """Show the hyperparameters."""
        self._state.start(trial_id, values)
        self._refresh(at_once=True)

    def fold_started(self, trial_id: str, split: int, n_splits: int) -> None:
        """Show the fold."""
        trial = self._state.trial(trial_id)
        trial.split, trial.n_splits, trial.epoch = split, n_splits, 0
        self._refresh()

    def epoch_ended(
        self, trial_id: str, split: int, epoch: int, logs: Mapping[str, float]
    ) -> None:
        """Show the epoch."""
        trial = self._state.trial(trial_id)
        trial.split, trial.epoch = split, epoch
        self._refresh()

    def trial_ended(self, record: TrialRecord) -> None:
        """Show or print the score."""
        state = self._state
        state.running.pop(record.trial_id, None)
        state.add(record)
        state.seconds.append(record.seconds)
        if self._live is None:
            self.console.print(trial_line(state, record), soft_wrap=True)
        self._refresh(at_once=True)

    def search_ended(self) -> None:
        """Close the display."""
        if self._live is not None:
            self._refresh(at_once=True)
            self._live.stop()
            self._live = None

    @property
    def _state(self) -> SearchState:
        if self.state is None:
            raise RuntimeError("search_started must come before any other event.")
        return self.state

    def _refresh(self, *, at_once: bool = False) -> None:
        now = time.monotonic()
        if self._live is None or (
            not at_once and now - self._shown_at < _REFRESH_SECONDS
        ):
            return
        self._shown_at = now
        self._state.elapsed = now - self._start
        self._live.update(display(self._state), refresh=True)


class _NotebookLive:
    """The display in a cell, replaced in place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def start(self) -> None:
        """Take a place in the cell's output."""
        from IPython.display import HTML, display  # noqa: PLC0415

        self._handle = display(HTML(""), display_id=True)

    def update(self, shown: RenderableType, **_: bool) -> None:
        """Replace what is shown."""
        from IPython.display import HTML  # noqa: PLC0415

        console = Console(
            record=True, width=100, file=io.StringIO(), force_jupyter=False
        )
        console.print(shown)
        self._handle.update(
            HTML(
                console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")
            )
        )

    def stop(self) -> None:
        """Leave what is shown."""


def display(state: SearchState) -> RenderableType:
    """Draw the live display.

    Args:
        state: what to show.

    Returns:
        A few lines for rich.
    """
    total = state.info.n_trials
    grid = Table.grid(padding=(0, 2))
    head = Text(f"{_told(state.info.tuner)} ", style="bold")
    head.append(f"{state.n_ended}{f'/{total}' if total else ''} trials", style="bold")
    grid.add_row(
        head,
        ProgressBar(
            total=total or 1, completed=state.n_ended if total else 0, width=20
        ),
        Text(_times(state), style="dim"),
    )
    lines: list[RenderableType] = [grid]
    lines.extend(map(_labelled, ("now", *[""] * _MAX_RUNNING), _running(state)))
    lines.append(_labelled("best", _best(state)))
    problems = ", ".join(
        f"{state.counts[s]} {s}" for s in ("failed", "skipped") if state.counts[s]
    )
    last = [Text(problems, style="red"), Text(_saved(state), style="dim")]
    if any(last):
        told = Text(", ").join(part for part in last if part)
        lines.append(_labelled("", told))
    return Group(*lines)


def trial_line(state: SearchState, record: TrialRecord) -> Text:
    """Write a trial in one line.

    Args:
        state: for the numbers so far.
        record: the trial.

    Returns:
        Text without markup.
    """
    total = state.info.n_trials
    line = Text(f"trial {state.n_ended}{f'/{total}' if total else ''}  ")
    if record.status == "completed":
        line.append(f"{_told(record.objective)} {_score(record)}")
        if state.best is not None:
            line.append(f"  best {_score(state.best)}")
    else:
        line.append(f"{record.status}: {visible(record.reason)}")
    line.append(f"  {record.seconds:.1f} s")
    if state.seconds_left:
        line.append(f", about {_duration(state.seconds_left)} left")
    return line.append(f"  {_values(record.values)}")


def _labelled(label: str, text: Text) -> Text:
    return Text.assemble((f"{label:<5}", "dim"), text)


def _running(state: SearchState) -> list[Text]:
    """Write a line for each trial that runs; the last one counts those left out."""
    if not state.running:
        return [Text("proposing")]
    lines = [_progress(*item) for item in state.running.items()]
    if len(lines) > _MAX_RUNNING:
        left_out = len(lines) - _MAX_RUNNING + 1
        lines[_MAX_RUNNING - 1 :] = [Text(f"and {left_out} more", style="dim")]
    return lines


def _progress(trial_id: str, trial: RunningTrial) -> Text:
    text = Text(f"trial {_told(trial_id)}")
    if trial.n_splits:
        text.append(f"  fold {trial.split + 1}/{trial.n_splits}")
    if trial.epoch:
        text.append(f"  epoch {trial.epoch}")
    return text.append(f"  {_values(trial.values)}", style="dim")


def _best(state: SearchState) -> Text:
    if state.best is None:
        return Text("none yet")
    told = f"{_told(state.info.objective)} {_score(state.best)}"
    text = Text(told, style="green")
    return text.append(f"  {_values(state.best.values)}", style="dim")


def _score(record: TrialRecord) -> str:
    spread = f" ± {record.std:.4f}" if len(record.fits) > 1 else ""
    return f"{record.score:.4f}{spread}"


def _values(values: Mapping[str, Any]) -> str:
    shown = {k: v for k, v in values.items() if not k.startswith("tuner/")}
    if "tuner/epochs" in values:
        shown["epochs"] = values["tuner/epochs"]
    return "  ".join(
        f"{_told(name)}={value:.4g}"
        if isinstance(value, float)
        else f"{_told(name)}={_told(value)}"
        for name, value in shown.items()
    )


def _told(value: Any) -> str:
    """Write what a user named so that a terminal prints it and does nothing else."""
    text = str(value)
    return visible(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}...")


def _times(state: SearchState) -> str:
    left = state.seconds_left
    told = f"{_duration(state.elapsed)} elapsed"
    if left is not None:
        told += f", about {_duration(left)} left"
    return told


def _saved(state: SearchState) -> str:
    saved = share_of_epochs_saved(state.n_starts, state.n_epochs, state.info.max_epochs)
    return f"{saved:.0%} of the epochs saved" if saved else ""


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
