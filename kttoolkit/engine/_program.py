"""Whole epochs of training and validation, each as one traced function."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from threading import Event, Lock
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kttoolkit.engine._call import DrawsError, RefusedError
from kttoolkit.engine._describe import Description
from kttoolkit.engine._donated import kept
from kttoolkit.engine._epoch import Shape, takes_no_rows, trace_epoch
from kttoolkit.engine._flat import Flat, can_be_flat
from kttoolkit.engine._keras import (
    has_own_code,
    may_not_compile,
)
from kttoolkit.engine._random import random_state
from kttoolkit.engine._ready import make_ready
from kttoolkit.engine._refusals import check_operations, refusing
from kttoolkit.engine._rows import Rows
from kttoolkit.engine._seat import Spares, n_bytes_of, variables_of
from kttoolkit.engine._tensorflow import (
    call_with,
    check_compiles,
    operations_of,
)


@dataclass(frozen=True)
class _Function:
    """A traced function, and which of a model's variables it was traced with.

    Attributes:
        concrete: the traced function.
        executor: what runs it.
        places: for each tensor that it captured its place among the variables, or
            None for what belongs to the graph.
        takes_no_rows: whether it may be called without rows, which changes nothing.
        xla: whether XLA compiled it.
    """

    concrete: Any
    executor: str
    places: tuple[int | None, ...]
    takes_no_rows: bool
    xla: bool
    _lock: Lock = field(default_factory=Lock)
    _started: Event = field(default_factory=Event)

    def __call__(
        self, variables: Sequence[Any], rows: Any, order: tf.Tensor, *args: Any
    ) -> Any:
        if self._started.is_set():
            return self._run(variables, rows, order, *args)
        if self.takes_no_rows:
            self._start(variables, rows, order[:0], *args)
        with kept([*variables, *self.concrete.variables], xla=self.xla):
            found = self._run(variables, rows, order, *args)
        self._started.set()
        return found

    def _start(self, *args: Any) -> None:
        # TensorFlow optimizes a graph at its first call, and again in every call
        # that is made before that is done.
        with self._lock:
            if not self._started.is_set():
                self._run(*args)
                self._started.set()

    def _run(self, variables: Sequence[Any], *args: Any) -> Any:
        own = self.concrete.captured_inputs
        captured = [
            tensor if place is None else variables[place].handle
            for tensor, place in zip(own, self.places, strict=True)
        ]
        flat = tf.nest.flatten(args)
        return call_with(self.concrete, self.executor, flat, captured)


@dataclass(frozen=True)
class Seat:
    """What one training runs on.

    Attributes:
        variables: as `variables_of` lists them.
        numbers: that the graph is given, float64 of shape (n_numbers,).
    """

    variables: Sequence[tf.Variable]
    numbers: tf.Tensor


class Program:
    """Trains rows of one shape with the graph of one model.

    The graph runs on the variables of any model of the same description (`seat`),
    several of them at once if need be.

    Args:
        model: its `train_step` and `test_step` are traced. It belongs to the
            program, unless it is the very model that is trained.
        rows: an example of the rows to train on.
        validation: an example of those to score on, or None.
        description: of the model, where the graph shall serve models with other
            numbers too; without one they are burnt in.
        is_fresh: whether every training begins with a new optimizer, of which nobody
            wants to know anything afterwards.
        resets: whether an epoch of training begins with new metrics.

    Raises:
        RefusedError: if the model cannot be traced.
    """

    def __init__(
        self,
        model: keras.Model,
        rows: Rows,
        validation: Rows | None,
        description: Description | None = None,
        *,
        is_fresh: bool = False,
        resets: bool = True,
    ) -> None:
        self.model = model
        self.resets = resets
        self.takes_numbers = description is not None
        self._description = description or Description(())
        self.traces = 0
        self.shareable = True
        self._shapes: dict[tuple[Any, ...], Shape] = {}
        self._functions: dict[Shape, _Function] = {}
        self._flat: Flat | None = None
        with refusing():
            make_ready(model, rows)
            self._trace_training(rows, keeps_slots=not is_fresh)
            if validation is not None:
                self._function("test_step", validation, validation.n_samples)
        self._spares = Spares(model, self._vectors, self._idle)

    @functools.cached_property
    def n_bytes(self) -> int:
        """Return how much the variables take."""
        return n_bytes_of([*variables_of(self.model), *self._vectors])

    @property
    def _vectors(self) -> list[tf.Variable]:
        return [] if self._flat is None else self._flat.variables

    @property
    def _idle(self) -> list[tf.Variable]:
        return [] if self._flat is None else self._flat.idle

    @contextmanager
    def seat(self, model: keras.Model, numbers: Sequence[float] = ()) -> Iterator[Seat]:
        """Find what a training runs on.

        Args:
            model: of the description of the program's, about to be trained.
            numbers: the model's, as its description has them.

        Yields:
            For `train` and `test`: the model's own variables, and for those it has
            not made yet some that are lent.
        """
        given = tf.constant(numbers if self.takes_numbers else [], tf.float64)
        if model is self.model:
            yield Seat([*variables_of(model), *self._vectors], given)
        else:
            with self._spares.seat(model) as variables:
                yield Seat(variables, given)

    def train(self, seat: Seat, rows: Rows, order: np.ndarray) -> Callable[[], Any]:
        """Prepare one epoch of training.

        Args:
            seat: as `seat` gives it.
            rows: the rows.
            order: row numbers in the order to take them, of shape (n_rows,).

        Returns:
            A call that trains it, and returns what the metrics, or the last step,
            report. It may be made in any thread.
        """
        return self._prepared("train_step", seat, rows, order)

    def test(self, seat: Seat, rows: Rows) -> Callable[[], Any]:
        """Prepare the scoring of rows.

        Args:
            seat: as `seat` gives it.
            rows: the rows.

        Returns:
            A call that scores them, and returns what the metrics, or the last step,
            report. It may be made in any thread.
        """
        return self._prepared("test_step", seat, rows, rows.in_order())

    def _prepared(
        self, step: str, seat: Seat, rows: Rows, order: np.ndarray
    ) -> Callable[[], Any]:
        function = self._function(step, rows, len(order))
        args = [rows.tensors, tf.constant(order), seat.numbers]
        if not self.model.jit_compile:
            args.append(tf.constant(rows.batch_size))
        return functools.partial(function, seat.variables, *args)

    def _trace_training(self, rows: Rows, *, keeps_slots: bool) -> None:
        if can_be_flat(self.model):
            try:
                self._flat = Flat(self.model, keeps_slots=keeps_slots)
                self._function("train_step", rows, rows.n_samples)
            except (RefusedError, ValueError):
                self._flat = None
        self._function("train_step", rows, rows.n_samples)

    def _function(self, step: str, rows: Rows, n: int) -> _Function:
        """Trace an epoch, unless one of its shape was traced before."""
        # A shape takes 0.2 ms to find out.
        sizes = (step, n, rows.batch_size, rows.is_even, *rows.shapes)
        if sizes not in self._shapes:
            shape = Shape.of(self.model, step, rows, n)
            resets = self.resets or step == "test_step"
            self._shapes[sizes] = replace(shape, resets=resets)
        shape = self._shapes[sizes]
        if shape not in self._functions:
            self.traces += 1
            flat = self._flat if step == "train_step" else None
            wrapped = nullcontext if flat is None else flat.updating
            traced = self._traced(shape, rows, wrapped)
            self._functions[shape] = self._placed(shape, *traced)
        return self._functions[shape]

    def _traced(self, shape: Shape, rows: Rows, wrapped: Any) -> tuple[Any, str]:
        """Trace an epoch, unless XLA fails on it."""
        concrete, executor = self._drawing_nothing(shape, rows, wrapped)
        if shape.sizes is not None and may_not_compile(self.model):
            # Costs a tenth of compiling it. Else the first epoch would fail.
            _check_xla(concrete)
        return concrete, executor

    def _drawing_nothing(
        self, shape: Shape, rows: Rows, wrapped: Any
    ) -> tuple[Any, str]:
        """Trace an epoch, unless it draws numbers that then serve all batches."""
        given = (self.model, shape, rows, self._description, wrapped)
        if not has_own_code(self.model):
            return trace_epoch(*given)
        # Other threads draw as well: once is no proof.
        for _ in range(2):
            state = random_state()
            traced = trace_epoch(*given)
            if random_state() == state:
                return traced
        raise DrawsError

    def _placed(self, shape: Shape, concrete: Any, executor: str) -> _Function:
        check_operations(self.model, operations_of(concrete))
        variables = [*variables_of(self.model), *self._vectors]
        places = {id(v.handle): i for i, v in enumerate(variables)}
        captured = concrete.captured_inputs
        found = tuple(places.get(id(tensor)) for tensor in captured)
        self.shareable = self.shareable and not any(
            place is None and tensor.dtype == tf.resource
            for tensor, place in zip(captured, found, strict=True)
        )
        is_free = takes_no_rows(self.model, shape)
        xla = shape.sizes is not None
        return _Function(concrete, executor, found, is_free, xla)


def _check_xla(concrete: Any) -> None:
    try:
        check_compiles(concrete)
    except ValueError as error:
        line = str(error).splitlines()[0]
        reason = f"XLA cannot compile a loop over its batches ({line})"
        raise RefusedError(reason) from error
