"""An epoch of training or of scoring as one traced function."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from kttoolkit.engine._counts import Counts, can_count_later
from kttoolkit.engine._describe import Description
from kttoolkit.engine._executor import executor_for
from kttoolkit.engine._keras import is_own, logs_of_epoch
from kttoolkit.engine._numbers import standing_in
from kttoolkit.engine._rows import Rows
from kttoolkit.engine._tensorflow import POOL, trace

Step = Callable[[Any], Any]
Wrapper = Callable[[Step], AbstractContextManager[Step]]
# What decides whether the last step's logs are the epoch's.
_REPORTING = ("compute_metrics", "get_metrics_result", "metrics")


@dataclass(frozen=True)
class Shape:
    """What an epoch is traced for; epochs of the same shape share a graph.

    Attributes:
        step: "train_step" or "test_step".
        executor: what is to run it.
        sizes: numbers of rows, of a batch's rows, and shapes of the tensors, where
            XLA compiles for them; None where rows come in any number.
        counts_later: whether metrics that count wait for the end of the epoch.
        resets: whether it begins with new metrics.
        is_even: under XLA, whether `model.fit` would know the rows of a batch.
    """

    step: str
    executor: str
    sizes: tuple[Any, ...] | None
    counts_later: bool = False
    resets: bool = True
    is_even: bool = True

    @classmethod
    def of(cls, model: keras.Model, step: str, rows: Rows, n: int) -> "Shape":
        """Describe an epoch.

        Args:
            model: built and compiled.
            step: "train_step" or "test_step".
            rows: what it is about.
            n: how many rows it takes.

        Returns:
            The shape.
        """
        if model.jit_compile:
            sizes = (n, rows.batch_size, *rows.shapes)
            return cls(step, POOL, sizes, is_even=rows.is_even)
        waits = not is_own(model, step, *_REPORTING) and can_count_later(model, n)
        return cls(step, executor_for(model, rows.batch_size), None, waits)


def takes_no_rows(model: keras.Model, shape: Shape) -> bool:
    """Tell whether a graph traced for this may be given no rows at all.

    Args:
        model: its step is traced.
        shape: what for.

    Returns:
        Whether all batches are taken in a loop.
    """
    return shape.sizes is None and not is_own(model, shape.step, *_REPORTING)


def trace_epoch(
    model: keras.Model,
    shape: Shape,
    rows: Rows,
    description: Description,
    wrapped: Wrapper = nullcontext,
) -> tuple[Any, str]:
    """Trace an epoch.

    Args:
        model: its step is traced.
        shape: what for.
        rows: an example.
        description: whose numbers the graph is given, if it has any; else they are
            burnt in.
        wrapped: step -> context that gives the step to take while it lasts.

    Returns:
        A `ConcreteFunction` of tensors, row numbers, numbers and, unless sizes are
        given, the batch size, and the executor to run it. It returns what the metrics,
        or the last step, report.
    """
    slots, examples = description.slots, description.numbers

    def epoch(
        tensors: Any, order: tf.Tensor, numbers: tf.Tensor, batch_size: Any
    ) -> Any:
        with standing_in(slots, numbers, examples):
            if shape.resets:
                model.reset_metrics()
            with wrapped(getattr(model, shape.step)) as step:
                if is_own(model, shape.step) and shape.executor == POOL:
                    # Traced once for the loop and for what follows it; one thread
                    # would take no calls.
                    step = tf.function(step, autograph=False)
                return _epoch(model, step, shape, tensors, order, batch_size)

    numbers = tf.TensorSpec([len(slots)], tf.float64)
    if shape.sizes is None:
        order, size = tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)
        return trace(epoch, shape.executor, rows.spec(), order, numbers, size)
    exact = keras.tree.map_structure(tf.TensorSpec.from_tensor, rows.tensors)
    order = tf.TensorSpec([shape.sizes[0]], tf.int32)
    args = (exact, order, numbers, rows.batch_size)
    return trace(epoch, shape.executor, *args, xla=True)


def _epoch(
    model: keras.Model,
    step: Step,
    shape: Shape,
    tensors: Any,
    order: tf.Tensor,
    batch_size: Any,
) -> Any:
    is_exact = shape.sizes is not None
    n = order.shape[0] if is_exact else tf.size(order)
    apart = _n_behind_loop(model, shape, n, batch_size)
    n_loop = n - apart
    counts = Counts(model if shape.counts_later else None)

    def batch(start: Any, size: Any) -> Any:
        taken = tf.slice(order, [start], [size])
        if not shape.is_even:
            taken = tf.compat.v1.placeholder_with_default(taken, [None])
        return keras.tree.map_structure(lambda t: tf.gather(t, taken), tensors)

    def body(start: tf.Tensor, *kept: Any) -> list[Any]:
        size = batch_size if is_exact else tf.minimum(batch_size, n_loop - start)
        rows = batch(start, size)
        return [
            start + batch_size,
            *counts.after(step, rows, start // batch_size, kept),
        ]

    kept: list[Any] = []
    if not is_exact or n_loop:
        begin = [0, *counts.nothing((n_loop + batch_size - 1) // batch_size)]
        _, *kept = tf.while_loop(
            lambda start, *_: start < n_loop, body, begin, parallel_iterations=1
        )
    if kept:
        counts.catch_up(batch(0, n_loop), kept)
    if isinstance(apart, int) and apart == 0:
        return model.get_metrics_result()
    return logs_of_epoch(model, step(batch(n_loop, apart)))


def _n_behind_loop(model: keras.Model, shape: Shape, n: Any, batch_size: Any) -> Any:
    # XLA wants one shape for all batches of a loop. A model with steps of its own
    # reports what its last step returned, which a loop could not hand out.
    if takes_no_rows(model, shape):
        return 0
    reports = is_own(model, shape.step, *_REPORTING)
    return (n - 1) % batch_size + 1 if reports else n % batch_size
