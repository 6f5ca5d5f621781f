"""What trackers are told of a search as a whole."""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kttoolkit.engine import CHECKPOINT_FILE
from kttoolkit.results import TrialRecord, read_records
from kttoolkit.trackers import SearchInfo


@contextlib.contextmanager
def telling_trackers(tuner: Any, max_epochs: int | None) -> Iterator[None]:
    """Tell the trackers that a search begins, and in any case that it is over.

    Args:
        tuner: any of ours.
        max_epochs: the most epochs of a setting, or None.

    Yields:
        Nothing, while the search runs.
    """
    trackers = tuner.trackers
    if not len(trackers):
        yield
        return
    trackers.search_started(_info(tuner, max_epochs))
    try:
        yield
    finally:
        try:
            if trackers.wants_best:
                _tell_best(tuner)
        finally:
            trackers.search_ended()


def _info(tuner: Any, max_epochs: int | None) -> SearchInfo:
    oracle = tuner.oracle
    planned = getattr(oracle, "planned_trials", lambda: oracle.max_trials)
    return SearchInfo(
        type(tuner).__name__,
        oracle.objective.name,
        oracle.objective.direction,
        planned(),
        str(tuner.project_dir),
        read_records(Path(tuner.project_dir)),
        max_epochs,
    )


def _tell_best(tuner: Any) -> None:
    """Tell the best trial, unless its tuner keeps no weights."""
    sign = -1.0 if tuner.oracle.objective.direction == "max" else 1.0
    found = [
        record
        for record in read_records(Path(tuner.project_dir))
        if math.isfinite(record.score) and _checkpoint(tuner, record).exists()
    ]
    if not found:
        return
    best = min(found, key=lambda record: sign * record.score)
    trial = tuner.oracle.get_trial(best.trial_id)

    def save(path: Path) -> None:
        model = tuner.load_model(trial)
        if model.compiled and model.optimizer is not None:
            # Keras warns when it opens a file whose optimizer has no variables.
            model.optimizer.build(model.trainable_variables)
        model.save(path)

    tuner.trackers.best_found(best, save)


def _checkpoint(tuner: Any, record: TrialRecord) -> Path:
    return Path(tuner.get_trial_dir(record.trial_id)) / CHECKPOINT_FILE
