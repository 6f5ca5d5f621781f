"""Libraries that not everyone has, and what trackers share."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from kttoolkit.exceptions import MissingDependencyError
from kttoolkit.results import TrialRecord
from kttoolkit.trackers._base import SearchInfo, Tracker

FOLDER = "trackers"


def needs(tracker: str, extra: str, *modules: str) -> None:
    """Make sure, before anything is trained, that a tracker's library is there.

    Args:
        tracker: who needs it.
        extra: of kttoolkit, which installs it.
        *modules: all of which have to be found; none is imported.

    Raises:
        MissingDependencyError: if one is not installed.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"{tracker} needs {', '.join(missing)}, which cannot be found here. Run: "
            f'pip install "kttoolkit[{extra}]"'
        )


def library(name: str) -> Any:
    """Import a library whose presence `needs` has made sure of.

    Args:
        name: of the module.

    Returns:
        The module.
    """
    return importlib.import_module(name)


def study_name(info: SearchInfo) -> str:
    """Return the name of the study folder.

    Args:
        info: what is known of the search.

    Returns:
        Its last part.
    """
    return Path(info.directory).absolute().name


def folder_for(info: SearchInfo, directory: str | Path | None) -> Path:
    """Return where a tracker writes.

    Args:
        info: what is known of the search.
        directory: the user's choice, or None.

    Returns:
        A folder in the study folder, or of the study's name in the user's directory,
        so that two studies never write to one place.
    """
    if directory is None:
        return Path(info.directory).absolute() / FOLDER
    return Path(directory).expanduser().absolute() / study_name(info)


def tell_again(tracker: Tracker, record: TrialRecord) -> None:
    """Tell a tracker of a trial's trainings as if they ran now.

    Args:
        tracker: joined a search after the trial had ended.
        record: of the trial.
    """
    for fit in record.fits:
        tracker.fold_started(record.trial_id, fit.split, len(record.fits))
        for index in range(fit.epochs):
            epoch = fit.initial_epoch + index + 1
            tracker.epoch_ended(record.trial_id, fit.split, epoch, fit.at(index))
        tracker.fold_ended(record.trial_id, fit)


def scores_of(record: TrialRecord) -> dict[str, float]:
    """Return a trial's metrics, named as in `TuneResult.trials`.

    Args:
        record: a trial that ended.

    Returns:
        `mean_<metric>` and `std_<metric>`; nothing for a trial that failed.
    """
    means = {f"mean_{name}": value for name, value in record.metrics.items()}
    stds = {f"std_{k}": float(np.std(v)) for k, v in record.splits.items()}
    return {**means, **stds}
