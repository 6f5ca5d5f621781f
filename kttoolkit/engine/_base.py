"""The contract between a tuner and whatever trains the folds of one trial."""

import abc
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import keras
import keras_tuner

from kttoolkit.cv import Fold, FoldData, Folds, prepare
from kttoolkit.data import TrainingData
from kttoolkit.engine._factory import ModelFactory
from kttoolkit.engine._plan import FitPlan
from kttoolkit.scoring import FoldFit


class Observer(Protocol):
    """Is told how a trial gets on; lives in the process that trains."""

    def callbacks(self) -> Sequence[keras.callbacks.Callback]:
        """Return Keras callbacks of the caller's own for one training."""

    def fold_started(self, split: int, n_splits: int) -> None:
        """Be told that a training begins."""

    def epoch_ended(self, split: int, epoch: int, logs: Mapping[str, float]) -> None:
        """Be told of an epoch, counted from 1; raise to end the search."""

    def fold_ended(self, fit: FoldFit) -> None:
        """Be told that a training is over."""


@dataclass(frozen=True)
class Training:
    """One training about to start: which fold, with what arguments.

    Attributes:
        split: running number over folds and executions.
        fold: the fold's number.
        execution: the initialisation's number.
        seed: fixes weights, shuffles and dropout.
        cut: row numbers, or None where rows are not cut.
        n_train: rows trained on, 0 if unknown.
        n_test: rows scored on, 0 if unknown.
        args: positional arguments of `fit`, none before rows are cut.
        kwargs: keyword arguments of `fit`, `callbacks` apart.
    """

    split: int
    fold: int
    execution: int
    seed: int
    cut: Fold | None = None
    n_train: int = 0
    n_test: int = 0
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Assignment:
    """What an engine is to train: all folds of a trial.

    Attributes:
        factory: builds the models.
        hp: the trial's hyperparameters; new ones are registered in it.
        data: the rows, or None where `plan.fit_args` hold everything.
        folds: how to cut them, or None.
        plan: how to train.
        observer: is told how it gets on.
    """

    factory: ModelFactory
    hp: keras_tuner.HyperParameters
    data: TrainingData | None
    folds: Folds | None
    plan: FitPlan
    observer: Observer

    def trainings(self) -> list[Training]:
        """List the trainings: all folds once for each execution.

        Returns:
            They have no rows yet (`with_rows`).
        """
        executions = range(self.plan.executions)
        places = itertools.product(executions, enumerate(self._cuts()))
        return [
            Training(split, fold, execution, self.plan.fold_seed(fold, execution), *cut)
            for split, (execution, (fold, cut)) in enumerate(places)
        ]

    def _cuts(self) -> list[tuple[Fold | None, int, int]]:
        if self.folds is None:
            return [(None, 0, 0)]
        outside = self.folds.validation
        return [
            (cut, len(cut.train), outside.n_samples if outside else len(cut.test))
            for cut in self.folds
        ]

    def with_rows(self, training: Training) -> Training:
        """Cut, preprocess and arrange the rows as arguments of `fit`.

        Args:
            training: one of `trainings`.

        Returns:
            The same with its arguments.
        """
        plan = self.plan
        if self.data is None or self.folds is None or training.cut is None:
            return replace(training, args=plan.fit_args, kwargs=plan.fit_kwargs)
        keras.utils.set_random_seed(training.seed)
        part = prepare(training.cut, self.data, self.folds, plan.preprocessor, self.hp)
        args, kwargs = fit_arguments(part)
        return replace(
            training,
            args=(*args, *plan.fit_args),
            kwargs={**kwargs, **plan.fit_kwargs},
        )

    def build(self, rows: Any = None) -> keras.Model:
        """Build another model of the trial.

        Args:
            rows: that it is to take, or None for any.

        Returns:
            The model; nothing is registered for it.
        """
        return self.factory.build(self.hp.copy(), rows)


class Engine(abc.ABC):
    """Trains all folds of a trial."""

    name: str

    @abc.abstractmethod
    def fit_folds(self, assignment: Assignment) -> tuple[FoldFit, ...]:
        """Train every fold and execution.

        Args:
            assignment: what to train.

        Returns:
            One fit for each, in the order of `Assignment.trainings`.
        """


def fit_arguments(part: FoldData) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arrange a fold as `keras.Model.fit` takes it.

    Args:
        part: the fold's rows.

    Returns:
        Positional arguments (x and y) and keyword arguments (`validation_data`,
        and `sample_weight` where rows are weighted).
    """
    train, test = part.train, part.test
    args = (train.x,) if train.y is None else (train.x, train.y)
    validation = (test.x,) if test.y is None else (test.x, test.y)
    if test.sample_weight is not None:
        validation = (*validation, test.sample_weight)
    kwargs: dict[str, Any] = {"validation_data": validation}
    if train.sample_weight is not None:
        kwargs["sample_weight"] = train.sample_weight
    return args, kwargs
