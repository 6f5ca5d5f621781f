"""One fold after the other: what engines that train models singly have in common."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakValueDictionary

import keras
import numpy as np

from kttoolkit.data import take
from kttoolkit.engine._base import Assignment, Training
from kttoolkit.engine._call import (
    FitCall,
    RefusedError,
    in_host_memory,
    training_rows,
)
from kttoolkit.engine._callbacks import (
    EpochRecorder,
    assemble_callbacks,
    copy_callbacks,
)
from kttoolkit.engine._donated import KeepsFirstWeights
from kttoolkit.engine._factory import trainable_size
from kttoolkit.engine._keras import forget_counts, has_all_layers, is_own
from kttoolkit.engine._plan import FitPlan
from kttoolkit.engine._ready import make_layers
from kttoolkit.engine._returned import curves_of
from kttoolkit.engine._weights import (
    BUILD_CONFIG_FILE,
    best_file,
    file_to_continue,
    last_file,
    restore,
    save,
)
from kttoolkit.exceptions import EngineWarning
from kttoolkit.files import told_if_unwritable, write_json
from kttoolkit.scoring import (
    FoldFit,
    best_index,
    check_finite,
)

# The weights of models that trainings have begun with.
_TRAINED: WeakValueDictionary[int, Any] = WeakValueDictionary()


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


def not_at_all(
    model: keras.Model, build: Callable[[], keras.Model], *, last: bool
) -> AbstractContextManager[None]:
    """Leave `model.fit` as it is; a `Carrier`.

    Args:
        model: about to be trained.
        build: makes another one.
        last: whether nobody needs the optimizer afterwards.

    Returns:
        A context that changes nothing.
    """
    del model, build, last
    return nullcontext()


@contextmanager
def from_host_memory(
    model: keras.Model, build: Callable[[], keras.Model], *, last: bool
) -> Iterator[None]:
    """Let `model.fit` take rows from the host's memory; a `Carrier`.

    Args:
        model: about to be trained.
        build: makes another one.
        last: whether nobody needs the optimizer afterwards.

    Yields:
        Nothing.
    """
    del build, last

    def fit(*args: Any, **kwargs: Any) -> keras.callbacks.History:
        args, kwargs = in_host_memory(args, kwargs)
        return type(model).fit(model, *args, **kwargs)

    with instead_of_fit(model, fit):
        yield


@contextmanager
def instead_of_fit(model: keras.Model, fit: Callable[..., Any]) -> Iterator[None]:
    """Have a model train otherwise for a while, unless it has a `fit` of its own.

    Args:
        model: about to be trained.
        fit: takes the arguments of `model.fit`.

    Yields:
        Nothing.
    """
    if "fit" in vars(model):
        yield
        return
    model.fit = fit
    try:
        yield
    finally:
        del model.fit


def train_folds(assignment: Assignment, carry: Carrier) -> tuple[FoldFit, ...]:
    """Train every fold and execution with `HyperModel.fit`, one after the other.

    Args:
        assignment: what to train.
        carry: makes `model.fit` the engine's.

    Returns:
        One fit for each, in order.
    """
    copy_callbacks(assignment.plan.callbacks)
    waiting = assignment.trainings()
    fits = []
    for training in waiting:
        assignment.observer.fold_started(training.split, len(waiting))
        fits.append(train_fold(assignment, training, carry))
    return tuple(fits)


def train_fold(assignment: Assignment, training: Training, carry: Carrier) -> FoldFit:
    """Train one fold with `HyperModel.fit`.

    Args:
        assignment: what it belongs to.
        training: which one.
        carry: makes `model.fit` the engine's.

    Returns:
        The fit.
    """
    began = time.perf_counter()
    training = assignment.with_rows(training)
    x: Any = training.args[0] if training.args else training.kwargs.get("x")
    run = start(assignment, training, x)
    last = not (assignment.factory.has_own_fit or assignment.plan.keep_last)
    with carry(run.model, partial(assignment.build, x), last=last):
        result = assignment.factory.fit(
            assignment.hp,
            run.model,
            *training.args,
            callbacks=[*run.callbacks, KeepsFirstWeights()],
            **training.kwargs,
        )
    return finish(assignment, run, result, time.perf_counter() - began)


@dataclass(frozen=True)
class Run:
    """A training that has its model.

    Attributes:
        training: which one.
        model: built, seeded and not trained yet.
        recorder: is among the callbacks.
        callbacks: for `fit`.
    """

    training: Training
    model: keras.Model
    recorder: EpochRecorder
    callbacks: list[keras.callbacks.Callback]


def start(assignment: Assignment, training: Training, x: Any) -> Run:
    """Seed, build a model and gather callbacks.

    Args:
        assignment: what to train.
        training: which part of it.
        x: input, to build a model whose shape is not fixed.

    Returns:
        What `fit` needs.
    """
    factory, plan = assignment.factory, assignment.plan
    keras.utils.set_random_seed(training.seed)
    model = factory.build(assignment.hp, x)
    forget_counts(model)
    _check_apart(model)
    if plan.continue_from is not None:
        with factory.scope():
            checkpoint = file_to_continue(
                plan.continue_from, training.split, has_folds=training.cut is not None
            )
            _make_by_step(model, training)
            restore(model, checkpoint, _first(x), optimizer=True)
        keras.utils.set_random_seed(training.seed)
    recorder = EpochRecorder(plan.objective)
    callbacks = assemble_callbacks(assignment, training, recorder)
    return Run(training, model, recorder, callbacks)


def _make_by_step(model: keras.Model, training: Training) -> None:
    """Make the layers of a model without a `call`; others are called."""
    if is_own(model, "call") or has_all_layers(model):
        return
    # What has no rows of arrays is told of when weights are to be loaded.
    with suppress(RefusedError):
        make_layers(model, training_rows(FitCall.of(training.args, training.kwargs)))


def _check_apart(model: keras.Model) -> None:
    """Warn of weights that an earlier training has trained."""
    weights = model.trainable_variables
    shared = next((w for w in weights if _TRAINED.get(id(w)) is w), None)
    if shared is not None:
        warnings.warn(
            f"{shared.path} is a weight of an earlier model too, so that training "
            "goes on from there, also on rows that it is scored on. Make layers "
            "inside the build function.",
            EngineWarning,
            stacklevel=2,
        )
    _TRAINED.update((id(weight), weight) for weight in weights)


def finish(assignment: Assignment, run: Run, result: Any, seconds: float) -> FoldFit:
    """Write the weights of a training that ended, and put it on record.

    Args:
        assignment: what it belongs to.
        run: the training.
        result: what `fit` returned.
        seconds: how long it took.

    Returns:
        The fit.
    """
    plan = assignment.plan
    training, model = run.training, run.model
    history = curves_of(result, run.recorder, plan)
    # Without a `call` a model has weights and is never built.
    if plan.directory is not None and (model.built or model.variables):
        _keep(model, run.recorder, plan, training.split)
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
        n_parameters=trainable_size(model),
    )
    check_finite(fit)
    if plan.objective.name in history:
        best_index(history[plan.objective.name], plan.objective.direction)
    assignment.observer.fold_ended(fit)
    return fit


def _keep(
    model: keras.Model, recorder: EpochRecorder, plan: FitPlan, split: int
) -> None:
    folder = Path(str(plan.directory))
    with told_if_unwritable(folder):
        # Without its parents: a study that was deleted meanwhile stays deleted.
        folder.mkdir(exist_ok=True)
    if split == 0:
        # One for all, since they are built alike.
        write_json(folder / BUILD_CONFIG_FILE, model.get_build_config())
    if plan.keep_last:
        save(model, last_file(folder, split), optimizer=True)
    recorder.restore_best()
    save(model, best_file(folder, split), optimizer=False)


def _first(x: Any) -> Any:
    """Return one row."""
    if hasattr(x, "element_spec"):
        batch = next(iter(x.take(1)))
        return batch[0] if isinstance(batch, tuple) else batch
    return take(x, np.arange(1))
