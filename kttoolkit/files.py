"""Files that are whole or not there, JSON above all."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kttoolkit.exceptions import StudyFolderError


def write_json(path: Path, state: Any) -> None:
    """Write JSON so that a kill at any moment leaves the old file or the new one.

    Args:
        path: where to.
        state: plain types and NumPy numbers.
    """
    text = json.dumps(state, default=_plain)
    partial = _partial(path)
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Let a file be written beside its place, and put it there once it is whole.

    Args:
        path: where the file shall be; its folder is made.

    Yields:
        The path to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


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
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StudyFolderError(
            f"{path} must be JSON, but it is damaged: {error}. Restore it from a copy."
        ) from error


def _partial(path: Path) -> Path:
    return path.with_name(f".{os.getpid()}.{threading.get_ident()}.{path.name}")


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be written.")
