"""The study folder: its name, what it must agree with, what is written at once."""

import contextlib
import datetime as dt
import hashlib
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kttoolkit.cv import Folds
from kttoolkit.exceptions import ResultError, StudyFolderError, UnwritableError
from kttoolkit.files import is_partial, told_if_unwritable, written_whole
from kttoolkit.locks import LOCK_FILE, owned
from kttoolkit.plain import is_text, shown
from kttoolkit.results import SPLITS_FILE, STUDY_FILE, Study

_PACKAGES = ("kttoolkit", "tensorflow", "keras", "keras-tuner", "scikit-learn", "numpy")
# File systems take no more.
_LONGEST_NAME = 255
_MUST_AGREE = {
    "data": "the data",
    "folds": "the folds (cv, groups, test_size)",
    "space": "the search space",
    "preprocessor": "the preprocessor",
    "fit": "fit_kwargs",
    "compile": "optimizer, loss or metrics",
}
_MUST_EQUAL = (
    "tuner", "objective", "direction", "epoch_selection", "n_splits", "max_epochs",
    "batch_size",
)  # fmt: skip


@contextlib.contextmanager
def study_folder(
    directory: str | Path, project_name: str | None, *, resume: bool, overwrite: bool
) -> Iterator[Path]:
    """Choose the study folder, refuse one that is taken, and lend it for writing.

    What was made for it is taken away again if an error comes before the study does.

    Args:
        directory: holds all studies.
        project_name: the folder's name, or None for one made of the time.
        resume: whether a study of that name is continued.
        overwrite: whether it is deleted.

    Yields:
        The folder, which no other process writes in meanwhile.

    Raises:
        StudyFolderError: if it exists and nothing was said, or both; if it is no study,
            or another process is writing in it.
    """
    if resume and overwrite:
        raise StudyFolderError(
            "A study is continued or started again, but got resume=True and "
            "overwrite=True. Leave one out; resume=True begins where there is none."
        )
    if project_name is None and resume:
        raise StudyFolderError(
            "resume=True must say which study, but got project_name=None. Pass the "
            f"name of a folder in {str(directory)!r}."
        )
    folder = _checked_directory(directory) / _checked_name(project_name)
    parents = [path for path in folder.parents if not path.exists()]
    is_new = project_name is None or not folder.exists()
    if project_name is None:
        folder = _reserved(folder)
    _refuse_taken(folder, resume=resume, overwrite=overwrite)
    with owned(folder):
        try:
            # Once more, for another search may just have ended here.
            _refuse_taken(folder, resume=resume, overwrite=overwrite)
            yield folder
        except BaseException:
            if is_new and _is_unstarted(folder):
                _remove(folder, parents)
            raise


def check_same_study(earlier: Study, now: Study, folder: Path) -> None:
    """Refuse to continue a study with other data, folds or search space.

    Args:
        earlier: what the folder holds.
        now: what is asked for.
        folder: the study folder.

    Raises:
        StudyFolderError: naming what differs.
    """
    different = _differing(earlier.fingerprints, now.fingerprints)
    for name in _MUST_EQUAL:
        was, is_ = getattr(earlier, name), getattr(now, name)
        if was != is_:
            different.append(f"{name} ({was!r} then, {is_!r} now)")
    if different:
        raise StudyFolderError(
            f"A study is resumed with what it was started with, but {folder} differs "
            f"in {', '.join(different)}. Use another project_name, or overwrite=True."
        )


def check_same_means(study: Study, now: Mapping[str, str], folder: Path) -> None:
    """Refuse to make models otherwise than a search has made them.

    Args:
        study: what the folder holds.
        now: fingerprints of what is given, as far as anything is.
        folder: the study folder.

    Raises:
        ResultError: naming what differs.
    """
    known = {name: study.fingerprints.get(name) for name in now}
    different = _differing(known, now)
    if different:
        raise ResultError(
            "load_result must be given what tune was given, to make the same models, "
            f"but for {str(folder)!r} it got something else for "
            f"{', '.join(different)}. Leave build out to look at scores alone."
        )


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        words
        for name, words in _MUST_AGREE.items()
        if then.get(name) is not None and then[name] != now.get(name)
    ]


def fingerprints_of_training(
    preprocessor: Any, fit_kwargs: Mapping[str, Any] | None, compiled: Mapping[str, Any]
) -> dict[str, str]:
    """Tell apart what trainings are given beside the rows and the model.

    Args:
        preprocessor: as `tune` was given it.
        fit_kwargs: the same.
        compiled: optimizer, loss and metrics, as far as they were given.

    Returns:
        Fingerprints by name.
    """
    # What is printed changes nothing.
    fit = {k: v for k, v in (fit_kwargs or {}).items() if k != "verbose"}
    return {
        "preprocessor": fingerprint(repr(preprocessor)),
        "fit": fingerprint(_plain_form(fit)),
        "compile": fingerprint(_plain_form(compiled)),
    }


def _plain_form(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain_form(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_form(part) for part in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "get_config") and not isinstance(value, type):
        # Keras numbers names, those of a second cell differently.
        config = {k: v for k, v in value.get_config().items() if k != "name"}
        return [type(value).__name__, config]
    return value


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
    if folds is not None:
        arrays: dict[str, Any] = {"rows": rows}
        for number, fold in enumerate(folds):
            arrays[f"train{number}"] = rows[fold.train]
            arrays[f"test{number}"] = rows[fold.test]
        with (
            written_whole(folder / SPLITS_FILE) as partial,
            partial.open("wb") as file,
        ):
            np.savez_compressed(file, **arrays)
    replace(study, versions=versions()).write(folder)


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


def _checked_directory(directory: Any) -> Path:
    if isinstance(directory, str | os.PathLike):
        try:
            path = Path(directory)
            if b"\0" not in os.fsencode(path):
                return path
        except (TypeError, UnicodeEncodeError):
            pass  # a path of bytes, or of what no file system can hold
    raise StudyFolderError(
        f"directory must be the path of a folder, but got {shown(directory)}. Pass "
        'e.g. "studies".'
    )


def _checked_name(project_name: str | None) -> str:
    if project_name is None:
        return dt.datetime.now().strftime("%Y%m%d-%H%M%S")
    if not _is_name(project_name):
        raise StudyFolderError(
            "project_name must be the name of one folder, without separators, of at "
            f"most {_LONGEST_NAME} bytes, but got {shown(project_name)}. Put the path "
            "into directory=."
        )
    return project_name


def _is_name(name: Any) -> bool:
    if not is_text(name) or name in {"", ".", ".."} or "\0" in name:
        return False
    return Path(name).name == name and len(name.encode()) <= _LONGEST_NAME


def _reserved(wanted: Path) -> Path:
    """Make a folder of that name, or the next name: several searches may start now."""
    folder, number = wanted, 1
    while True:
        try:
            with told_if_unwritable(folder):
                folder.mkdir(parents=True)
        except UnwritableError:
            if not folder.exists():
                raise
        else:
            return folder
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")


def _refuse_taken(folder: Path, *, resume: bool, overwrite: bool) -> None:
    if _is_unstarted(folder):
        return
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


def _is_unstarted(folder: Path) -> bool:
    """Tell whether there is no more than a search killed at its start leaves behind."""
    return not folder.exists() or all(
        path.name in {LOCK_FILE, SPLITS_FILE} or is_partial(path.name)
        for path in folder.iterdir()
    )


def _remove(folder: Path, parents: Sequence[Path]) -> None:
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            path.unlink()
        for path in (folder, *parents):
            path.rmdir()
