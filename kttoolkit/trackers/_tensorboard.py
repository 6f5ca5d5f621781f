"""Scalars by fold and the HParams table, in TensorBoard's own files."""

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kttoolkit.results import TrialRecord
from kttoolkit.trackers._base import SearchInfo, Tracker
from kttoolkit.trackers._library import (
    folder_for,
    library,
    needs,
    scores_of,
    tell_again,
)

_FOLDER = "tensorboard"
_TRAIN, _VALIDATION = "train", "validation"
_VERSION = "brain.Event:2"
_OURS = "events.out.tfevents.*.kttoolkit"


class TensorBoardTracker(Tracker):
    """Writes what `tensorboard --logdir <study folder>` shows, live.

    Each training has the runs `<trial>/split<k>/train` and `.../validation`, with the
    tags of `keras.callbacks.TensorBoard` (`epoch_loss` and so on, epochs from 0). When
    a trial ends, the HParams page gets its hyperparameters and mean scores. A trial
    that is retried, or trained again after an interruption, replaces its old curves.

    Args:
        log_dir: where to write, in a folder of the study's name;
            `trackers/tensorboard` in the study folder by default.

    Raises:
        MissingDependencyError: if tensorboard is not installed.

    Example:
        >>> import kttoolkit
        >>> kttoolkit.tune(build, x, y, trackers="tensorboard")  # doctest: +SKIP
    """

    def __init__(self, log_dir: str | Path | None = None) -> None:
        needs("TensorBoardTracker", "tensorboard", "tensorboard")
        self.log_dir = log_dir
        self._folder = Path()
        self._began: dict[str, float] = {}
        self._open: dict[tuple[str, int], dict[str, _EventFile]] = {}

    def search_started(self, info: SearchInfo) -> None:
        """Choose the folder, and add trials that ended without this tracker."""
        self._folder = folder_for(info, self.log_dir)
        if self.log_dir is None:
            self._folder /= _FOLDER
        if not info.ended:
            _remove_events(self._folder)
        for record in info.ended:
            if not any((self._folder / record.trial_id).glob(_OURS)):
                tell_again(self, record)
                self.trial_ended(record)

    def trial_started(self, trial_id: str, values: Mapping[str, Any]) -> None:
        """Remove what an earlier attempt left."""
        self._began[trial_id] = time.time()
        self._close_trial(trial_id)
        _remove_events(self._folder / trial_id)

    def fold_started(self, trial_id: str, split: int, n_splits: int) -> None:
        """Open the files of a training."""
        self._close_fold(trial_id, split)
        folder = self._folder / trial_id / f"split{split}"
        _remove_events(folder)
        self._open[trial_id, split] = {
            part: _EventFile(folder / part) for part in (_TRAIN, _VALIDATION)
        }

    def epoch_ended(
        self, trial_id: str, split: int, epoch: int, logs: Mapping[str, float]
    ) -> None:
        """Write an epoch's scalars."""
        parts: dict[str, dict[str, float]] = {_TRAIN: {}, _VALIDATION: {}}
        for name, value in logs.items():
            part = _VALIDATION if name.startswith("val_") else _TRAIN
            parts[part][f"epoch_{name.removeprefix('val_')}"] = float(value)
        for part, values in parts.items():
            self._open[trial_id, split][part].scalars(values, epoch - 1)

    def fold_ended(self, trial_id: str, fit: Any) -> None:
        """Close the files of a training."""
        self._close_fold(trial_id, fit.split)

    def trial_ended(self, record: TrialRecord) -> None:
        """Write hyperparameters and scores for the HParams page."""
        self._close_trial(record.trial_id)
        hparams = library("tensorboard.plugins.hparams.summary_v2")
        api = library("tensorboard.plugins.hparams.api_pb2")
        is_complete = record.status == "completed"
        now = time.time()
        start = self._began.pop(record.trial_id, now - record.seconds)
        status = api.STATUS_SUCCESS if is_complete else api.STATUS_FAILURE
        file = _EventFile(self._folder / record.trial_id)
        try:
            file.write(
                hparams.hparams_pb(_plain(record.values), record.trial_id, start)
            )
            file.scalars(scores_of(record), max(record.epochs, default=0))
            file.write(_session_end(status, now))
        finally:
            file.close()

    def search_ended(self) -> None:
        """Close what an interruption left open."""
        self.close()

    def close(self) -> None:
        """Close all files."""
        for trial_id, split in list(self._open):
            self._close_fold(trial_id, split)

    def _close_trial(self, trial_id: str) -> None:
        for key in [key for key in self._open if key[0] == trial_id]:
            self._close_fold(*key)

    def _close_fold(self, trial_id: str, split: int) -> None:
        for file in self._open.pop((trial_id, split), {}).values():
            file.close()


class _EventFile:
    """Writes events at once, in the process's own thread, so that errors are seen.

    Args:
        folder: of one run.
    """

    def __init__(self, folder: Path) -> None:
        self._event = library("tensorboard.compat.proto.event_pb2").Event
        self._scalar = library("tensorboard.plugins.scalar.summary_v2").scalar_pb
        record_writer = library("tensorboard.summary.writer.record_writer")
        folder.mkdir(parents=True, exist_ok=True)
        here = f"{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        path = folder / _OURS.replace("*", here)
        self._records = record_writer.RecordWriter(path.open("wb"))
        self._add(file_version=_VERSION)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write numbers.

        Args:
            values: tags to numbers.
            step: the epoch, from 0.
        """
        for tag, value in values.items():
            self._add(summary=self._scalar(tag, value), step=step)
        self._records.flush()

    def write(self, summary: Any) -> None:
        """Write a summary.

        Args:
            summary: a proto.
        """
        self._add(summary=summary)
        self._records.flush()

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def _add(self, **content: Any) -> None:
        event = self._event(wall_time=time.time(), **content)
        self._records.write(event.SerializeToString())


def _session_end(status: Any, seconds: float) -> Any:
    """Return what tells the HParams page how a trial ended."""
    plugin = library("tensorboard.plugins.hparams.plugin_data_pb2")
    metadata = library("tensorboard.plugins.hparams.metadata")
    summary = library("tensorboard.compat.proto.summary_pb2").Summary()
    info = plugin.SessionEndInfo(status=status, end_time_secs=seconds)
    data = plugin.HParamsPluginData(session_end_info=info)
    summary.value.add(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return summary


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of the kinds that HParams knows; None becomes a word."""
    known = (bool, int, float, str)
    return {k: v if isinstance(v, known) else str(v) for k, v in values.items()}


def _remove_events(folder: Path) -> None:
    """Remove our own files below a folder, which may be shared with others."""
    for path in folder.rglob(_OURS):
        path.unlink()
