"""Traced programs, kept for the next training that needs the same."""

import gc
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras

from kttoolkit.engine._call import RefusedError
from kttoolkit.engine._describe import Description, describe
from kttoolkit.engine._keras import reset_names
from kttoolkit.engine._program import Program
from kttoolkit.engine._random import own_random_state
from kttoolkit.engine._ready import make_ready
from kttoolkit.engine._refusals import refusing
from kttoolkit.engine._rows import Rows
from kttoolkit.engine._stack import Stack
from kttoolkit.engine._tensorflow import forget_kernels


@dataclass(frozen=True)
class _Wanted:
    """What a program is wanted for; `Programs.find` says what the fields are."""

    model: keras.Model
    description: Description
    rows: Rows
    validation: Rows | None
    build: Callable[[], keras.Model] | None
    is_fresh: bool
    resets: bool


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
        # Hashes of forms whose numbers have to be burnt in.
        self._rigid: set[int] = set()
        # Hashes of forms whose graphs hold what is a single model's.
        self._apart: set[int] = set()

    def find(
        self,
        model: keras.Model,
        rows: Rows,
        validation: Rows | None,
        build: Callable[[], keras.Model] | None,
        *,
        is_fresh: bool = False,
        resets: bool = True,
    ) -> tuple[Program, tuple[float, ...]]:
        """Return a program that computes what the model would.

        A graph has the numbers of its model burnt in. When it is asked for again with
        other numbers, it is traced once more, and is given them from then on. Under XLA
        it is given them from the first time on.

        Args:
            model: that is going to be trained.
            rows: to train on.
            validation: to score on, or None.
            build: makes another model of the kind, for a program that outlives this
                training; None traces the model itself.
            is_fresh: whether the optimizer has nothing to go on from, and nobody wants
                to know anything of it afterwards.
            resets: whether an epoch of training begins with new metrics.

        Returns:
            The program, which others may be using too, and the model's numbers.
        """
        if model.optimizer.built:
            # Restored, maybe; then all of it is made, as in a program's own model.
            with refusing():
                make_ready(model, rows)
        specs = (rows.spec(), None if validation is None else validation.spec())
        # What a model without shapes will be built for.
        shape = None if model.built else rows.batch_spec()
        floatx = keras.config.floatx()
        flags = (model.jit_compile, is_fresh, resets)
        around = describe(specs, shape, floatx, flags)
        wanted = _Wanted(
            model, describe(model), rows, validation, build, is_fresh, resets
        )
        form = (wanted.description.form, around)
        numbers = wanted.description.numbers
        program = self._kept.get(form) or self._kept.get((*form, numbers))
        if program is None:
            program = self._given_numbers(wanted, form) or self._made(wanted, form)
        # A program of this very model serves this model again, and no other.
        if build is None or program.model is not model:
            self._keep(form if program.takes_numbers else (*form, numbers), program)
        return program, numbers

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
            # Graphs hold each other in cycles, 4 MB each.
            gc.collect()
            forget_kernels()

    def clear(self) -> None:
        """Forget all programs."""
        self._kept.clear()
        self._rigid.clear()
        self._apart.clear()

    def _given_numbers(self, wanted: _Wanted, form: Any) -> Program | None:
        """Make a program for all numbers of a form, if that is worth while."""
        # The second time, and the first where XLA compiles for seconds.
        is_wanted = wanted.model.jit_compile or any(k[:2] == form for k in self._kept)
        if not is_wanted or hash(form) in self._rigid:
            return None
        try:
            return self._made(wanted, form, given=True)
        except RefusedError:
            self._rigid.add(hash(form))
            return None

    def _made(self, wanted: _Wanted, form: Any, *, given: bool = False) -> Program:
        """Trace another model of the kind, or else the model itself."""
        if hash(form) not in self._apart:
            program = self._of_another(wanted, given=given)
            if program is not None and program.shareable:
                return program
            if program is not None:
                self._apart.add(hash(form))
        return self._traced(wanted.model, wanted.description, wanted, given=given)

    def _of_another(self, wanted: _Wanted, *, given: bool) -> Program | None:
        if wanted.build is None:
            return None
        template = unused(wanted.build)
        if wanted.model.optimizer.built:
            with refusing():
                make_ready(template, wanted.rows)
        description = describe(template)
        # A model may have been changed since it was built; then it goes alone.
        if description != wanted.description:
            return None
        return self._traced(template, description, wanted, given=given)

    def _traced(
        self,
        model: keras.Model,
        description: Description,
        wanted: _Wanted,
        *,
        given: bool,
    ) -> Program:
        slots = description if given else None
        program = Program(
            model, wanted.rows, wanted.validation, slots, is_fresh=wanted.is_fresh,
            resets=wanted.resets,
        )  # fmt: skip
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
