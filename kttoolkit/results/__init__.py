"""Results of a search: opened, tabled and saved without TensorFlow."""

from kttoolkit.results._record import (
    RECORD_FILE,
    SPLITS_FILE,
    STUDY_FILE,
    Study,
    TrialRecord,
    read_records,
)
from kttoolkit.results._result import TEST_FILE, Trainer, TuneResult, read_result

__all__ = [
    "RECORD_FILE",
    "SPLITS_FILE",
    "STUDY_FILE",
    "TEST_FILE",
    "Study",
    "Trainer",
    "TrialRecord",
    "TuneResult",
    "read_records",
    "read_result",
]
