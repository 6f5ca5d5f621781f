"""Traced programs, kept for the next training that needs the same."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from kttoolkit.engine._call import RefusedError
from kttoolkit.engine._describe import describe
from kttoolkit.engine._flat import flatten
from kttoolkit.engine._keras import reset_names
from kttoolkit.engine._program import Program, make_ready, refusing
from kttoolkit.engine._random import own_random_state
from kttoolkit.engine._rows import Rows
from kttoolkit.engine._stack import Stack
from kttoolkit.engine._tensorflow import forget_kernels


class Programs:
    """Keeps traced programs between trainings, the latest used ones.

    Args:
        max_programs: how many to keep.
        max_bytes: how much their variables may take together.
    """

    def __init__(self, max_programs: int = 16, max_bytes: int = 2**27) -> None:
        self.max_programs = max_programs
        self.max_bytes = max_bytes
        self.traces = 0
        self._n_dropped = 0
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def find(
        self,
        model: keras.Model,
        rows: Rows,
        validation: Rows | None,
        build: Callable[[], keras.Model] | None,
        *,
        flat: bool = False,
    ) -> Program:
        """Return a program that computes what the model would.

        Args:
            model: that is going to be trained.
            rows: to train on.
            validation: to score on, or None.
            build: makes another model of the kind, for a program that outlives this
                training; None traces the model itself.
            flat: whether all weights may be updated at once (`flatten`), which
                leaves the model's own optimizer without its slots.

        Returns:
            The program; others may be using it too.
        """
        if model.optimizer.built:
            # Restored, maybe; then all of it is made, as in a program's own model.
            with refusing():
                make_ready(model, rows)
        specs = (rows.spec(), None if validation is None else validation.spec())
        around = describe(specs, keras.config.floatx(), model.jit_compile, flat)
        described = describe(model)
        program = self._kept.get((described, around))
        if program is None:
            if flat and build is not None:
                program = self._make_flat(described, rows, validation, build)
            program = program or self._make(model, described, rows, validation, build)
        # A program of this very model serves this model again, and no other.
        if build is None or program.model is not model:
            self._keep((described, around), program)
        return program

    @contextmanager
    def borrow_stack(self, key: Any, make: Callable[[], Stack]) -> Iterator[Stack]:
        """Lend a stack, which holds the state of those who use it.

        Args:
            key: what it depends on.
            make: makes one where none is kept.

        Yields:
            The stack; nobody else is given it meanwhile.
        """
        stack = self._kept.pop(key, None)
        if stack is None:
            stack = make()
            self.traces += stack.traces
        try:
            yield stack
        finally:
            self._keep(key, stack)

    def tidy(self) -> None:
        """Free what dropped programs left behind; nothing may be running."""
        if self._n_dropped >= self.max_programs:
            self._n_dropped = 0
            forget_kernels()

    def clear(self) -> None:
        """Forget all programs."""
        self._kept.clear()

    def _make(
        self,
        model: keras.Model,
        described: tuple[Any, ...],
        rows: Rows,
        validation: Rows | None,
        build: Callable[[], keras.Model] | None,
    ) -> Program:
        template = model if build is None else unused(build)
        if template is not model and model.optimizer.built:
            with refusing():
                make_ready(template, rows)
        # A model may have been changed since it was built; then it goes alone.
        if template is not model and describe(template) != described:
            template = model
        program = self._traced(template, rows, validation)
        if template is not model and not program.shareable:
            program = self._traced(model, rows, validation)
        return program

    def _make_flat(
        self,
        described: tuple[Any, ...],
        rows: Rows,
        validation: Rows | None,
        build: Callable[[], keras.Model],
    ) -> Program | None:
        template = unused(build)
        if describe(template) != described:
            return None
        flatten(template)
        try:
            program = self._traced(template, rows, validation)
        except RefusedError:
            return None
        return program if program.shareable else None

    def _traced(
        self, model: keras.Model, rows: Rows, validation: Rows | None
    ) -> Program:
        program = Program(model, rows, validation)
        self.traces += program.traces
        return program

    def _keep(self, key: Any, program: Program | Stack) -> None:
        self._kept[key] = program
        self._kept.move_to_end(key)
        sizes = {key: program.n_bytes for key, program in self._kept.items()}
        while len(sizes) > self.max_programs or sum(sizes.values()) > self.max_bytes:
            oldest = next(iter(self._kept))
            del self._kept[oldest], sizes[oldest]
            self._n_dropped += 1


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
