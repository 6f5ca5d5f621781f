"""The study folder: its name, what it must agree with, what is written at once."""

import contextlib
import datetime as dt
import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kttoolkit.cv import Folds
from kttoolkit.exceptions import StudyFolderError
from kttoolkit.results import SPLITS_FILE, STUDY_FILE, Study

_PACKAGES = ("kttoolkit", "tensorflow", "keras", "keras-tuner", "scikit-learn", "numpy")
_MUST_AGREE = {
    "data": "the data",
    "folds": "the folds (cv, groups, test_size)",
    "space": "the search space",
    "preprocessor": "the preprocessor",
}
_MUST_EQUAL = (
    "tuner", "objective", "direction", "epoch_selection", "n_splits", "max_epochs",
    "batch_size",
)  # fmt: skip


def study_folder(
    directory: str | Path, project_name: str | None, *, resume: bool, overwrite: bool
) -> Path:
    """Choose the study folder and refuse one that is taken.

    Args:
        directory: holds all studies.
        project_name: the folder's name, or None for one made of the time.
        resume: whether a study of that name is continued.
        overwrite: whether it is deleted.

    Returns:
        The folder, which need not exist.

    Raises:
        StudyFolderError: if it exists and nothing was said, or it is no study.
    """
    if project_name is None:
        if resume:
            raise StudyFolderError(
                "resume=True must say which study, but got project_name=None. Pass the "
                f"name of a folder in {str(directory)!r}."
            )
        return _unused(Path(directory))
    if not project_name or Path(project_name).name != project_name:
        raise StudyFolderError(
            "project_name must be the name of one folder, without separators, but got "
            f"{project_name!r}. Put the path into directory=."
        )
    folder = Path(directory) / project_name
    if folder.exists() and any(folder.iterdir()):
        if not (folder / STUDY_FILE).exists():
            raise StudyFolderError(
                f"{folder} must be a study of kttoolkit or not exist, but it holds "
                "other files. Choose another project_name."
            )
        if not resume and not overwrite:
            raise StudyFolderError(
                f"The study {folder} exists already. Pass resume=True to continue it, "
                "overwrite=True to start again, or another project_name."
            )
    return folder


def check_same_study(earlier: Study, now: Study, folder: Path) -> None:
    """Refuse to continue a study with other data, folds or search space.

    Args:
        earlier: what the folder holds.
        now: what is asked for.
        folder: the study folder.

    Raises:
        StudyFolderError: naming what differs.
    """
    different = [
        words
        for name, words in _MUST_AGREE.items()
        if earlier.fingerprints.get(name) != now.fingerprints.get(name)
    ]
    for name in _MUST_EQUAL:
        was, is_ = getattr(earlier, name), getattr(now, name)
        if was != is_:
            different.append(f"{name} ({was!r} then, {is_!r} now)")
    if different:
        raise StudyFolderError(
            f"A study is resumed with what it was started with, but {folder} differs "
            f"in {', '.join(different)}. Use another project_name, or overwrite=True."
        )


def write_study(
    folder: Path, study: Study, folds: Folds | None, rows: np.ndarray
) -> None:
    """Write what a search was asked, before its first trial.

    Args:
        folder: the study folder.
        study: the description; versions and time are added.
        folds: the splits, or None.
        rows: original row numbers of the rows that the folds count.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if folds is not None:
        arrays: dict[str, Any] = {"rows": rows}
        for number, fold in enumerate(folds):
            arrays[f"train{number}"] = rows[fold.train]
            arrays[f"test{number}"] = rows[fold.test]
        partial = folder / f".{SPLITS_FILE}"
        np.savez_compressed(partial, **arrays)
        partial.replace(folder / SPLITS_FILE)
    replace(study, versions=versions()).write(folder)


@contextlib.contextmanager
def leaving_no_trace(folder: Path) -> Iterator[None]:
    """Take an empty folder away again if what made it fails.

    Args:
        folder: the study folder.

    Yields:
        Nothing.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        yield
    except BaseException:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


def versions() -> dict[str, str]:
    """Return the versions of what runs.

    Returns:
        Package names to versions, and Python's.
    """
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def fingerprint(state: Any) -> str:
    """Return a SHA-256 over plain types.

    Args:
        state: what JSON can hold.

    Returns:
        Hexadecimal digits.
    """
    text = json.dumps(state, sort_keys=True, default=str)
    text = re.sub(r" at 0x[0-9a-f]+", "", text)  # a function's address
    return hashlib.sha256(text.encode()).hexdigest()


def _unused(directory: Path) -> Path:
    name = dt.datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = directory / name
    number = 1
    while folder.exists():
        number += 1
        folder = directory / f"{name}-{number}"
    return folder
