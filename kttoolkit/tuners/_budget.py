"""What a search may spend: seconds and epochs."""

import time
from pathlib import Path

from kttoolkit.results import read_records


class Budget:
    """Counts what a search spends.

    Args:
        timeout: seconds, or None.
        max_total_epochs: epochs of all trainings of all trials, or None.

    Attributes:
        deadline: the time of `time.monotonic` at which the seconds are over, or None.
    """

    def __init__(self, timeout: float | None, max_total_epochs: float | None) -> None:
        self.deadline: float | None = None
        self._timeout = timeout
        self._most = max_total_epochs
        self._spent = 0

    def begin(self, project: str | Path) -> None:
        """Start the clock, and count what an earlier run of the search spent.

        Args:
            project: the study folder.
        """
        if self._timeout is not None:
            self.deadline = time.monotonic() + self._timeout
        if self._most is not None:
            records = read_records(Path(project))
            self._spent = sum(record.n_epochs for record in records)

    def spend_epoch(self) -> None:
        """Count an epoch of one training."""
        self._spent += 1

    @property
    def is_over(self) -> bool:
        """Whether more was spent than may be: a training in progress has to end.

        Of epochs one more than allowed, so that a trial whose last epoch is the last
        that is allowed is complete.
        """
        return self._is_late or (self._most is not None and self._spent > self._most)

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left for a further trial."""
        return self._is_late or (self._most is not None and self._spent >= self._most)

    @property
    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline
