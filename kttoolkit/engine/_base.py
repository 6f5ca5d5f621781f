"""The contract between a tuner and whatever trains the folds of one trial."""

import abc
import inspect
import itertools
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import keras
import keras_tuner
import numpy as np

from kttoolkit.cv import Fold, FoldData, Folds, prepare
from kttoolkit.data import TrainingData
from kttoolkit.engine._keras import reset_names
from kttoolkit.exceptions import OversizedModelError, SearchSpaceError
from kttoolkit.scoring import FoldFit, ObjectiveLike


class InvalidModelError(SearchSpaceError, keras_tuner.errors.FatalTypeError):
    """The build function returned something that cannot be trained.

    It is Keras Tuner's error too, which ends a search that is under way.
    """


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
class ModelFactory:
    """Builds the model of a trial and checks it.

    Attributes:
        hypermodel: its `build(hp)` makes the model, its `fit` trains it.
        compile_overrides: optimizer, loss or metrics given to the tuner, which
            replace those of the model.
        max_model_size: the most trainable parameters a model may have, or None.
        distribution_strategy: a `tf.distribute.Strategy` to build under, or None.
    """

    hypermodel: keras_tuner.HyperModel
    compile_overrides: Mapping[str, Any] = field(default_factory=dict)
    max_model_size: int | None = None
    distribution_strategy: Any = None

    def build(self, hp: keras_tuner.HyperParameters, rows: Any = None) -> keras.Model:
        """Build, compile and check one model.

        Args:
            hp: hyperparameters to build with; new ones are registered in it.
            rows: that it is to take, preprocessed, for a hypermodel that goes by their
                shape (`for_rows`); of the shape it knows if left out.

        Returns:
            A model, compiled unless the hypermodel has a `fit` of its own.

        Raises:
            InvalidModelError: if `build` returns no model, or an uncompiled one.
            OversizedModelError: if it is larger than `max_model_size`.
        """
        with self.scope():
            model = self.build_unchecked(hp, rows)
        size = trainable_size(model)
        if self.max_model_size and size > self.max_model_size:
            raise OversizedModelError(
                "A model must have at most max_model_size="
                f"{self.max_model_size:,} trainable parameters, but this one has "
                f"{size:,}. It is skipped and counted apart."
            )
        return model

    def build_unchecked(
        self, hp: keras_tuner.HyperParameters, rows: Any = None
    ) -> keras.Model:
        """Build and compile one model of whatever size.

        Args:
            hp: hyperparameters to build with.
            rows: as `build` takes them.

        Returns:
            The model.

        Raises:
            InvalidModelError: if `build` returns no model, or an uncompiled one.
        """
        # Metrics and outputs are named alike in every model: "auc", never "auc_3".
        reset_names()
        hypermodel = self.hypermodel
        if rows is not None and hasattr(hypermodel, "for_rows"):
            hypermodel = hypermodel.for_rows(rows)
        model = hypermodel.build(hp)
        if not isinstance(model, keras.Model):
            raise InvalidModelError(
                "Expected the model-building function to return a keras.Model, but got "
                f"{model!r} of type {type(model).__name__}. Is `return model` missing?"
            )
        if self.compile_overrides:
            model.compile(**{**_compiled_with(model), **self._fresh_overrides()})
        if not model.compiled and not self.has_own_fit:
            raise InvalidModelError(
                "The build function must return a compiled model, but "
                f"{type(model).__name__} {model.name!r} is not compiled. Call "
                "model.compile(optimizer=..., loss=..., metrics=[...]) before "
                "returning it."
            )
        return model

    def scope(self) -> AbstractContextManager[Any]:
        """Return the strategy's scope, in which variables have to be made.

        Returns:
            A context manager; it does nothing without a strategy.
        """
        if self.distribution_strategy is None:
            return nullcontext()
        return self.distribution_strategy.scope()

    def _fresh_overrides(self) -> dict[str, Any]:
        """Copy an optimizer object, since one cannot serve two models."""
        optimizer = self.compile_overrides.get("optimizer")
        if optimizer is None or isinstance(optimizer, str):
            return dict(self.compile_overrides)
        copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
        return {**self.compile_overrides, "optimizer": copy}

    @property
    def has_own_fit(self) -> bool:
        """Whether the hypermodel overrides `HyperModel.fit`.

        One that only chooses arguments there says so, in an attribute of this name.
        """
        overrides = type(self.hypermodel).fit is not keras_tuner.HyperModel.fit
        return overrides and getattr(self.hypermodel, "has_own_fit", True)

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any,
        **kwargs: Any,
    ) -> Any:  # fmt: skip
        """Train a model, through the hypermodel's `fit` where that does more.

        Args:
            hp: the trial's hyperparameters.
            model: built of them.
            *args: as `keras.Model.fit` takes them.
            **kwargs: as `keras.Model.fit` takes them, from `planned`.

        Returns:
            What `fit` returns.
        """
        if self.has_own_fit:
            return self.hypermodel.fit(hp, model, *args, **kwargs)
        return model.fit(*args, **kwargs)

    def planned(self, plan: "FitPlan", hp: keras_tuner.HyperParameters) -> "FitPlan":
        """Let the hypermodel choose arguments of `fit`, once a trial.

        Args:
            plan: with the arguments that the search was given.
            hp: the trial's hyperparameters.

        Returns:
            The plan, completed if the hypermodel has `fit_arguments` and no `fit`
            of its own.
        """
        choose = getattr(self.hypermodel, "fit_arguments", None)
        if choose is None or self.has_own_fit:
            return plan
        arguments = choose(hp, {**plan.fit_kwargs, "callbacks": plan.callbacks})
        callbacks = tuple(arguments.pop("callbacks"))
        return replace(plan, fit_kwargs=arguments, callbacks=callbacks)


@dataclass(frozen=True)
class FitPlan:
    """How the folds of one trial are trained; plain data that can be pickled.

    Attributes:
        objective: what decides which epoch is best.
        seed: the search's seed, from which every training's own is drawn.
        attempt: how often the trial has failed before.
        executions: trainings of each fold, each with other initial weights.
        preprocessor: fitted on each fold's training part, or None.
        fit_args: positional arguments of `fit` behind x and y.
        fit_kwargs: keyword arguments of `fit`, `callbacks` apart.
        callbacks: copied for each training.
        label: the trial's name, for folders that callbacks write to.
        directory: where weights are kept, or None to keep none.
        continue_from: the directory of a trial whose trainings go on here.
        keep_last: whether to keep weights and optimizer state of the last epoch.
        timeout: seconds after which the trial fails, at the end of an epoch; or None.
    """

    objective: ObjectiveLike
    seed: int
    attempt: int = 0
    executions: int = 1
    preprocessor: Any = None
    fit_args: tuple[Any, ...] = ()
    fit_kwargs: Mapping[str, Any] = field(default_factory=dict)
    callbacks: tuple[keras.callbacks.Callback, ...] = ()
    label: str = ""
    directory: str | None = None
    continue_from: str | None = None
    keep_last: bool = False
    timeout: float | None = None

    @property
    def initial_epoch(self) -> int:
        """Epochs that the weights have behind them."""
        return int(self.fit_kwargs.get("initial_epoch", 0))

    def fold_seed(self, fold: int, execution: int) -> int:
        """Return the seed of one training.

        It is the same for every trial of a search, so that trials are compared
        on the same initial draws (common random numbers), and another one when a
        failed trial is tried again or a training is continued.

        Args:
            fold: the fold's number.
            execution: the initialisation's number.

        Returns:
            A whole number of 31 bits.
        """
        key = (fold, execution, self.initial_epoch, self.attempt)
        sequence = np.random.SeedSequence(self.seed, spawn_key=key)
        return int(sequence.generate_state(1)[0] >> 1)


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


def trainable_size(model: keras.Model) -> int:
    """Count the trainable parameters of a model.

    Args:
        model: any model.

    Returns:
        Their number, 0 for a model whose weights do not exist yet.
    """
    if not model.built:
        return 0
    return int(sum(np.prod(weight.shape) for weight in model.trainable_weights))


def _compiled_with(model: keras.Model) -> dict[str, Any]:
    """Return the compile arguments that a partial override has to keep."""
    if not model.compiled:
        return {}
    config = model.get_compile_config() or {}
    known = inspect.signature(model.compile).parameters
    kept = {k: v for k, v in config.items() if k in known and v is not None}
    return {**kept, "optimizer": model.optimizer}
