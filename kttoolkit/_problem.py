"""Everything that can be known, and refused, before training starts."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner import Objective

from kttoolkit.builders import Builder
from kttoolkit.cv import FoldData, Folds, as_folds, prepare, split_off_test
from kttoolkit.data import TrainingData, as_training_data, needs_rows
from kttoolkit.engine import ModelFactory
from kttoolkit.exceptions import (
    CrossValidationError,
    DataError,
    KttoolkitError,
    ObjectiveError,
    SearchSpaceError,
)
from kttoolkit.plain import is_text, shown, visible
from kttoolkit.probe import (
    check_given,
    check_targets,
    default_objective,
    has_own_step,
    reported_metrics,
    task_of,
)
from kttoolkit.scoring import numbers_of
from kttoolkit.tuners import HyperParameters, with_direction

_COMPILE_OPTIONS = ("optimizer", "loss", "metrics")


@dataclass(frozen=True)
class Request:
    """What `tune` was asked, as far as the rows and the model are concerned."""

    build: Any
    x: Any
    y: Any = None
    cv: Any = 5
    objective: Any = None
    validation_data: Any = None
    validation_split: float | None = None
    test_size: float | None = None
    preprocessor: Any = None
    sample_weight: Any = None
    groups: Any = None
    task: str | None = None
    seed: int = 0
    has_callbacks: bool = False
    steps_per_epoch: int | None = None
    epochs: int | None = None
    tuner_options: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Problem:
    """A model, rows and folds that fit together.

    Attributes:
        factory: builds the models.
        data: the rows that trials see.
        folds: how they are cut, or None for a stream.
        test: the rows set aside, or None.
        rows: original row numbers of `data`, of shape (n_samples,).
        objective: what is optimised, with its direction.
        space: the search space as plain types.
        all_data: the fingerprint of all rows.
    """

    factory: ModelFactory
    data: TrainingData
    folds: Folds | None
    test: TrainingData | None
    rows: np.ndarray
    objective: Any
    space: list[Any]
    all_data: str


def pose(request: Request) -> Problem:
    """Build once with default hyperparameters and hold it against the data.

    Args:
        request: what was asked.

    Returns:
        The checked problem.

    Raises:
        SearchSpaceError: if `build` is no build function or returns no compiled
            model.
        CrossValidationError: if the rows cannot be cut.
        DataError: if the rows cannot be trained on.
        ObjectiveError: if the objective is never reported.
    """
    hp = HyperParameters()
    factory = as_factory(request)
    model = None
    task = request.task
    if isinstance(factory.hypermodel, Builder):
        own = factory.hypermodel.task
        task = (None if own == "auto" else own) if task is None else task
    else:
        factory.hypermodel.declare_hyperparameters(hp)
        model = factory.build_unchecked(hp)
        task = task_of(model) if task is None else task
    data = as_data(request, request.x, request.y, task)
    if model is not None:
        check_given(model, data)
    if model is not None and task is None:
        check_targets(model, data)
    if not data.indexable:
        return _pose_stream(request, factory, data, model, hp)
    rows, kept, test = _set_aside(request, data)
    folds = as_folds(
        request.cv,
        kept,
        seed=request.seed,
        validation_split=request.validation_split,
        validation=_as_validation(request, kept),
    )
    part = _first_part(kept, folds, request.preprocessor, hp)
    if isinstance(factory.hypermodel, Builder):
        factory = bound(factory, part, request.epochs)
        model = factory.build_unchecked(hp)
    reported = _reported(factory, model, part.train)
    objective = _as_objective(
        request, factory, model, reported, is_classification=kept.is_classification
    )
    space = hp.get_config()["space"]
    return Problem(
        factory, kept, folds, test, rows, objective, space, data.fingerprint()
    )


def as_factory(request: Request) -> ModelFactory:
    """Bring the build function of a request into the form that builds models.

    Args:
        request: what was asked.

    Returns:
        What builds its models.

    Raises:
        SearchSpaceError: if `build` is no build function and no `HyperModel`.
    """
    options = request.tuner_options or {}
    build = request.build
    is_model = isinstance(build, keras.Model | type)
    if is_model or not (callable(build) or isinstance(build, keras_tuner.HyperModel)):
        raise SearchSpaceError(
            "build must be a function hp -> compiled keras.Model or a "
            f"keras_tuner.HyperModel instance, but got {shown(build)}."
        )
    if not isinstance(build, keras_tuner.HyperModel):
        build = _FunctionModel(build)
    return ModelFactory(
        build,
        {name: options[name] for name in _COMPILE_OPTIONS if options.get(name)},
        options.get("max_model_size"),
        options.get("distribution_strategy"),
    )


class _FunctionModel(keras_tuner.HyperModel):
    """A build function as a `HyperModel`."""

    def __init__(self, function: Any) -> None:
        super().__init__(name=getattr(function, "__name__", None))
        self.build = function


def as_data(request: Request, x: Any, y: Any, task: str | None) -> TrainingData:
    """Check rows together with the weights and groups of a request.

    Args:
        request: what was asked.
        x: its rows.
        y: their targets.
        task: what is predicted, or None to tell from y.

    Returns:
        The checked rows.
    """
    return as_training_data(
        x,
        y,
        task=task,
        sample_weight=request.sample_weight,
        groups=request.groups,
        preprocessed_later=request.preprocessor is not None,
    )


def _as_validation(request: Request, data: TrainingData) -> TrainingData | None:
    given = request.validation_data
    if given is None:
        return None
    if not isinstance(given, tuple | list) or len(given) not in {2, 3}:
        raise CrossValidationError(
            "validation_data must be (x, y) or (x, y, sample_weight), but got "
            f"{type(given).__name__}."
        )
    return as_training_data(
        given[0],
        given[1],
        sample_weight=given[2] if len(given) > 2 else None,
        preprocessed_later=request.preprocessor is not None,
        like=data,
    )


def _set_aside(
    request: Request, data: TrainingData
) -> tuple[np.ndarray, TrainingData, TrainingData | None]:
    if request.test_size is None:
        return np.arange(data.n_samples), data, None
    rows, test_rows = split_off_test(
        data, request.test_size, seed=request.seed, cv=request.cv
    )
    return rows, data.take(rows), data.take(test_rows)


def _first_part(
    data: TrainingData, folds: Folds, preprocessor: Any, hp: HyperParameters
) -> FoldData:
    """Preprocess one fold, to see that it can be done."""
    try:
        return prepare(folds.splits[0], data, folds, preprocessor, hp)
    except KttoolkitError:
        raise
    except Exception as error:
        raise DataError(
            "The preprocessor must be able to take the data, but the first fold failed "
            f"with preprocessor={shown(preprocessor)}: "
            f"{type(error).__name__}: {visible(str(error))}"
        ) from error


def bound(factory: ModelFactory, part: FoldData, epochs: int | None) -> ModelFactory:
    """Tell a builder the shapes and classes that its models are for.

    Args:
        factory: whose hypermodel is a `Builder`.
        part: preprocessed rows of one fold.
        epochs: the most a trial trains, for schedules, or None.

    Returns:
        A factory of models for such rows.
    """
    builder = factory.hypermodel.for_data(part.train, epochs=epochs)
    return ModelFactory(
        builder,
        factory.compile_overrides,
        factory.max_model_size,
        factory.distribution_strategy,
    )


def _pose_stream(
    request: Request,
    factory: ModelFactory,
    data: TrainingData,
    model: Any,
    hp: HyperParameters,
) -> Problem:
    kind = type(request.x).__name__
    if request.cv is not None:
        raise CrossValidationError(needs_rows(request.x))
    if request.validation_data is None:
        raise CrossValidationError(
            f"A stream (x of type {kind}) needs validation_data= to be scored on, but "
            "got None."
        )
    if hasattr(request.x, "__next__") and request.steps_per_epoch is None:
        raise DataError(
            f"Every trial reads the stream anew, but a {kind} is used up by the first. "
            "Pass a tf.data.Dataset or a keras.utils.PyDataset; for an endless "
            'generator say fit_kwargs={"steps_per_epoch": ...}.'
        )
    unusable = {
        "preprocessor": request.preprocessor,
        "test_size": request.test_size,
        "validation_split": request.validation_split,
    }
    for name, value in unusable.items():
        if value is not None:
            raise CrossValidationError(
                f"{name} needs rows that can be indexed, but got "
                f"{name}={shown(value)} and x of type {kind}. Pass arrays, or do it in "
                "the stream (x.map)."
            )
    if model is None:
        raise SearchSpaceError(
            f"A builder takes shapes from arrays, but got x of type {kind}. Pass "
            "arrays or a build function."
        )
    reported = _reported_of_stream(model, request.x)
    objective = _as_objective(
        request,
        factory,
        model,
        reported,
        is_classification=task_of(model) == "classification",
    )
    rows = np.array([], dtype=int)
    return Problem(
        factory, data, None, None, rows, objective, hp.get_config()["space"], kind
    )


def _reported(
    factory: ModelFactory, model: Any, rows: TrainingData
) -> dict[str, float]:
    """Look at one batch; a `fit` of one's own may do without compiling."""
    if not factory.trains_in_its_own_way(model):
        return reported_metrics(model, rows)
    if not model.compiled:
        return {}
    try:
        return reported_metrics(model, rows)
    except DataError:
        return {}  # it may arrange the rows in another way first


def _reported_of_stream(model: Any, x: Any) -> dict[str, float]:
    """Look at one batch of what can be read again; a generator is left alone."""
    if not hasattr(x, "element_spec"):
        return {}
    batch = next(iter(x.take(1)))
    inputs, targets = (
        (batch[0], batch[1]) if isinstance(batch, tuple) else (batch, None)
    )
    logs = model.test_on_batch(inputs, targets, return_dict=True)
    return numbers_of(logs)


def _as_objective(
    request: Request,
    factory: ModelFactory,
    model: Any,
    reported: Mapping[str, float],
    *,
    is_classification: bool,
) -> Any:
    given = request.objective
    if given is None:
        given = getattr(factory.hypermodel, "default_objective", None)
    if given is None:
        given = default_objective(dict(reported), is_classification=is_classification)
    objective = with_direction(given)
    known = [*reported, *(f"val_{name}" for name in reported)]
    may_add = (
        factory.trains_in_its_own_way(model)
        or request.has_callbacks
        or has_own_step(model)
        or not reported
    )
    parts = objective if isinstance(objective, list) else [objective]
    for part in parts or [objective]:
        if not _is_objective(part):
            raise ObjectiveError(
                "objective must be a metric name, a keras_tuner.Objective or a list of "
                f"them, but got {shown(part)}."
            )
        if part.name in reported:
            _warn_of_training_metric(part.name)
        if part.name not in known and not may_add:
            raise ObjectiveError(
                "The objective must be among what the model reports, but "
                f"objective={shown(part.name)} is not in {known}. Compile the model "
                "with that metric, or choose one of these."
            )
    return objective


def _warn_of_training_metric(name: str) -> None:
    warnings.warn(
        f"objective={name!r} is measured on the rows that are trained on, so that the "
        f"setting that overfits most may win. Pass 'val_{name}' for rows that are not.",
        UserWarning,
        stacklevel=5,
    )


def _is_objective(part: Any) -> bool:
    return (
        isinstance(part, Objective)
        and is_text(part.name)
        and isinstance(part.direction, str)
        and part.direction in {"min", "max"}
    )
