"""One fold after the other: what engines that train models singly have in common."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import keras
import keras_tuner

from kttoolkit.cv import Folds
from kttoolkit.data import TrainingData, take
from kttoolkit.engine._base import (
    FitPlan,
    ModelFactory,
    Observer,
    Training,
    trainings,
)
from kttoolkit.engine._callbacks import (
    EpochRecorder,
    assemble_callbacks,
    copy_callbacks,
)
from kttoolkit.engine._keras import reset_names
from kttoolkit.engine._weights import (
    BUILD_CONFIG_FILE,
    best_file,
    last_file,
    restore,
    save,
)
from kttoolkit.exceptions import ObjectiveError
from kttoolkit.files import write_json
from kttoolkit.scoring import FoldFit, ObjectiveLike, best_index, check_finite


class Carrier(Protocol):
    """Makes a model's `fit` the engine's while a training lasts."""

    def __call__(
        self, model: keras.Model, build: Callable[[], keras.Model], *, last: bool
    ) -> AbstractContextManager[Any]:
        """Return a context in which `model.fit` is the engine's.

        Args:
            model: about to be trained.
            build: makes another model of the same setting.
            last: whether nobody needs the optimizer afterwards.

        Returns:
            The context.
        """


def train_folds(
    factory: ModelFactory,
    hp: keras_tuner.HyperParameters,
    data: TrainingData | None,
    folds: Folds | None,
    plan: FitPlan,
    observer: Observer,
    *,
    carry: Carrier,
) -> tuple[FoldFit, ...]:
    """Train every fold and execution with `HyperModel.fit`, one after the other.

    Args:
        factory: builds the models.
        hp: the trial's hyperparameters; new ones are registered in it.
        data: the rows, or None where `plan.fit_args` hold everything.
        folds: how to cut them, or None.
        plan: how to train.
        observer: is told how it gets on.
        carry: makes `model.fit` the engine's.

    Returns:
        One fit for each fold and execution, in the order of `trainings`.
    """
    fits = []
    copy_callbacks(plan.callbacks)
    sources = trainings(folds, plan)
    for source in sources:
        observer.fold_started(source.split, len(sources))
        start = time.perf_counter()
        training = source.load(data, folds, plan, hp)
        history = _train(factory, hp, plan, training, observer, carry)
        seconds = time.perf_counter() - start
        fits.append(finished(training, history, plan, seconds, observer))
    return tuple(fits)


def finished(
    training: Training,
    history: dict[str, tuple[float, ...]],
    plan: FitPlan,
    seconds: float,
    observer: Observer,
) -> FoldFit:
    """Put a training that ended on record.

    Args:
        training: which one.
        history: metric names to one value an epoch.
        plan: names the objective.
        seconds: how long it took.
        observer: is told.

    Returns:
        The fit.
    """
    fit = FoldFit(
        split=training.split,
        fold=training.fold,
        execution=training.execution,
        seed=training.seed,
        history=history,
        initial_epoch=plan.initial_epoch,
        n_train=training.n_train,
        n_test=training.n_test,
        seconds=seconds,
    )
    check_finite(fit)
    best_index(history[plan.objective.name], plan.objective.direction)
    observer.fold_ended(fit)
    return fit


def _train(
    factory: ModelFactory,
    hp: keras_tuner.HyperParameters,
    plan: FitPlan,
    training: Training,
    observer: Observer,
    carry: Carrier,
) -> dict[str, tuple[float, ...]]:
    # The same names in every fold, for histories are named after outputs.
    reset_names()
    keras.utils.set_random_seed(training.seed)
    model = factory.build(hp)
    if plan.continue_from is not None:
        with factory.scope():
            checkpoint = last_file(plan.continue_from, training.split)
            restore(model, checkpoint, _sample(training), optimizer=True)
        keras.utils.set_random_seed(training.seed)
    recorder = EpochRecorder(plan.objective)
    callbacks = assemble_callbacks(plan, training, hp, observer, recorder)
    last = not (factory.has_own_fit or plan.keep_last)
    with carry(model, lambda: factory.build(hp.copy()), last=last):
        result = factory.hypermodel.fit(
            hp, model, *training.args, callbacks=callbacks, **training.kwargs
        )
    history = as_history(result, recorder, plan.objective)
    if plan.directory is not None and model.built:
        keep(model, recorder, plan, training.split)
    return history


def keep(
    model: keras.Model, recorder: EpochRecorder, plan: FitPlan, split: int
) -> None:
    """Write the weights of one training.

    Args:
        model: trained.
        recorder: has the weights of its best epoch.
        plan: says where.
        split: running number of the training.
    """
    folder = Path(str(plan.directory))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / BUILD_CONFIG_FILE, model.get_build_config())
    if plan.keep_last:
        save(model, last_file(folder, split), optimizer=True)
    if recorder.best_weights is not None:
        model.set_weights(recorder.best_weights)
    save(model, best_file(folder, split), optimizer=False)


def _sample(training: Training) -> Any:
    """Return one row, which builds a model whose shape is not fixed."""
    x: Any = training.args[0] if training.args else training.kwargs.get("x")
    if hasattr(x, "element_spec"):
        batch = next(iter(x.take(1)))
        return batch[0] if isinstance(batch, tuple) else batch
    return take(x, slice(0, 1))  # type: ignore[arg-type]


def as_history(
    result: Any, recorder: EpochRecorder, objective: ObjectiveLike
) -> dict[str, tuple[float, ...]]:
    """Bring whatever `HyperModel.fit` returned into one value an epoch.

    Args:
        result: a history, a dictionary or a number.
        recorder: saw every epoch, where there were epochs.
        objective: is among the metrics afterwards.

    Returns:
        Metric names to one value an epoch.

    Raises:
        FatalTypeError: Keras Tuner's, if the result is none of these.
    """
    history: dict[str, tuple[float, ...]]
    if isinstance(result, keras.callbacks.History):
        aligned = recorder.epochs == len(result.epoch) and recorder.epochs > 0
        history = (
            recorder.history()
            if aligned
            else {k: tuple(map(float, v)) for k, v in result.history.items()}
        )
    elif isinstance(result, dict):
        history = {name: (float(value),) for name, value in result.items()}
    elif isinstance(result, bool) or not _is_number(result):
        raise keras_tuner.errors.FatalTypeError(
            "Expected what is returned by HyperModel.fit() to be one of History, "
            f"dictionary or number, but got {result!r} of type {type(result).__name__}."
        )
    else:
        history = {objective.name: (float(result),)}
    return _with_objective(history, objective)


def _with_objective(
    history: dict[str, tuple[float, ...]], objective: ObjectiveLike
) -> dict[str, tuple[float, ...]]:
    """Add the objective's own curve where it is made of several metrics."""
    if objective.name in history:
        return history
    n_epochs = max((len(values) for values in history.values()), default=0)
    epochs = [
        {name: values[i] for name, values in history.items() if i < len(values)}
        for i in range(n_epochs)
    ]
    if objective.name == "default_objective":
        raise keras_tuner.errors.FatalTypeError(
            "Expected what is returned by HyperModel.fit() to be a single float when "
            f"no objective is given, but got {sorted(history)}. Name the objective."
        )
    if not epochs or not objective.has_value(epochs[0]):  # type: ignore[attr-defined]
        raise ObjectiveError(
            f"The objective must be among what the model reports, but "
            f"objective={objective.name!r} is not in {sorted(history)}."
        )
    curve = tuple(float(objective.get_value(logs)) for logs in epochs)
    return {**history, objective.name: curve}


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
