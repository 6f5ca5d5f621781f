"""Trials and curves as CSV files."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kttoolkit.files import written_whole
from kttoolkit.results import TrialRecord, trials_frame
from kttoolkit.trackers._base import SearchInfo, Tracker
from kttoolkit.trackers._library import folder_for, tell_again

TRIALS_FILE = "trials.csv"
CURVES_FILE = "curves.csv"


class CSVTracker(Tracker):
    """Writes a row for each trial and a row for each epoch, as soon as it ends.

    `trials.csv` has the columns of `TuneResult.trials` but for `rank`, and `attempt`: a
    trial that failed and is retried has a row each time. `curves.csv` has `trial`,
    `split`, `start`, `epoch` and the metrics; `start` counts how often that training
    began, above 0 where a trial was interrupted or retried. A resumed search adds to
    both; a study that begins anew begins them anew.

    Args:
        directory: where to write, in a folder of the study's name; `trackers` in the
            study folder by default.

    Example:
        >>> import kttoolkit
        >>> kttoolkit.tune(build, x, y, trackers="csv")  # doctest: +SKIP
        >>> pandas.read_csv("studies/mine/trackers/trials.csv")  # doctest: +SKIP
    """

    def __init__(self, directory: str | Path | None = None) -> None:
        self.directory = directory
        self._trials = _Table()
        self._curves = _Table()
        self._starts: dict[tuple[str, int], int] = {}

    def search_started(self, info: SearchInfo) -> None:
        """Open both tables, and add trials that ended without this tracker."""
        folder = folder_for(info, self.directory)
        folder.mkdir(parents=True, exist_ok=True)
        keep = bool(info.ended)
        self._trials = _Table(folder / TRIALS_FILE, keep=keep)
        self._curves = _Table(folder / CURVES_FILE, keep=keep)
        self._starts = {}
        for row in self._curves.rows():
            key = row["trial"], int(row["split"])
            self._starts[key] = max(self._starts.get(key, 0), int(row["start"]))
        written = {(row["trial"], row["attempt"]) for row in self._trials.rows()}
        for record in info.ended:
            if (record.trial_id, str(record.attempt)) not in written:
                tell_again(self, record)
                self.trial_ended(record)

    def fold_started(self, trial_id: str, split: int, n_splits: int) -> None:
        """Count how often this training began."""
        key = trial_id, split
        self._starts[key] = self._starts.get(key, -1) + 1

    def epoch_ended(
        self, trial_id: str, split: int, epoch: int, logs: Mapping[str, float]
    ) -> None:
        """Add a row to the curves."""
        start = self._starts.get((trial_id, split), 0)
        place = {"trial": trial_id, "split": split, "start": start, "epoch": epoch}
        self._curves.add({**place, **logs})

    def trial_ended(self, record: TrialRecord) -> None:
        """Add a row to the trials."""
        frame = trials_frame([record]).drop(columns="rank")
        frame.insert(1, "attempt", record.attempt)
        row = {str(name): value for name, value in frame.iloc[0].items()}
        self._trials.add(row)


class _Table:
    """A CSV file that is opened for each row, and widened where a row has more.

    Args:
        path: the file; without one the table takes no rows.
        keep: whether to go on with the rows that it has.
    """

    def __init__(self, path: Path | None = None, *, keep: bool = False) -> None:
        self.path = path
        self._columns: list[str] = []
        if path is not None and path.exists():
            if keep:
                # A row that a kill cut short is left out.
                self._rewrite(self.rows())
            else:
                path.unlink()

    def rows(self) -> list[dict[str, str]]:
        """Read all rows that are whole."""
        if self.path is None or not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if None not in row.values()]
            self._columns = list(reader.fieldnames or ())
        return rows

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a row; it is on disk when this returns."""
        if self.path is None:
            raise RuntimeError("search_started must come before any other event.")
        new = [name for name in row if name not in self._columns]
        if new:
            rows = self.rows()
            self._columns += new
            self._rewrite(rows)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        assert self.path is not None
        with (
            written_whole(self.path) as path,
            path.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)
