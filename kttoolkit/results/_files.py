"""What a result reads from its study folder, and copies out of it."""

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kttoolkit.exceptions import ResultError, StudyFolderError
from kttoolkit.files import read_json
from kttoolkit.ranges import Range, ranges_of
from kttoolkit.results._record import RECORD_FILE, SPLITS_FILE, STUDY_FILE

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
    try:
        with path.open("rb") as stream, np.load(stream) as file:
            numbers = range((len(file.files) - ("rows" in file)) // 2)
            return tuple((file[f"train{k}"], file[f"test{k}"]) for k in numbers)
    except (ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise StudyFolderError(
            f"{path} must hold row numbers, but it is damaged: {error}. Restore it "
            "from a copy."
        ) from error


def read_rows(directory: Path) -> np.ndarray | None:
    """Read the numbers of the rows that trials saw.

    Args:
        directory: the study folder.

    Returns:
        Array of shape (n_samples,), sorted, or None where none were kept.
    """
    path = directory / SPLITS_FILE
    if not path.exists():
        return None
    with path.open("rb") as stream, np.load(stream) as file:
        return np.asarray(file["rows"])


def read_ranges(folders: Iterable[Path]) -> tuple[Range, ...]:
    """Read the search space as the trials knew it.

    Args:
        folders: of the trials.

    Returns:
        One range for each hyperparameter and its conditions.
    """
    known: dict[str, Any] = {}
    for folder in folders:
        path = folder / "trial.json"
        state = read_json(path) if path.exists() else {}
        for entry in state.get("hyperparameters", {}).get("space", ()):
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
