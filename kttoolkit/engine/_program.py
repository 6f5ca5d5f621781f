"""Whole epochs of training and validation, each as one traced function."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kttoolkit.engine._call import RefusedError, Rows
from kttoolkit.engine._keras import logs_of_epoch

# Their generator belongs to the traced graph: another graph draws other numbers.
_RANDOM = {
    "RandomUniform", "RandomUniformInt", "RandomStandardNormal", "TruncatedNormal",
    "ParameterizedTruncatedNormal", "RandomShuffle", "Multinomial", "RandomGamma",
    "RandomPoisson", "RandomPoissonV2", "RandomCrop",
}  # fmt: skip
# What decides whether the last step's logs are the epoch's.
_REPORTING = ("compute_metrics", "get_metrics_result", "metrics")


class Program:
    """Trains rows of one shape with the graph of one model.

    The model's variables hold the state while an epoch runs. Another model of the
    same description lends its state (`load`) and has it back (`unload`).

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
        self._whole = bool(model.jit_compile)
        order, last = tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)
        with refusing():
            make_ready(model, rows)
            self._train = self._traced(self._train_epoch, rows, order)
            self._test: Any = None
            if validation is not None:
                self._test = self._traced(self._test_epoch, validation, last)
        self._fresh = [variable.numpy() for variable in model.optimizer.variables]

    @property
    def n_bytes(self) -> int:
        """Return how much the variables take, about."""
        variables = [*self.model.variables, *self.model.optimizer.variables]
        return sum(int(np.prod(variable.shape)) * 8 for variable in variables)

    # -- state ---

    def load(self, model: keras.Model) -> None:
        """Take a model's weights, random states and, as far as built, optimizer.

        Args:
            model: of the same description.
        """
        if model is self.model:
            return
        _copy(model.variables, self.model.variables)
        theirs, mine = model.optimizer.variables, self.model.optimizer.variables
        _copy(theirs, mine)
        rest = slice(len(theirs), None)
        for variable, value in zip(mine[rest], self._fresh[rest], strict=True):
            variable.assign(value)

    def load_rate(self, model: keras.Model) -> None:
        """Take the learning rate, which callbacks may have changed.

        Args:
            model: that was loaded.
        """
        rate = model.optimizer.learning_rate
        if model is not self.model and isinstance(rate, keras.Variable):
            self.model.optimizer.learning_rate.assign(rate.value)

    def unload(self, model: keras.Model) -> None:
        """Give a model its state back, the optimizer's as far as it is built.

        Args:
            model: that was loaded.
        """
        if model is self.model:
            return
        _copy(self.model.variables, model.variables)
        _copy(self.model.metrics_variables, model.metrics_variables)
        _copy(self.model.optimizer.variables, model.optimizer.variables)

    def unload_optimizer(self, model: keras.Model) -> None:
        """Make the optimizer's slots and give them their state.

        Args:
            model: that was loaded; its learning rate stays.
        """
        _build_optimizer(model)
        self.load_rate(model)
        if model is not self.model:
            _copy(self.model.optimizer.variables, model.optimizer.variables)

    # -- epochs ---

    def train(self, rows: Rows, order: np.ndarray) -> Any:
        """Train one epoch.

        Args:
            rows: the rows.
            order: row numbers in the order to take them, of shape (n_rows,).

        Returns:
            What the metrics, or the last step, report.
        """
        return self._train(rows.tensors, tf.constant(order), self._size(rows))

    def test(self, rows: Rows) -> Any:
        """Score rows.

        Args:
            rows: the rows.

        Returns:
            What the metrics, or the last step, report.
        """
        n = rows.n_samples
        if rows.steps is not None:
            n = min(n, rows.steps * rows.batch_size)
        last = n if self._whole else tf.constant(n)
        return self._test(rows.tensors, last, self._size(rows))

    def _size(self, rows: Rows) -> Any:
        return rows.batch_size if self._whole else tf.constant(rows.batch_size)

    def _train_epoch(self, tensors: Any, order: tf.Tensor, batch_size: Any) -> Any:
        def batch(start: Any, size: Any) -> Any:
            taken = tf.slice(order, [start], [size])
            return keras.tree.map_structure(lambda t: tf.gather(t, taken), tensors)

        n = order.shape[0] if self._whole else tf.size(order)
        return self._epoch(self.model.train_step, "train_step", batch, n, batch_size)

    def _test_epoch(self, tensors: Any, n: Any, batch_size: Any) -> Any:
        def batch(start: Any, size: Any) -> Any:
            def cut(tensor: tf.Tensor) -> tf.Tensor:
                if not self._whole:
                    return tensor[start : start + size]
                # A slice whose size is a number, which XLA wants.
                inner = tensor.shape[1:]
                return tf.slice(tensor, [start, *[0] * len(inner)], [size, *inner])

            return keras.tree.map_structure(cut, tensors)

        return self._epoch(self.model.test_step, "test_step", batch, n, batch_size)

    def _epoch(
        self, step: Callable[[Any], Any], name: str, batch: Any, n: Any, batch_size: Any
    ) -> Any:
        self.traces += 1
        self.model.reset_metrics()
        apart = self._n_behind_loop(name, n, batch_size)
        n_loop = n - apart

        def body(start: tf.Tensor) -> list[tf.Tensor]:
            size = batch_size if self._whole else tf.minimum(batch_size, n_loop - start)
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
            return n % batch_size if self._whole else 0
        return (n - 1) % batch_size + 1

    def _traced(self, epoch: Callable[..., Any], rows: Rows, second: Any) -> Any:
        if self._whole:
            function = tf.function(epoch, autograph=False, jit_compile=True)
            # XLA compiles for shapes; these are those of the first fold.
            n = rows.n_samples
            example = n if second.shape.rank == 0 else tf.zeros([n], tf.int32)
            self._check(
                function.get_concrete_function(rows.tensors, example, rows.batch_size)
            )
            return function
        size = tf.TensorSpec([], tf.int32)
        function = tf.function(
            epoch, autograph=False, input_signature=[rows.spec(), second, size]
        )
        concrete = function.get_concrete_function()
        self._check(concrete)
        return concrete

    def _check(self, concrete: Any) -> None:
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
        model = self.model
        known = [*model.variables, *model.metrics_variables, *model.optimizer.variables]
        handles = {id(variable.value.handle) for variable in known}
        self.shareable = self.shareable and all(
            id(tensor) in handles
            for tensor in concrete.captured_inputs
            if tensor.dtype == tf.resource
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


def _copy(sources: Iterable[Any], targets: Iterable[Any]) -> None:
    for source, target in zip(sources, targets, strict=False):
        target.assign(source.value)


def _build_optimizer(model: keras.Model) -> None:
    # Some, LossScaleOptimizer for one, would make their variables twice.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
