"""The contract of a builder: a `HyperModel` that takes its shapes from the data."""

import abc
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import keras
import keras_tuner
import numpy as np

from kttoolkit import space
from kttoolkit.builders._ask import Ask, Levels, tuned_names
from kttoolkit.builders._compile import make_optimizer, output_activation
from kttoolkit.builders._fixed import check_owners, checked_values
from kttoolkit.builders._shapes import Shapes, shapes_of, warn_of_large_numbers
from kttoolkit.data import TrainingData, as_training_data
from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import shown

_TASKS = ("auto", "classification", "regression")
_SMALLEST_BATCH = 16


class Builder(keras_tuner.HyperModel, abc.ABC):  # type: ignore[misc]
    """A `keras_tuner.HyperModel` whose shapes and loss come from the data.

    `tune` gives it the data; to build by hand, call `for_data` first. A family of
    networks has a name and `levels`, and defines `features`.

    Args:
        task: "auto", "classification" or "regression".
        tune: "essential", "standard", "wide", "all", or names; see `builders.mlp`.
        fixed: names of hyperparameters to values that are not searched.
        jit_compile: as `keras.Model.compile` takes it.
        **options: of the family, known to `features` as attributes.
    """

    family: ClassVar[str]
    levels: ClassVar[Levels]
    regularizes_head: ClassVar[bool] = False
    wants_scaled: ClassVar[str] = ""
    example: ClassVar[Shapes] = Shapes((8,), 1, "binary")
    shapes: Shapes | None = None

    def __init__(
        self,
        *,
        task: str = "auto",
        tune: str | Sequence[str] = "essential",
        fixed: Mapping[str, Any],
        jit_compile: bool | str = "auto",
        **options: Any,
    ) -> None:
        if task not in _TASKS:
            raise SearchSpaceError(
                f"task must be one of {_TASKS}, but got {shown(task)}."
            )
        self.task = task
        self.tuned = tuned_names(tune, self.levels, fixed)
        self.fixed = checked_values(fixed)
        check_owners(self.tuned, self.fixed)
        if jit_compile not in (True, False, "auto"):
            raise SearchSpaceError(
                'jit_compile must be True, False or "auto", as in compile, but got '
                f"{shown(jit_compile)}."
            )
        self.options = {"jit_compile": jit_compile, **options}
        super().__init__(name=self.family)

    @abc.abstractmethod
    def features(self, ask: Ask, inputs: Any) -> Any:
        """Compose all layers between the inputs and the last one.

        Args:
            ask: gives the value of a hyperparameter.
            inputs: a `keras.KerasTensor` of shape (None, *shapes.inputs).

        Returns:
            A `keras.KerasTensor` of shape (None, n_features).
        """

    def for_data(
        self, x: Any, y: Any = None, *, epochs: int | None = None
    ) -> "Builder":
        """Return the same builder for these rows.

        Args:
            x: preprocessed rows as one array or table.
            y: their targets.
            epochs: of the whole training; those known before if left out.

        Returns:
            A builder that can build; those that do not scale rows themselves warn of
            large numbers.

        Raises:
            SearchSpaceError: if x is not one array, y not one vector or matrix, or
                the family cannot take these rows.
        """
        if not isinstance(x, TrainingData):
            task = None if self.task == "auto" else self.task
            x = as_training_data(x, y, task=task)
        shapes = shapes_of(x)
        self.check_rows(x.x)
        if x.x.dtype.kind in self.wants_scaled:
            warn_of_large_numbers(x)
        known = self.shapes or shapes
        return self.for_shapes(replace(shapes, epochs=epochs or known.epochs))

    def check_rows(self, rows: np.ndarray) -> None:
        """Refuse rows that this family cannot take, which shapes do not tell.

        Args:
            rows: preprocessed, of shape (n_samples, ...).
        """
        del rows

    def for_shapes(self, shapes: Shapes) -> "Builder":
        """Return the same builder for data of these shapes.

        Args:
            shapes: of the preprocessed rows.

        Returns:
            A builder that can build.
        """
        # Not a copy: Keras Tuner ties `build` to the object it was made for.
        bound = type(self)(
            task=self.task, tune=sorted(self.tuned), fixed=self.fixed, **self.options
        )
        bound.shapes = shapes
        return bound

    def for_rows(self, rows: Any) -> "Builder":
        """Return the same builder for rows of another width.

        A preprocessor may make more columns of one fold than of another, and of one
        setting than of another.

        Args:
            rows: preprocessed.

        Returns:
            A builder that can build, itself where the width is known.
        """
        shapes, inputs = self.shapes, tuple(getattr(rows, "shape", ()))[1:]
        if shapes is None or not inputs or inputs == shapes.inputs:
            return self
        return self.for_shapes(replace(shapes, inputs=inputs))

    @property
    def bound_shapes(self) -> Shapes:
        """The shapes, or an error that says how to give them."""
        if self.shapes is None:
            raise SearchSpaceError(
                f"A builder ({self.name}) must know its data before it can build, but "
                "has seen none. Hand it to kttoolkit.tune, or call for_data(x, y)."
            )
        return self.shapes

    @property
    def default_objective(self) -> str | None:
        """What to optimise where losses of different kinds cannot be compared."""
        is_regression = self.bound_shapes.task in {"regression", "other"}
        return "val_mae" if "loss" in self.tuned and is_regression else None

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build and compile the network of a trial.

        Args:
            hp: the trial's hyperparameters.

        Returns:
            A compiled model.
        """
        shapes, ask = self.bound_shapes, self._ask(hp)
        inputs = keras.Input(shapes.inputs)
        features = self.features(ask, inputs)
        activation = output_activation(shapes.task)
        penalty = (
            ask("regularizer", space.regularizer) if self.regularizes_head else None
        )
        outputs = keras.layers.Dense(
            shapes.outputs,
            activation,
            kernel_regularizer=penalty,
            dtype="float32",
            name="prediction",
        )(features)
        model = keras.Model(inputs, outputs, name=self.name)
        is_classification = activation is not None
        task = shapes.task if is_classification else "regression"
        model.compile(
            optimizer=make_optimizer(ask, self._total_steps(ask)),
            loss=ask("loss", space.loss, task=task, one_hot=shapes.one_hot),
            metrics=["accuracy" if is_classification else "mae"],
            jit_compile=self.options["jit_compile"],
        )
        self._class_weight(ask, [0, 1])
        self.fit_arguments(hp, {})
        return model

    # -- the training ---

    @property
    def has_own_fit(self) -> bool:
        """Whether `fit` does more than to choose arguments once a trial.

        Weights of classes are counted from each fold's own rows.
        """
        is_given = "class_weight" in {*self.tuned, *self.fixed}
        # Nothing to weigh: measured targets, or several labels a row.
        return is_given and self._has_classes

    @property
    def _has_classes(self) -> bool:
        return self.shapes is None or self.shapes.task in {"binary", "multiclass"}

    def fit_arguments(
        self,
        hp: keras_tuner.HyperParameters,
        given: Mapping[str, Any],
        *,
        validates: bool = True,
    ) -> dict[str, Any]:
        """Complete the arguments of `fit` by what the trial says.

        Args:
            hp: the trial's hyperparameters.
            given: arguments of `fit` by name.
            validates: whether there are rows to validate on; without them training
                goes on for all of its epochs.

        Returns:
            All of them.

        Raises:
            SearchSpaceError: if one is given and searched as well.
        """
        ask, arguments = self._ask(hp), dict(given)
        if "batch_size" in {*self.tuned, *self.fixed}:
            size = self._batch_size(ask)
            self._check_given("batch_size", size, given)
            arguments["batch_size"] = size
        if "epochs" in {*self.tuned, *self.fixed}:
            epochs = ask("epochs", space.epochs)
            arguments["epochs"] = min(epochs, given.get("epochs") or epochs)
        if "early_stopping" in {*self.tuned, *self.fixed}:
            stopping = self._early_stopping(ask)
            if not validates:
                return arguments
            arguments["callbacks"] = [*(given.get("callbacks") or ()), stopping]
        return arguments

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any,
        **kwargs: Any,
    ) -> keras.callbacks.History:  # fmt: skip
        """Train a model as the trial says: batch size, patience, class weights.

        Args:
            hp: the trial's hyperparameters.
            model: that `build` made of them.
            *args: as `keras.Model.fit` takes them.
            **kwargs: as `keras.Model.fit` takes them.

        Returns:
            The history.
        """
        validates = any(
            kwargs.get(name) is not None
            for name in ("validation_data", "validation_split")
        )
        arguments = self.fit_arguments(hp, kwargs, validates=validates)
        if self.has_own_fit:
            y = args[1] if len(args) > 1 else kwargs.get("y")
            weights = self._class_weight(self._ask(hp), y)
            self._check_given("class_weight", weights, kwargs)
            arguments["class_weight"] = weights
        return model.fit(*args, **arguments)

    def _ask(self, hp: keras_tuner.HyperParameters) -> Ask:
        return Ask(hp, self.tuned, self.fixed)

    def _batch_size(self, ask: Ask) -> int:
        n_samples = self.bound_shapes.n_samples
        smallest = min(_SMALLEST_BATCH, 2 ** int(math.log2(n_samples)))
        return ask(
            "batch_size", space.batch_size, n_samples=n_samples, min_value=smallest
        )

    def _total_steps(self, ask: Ask) -> int:
        shapes = self.bound_shapes
        return shapes.epochs * math.ceil(shapes.n_samples / self._batch_size(ask))

    def _early_stopping(self, ask: Ask) -> keras.callbacks.EarlyStopping:
        patience = self.fixed.get("early_stopping")
        if patience is None:
            return space.early_stopping(ask.hp)
        return space.early_stopping(keras_tuner.HyperParameters(), values=[patience])

    def _class_weight(self, ask: Ask, y: Any) -> Any:
        fixed = self.fixed.get("class_weight")
        if not self._has_classes and fixed not in (None, "none"):
            raise SearchSpaceError(
                "class_weight weighs the classes of a classification, but got "
                f"class_weight={shown(fixed)} for {self.bound_shapes.task} targets. "
                "Leave it out."
            )
        if not self.has_own_fit:
            return None
        if isinstance(fixed, Mapping):
            return dict(fixed)
        kinds = space.CLASS_WEIGHTS if fixed is None else [fixed]
        return space.class_weight(ask.of("class_weight"), y=y, kinds=kinds)

    def _check_given(self, name: str, chosen: Any, given: Mapping[str, Any]) -> None:
        value = given.get(name)
        if value is not None and value != chosen:
            told = f"{name}={shown(value)}"
            raise SearchSpaceError(
                f"{name} is this builder's to choose, but {told} was given as an "
                "argument of fit as well. Leave it out there, or fix it: "
                f"builders.{self.family}({told})."
            )
