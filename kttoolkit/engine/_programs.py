"""Traced programs, kept for the next training that needs the same."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from kttoolkit.engine._call import Rows
from kttoolkit.engine._describe import describe
from kttoolkit.engine._keras import reset_names
from kttoolkit.engine._program import Program
from kttoolkit.engine._random import own_random_state
from kttoolkit.engine._stack import Stack


class Programs:
    """Keeps traced programs between trainings, the latest used ones.

    A program that trains is taken out, so that two threads never share one.

    Args:
        max_programs: how many to keep.
        max_bytes: how much their variables may take together.
    """

    def __init__(self, max_programs: int = 16, max_bytes: int = 2**27) -> None:
        self.max_programs = max_programs
        self.max_bytes = max_bytes
        self.traces = 0
        self._idle: OrderedDict[Any, Any] = OrderedDict()

    @contextmanager
    def borrow(
        self,
        model: keras.Model,
        rows: Rows,
        validation: Rows | None,
        build: Callable[[], keras.Model] | None,
    ) -> Iterator[Program]:
        """Lend a program that computes what the model would.

        Args:
            model: that is going to be trained.
            rows: to train on.
            validation: to score on, or None.
            build: makes another model of the kind, for a program that outlives this
                training; None traces the model itself.

        Yields:
            The program.
        """
        specs = (rows.spec(), None if validation is None else validation.spec())
        described = describe(model)
        key = (described, describe(specs, keras.config.floatx(), model.jit_compile))
        program = self._idle.pop(key, None)
        if program is None:
            program = self._make(model, described, rows, validation, build)
        try:
            yield program
        finally:
            # A program of this very model serves this model again, and no other.
            if build is None or program.model is not model:
                self._keep(key, program)

    @contextmanager
    def borrow_stack(self, key: Any, make: Callable[[], Stack]) -> Iterator[Stack]:
        """Lend a stack.

        Args:
            key: what it depends on.
            make: makes one where none is kept.

        Yields:
            The stack.
        """
        stack = self._idle.pop(key, None)
        if stack is None:
            stack = make()
            self.traces += stack.traces
        try:
            yield stack
        finally:
            self._keep(key, stack)

    def clear(self) -> None:
        """Forget all programs."""
        self._idle.clear()

    def _make(
        self,
        model: keras.Model,
        described: tuple[Any, ...],
        rows: Rows,
        validation: Rows | None,
        build: Callable[[], keras.Model] | None,
    ) -> Program:
        template = model if build is None else unused(build)
        # A model may have been changed since it was built; then it goes alone.
        if template is not model and describe(template) != described:
            template = model
        program = self._traced(template, rows, validation)
        if template is not model and not program.shareable:
            program = self._traced(model, rows, validation)
        return program

    def _traced(
        self, model: keras.Model, rows: Rows, validation: Rows | None
    ) -> Program:
        program = Program(model, rows, validation)
        self.traces += program.traces
        return program

    def _keep(self, key: Any, program: Program | Stack) -> None:
        self._idle[key] = program
        sizes = {key: program.n_bytes for key, program in self._idle.items()}
        while len(sizes) > self.max_programs or sum(sizes.values()) > self.max_bytes:
            oldest = next(iter(self._idle))
            del self._idle[oldest], sizes[oldest]


def unused(build: Callable[[], keras.Model]) -> keras.Model:
    """Build a model that nobody else holds.

    Args:
        build: builds it.

    Returns:
        The model; no random state has changed.
    """
    with own_random_state():
        reset_names()
        return build()


# Traced programs outlive the trial that made them; the next may need them.
PROGRAMS = Programs()
