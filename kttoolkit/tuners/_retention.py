"""Which trials' weights stay on disk."""

from collections.abc import Callable, Iterable
from pathlib import Path

from kttoolkit.engine import discard
from kttoolkit.results import TrialRecord, read_records


class Retention:
    """Deletes the weights of trials that are not among the best; records stay.

    Args:
        keep: "all", "none", or how many of the best trials keep their weights.
        folder_of: returns the folder of a trial.
    """

    def __init__(self, keep: str | int, folder_of: Callable[[str], str]) -> None:
        self._most = None if keep == "all" else 0 if keep == "none" else int(keep)
        self._folder_of = folder_of
        self._kept: list[tuple[float, str]] = []
        self._dropped: set[str] = set()
        self._is_open = False

    def begin(self, project: str | Path) -> None:
        """Take note of the trials that an earlier run of the search finished.

        Args:
            project: the study folder.
        """
        if self._most is not None and not self._is_open:
            self._is_open = True
            for record in read_records(Path(project)):
                self.ended(record)

    def ended(self, record: TrialRecord) -> None:
        """Take note of a trial, and delete what is no longer among the best.

        Args:
            record: of the trial.
        """
        if self._most is None or record.status != "completed":
            return
        sign = -1.0 if record.direction == "max" else 1.0
        self._kept = sorted([*self._kept, (sign * record.score, record.trial_id)])
        worse, self._kept = self._kept[self._most :], self._kept[: self._most]
        # A higher rung of Hyperband may go on from the last epoch's weights.
        self._drop((trial_id for _, trial_id in worse), last=False)

    def finish(self) -> None:
        """Delete what only a search that goes on has a use for."""
        self._drop(list(self._dropped), last=True)

    def _drop(self, trial_ids: Iterable[str], *, last: bool) -> None:
        for trial_id in trial_ids:
            self._dropped.add(trial_id)
            discard(self._folder_of(trial_id), last=last)
