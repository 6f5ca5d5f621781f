"""Files that are whole or not there, JSON above all."""

import contextlib
import errno
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kttoolkit.exceptions import StudyFolderError, UnwritableError

_PARTIAL = re.compile(r"\.\d+\.\d+\..+")
# HDF5 tells the number in the text only.
_HDF5_NUMBER = re.compile(r"errno = (\d+)")
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Free space on that disk"),
    **dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM),
        "Make it writable, or choose another directory",
    ),
    **dict.fromkeys(
        (errno.ENOENT, errno.ENOTDIR, errno.ESTALE),
        "Leave its folder in place while it is written",
    ),
    errno.EFBIG: "Raise the limit on the size of files",
}


def write_json(path: Path, state: Any) -> None:
    """Write JSON so that a kill at any moment leaves the old file or the new one.

    Args:
        path: where to; its folder is there.
        state: plain types and NumPy numbers.

    Raises:
        UnwritableError: if the disk does not take it; the old file stays.
    """
    text = json.dumps(state, default=_plain)
    with _put_in_place(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Let a file be written beside its place, and put it there once it is whole.

    Args:
        path: where the file shall be; its folder is made.

    Yields:
        The path to write to.

    Raises:
        UnwritableError: if the disk does not take it; the old file stays.
    """
    with told_if_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _put_in_place(path) as partial:
        yield partial


@contextlib.contextmanager
def told_if_unwritable(path: Path) -> Iterator[None]:
    """Say which file the disk does not take, why, and what to do.

    Args:
        path: what is written.

    Yields:
        Nothing, while it is written.

    Raises:
        UnwritableError: instead of the system's error, or HDF5's.
        OSError: never another one than that.
        RuntimeError: any that is not HDF5's.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        told = _HDF5_NUMBER.search(str(error))
        number = int(told[1]) if told else getattr(error, "errno", None)
        is_foreign = isinstance(error, RuntimeError) and number is None
        if is_foreign or isinstance(error, UnwritableError):
            raise
        reason = os.strerror(number) if number else str(error)
        remedy = _REMEDIES.get(number or 0, "Mend that")
        unwritable = UnwritableError(
            f"{path} must be written, but that fails: {reason}. {remedy}, then call "
            "again; a search goes on with resume=True."
        )
        unwritable.errno = number
        raise unwritable from error


def remove_partials(folder: Path, *, idle_seconds: float = 0) -> int:
    """Remove what killed processes began to write.

    Args:
        folder: of a study.
        idle_seconds: only what nobody has written to for so long; 0 where no other
            process writes in the folder now.

    Returns:
        How many files there were.
    """
    n_removed = 0
    with told_if_unwritable(folder):
        for path in folder.rglob(".*"):
            if is_partial(path.name) and _is_idle(path, idle_seconds):
                path.unlink(missing_ok=True)
                n_removed += 1
    return n_removed


def is_partial(name: str) -> bool:
    """Tell whether a file was begun by `write_json` or `written_whole`.

    Args:
        name: of the file.

    Returns:
        Whether it is one that has not reached its place.

    Example:
        >>> is_partial(".4711.140735.study.json"), is_partial("study.json")
        (True, False)
    """
    return _PARTIAL.fullmatch(name) is not None


def read_json(path: Path) -> Any:
    """Read JSON.

    Args:
        path: the file.

    Returns:
        What it holds.

    Raises:
        StudyFolderError: if it is missing or damaged.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise StudyFolderError(
            f"A study folder must hold {path.name}, but {path} is missing."
        ) from error
    # Deep nesting, numbers of thousands of digits, a folder in its place.
    except (ValueError, RecursionError, OSError) as error:
        raise StudyFolderError(
            f"{path} must be JSON, but it is damaged: {error}. Restore it from a copy."
        ) from error


@contextlib.contextmanager
def _put_in_place(path: Path) -> Iterator[Path]:
    partial = _partial(path)
    with told_if_unwritable(path):
        try:
            yield partial
            with partial.open("r+b") as file:
                os.fsync(file.fileno())
            partial.replace(path)
            _flush_names(path.parent)
        except BaseException:
            # Of two errors, the first one says why.
            with contextlib.suppress(OSError):
                partial.unlink()
            raise


def _is_idle(path: Path, seconds: float) -> bool:
    """Tell whether a file has not changed for so long, or is gone meanwhile."""
    try:
        return seconds == 0 or time.time() - path.stat().st_mtime > seconds
    except FileNotFoundError:
        return False


def _flush_names(folder: Path) -> None:
    """Let a new name outlive a loss of power; a file's own flush holds no name."""
    if os.name == "nt":
        return  # It opens no folders.
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as error:
        # Some network disks flush no folders.
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EBADF}:
            raise
    finally:
        os.close(file)


def _partial(path: Path) -> Path:
    return path.with_name(f".{os.getpid()}.{threading.get_ident()}.{path.name}")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be written.")
