"""One writer a study folder, by a lock that ends with the process that holds it."""

import contextlib
import errno
import json
import os
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from kttoolkit.exceptions import StudyFolderError
from kttoolkit.files import told_if_unwritable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_FILE = "study.lock"
_NOT_OFFERED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
# Windows locks bytes against reading too; who the owner is stands before this one.
_LOCKED_BYTE = 1 << 30


@dataclass(frozen=True)
class _Lock:
    file: int
    thread: int


_held: dict[Path, _Lock] = {}
_turn = threading.Lock()


@contextlib.contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Have a folder for oneself while one writes in it.

    The system holds the lock (`flock`, on Windows `locking`) and lets go of it when
    the process ends, however it ends. The same thread may ask again. A worker of Keras
    Tuner takes none: it shares the folder that its chief has locked. Where a file
    system has no locks, a warning says so.

    Args:
        folder: is made if it is not there.

    Yields:
        Nothing, while the lock is held.

    Raises:
        StudyFolderError: if another process or thread has it.
        UnwritableError: if the lock file cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with owned(folder):
        ...     sorted(path.name for path in folder.iterdir())
        ['study.lock']
    """
    if is_worker():
        yield
        return
    key = folder.resolve()
    with _turn:
        mine = _held.get(key)
        if mine is None:
            _held[key] = _Lock(_acquired(key), threading.get_ident())
    if mine is None:
        try:
            yield
        finally:
            _release(key)
    elif mine.thread == threading.get_ident():
        yield
    else:
        _refuse(key)


def has_chief() -> bool:
    """Tell whether several processes share a search, in Keras Tuner's way.

    Returns:
        Whether one of them is the chief.
    """
    return "KERASTUNER_ORACLE_IP" in os.environ


def is_worker() -> bool:
    """Tell whether this process takes its trials from Keras Tuner's chief.

    Returns:
        Whether it is a worker, and not the chief.
    """
    return has_chief() and "chief" not in os.environ.get("KERASTUNER_TUNER_ID", "")


def check_in_place(folder: Path) -> None:
    """Refuse to go on in a folder that was taken away while it was locked.

    Args:
        folder: any; nothing is checked if this process does not hold its lock.

    Raises:
        StudyFolderError: if it was deleted, moved or replaced.
    """
    mine = _held.get(folder.resolve())
    if mine is not None and not _is_file(mine.file, folder / LOCK_FILE):
        raise StudyFolderError(
            f"A study folder must stay in place while it is written, but {folder} was "
            "deleted, moved or replaced. Put it back and continue with resume=True, or "
            "start again."
        )


def _acquired(folder: Path) -> int:
    path = folder / LOCK_FILE
    while True:
        with told_if_unwritable(path):
            folder.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                is_locked = _try_lock(file)
                # Who failed to start takes the file away again, perhaps just now.
                if is_locked and _is_file(file, path):
                    _sign(file)
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)
        if not is_locked:
            _refuse(folder)


def _try_lock(file: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise
        warnings.warn(
            f"This file system has no locks ({error.strerror}): see to it that no two "
            "searches write in one study folder.",
            UserWarning,
            stacklevel=4,
        )
    return True


def _is_file(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _sign(file: int) -> None:
    owner = {"pid": os.getpid(), "host": socket.gethostname()}
    os.lseek(file, 0, os.SEEK_SET)
    os.ftruncate(file, 0)
    os.write(file, json.dumps(owner).encode())


def _refuse(folder: Path) -> NoReturn:
    try:
        owner = json.loads((folder / LOCK_FILE).read_text("utf-8"))
        who = f"process {owner['pid']} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        who = "another process"
    raise StudyFolderError(
        f"A study folder has one writer at a time, but {who} is writing in {folder}. "
        "Wait for it or end it, or choose another project_name."
    )


def _release(folder: Path) -> None:
    with _turn:
        lock = _held.pop(folder, None)
    if lock is not None:
        _close(lock.file)


def _close(file: int) -> None:
    if sys.platform == "win32":
        os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
        with contextlib.suppress(OSError):
            msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
    os.close(file)


def _let_go_in_child() -> None:
    """Leave the locks to the parent: a child that outlives it must hold none."""
    global _turn
    _turn = threading.Lock()
    for lock in _held.values():
        os.close(lock.file)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
