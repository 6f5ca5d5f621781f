"""Whole epochs of training and validation, each as one traced function."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kttoolkit.engine._call import RefusedError
from kttoolkit.engine._keras import logs_of_epoch
from kttoolkit.engine._rows import Rows
from kttoolkit.engine._seat import n_bytes_of, variables_of
from kttoolkit.engine._tensorflow import call_with

# Their generator belongs to the traced graph: another graph draws other numbers.
_RANDOM = {
    "RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal",
    "ParameterizedTruncatedNormal", "RandomShuffle", "Multinomial", "RandomGamma",
    "RandomPoisson", "RandomPoissonV2", "RandomCrop",
}  # fmt: skip
# What decides whether the last step's logs are the epoch's.
_REPORTING = ("compute_metrics", "get_metrics_result", "metrics")


@dataclass(frozen=True)
class _Function:
    """A traced function, and which of a model's variables it was traced with.

    Attributes:
        concrete: the traced function.
        places: for each tensor that it captured its place among the variables, or
            None for what belongs to the graph.
    """

    concrete: Any
    places: tuple[int | None, ...]

    def __call__(self, variables: Sequence[Any], *args: Any) -> Any:
        own = self.concrete.captured_inputs
        captured = [
            tensor if place is None else variables[place].handle
            for tensor, place in zip(own, self.places, strict=True)
        ]
        return call_with(self.concrete, tf.nest.flatten(args), captured)


class Program:
    """Trains rows of one shape with the graph of one model.

    The graph runs on the variables of any model of the same description (`Seat`),
    several of them at once if need be.

    Args:
        model: its `train_step` and `test_step` are traced. It belongs to the
            program, unless it is the very model that is trained.
        rows: an example of the rows to train on.
        validation: an example of those to score on, or None.

    Raises:
        RefusedError: if the model cannot be traced.
    """

    def __init__(self, model: keras.Model, rows: Rows, validation: Rows | None) -> None:
        self.model = model
        self.traces = 0
        self.shareable = True
        # XLA compiles for shapes, everything else takes rows in any number.
        self.whole = bool(model.jit_compile)
        self._checked: dict[int, _Function] = {}
        with refusing():
            make_ready(model, rows)
            self._train = self._traced(self._train_epoch, rows)
            self._test: Any = None
            if validation is not None:
                self._test = self._traced(self._test_epoch, validation)

    @property
    def n_bytes(self) -> int:
        """Return how much the variables take."""
        return n_bytes_of(variables_of(self.model))

    def train(
        self, variables: Sequence[Any], rows: Rows, order: np.ndarray
    ) -> Callable[[], Any]:
        """Prepare one epoch of training.

        Args:
            variables: as `variables_of` a model of the description gives them.
            rows: the rows.
            order: row numbers in the order to take them, of shape (n_rows,).

        Returns:
            A call that trains it, and returns what the metrics, or the last step,
            report. It may be made in any thread.
        """
        return self._prepared(self._train, variables, rows, order)

    def test(self, variables: Sequence[Any], rows: Rows) -> Callable[[], Any]:
        """Prepare the scoring of rows.

        Args:
            variables: as `variables_of` a model of the description gives them.
            rows: the rows.

        Returns:
            A call that scores them, and returns what the metrics, or the last step,
            report. It may be made in any thread.
        """
        return self._prepared(self._test, variables, rows, rows.in_order())

    def _prepared(
        self, traced: Any, variables: Sequence[Any], rows: Rows, order: np.ndarray
    ) -> Callable[[], Any]:
        args = rows.tensors, tf.constant(order)
        if not self.whole:
            size = tf.constant(rows.batch_size)
            return functools.partial(traced, variables, *args, size)
        # Traced anew only for rows of another shape.
        concrete = traced.get_concrete_function(*args, rows.batch_size)
        return functools.partial(self._placed(concrete), variables, *args)

    # -- tracing ---

    def _train_epoch(self, tensors: Any, order: tf.Tensor, batch_size: Any) -> Any:
        step = self.model.train_step
        return self._epoch(step, "train_step", tensors, order, batch_size)

    def _test_epoch(self, tensors: Any, order: tf.Tensor, batch_size: Any) -> Any:
        step = self.model.test_step
        return self._epoch(step, "test_step", tensors, order, batch_size)

    def _epoch(
        self,
        step: Callable[[Any], Any],
        name: str,
        tensors: Any,
        order: tf.Tensor,
        batch_size: Any,
    ) -> Any:
        self.traces += 1
        self.model.reset_metrics()
        n = order.shape[0] if self.whole else tf.size(order)
        apart = self._n_behind_loop(name, n, batch_size)
        n_loop = n - apart

        def batch(start: Any, size: Any) -> Any:
            taken = tf.slice(order, [start], [size])
            return keras.tree.map_structure(lambda t: tf.gather(t, taken), tensors)

        def body(start: tf.Tensor) -> list[tf.Tensor]:
            size = batch_size if self.whole else tf.minimum(batch_size, n_loop - start)
            step(batch(start, size))
            return [start + batch_size]

        tf.while_loop(lambda start: start < n_loop, body, [0], parallel_iterations=1)
        if isinstance(apart, int) and apart == 0:
            return self.model.get_metrics_result()
        return logs_of_epoch(self.model, step(batch(n_loop, apart)))

    def _n_behind_loop(self, name: str, n: Any, batch_size: Any) -> Any:
        # XLA wants one shape for all batches of a loop. A model with steps of its own
        # reports what its last step returned, which a loop could not hand out.
        if not is_own(self.model, name, *_REPORTING):
            return n % batch_size if self.whole else 0
        return (n - 1) % batch_size + 1

    def _traced(self, epoch: Callable[..., Any], rows: Rows) -> Any:
        if self.whole:
            function = tf.function(epoch, autograph=False, jit_compile=True)
            # The shapes of the first fold.
            order = tf.zeros([rows.n_samples], tf.int32)
            self._placed(
                function.get_concrete_function(rows.tensors, order, rows.batch_size)
            )
            return function
        order, size = tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)
        function = tf.function(
            epoch, autograph=False, input_signature=[rows.spec(), order, size]
        )
        return self._placed(function.get_concrete_function())

    def _placed(self, concrete: Any) -> _Function:
        if id(concrete) not in self._checked:
            _check_randomness(concrete)
            places = {id(v.handle): i for i, v in enumerate(variables_of(self.model))}
            captured = concrete.captured_inputs
            found = tuple(places.get(id(tensor)) for tensor in captured)
            self.shareable = self.shareable and not any(
                place is None and tensor.dtype == tf.resource
                for tensor, place in zip(captured, found, strict=True)
            )
            self._checked[id(concrete)] = _Function(concrete, found)
        return self._checked[id(concrete)]


def _check_randomness(concrete: Any) -> None:
    graph = concrete.graph.as_graph_def()
    nodes = itertools.chain(
        graph.node, *(function.node_def for function in graph.library.function)
    )
    drawn = {node.op for node in nodes} & _RANDOM
    if drawn:
        raise RefusedError(
            f"it draws random numbers with tf.random ({', '.join(sorted(drawn))}), "
            "whose stream belongs to one graph; keras.random has seeds of its own"
        )


@contextmanager
def refusing() -> Iterator[None]:
    """Leave a model whose graph cannot be traced to `model.fit`.

    Should the fault be the user's, `model.fit` meets it and tells it.

    Yields:
        Nothing.

    Raises:
        RefusedError: with the reason.
    """
    try:
        yield
    except RefusedError:
        raise
    except Exception as error:
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        raise RefusedError(f"its graph cannot be traced: {line}") from error


def make_ready(model: keras.Model, rows: Rows) -> None:
    """Make all variables of a model, and leave those that exist as they are.

    Args:
        model: compiled.
        rows: of the shape that it is trained on.
    """
    first = rows.first()
    # What is done in these scopes makes variables and assigns to none.
    if not model.built:
        with keras.StatelessScope():
            model(keras.utils.unpack_x_y_sample_weight(first)[0])
    if not is_own(model, "test_step"):
        held = [(variable, variable.value) for variable in model.variables]
        with keras.StatelessScope(state_mapping=held):
            model.test_step(first)
    _build_optimizer(model)


def has_plain_optimizer(model: keras.Model) -> bool:
    """Tell whether slots that are not built yet would all hold constants.

    Args:
        model: compiled.

    Returns:
        Whether another model's fresh slots may stand for this one's.
    """
    optimizer = model.optimizer
    builtin = type(optimizer).__module__.startswith("keras.")
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return builtin and not scaled and not optimizer.use_ema


def is_own(model: keras.Model, *names: str) -> bool:
    """Tell whether a model does any of this in a way of its own.

    Args:
        model: any.
        *names: attributes of `keras.Model`.

    Returns:
        Whether it or its class overrides one.
    """
    return any(
        name in vars(model)
        or getattr(type(model), name) is not getattr(keras.Model, name)
        for name in names
    )


def _build_optimizer(model: keras.Model) -> None:
    # Some, LossScaleOptimizer for one, would make their variables twice.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
