"""Builds the model of a trial, and says whether it can be trained."""

import inspect
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import keras
import keras_tuner
import numpy as np

from kttoolkit.engine._keras import is_own, reset_names
from kttoolkit.engine._plan import FitPlan
from kttoolkit.engine._random import put_back, random_state
from kttoolkit.exceptions import OversizedModelError, SearchSpaceError

# Keras's words for two layers of one name.
_CLASH = re.compile(
    r"""(?:Name '|The name ")([^'"]+)['"] is (?:already the name of a layer|used)"""
)
# Names that layers from outside of a build function have, to the next free number.
_STARTS: WeakKeyDictionary[Any, dict[str, int]] = WeakKeyDictionary()


class InvalidModelError(SearchSpaceError, keras_tuner.errors.FatalTypeError):
    """The build function returned something that cannot be trained.

    It is Keras Tuner's error too, which ends a search that is under way.
    """


@dataclass(frozen=True)
class ModelFactory:
    """Builds the model of a trial and checks it.

    Attributes:
        hypermodel: its `build(hp)` makes the model, its `fit` trains it.
        compile_overrides: optimizer, loss or metrics given to the tuner, which
            replace those of the model.
        max_model_size: the most trainable parameters a model may have, or None.
        distribution_strategy: a `tf.distribute.Strategy` to build under, or None.
        may_be_uncompiled: whether models are trained in some other way than by `fit`.
    """

    hypermodel: keras_tuner.HyperModel
    compile_overrides: Mapping[str, Any] = field(default_factory=dict)
    max_model_size: int | None = None
    distribution_strategy: Any = None
    may_be_uncompiled: bool = False

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
        hypermodel = self.hypermodel
        if rows is not None and hasattr(hypermodel, "for_rows"):
            hypermodel = hypermodel.for_rows(rows)
        model = _named_alike(hypermodel, hp)
        if not isinstance(model, keras.Model):
            raise InvalidModelError(
                "Expected the model-building function to return a keras.Model, but got "
                f"{model!r} of type {type(model).__name__}. Is `return model` missing?"
            )
        if self.compile_overrides:
            model.compile(**{**_compiled_with(model), **self._fresh_overrides()})
        if not model.compiled and not self.trains_in_its_own_way(model):
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

    def trains_in_its_own_way(self, model: keras.Model) -> bool:
        """Tell whether a `fit` of the user's own may do without compiling.

        Args:
            model: that was built.

        Returns:
            Whether the hypermodel, or the model itself, has one.
        """
        is_known = self.may_be_uncompiled or self.has_own_fit
        return is_known or is_own(model, "fit")

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

    def planned(self, plan: FitPlan, hp: keras_tuner.HyperParameters) -> FitPlan:
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


def _named_alike(hypermodel: Any, hp: keras_tuner.HyperParameters) -> Any:
    """Build a model with the names of those before it: "auc", never "auc_3"."""
    starts, state = _starts_of(hypermodel), random_state()
    while True:
        reset_names(starts)
        try:
            return hypermodel.build(hp)
        except ValueError as error:
            clash = _CLASH.search(str(error))
            if clash is None:
                raise
            # A layer that was made outside of the build function has that name.
            prefix, _, number = clash[1].rpartition("_")
            if not number.isdigit() or not prefix:
                prefix, number = clash[1], "0"
            if starts.get(prefix, 0) > int(number):
                raise  # the user gave it twice
            starts[prefix] = int(number) + 1
            put_back(state)


def _starts_of(hypermodel: Any) -> dict[str, int]:
    try:
        return _STARTS.setdefault(hypermodel, {})
    except TypeError:
        return {}  # what cannot be hashed finds out every time


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
