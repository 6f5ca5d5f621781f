"""The result of a search: frames, the best setting, and models made from it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from kttoolkit.exceptions import ResultError, StudyFolderError
from kttoolkit.plain import counted
from kttoolkit.ranges import Range, Scored, narrowed
from kttoolkit.results._checks import damaged
from kttoolkit.results._exportable import Exportable
from kttoolkit.results._files import (
    copy_study,
    read_ranges,
    read_rows,
    read_space,
    read_splits,
    read_test_metrics,
)
from kttoolkit.results._frames import curves_frame, folds_frame, ranks, trials_frame
from kttoolkit.results._record import (
    Study,
    TrialRecord,
    read_records,
)
from kttoolkit.results._trainer import Trainer
from kttoolkit.results._viewable import Viewable
from kttoolkit.results._words import as_html, in_words

if TYPE_CHECKING:
    import keras
    import keras_tuner


@dataclass(frozen=True)
class TuneResult(Viewable, Exportable):
    """What a search found; every trial, fold and epoch of it.

    Attributes:
        directory: the study folder.
        study: what was asked.
        records: the trials that ended, in the order of their proposal.
        test_metrics: metrics of the retrained best setting on the rows that
            `test_size` set aside; empty where there are none.
        trainer: makes models; None for a result opened without a build function.

    Example:
        >>> import kttoolkit
        >>> result = kttoolkit.load_result("studies/pima")  # doctest: +SKIP
        >>> result.trials.sort_values("rank").head()  # doctest: +SKIP
    """

    directory: Path
    study: Study
    records: tuple[TrialRecord, ...]
    test_metrics: Mapping[str, float]
    trainer: Trainer | None = None

    # -- tables ---

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row a trial: parameters, means, standard deviations, ranks."""
        return trials_frame(self.records)

    @cached_property
    def folds(self) -> pd.DataFrame:
        """One row for each training: fold, seed, rows, metrics at its best epoch."""
        return folds_frame(self.records)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row for each epoch of each training."""
        return curves_frame(self.records)

    @cached_property
    def splits(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Row numbers (train, test) of each fold, as scikit-learn's `split` yields."""
        return read_splits(self.directory)

    @property
    def failures(self) -> "pd.Series[int]":
        """How many trials failed of what, the most frequent reason first."""
        reasons = Counter(r.reason for r in self.records if r.status != "completed")
        return pd.Series(dict(reasons.most_common()), dtype="int64", name="trials")

    # -- the best trial ---

    @cached_property
    def best_trial(self) -> TrialRecord:
        """The completed trial of rank 1, the first among equals."""
        order = ranks(self.records)
        if order.notna().any():
            return self.records[int(order.fillna(len(order) + 1).argmin())]
        raise ResultError(
            "At least one trial must have completed, but got "
            f"{counted(len(self.records), 'ended trial')} and none completed"
            f"{self._first_reason()}. Resume the search, or look at result.failures."
        )

    @property
    def best_score(self) -> float:
        """Mean of the objective over the folds of the best trial."""
        return self.best_trial.score

    @property
    def best_values(self) -> dict[str, Any]:
        """Hyperparameter names to values of the best trial, Hyperband's own apart."""
        values = self.best_trial.values
        return {k: v for k, v in values.items() if not k.startswith("tuner/")}

    @cached_property
    def rows(self) -> np.ndarray:
        """Numbers of the rows that trials saw, of shape (n_samples,), sorted."""
        found = read_rows(self.directory)
        return np.arange(self.study.n_samples) if found is None else found

    @property
    def best_hyperparameters(self) -> "keras_tuner.HyperParameters":
        """The best trial's `keras_tuner.HyperParameters`, ready for `build(hp)`."""
        from keras_tuner import HyperParameters  # noqa: PLC0415

        path = self.trial_directory(self.best_trial) / "trial.json"
        config = read_space(path)
        # Keras Tuner has rules of its own, such as that a default is among the values.
        try:
            return HyperParameters.from_config(config)
        except (KeyError, TypeError, ValueError) as error:
            raise StudyFolderError(
                damaged(path, "a trial of Keras Tuner", f"{error}")
            ) from error

    @cached_property
    def ranges(self) -> tuple[Range, ...]:
        """The search space, one range a hyperparameter, as the trials knew it."""
        folders = map(self.trial_directory, self.records)
        return read_ranges(folders)

    def narrowed_space(self, *, keep: float = 0.2) -> "keras_tuner.HyperParameters":
        """Return the search space cut around the best trials, for a further search.

        Each range is cut on its own scale to where the best trials lie, widened where
        the best of all lies at an edge, and never a point; choices that are clearly
        worse are dropped. See `kttoolkit.ranges.narrowed`.

        Args:
            keep: share of the completed trials that count as the best.

        Returns:
            Hyperparameters for `kttoolkit.tune(..., hyperparameters=...)`; what the
            build function asks for in its own bounds is taken from these.

        Raises:
            SearchSpaceError: if no trial completed, or `keep` is no share.

        Example:
            >>> finer = result.narrowed_space(keep=0.1)  # doctest: +SKIP
            >>> kttoolkit.tune(
            ...     build, x, y, hyperparameters=finer, tuner="bayesian"
            ... )  # doctest: +SKIP
        """
        from kttoolkit.hyperparameters import HyperParameters  # noqa: PLC0415

        sign = -1.0 if self.study.direction == "max" else 1.0
        completed = [r for r in self.records if r.status == "completed"]
        trials = [Scored(record.values, sign * record.score) for record in completed]
        known = [dict(one.config) for one in self.ranges]
        space = narrowed(known, trials, keep=keep)
        hp = HyperParameters()
        hp.merge(HyperParameters.from_config({"space": space, "values": {}}))
        return hp

    @property
    def best_epochs(self) -> int:
        """Epochs to retrain for: the mean of the folds' chosen epochs, rounded."""
        return max(1, round(float(np.mean(self.best_trial.epochs or (1,)))))

    def trial_directory(self, record: TrialRecord) -> Path:
        """Return the folder of a trial.

        Args:
            record: one of `records`.

        Returns:
            Its path in the study folder.
        """
        return self.directory / f"trial_{record.trial_id}"

    # -- further settings ---

    def add(self, *settings: Mapping[str, Any]) -> "TuneResult":
        """Score settings of one's own beside those that the tuner found.

        They are trained on the same folds with the same seeds and epochs, and ranked
        with the others; their trials are called `added0`, `added1` and so on. A
        search that is resumed does not mind them.

        Args:
            *settings: hyperparameter names to values; what a setting leaves out has
                its default.

        Returns:
            The result with the new trials.

        Raises:
            SearchSpaceError: if a setting names a hyperparameter that the build
                function never asks for.
            ResultError: if the result was opened without a build function, or
                without the rows of the search.

        Example:
            >>> result = result.add(
            ...     {"learning_rate": 0.01, "units": 64}, {"units": 256}
            ... )  # doctest: +SKIP
            >>> result.trials.sort_values("rank")[["trial", "rank"]]  # doctest: +SKIP
        """
        self._trainer.add(self, settings)
        return read_result(self.directory, trainer=self.trainer)

    # -- models ---

    def fit_best(
        self,
        x: Any = None,
        y: Any = None,
        *,
        return_preprocessor: bool = False,
        **fit_kwargs: Any,
    ) -> "keras.Model | tuple[keras.Model, Any]":
        """Retrain the best setting on all rows, for as long as the folds say.

        Args:
            x: rows to train on; the rows of the search if left out.
            y: their targets.
            return_preprocessor: whether to return the fitted preprocessor too.
            **fit_kwargs: go to `fit`; `epochs` replaces `best_epochs`.

        Returns:
            The trained model, or (model, preprocessor). The model takes x as the
            preprocessor gives it.

        Raises:
            ResultError: if the result was opened without a build function.
        """
        model, preprocessor = self._trainer.fit_best(self, x, y, **fit_kwargs)
        return (model, preprocessor) if return_preprocessor else model

    def ensemble(self) -> "keras.Model":
        """Return one Keras model that averages the fold models of the best trial.

        Each has the weights of its own best epoch, which are those kept on disk; with
        `epoch_selection="common"` too, where the score is that of an epoch common to
        all folds. It takes x as the preprocessors would give it, so it exists only
        where they learn nothing from the rows.

        Returns:
            A model with the same inputs and outputs.

        Raises:
            ResultError: if a preprocessor differs between the folds, the model has
                no declared inputs, or the result was opened without a build function.
        """
        return self._trainer.ensemble(self)

    def evaluate(
        self, x: Any, y: Any, *, model: Literal["refit", "ensemble"] = "refit"
    ) -> dict[str, float]:
        """Score the best setting on rows that the search never saw.

        Args:
            x: rows, in the form that `tune` took.
            y: their targets.
            model: "refit" (trained on all rows of the search) or "ensemble".

        Returns:
            Metric names to values.

        Raises:
            ResultError: if the result was opened without a build function.
        """
        return self._trainer.evaluate(self, x, y, model)

    def out_of_fold(self) -> pd.DataFrame:
        """Predict every row by the best trial's model that did not train on it.

        The models have the weights of each fold's own best epoch, which are those
        kept on disk; with `epoch_selection="common"` too, where the score is that of
        an epoch common to all folds.

        Returns:
            Columns `row`, `split`, `target`, `prediction`, and for classification
            the probability of each class, `probability_<class>`. Several targets a
            row, as in multi-target regression and with several labels, have a column
            each, `target_0`, `target_1` and so on, and so have their predictions,
            `prediction_0`, `prediction_1` and so on.

        Raises:
            ResultError: if the result was opened without a build function, or the
                search had no targets.
        """
        return self._trainer.out_of_fold(self)

    @property
    def _trainer(self) -> Trainer:
        if self.trainer is None:
            raise ResultError(
                "A study folder holds no code, so a result opened from disk needs "
                "the build function to make models: kttoolkit.load_result("
                f"{str(self.directory)!r}, build=build, x=x, y=y), with preprocessor=, "
                "fit_kwargs= and the like where tune was given them."
            )
        return self.trainer

    # -- on disk ---

    def save(self, directory: str | Path) -> Path:
        """Copy what makes up the result, with the best trial's weights.

        Args:
            directory: a folder that does not exist yet, or is empty.

        Returns:
            The folder, which `kttoolkit.load_result` opens.

        Raises:
            StudyFolderError: if something is there already.
        """
        return copy_study(self, Path(directory))

    # -- in words ---

    def summary(self) -> str:
        """Return the outcome in a few lines of text.

        Returns:
            Objective, best score with its spread, the best setting, counts.
        """
        return in_words(self)

    def __repr__(self) -> str:
        return f"<TuneResult {self.summary()}>"

    def _repr_html_(self) -> str:
        return as_html(self)

    def _first_reason(self) -> str:
        reasons = [record.reason for record in self.records if record.reason]
        return f". The first reason: {reasons[0]}" if reasons else ""


def read_result(directory: str | Path, *, trainer: Trainer | None = None) -> TuneResult:
    """Open a study folder, finished or not, without TensorFlow.

    Args:
        directory: a study folder, or what `TuneResult.save` wrote.
        trainer: makes models from it.

    Returns:
        The result of the trials that ended.

    Raises:
        StudyFolderError: if there is no study, or it is damaged.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise StudyFolderError(f"There must be a study folder, but {folder} is none.")
    study = Study.read(folder)
    metrics = read_test_metrics(folder)
    return TuneResult(folder, study, read_records(folder), metrics, trainer)
