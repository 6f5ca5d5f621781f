"""Trials as Optuna has them."""

import contextlib
import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kttoolkit.exceptions import MissingDependencyError
from kttoolkit.ranges import Range
from kttoolkit.results._files import read_ranges
from kttoolkit.results._means import mean_curve
from kttoolkit.results._record import TrialRecord


def needs_optuna() -> Any:
    """Import Optuna, or say how to get it.

    Returns:
        The package.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    try:
        return importlib.import_module("optuna")
    except ImportError as error:
        raise MissingDependencyError(
            "This needs Optuna, which is not installed. Run: "
            'pip install "kttoolkit[optuna]"'
        ) from error


def optuna_study(records: Sequence[TrialRecord], ranges: Sequence[Range]) -> Any:
    """Make an Optuna study of trials.

    Args:
        records: trials, failed ones too.
        ranges: of the search space.

    Returns:
        An `optuna.study.Study` in memory: log scales are Optuna's, the other scales
        linear; each trial's epochs are its intermediate values (means over the folds),
        and scores of the folds its user attributes.
    """
    optuna = needs_optuna()
    with without_optuna_messages():
        direction = records[0].direction if records else "min"
        study = optuna.create_study(direction=optuna_direction(direction))
        known: dict[str, Range] = {}
        for one in ranges:
            known.setdefault(one.name, one)
        records = [_of_ranges(record, known) for record in records]
        distributions = {
            name: optuna_distribution(one, records) for name, one in known.items()
        }
        for record in records:
            study.add_trial(optuna_trial(record, distributions))
    return study


def _of_ranges(record: TrialRecord, known: Mapping[str, Range]) -> TrialRecord:
    """Leave out values that have no place in their range, such as a user's own."""
    values = {
        name: record.values[name]
        for name, one in known.items()
        if one.has_place(record.values)
    }
    return replace(record, values=values)


def optuna_direction(direction: str) -> str:
    """Return "min" or "max" in Optuna's words."""
    return "maximize" if direction == "max" else "minimize"


@contextlib.contextmanager
def without_optuna_messages() -> Iterator[None]:
    """Keep Optuna from telling of every study and trial.

    Yields:
        Nothing.
    """
    optuna = needs_optuna()
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)


def optuna_trial(record: TrialRecord, distributions: Mapping[str, Any]) -> Any:
    """Make a trial that ended an Optuna trial.

    Args:
        record: the trial.
        distributions: of the hyperparameters that are to be its parameters.

    Returns:
        An `optuna.trial.FrozenTrial`, complete or failed.
    """
    optuna = needs_optuna()
    has = {k: v for k, v in distributions.items() if k in record.values}
    is_complete = math.isfinite(record.score)
    states = optuna.trial.TrialState
    return optuna.trial.create_trial(
        state=states.COMPLETE if is_complete else states.FAIL,
        value=record.score if is_complete else None,
        params={name: record.values[name] for name in has},
        distributions=has,
        user_attrs={
            "trial": record.trial_id,
            "attempt": record.attempt,
            "seconds": record.seconds,
            **{name: list(values) for name, values in record.splits.items()},
            **({"reason": record.reason} if record.reason else {}),
        },
        intermediate_values=mean_curve(record, record.objective),
    )


def optuna_distribution(one: Range, records: Sequence[TrialRecord]) -> Any:
    """Return a range as Optuna has it.

    Args:
        one: the range.
        records: trials, each of whose values it shall hold.

    Returns:
        A distribution of `optuna.distributions`.
    """
    distributions = needs_optuna().distributions
    used = [r.values[one.name] for r in records if one.name in r.values]
    if one.kind in {"Choice", "Boolean", "Fixed"} and not one.is_laid_out:
        return distributions.CategoricalDistribution(
            list(dict.fromkeys([*one.values, *used]))
        )
    low, high = min([one.low, *used]), max([one.high, *used])
    is_log = one.scale == "log"
    if one.kind == "Int":
        step = 1 if is_log or not one.step else int(one.step)
        # A user's own settings may lie between the steps.
        is_stepped = all((value - low) % step == 0 for value in [high, *used])
        return distributions.IntDistribution(
            int(low), int(high), log=is_log, step=step if is_stepped else 1
        )
    return distributions.FloatDistribution(float(low), float(high), log=is_log)


def read_trial_ranges(folder: Path, trial_id: str) -> tuple[Range, ...]:
    """Read the search space as one trial knew it.

    Args:
        folder: the study folder.
        trial_id: the trial.

    Returns:
        One range for each hyperparameter and its conditions.
    """
    return read_ranges([folder / f"trial_{trial_id}"])
