"""The folds of a trial side by side, each with its own model and callbacks.

On a processor the epochs of several folds run at the same time, each in a core, from
one traced graph. Models are built, and callbacks called, in one thread and in a fixed
order, so that every number is that of a training which runs alone.

On a GPU folds follow each other: there TensorFlow 2.20 and 2.21 hand an operation now
and then what another thread's was given, such as row numbers in place of a shape
(tensorflow/tensorflow pull request 123993 tells of the same).
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import joblib
import keras

from kttoolkit.engine._base import Assignment, Training
from kttoolkit.engine._call import (
    FitCall,
    RefusedError,
    TooLargeError,
    training_rows,
    validation_rows,
)
from kttoolkit.engine._callbacks import copy_callbacks
from kttoolkit.engine._device import has_gpu
from kttoolkit.engine._fit import fit_steps, sees_weights_only
from kttoolkit.engine._folds import (
    Carrier,
    Run,
    finish,
    from_host_memory,
    not_at_all,
    start,
    train_fold,
)
from kttoolkit.engine._jobs import Steps, after_others, run, run_side_by_side, timed
from kttoolkit.engine._placed import PlacedRows
from kttoolkit.engine._programs import PROGRAMS
from kttoolkit.engine._refusals import check, warn
from kttoolkit.engine._rows import Rows
from kttoolkit.engine._seat import n_bytes_of, share_state
from kttoolkit.scoring import FoldFit

# What the trainings of a trial may take together: small models, which gain by it.
_MAX_BYTES = 2**30


def train_together(assignment: Assignment) -> tuple[FoldFit, ...]:
    """Train every fold and execution with the compiled engine.

    Args:
        assignment: what to train; `HyperModel.fit` is not overridden.

    Returns:
        One fit for each, in order.
    """
    copy_callbacks(assignment.plan.callbacks)
    trial = _Trial(assignment)
    steps = map(trial.fold, trial.waiting)
    n_workers = min(joblib.cpu_count(), len(trial.waiting))
    if n_workers == 1 or _go_alone(assignment):
        return tuple(map(run, steps))
    return tuple(run_side_by_side(steps, trial.has_room, n_workers))


def _go_alone(assignment: Assignment) -> bool:
    """Tell whether trainings have to follow each other.

    Threads disturb each other on a GPU. Callbacks may do anything, or print.

    Args:
        assignment: what to train.

    Returns:
        Whether they do.
    """
    plan, factory = assignment.plan, assignment.factory
    callbacks = [*plan.callbacks, *assignment.observer.callbacks()]
    return (
        has_gpu()
        or not all(map(sees_weights_only, callbacks))
        or plan.fit_kwargs.get("verbose", "auto") != 0
        or factory.distribution_strategy is not None
    )


class _Trial:
    """What the trainings of one trial share."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.waiting = assignment.trainings()
        self.placed = self._placed() if len(self.waiting) > 1 else None
        self.left_to: Carrier | None = None
        self._n_bytes = 0
        self._under_way: list[keras.Model] = []

    def has_room(self, n_open: int) -> bool:
        """Tell whether one more training may begin."""
        return (n_open + 1) * self._n_bytes <= _MAX_BYTES

    def fold(self, training: Training) -> Steps[FoldFit]:
        """Train one fold."""
        self.assignment.observer.fold_started(training.split, len(self.waiting))
        if self.left_to is not None:
            return train_fold(self.assignment, training, self.left_to)
        try:
            (begun, history), seconds = yield from timed(self._train(training))
        except RefusedError as refusal:
            warn(refusal)
            is_large = isinstance(refusal, TooLargeError)
            # The next fold would be refused for the same reason.
            self.left_to = from_host_memory if is_large else not_at_all
            self.placed = None
            return train_fold(self.assignment, training, self.left_to)
        return finish(self.assignment, begun, history, seconds)

    def _train(self, training: Training) -> Steps[tuple[Run, Any]]:
        if self.placed is None:
            training = self.assignment.with_rows(training)
            args, kwargs = training.args, training.kwargs
        else:
            args, kwargs = self.placed.call.given
            training = replace(training, args=args, kwargs=kwargs)
        x = args[0] if args else kwargs.get("x")
        begun = start(self.assignment, training, x)
        if any(share_state(begun.model, other) for other in self._under_way):
            yield after_others
            begun = start(self.assignment, training, x)
        call = FitCall.of(args, {**kwargs, "callbacks": begun.callbacks})
        check(begun.model, call)
        rows, validation = self._rows(training, call)
        self._weigh(begun.model, rows)
        self._under_way.append(begun.model)
        try:
            history = yield from fit_steps(
                begun.model, call, rows, validation, PROGRAMS,
                partial(self.assignment.build, x),
                last=not self.assignment.plan.keep_last,
            )  # fmt: skip
        finally:
            self._under_way.remove(begun.model)
        return begun, history

    def _rows(self, training: Training, call: FitCall) -> tuple[Rows, Rows | None]:
        if self.placed is None:
            return training_rows(call), validation_rows(call)
        return self.placed.of_fold(training)

    def _placed(self) -> PlacedRows | None:
        try:
            return PlacedRows.of(self.assignment)
        except RefusedError:
            return None

    def _weigh(self, model: keras.Model, rows: Rows) -> None:
        """Estimate what one training takes: weights five times over, and a batch."""
        weights = n_bytes_of(variable.value for variable in model.variables)
        own_rows = rows.n_bytes if self.placed is None else 0
        self._n_bytes = 5 * weights + own_rows + _batch_bytes(model, rows.batch_size)


def _batch_bytes(model: keras.Model, batch_size: int) -> int:
    """Estimate what the outputs of all layers take, and their gradients."""
    return sum(
        _batch_bytes(layer, batch_size)
        if isinstance(layer, keras.Model)
        else 8 * batch_size * _n_outputs(layer)
        for layer in model.layers
    )


def _n_outputs(layer: keras.layers.Layer) -> int:
    try:
        outputs = keras.tree.flatten(layer.output)
    except AttributeError:
        # It was called by a model that does not tell what it does.
        return 0
    return sum(math.prod(size or 1 for size in out.shape[1:]) for out in outputs)
