"""Results of a search: opened, tabled and saved without TensorFlow."""

from kttoolkit.results._asked import how_many
from kttoolkit.results._code import as_code, setting_as_code
from kttoolkit.results._files import TEST_FILE
from kttoolkit.results._frames import trials_frame
from kttoolkit.results._means import mean_curve
from kttoolkit.results._optuna import (
    needs_optuna,
    optuna_direction,
    optuna_distribution,
    optuna_study,
    optuna_trial,
    read_trial_ranges,
    without_optuna_messages,
)
from kttoolkit.results._project import check_project
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
from kttoolkit.results._tails import capped, worst_of_interest
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
    "as_code",
    "capped",
    "check_project",
    "how_many",
    "mean_curve",
    "needs_optuna",
    "optuna_direction",
    "optuna_distribution",
    "optuna_study",
    "optuna_trial",
    "read_records",
    "read_result",
    "read_trial_ranges",
    "setting_as_code",
    "share_of_epochs_saved",
    "trials_frame",
    "without_optuna_messages",
    "worst_of_interest",
]
