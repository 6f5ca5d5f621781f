"""What the tuners of Keras Tuner's words print: scores, and why a trial has none."""

import pytest

import kttoolkit
from kttoolkit.tuners._compat import failure_of

MIN = kttoolkit.Objective("score", "min")


class Half(kttoolkit.GridSearch):
    """Fails from the second trial on."""

    def run_trial(self, trial, *args, **kwargs):
        a = trial.hyperparameters.Choice("a", [1, 2, 3, 4])
        if a > 1:
            raise OSError(f"no room for {a}\x1b[2J\nsecond line")
        return float(a)


def searched(folder, **kwargs):
    limit = {"max_consecutive_failed_trials": None, **kwargs}
    tuner = Half(objective=MIN, directory=folder, **limit)
    tuner.search(verbose=1)
    return tuner


def test_a_trial_that_failed_says_why(tmp_path, capsys):
    searched(tmp_path)
    told = capsys.readouterr().out
    assert "Trial 1 Complete [" in told
    assert "Trial 2 Failed [" in told
    assert "Trial 2 Complete" not in told
    assert "no room for 2\\x1b[2J second line\n\nBest score So Far: 1.0\n" in told


def test_a_trial_that_is_tried_again_says_why(tmp_path, capsys):
    searched(tmp_path, max_retries_per_trial=1, max_trials=2)
    assert capsys.readouterr().out.count("OSError: no room for 2") == 2


def test_nothing_is_printed_where_nothing_is_to_be(tmp_path, capsys):
    tuner = Half(objective=MIN, directory=tmp_path, max_consecutive_failed_trials=None)
    tuner.search(verbose=0)
    assert capsys.readouterr().out == ""


def test_a_summary_names_the_trials_that_failed_last(tmp_path, capsys):
    tuner = searched(tmp_path)
    capsys.readouterr()
    tuner.results_summary()
    told = capsys.readouterr().out
    names = [line for line in told.splitlines() if line.startswith("Trial ")]
    assert names == [f"Trial {number:04} summary" for number in range(4)]
    assert "\x1b" not in told
    assert told.index("Score: 1.0") < told.index("OSError: no room for 2")
    tuner.results_summary(2)
    told = capsys.readouterr().out
    assert "OSError: no room for 2" in told
    assert "OSError: no room for 3" not in told
    assert told.endswith("\n2 more trials failed.\n")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("KeyError: 'a'\nTraceback ...\nKeyError: 'a'", "KeyError: 'a'"),
        (
            "Traceback (most recent call last):\n  File 'b'\n    raise\n"
            "keras.errors.OwnError: first\n\nsecond\n",
            "keras.errors.OwnError: first",
        ),
        ("Traceback (most recent call last):\n  File 'b'\nOdd: one", "Odd: one"),
        ("The model \x1b]0;is\x07 gone", r"The model \x1b]0;is\x07 gone"),
        ("", "No reason is known."),
        (None, "No reason is known."),
    ],
)
def test_the_reason_is_found_in_every_kind_of_message(message, told):
    assert failure_of(message) == told
