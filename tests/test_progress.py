"""Progress as it is seen in a terminal, in a log and in a notebook."""

import dataclasses
import io
import re

import pytest
from rich.console import Console

from kttoolkit.results import TrialRecord
from kttoolkit.scoring import FoldFit
from kttoolkit.trackers import ProgressTracker, SearchInfo
from kttoolkit.trackers._progress import RunningTrial, SearchState, display, trial_line

INFO = SearchInfo("RandomSearch", "val_loss", "min", 4, "studies/p")


def record(trial_id, score=None, **values):
    if score is None:
        return TrialRecord(
            trial_id, values, "failed", "OSError: gone\ntrace", seconds=1
        )
    return TrialRecord(
        trial_id, values, "completed", seconds=3.0, objective="val_loss",
        metrics={"val_loss": score}, splits={"val_loss": (score, score)}, epochs=(1, 1),
    )  # fmt: skip


def shown(state):
    console = Console(file=io.StringIO(), width=120)
    console.print(display(state))
    return console.file.getvalue()


def test_the_display_tells_all_that_is_going_on():
    state = SearchState(INFO)
    state.add(record("0", 0.5, units=8))
    state.add(record("1", 0.25, units=16))
    state.add(record("2"))
    state.running["3"] = RunningTrial({"units": 4, "tuner/epochs": 9}, 1, 5, 2)
    state.elapsed, state.seconds = 65, [3.0, 5.0]
    text = shown(state)
    for expected in (
        "3/4 trials", "1:05 elapsed, about 0:04 left", "trial 3  fold 2/5  epoch 2",
        "units=4  epochs=9", "val_loss 0.2500  units=16", "1 failed",
    ):  # fmt: skip
        assert expected in text


def test_what_stopping_early_saved_is_told():
    """Of 30 epochs a fold, 10 and 5 were trained; a rung above counts no start."""
    state = SearchState(dataclasses.replace(INFO, max_epochs=30))
    first, again = (
        dataclasses.replace(
            record("0", 0.5),
            fits=(FoldFit(0, 0, 0, 0, {"loss": (1.0,) * n}, initial_epoch=start),),
        )
        for n, start in ((10, 0), (5, 10))
    )
    state.add(first)
    assert "67% of the epochs saved" in shown(state)
    state.add(again)
    assert "50% of the epochs saved" in shown(state)
    state.add(record("1"))
    assert "50% of the epochs saved" in shown(state)


def test_several_running_trials_have_a_line_each():
    state = SearchState(INFO)
    for number in range(10):
        state.start(str(number), {"units": number})
    state.trial("1").epoch = 7
    state.seconds = [20.0]
    lines = shown(state).splitlines()
    assert "about 0:08 left" in lines[0]
    assert lines[1].split() == ["now", "trial", "0", "units=0"]
    assert lines[2].split() == ["trial", "1", "epoch", "7", "units=1"]
    assert lines[8].split() == ["and", "3", "more"]
    assert len(lines) == 10


def test_a_line_a_trial_where_there_is_no_terminal():
    console = Console(file=io.StringIO(), width=200)
    tracker = ProgressTracker(1, console=console)
    tracker.search_started(INFO)
    tracker.trial_started("0", {"units": 8})
    tracker.epoch_ended("0", 0, 1, {})
    tracker.trial_ended(record("0", 0.5, units=8))
    tracker.trial_ended(record("1"))
    tracker.search_ended()
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "RandomSearch: 4 trials"
    assert lines[1].startswith("trial 1/4  val_loss 0.5000")
    assert re.search(r" s, about \d+:\d\d left  units=8", lines[1])
    assert "failed: OSError: gone" in lines[2]


def test_a_live_display_leaves_the_terminal_as_it_was():
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    tracker = ProgressTracker(1, console=console)
    tracker.search_started(INFO)
    tracker.trial_started("0", {"units": 8})
    tracker.trial_ended(record("0", 0.5, units=8))
    tracker.search_ended()
    assert "\x1b[?25h" in console.file.getvalue()
    assert tracker._live is None


def test_markup_in_names_stays_text():
    state = SearchState(INFO)
    line = trial_line(state, record("0", 0.5, **{"[red]x": "[bold]y"}))
    assert "[red]x=[bold]y" in line.plain


def test_events_before_the_start_are_a_mistake():
    with pytest.raises(RuntimeError, match="search_started must come before"):
        ProgressTracker().trial_started("0", {})
