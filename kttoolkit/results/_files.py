"""What a result reads from its study folder, and copies out of it."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kttoolkit.exceptions import ResultError, StudyFolderError
from kttoolkit.files import read_json
from kttoolkit.plain import is_number, is_scalar, names_to, shown
from kttoolkit.ranges import Range, ranges_of
from kttoolkit.results._checks import damaged
from kttoolkit.results._record import RECORD_FILE, SPLITS_FILE, STUDY_FILE
from kttoolkit.results._rows import read_row_arrays
from kttoolkit.results._space import is_space

if TYPE_CHECKING:
    from kttoolkit.results._result import TuneResult

TEST_FILE = "test.json"


def read_splits(directory: Path) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Read the row numbers of each fold.

    Args:
        directory: the study folder.

    Returns:
        Pairs (train, test), as scikit-learn's `split` yields them.

    Raises:
        ResultError: if none were kept.
        StudyFolderError: if the file is damaged.
    """
    path = directory / SPLITS_FILE
    if not path.exists():
        raise ResultError(
            f"Row numbers are kept for searches on arrays, but {path} is missing."
        )
    arrays = read_row_arrays(path)
    n_folds = (len(arrays) - ("rows" in arrays)) // 2
    try:
        return tuple((arrays[f"train{k}"], arrays[f"test{k}"]) for k in range(n_folds))
    except KeyError as error:
        raise StudyFolderError(
            damaged(path, "row numbers", f"{error} is missing")
        ) from error


def read_rows(directory: Path) -> np.ndarray | None:
    """Read the numbers of the rows that trials saw.

    Args:
        directory: the study folder.

    Returns:
        Array of shape (n_samples,), sorted, or None where none were kept.

    Raises:
        StudyFolderError: if the file is damaged.
    """
    path = directory / SPLITS_FILE
    if not path.exists():
        return None
    arrays = read_row_arrays(path)
    if "rows" not in arrays:
        raise StudyFolderError(
            damaged(path, "the rows that trials saw", "'rows' is missing")
        )
    return arrays["rows"]


def read_test_metrics(directory: Path) -> dict[str, float]:
    """Read the metrics on the rows that were set aside.

    Args:
        directory: the study folder.

    Returns:
        Names to values; empty where no rows were set aside.

    Raises:
        StudyFolderError: if the file is damaged.
    """
    path = directory / TEST_FILE
    if not path.exists():
        return {}
    metrics = read_json(path)
    if not names_to(is_number)(metrics):
        raise StudyFolderError(damaged(path, "metrics", f"it holds {shown(metrics)}"))
    return dict(metrics)


def read_space(path: Path) -> dict[str, Any]:
    """Read the hyperparameters that Keras Tuner wrote of a trial.

    Args:
        path: of its `trial.json`.

    Returns:
        Their configuration: "space" and "values".

    Raises:
        StudyFolderError: if it is missing or damaged.
    """
    state = read_json(path)
    found = state.get("hyperparameters") if isinstance(state, dict) else None
    if not (
        isinstance(found, dict)
        and is_space(found.get("space"))
        and names_to(is_scalar)(found.get("values"))
    ):
        raise StudyFolderError(
            damaged(path, "a trial of Keras Tuner", f"it holds {shown(state)}")
        )
    return found


def read_ranges(folders: Iterable[Path]) -> tuple[Range, ...]:
    """Read the search space as the trials knew it.

    Args:
        folders: of the trials.

    Returns:
        One range for each hyperparameter and its conditions.

    Raises:
        StudyFolderError: if what Keras Tuner wrote of a trial is damaged.
    """
    known: dict[str, Any] = {}
    for folder in folders:
        path = folder / "trial.json"
        space = read_space(path)["space"] if path.exists() else ()
        for entry in space:
            key = (entry["config"]["name"], entry["config"].get("conditions"))
            known.setdefault(repr(key), entry)
    return tuple(ranges_of(known.values()))


def copy_study(result: "TuneResult", target: Path) -> Path:
    """Copy what makes up a result, with the best trial's weights.

    Args:
        result: of a search.
        target: a folder that does not exist yet, or is empty.

    Returns:
        The folder.

    Raises:
        StudyFolderError: if something is there already.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StudyFolderError(
            f"A result is saved to an empty folder, but {target} is none. Choose "
            "another one."
        )
    target.mkdir(parents=True, exist_ok=True)
    for name in (STUDY_FILE, SPLITS_FILE, TEST_FILE):
        if (result.directory / name).exists():
            shutil.copy2(result.directory / name, target / name)
    for record in result.records:
        source = result.trial_directory(record)
        folder = target / source.name
        folder.mkdir()
        is_best = record.score == record.score and record is result.best_trial
        for path in source.iterdir():
            is_wanted = is_best or path.name in {RECORD_FILE, "trial.json"}
            if is_wanted and path.is_file():
                shutil.copy2(path, folder / path.name)
    return target
