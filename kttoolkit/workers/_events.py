"""Progress of a trial, from the process that trains it to the one that shows it.

A file carries it, so that any executor will do whose workers see the same disk.
"""

import pickle
import struct
from pathlib import Path
from typing import Any

from kttoolkit.files import told_if_unwritable

_LENGTH = struct.Struct(">Q")


class EventLog:
    """Is written to by the process that trains.

    Args:
        path: a file of this trial's own.
    """

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("ab")  # noqa: SIM115

    def write(self, *event: Any) -> None:
        """Write what happened.

        Args:
            *event: the name of a method of `Observer`, and its arguments.
        """
        data = pickle.dumps(event)
        with told_if_unwritable(Path(self._file.name)):
            self._file.write(_LENGTH.pack(len(data)) + data)
            self._file.flush()

    def close(self) -> None:
        """Write no more."""
        self._file.close()


class Events:
    """Reads in one process what trials in another write about their progress.

    Args:
        path: a file that need not exist yet.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self._read = 0

    def new(self) -> list[tuple[Any, ...]]:
        """Return what has been written since the last time.

        Returns:
            The name of a method of `Observer` and its arguments, each.
        """
        if not self.path.exists():
            return []
        with self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        events, start = [], 0
        while len(data) - start >= _LENGTH.size:
            end = start + _LENGTH.size + _LENGTH.unpack_from(data, start)[0]
            if end > len(data):
                break
            events.append(pickle.loads(data[start + _LENGTH.size : end]))
            start = end
        self._read += start
        return events
