"""JSON files that are whole or not there."""

import json
import os
import threading
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
    partial = path.with_name(f".{os.getpid()}.{threading.get_ident()}.{path.name}")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


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


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} of type {type(value).__name__} cannot be written.")
