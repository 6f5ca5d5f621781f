"""The errors of kttoolkit, one tree.

KttoolkitError
├── DataError               x, y, groups or a file is not what training needs
├── CrossValidationError    the folds asked for cannot be cut from the data
├── SearchSpaceError        hyperparameters, builders or settings do not fit together
├── ObjectiveError          the objective is unknown or never reported
├── SearchError             the search cannot start, or none of its trials succeeded
│   └── StudyFolderError    the folder on disk belongs to another study or is damaged
│       └── UnwritableError a file cannot be written; an OSError
├── TrialError              one trial failed; the search goes on
│   ├── NonFiniteScoreError the objective became NaN or infinite
│   ├── OversizedModelError the model is larger than `max_model_size`
│   ├── TrialTimeoutError   the trial took longer than `trial_timeout`
│   └── SettingError        the values of this trial make no model; a SearchSpaceError
├── ResultError             a result cannot answer the question
├── ModelFolderError        the folder of a saved model is taken, damaged or not trusted
├── DatasetError            a named data set is unknown, missing or damaged
└── MissingDependencyError  an optional package is not installed

The first five are also `ValueError`s, so that code written for Keras or
scikit-learn catches them as it always did.
"""


class KttoolkitError(Exception):
    """Base of every error that kttoolkit raises on purpose."""


class DataError(KttoolkitError, ValueError):
    """The data handed in cannot be trained on as they are."""


class CrossValidationError(KttoolkitError, ValueError):
    """The folds that were asked for cannot be cut from these data."""


class SearchSpaceError(KttoolkitError, ValueError):
    """The hyperparameters, the builder and the settings do not fit together."""


class ObjectiveError(KttoolkitError, ValueError):
    """The objective is unknown, has no known direction, or is never reported."""


class SearchError(KttoolkitError, ValueError):
    """The search cannot start, or none of its trials succeeded."""


class StudyFolderError(SearchError):
    """The study folder belongs to another search, or cannot be read."""


class UnwritableError(StudyFolderError, OSError):
    """A file cannot be written: the disk is full, read-only or gone."""


class TrialError(KttoolkitError, RuntimeError):
    """One trial failed; it is recorded with its reason and the search goes on."""


class NonFiniteScoreError(TrialError):
    """The objective of a fold is NaN or infinite."""


class OversizedModelError(TrialError):
    """The model has more trainable parameters than `max_model_size`."""


class TrialTimeoutError(TrialError):
    """The trial took longer than `trial_timeout`; it is not tried again."""


class SettingError(TrialError, SearchSpaceError):
    """The values of one trial contradict each other, or the data."""


class ResultError(KttoolkitError, RuntimeError):
    """The result does not hold what was asked of it."""


class ModelFolderError(KttoolkitError, ValueError):
    """The folder of a saved model is taken, damaged, or holds what is not trusted."""


class DatasetError(KttoolkitError, LookupError):
    """A named data set is unknown, missing or damaged."""


class MissingDependencyError(KttoolkitError, ImportError):
    """An optional package is needed that is not installed."""


class EngineWarning(UserWarning):
    """A training was left to `model.fit`; the message says why."""
