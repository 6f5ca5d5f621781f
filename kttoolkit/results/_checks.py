"""Is a study folder as it was written? Its fields, and where its files lie."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kttoolkit.exceptions import StudyFolderError
from kttoolkit.plain import Check, fault


def check_fields(
    state: Any, rules: Mapping[str, Check], required: int, path: Path, what: str
) -> None:
    """Refuse what does not follow its rules.

    Args:
        state: after it went through JSON.
        rules: field to what it must be, the required ones in front.
        required: how many of them must be there.
        path: of the file.
        what: it describes, in the message.

    Raises:
        StudyFolderError: naming the field and its value.
    """
    reason = fault(state, rules, required)
    if reason:
        raise StudyFolderError(damaged(path, what, reason))


def damaged(path: Path, what: str, reason: str) -> str:
    """Say that a file does not hold what was written.

    Args:
        path: of the file.
        what: it should describe.
        reason: what is wrong.

    Returns:
        The message of an error.
    """
    return (
        f"{path} must hold {what}, but it does not: {reason}. Restore it from a copy."
    )


def refuse_links(folder: Path) -> None:
    """Refuse files of a study, and folders of its trials, that lie elsewhere.

    What is written through a link would be written outside of the folder. The folder
    itself may be a link.

    Args:
        folder: the study folder.

    Raises:
        StudyFolderError: naming the link.
    """
    root = os.path.realpath(folder)
    for entry in _of_a_study(folder):
        if not entry.is_symlink():
            continue
        target = os.path.realpath(entry.path)
        if os.path.commonpath([root, target]) != root:
            raise StudyFolderError(
                f"What a study consists of must lie in its folder, but {entry.path} is "
                f"a link to {target}. Copy what it points to into its place."
            )


def _of_a_study(folder: Path) -> list[os.DirEntry[str]]:
    """List the folder and, one level down, the trials; not what trackers wrote."""
    found = list(os.scandir(folder))
    for entry in list(found):
        if entry.name.startswith("trial_") and entry.is_dir(follow_symlinks=False):
            found += os.scandir(entry.path)
    return found
