"""Trials in an Optuna storage."""

from pathlib import Path
from typing import Any

from kttoolkit.exceptions import SearchError
from kttoolkit.ranges import Range
from kttoolkit.results import (
    TrialRecord,
    needs_optuna,
    optuna_direction,
    optuna_distribution,
    optuna_trial,
    read_trial_ranges,
    without_optuna_messages,
)
from kttoolkit.trackers._base import SearchInfo, Tracker
from kttoolkit.trackers._library import needs, study_name

DATABASE = "optuna.db"


class OptunaTracker(Tracker):
    """Adds each trial that ends to a study of Optuna, for its plots and dashboard.

    Trials are complete or failed, with the means over the folds of each epoch as
    intermediate values, and as user attributes the scores of the folds, `trial` and
    `attempt`: a trial that failed and is retried is two trials of Optuna. A resumed
    search adds what is not there yet. Optuna never changes the choices of a parameter;
    a value outside them is the user attribute `param_<name>`.

    Args:
        storage: an URL of a database, or a storage object of Optuna; `optuna.db` in
            the study folder by default.
        study: name of Optuna's study; the study folder's name by default.

    Raises:
        MissingDependencyError: if optuna is not installed.

    Example:
        >>> import kttoolkit
        >>> kttoolkit.tune(build, x, y, trackers="optuna")  # doctest: +SKIP
        >>> optuna.load_study(  # doctest: +SKIP
        ...     study_name="mine", storage="sqlite:///studies/mine/optuna.db"
        ... )
    """

    def __init__(self, storage: Any = None, *, study: str | None = None) -> None:
        needs("OptunaTracker", "optuna", "optuna")
        self.storage = storage
        self.study = study
        self._optuna: Any = None
        self._own_storage: Any = None
        self._study: Any = None
        self._folder = Path()
        self._known: dict[str, Any] = {}

    def search_started(self, info: SearchInfo) -> None:
        """Open the study, and add trials that ended without this tracker.

        Args:
            info: what is known of the search.

        Raises:
            SearchError: if the search is new and the study has trials.
        """
        self._optuna = needs_optuna()
        self._folder = Path(info.directory)
        name = self.study or study_name(info)
        with without_optuna_messages():
            self._study = self._optuna.create_study(
                storage=self._open(),
                study_name=name,
                direction=optuna_direction(info.direction),
                load_if_exists=True,
            )
        trials = self._study.get_trials(deepcopy=False)
        if trials and not info.ended:
            raise SearchError(
                f"A new search needs a study of its own, but Optuna's study {name!r} "
                f"has {len(trials)} trials. Pass OptunaTracker(..., study=...) with "
                "another name."
            )
        self._known = {}
        for trial in trials:
            self._known = {**trial.distributions, **self._known}
        attributes = [trial.user_attrs for trial in trials]
        there = {(a.get("trial"), a.get("attempt")) for a in attributes}
        for record in info.ended:
            if (record.trial_id, record.attempt) not in there:
                self.trial_ended(record)

    def trial_ended(self, record: TrialRecord) -> None:
        """Add the trial."""
        ranges = read_trial_ranges(self._folder, record.trial_id)
        found = {
            one.name: self._distribution(one, record)
            for one in ranges
            if one.name in record.values
        }
        trial = optuna_trial(record, {k: v for k, v in found.items() if v is not None})
        for name, distribution in found.items():
            if distribution is None:
                trial.set_user_attr(f"param_{name}", record.values[name])
        with without_optuna_messages():
            self._study.add_trial(trial)

    def search_ended(self) -> None:
        """Close the database."""
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._study = None
        if self._own_storage is not None:
            self._own_storage.remove_session()
            self._own_storage.engine.dispose()
            self._own_storage = None

    def _open(self) -> Any:
        if self.storage is not None and not isinstance(self.storage, str):
            return self.storage
        url = self.storage or f"sqlite:///{(self._folder / DATABASE).as_posix()}"
        self._own_storage = self._optuna.storages.RDBStorage(url)
        return self._own_storage

    def _distribution(self, one: Range, record: TrialRecord) -> Any:
        """Return one that goes with those of earlier trials, or None."""
        value, known = record.values[one.name], self._known.get(one.name)
        if known is None:
            known = optuna_distribution(one, [record])
        elif hasattr(known, "choices"):
            return known if value in known.choices else None
        elif not _holds(known, value):
            low, high = min(known.low, value), max(known.high, value)
            known = type(known)(low, high, log=known.log)
        self._known[one.name] = known
        return known


def _holds(known: Any, value: float) -> bool:
    step: float = known.step or 1
    is_on_step = not isinstance(value, int) or (value - known.low) % step == 0
    return bool(known.low <= value <= known.high) and is_on_step
