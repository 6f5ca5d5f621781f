"""Results of a search: opened, tabled and saved without TensorFlow."""

from kttoolkit.results._files import TEST_FILE
from kttoolkit.results._record import (
    RECORD_FILE,
    SPLITS_FILE,
    STUDY_FILE,
    Study,
    TrialRecord,
    read_records,
    share_of_epochs_saved,
)
from kttoolkit.results._result import TuneResult, read_result
from kttoolkit.results._trainer import Trainer

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
    "share_of_epochs_saved",
]
