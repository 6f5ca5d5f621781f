"""All folds of a trial in one program: their weights are the rows of one matrix.

The gradient of one fold is what Keras's own layers, loss and metrics compute in a
`keras.StatelessScope`, mapped over folds by `tf.vectorized_map`. The optimizer is
Keras's own, applied to the matrix of all weights of all folds at once; that is
exact for optimizers which treat every number by itself.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kttoolkit.engine import _pfor
from kttoolkit.engine._batches import Batches
from kttoolkit.engine._call import RefusedError
from kttoolkit.engine._describe import Description
from kttoolkit.engine._donated import kept
from kttoolkit.engine._keras import number_holders
from kttoolkit.engine._numbers import standing_in
from kttoolkit.engine._optimizers import check_optimizer
from kttoolkit.engine._ready import make_ready
from kttoolkit.engine._refusals import refusing
from kttoolkit.engine._rows import Rows
from kttoolkit.engine._tensorflow import POOL, trace

# Weights, state, metrics and batch of a fold -> gradient, if any, state and metrics.
Step = Callable[[Any, Any, Any, Any], tuple[Any, Any, Any]]


class Stack:
    """Trains one model in several folds at once.

    Args:
        model: gives the graph; belongs to the stack.
        description: of the model; the graph is given its numbers.
        train: an example of the rows to train on, and of their batches.
        test: the same of those to score on.

    Raises:
        RefusedError: if this model or optimizer cannot be stacked.
    """

    def __init__(
        self,
        model: keras.Model,
        description: Description,
        train: tuple[Rows, Batches],
        test: tuple[Rows, Batches],
    ) -> None:
        self.model = model
        # The first axis of everything.
        self.n_folds = n_folds = train[1].n_folds
        self.traces = 0
        _pfor.register()
        check_optimizer(model)
        with refusing():
            make_ready(model, train[0])
        self._trainable = model.trainable_variables
        self._others = _others(model)
        self._metrics = model.metrics_variables
        if len({(v.dtype, v.constraint is None) for v in self._trainable}) != 1 or any(
            v.constraint is not None for v in self._trainable
        ):
            raise RefusedError("weights have constraints, or several dtypes")
        self._sizes = [int(np.prod(v.shape)) for v in self._trainable]
        self._rates = keras.Variable(np.zeros((n_folds, 1), "float32"), name="rates")
        # One row a fold, one column a weight.
        self._theta = keras.Variable(
            np.zeros((n_folds, sum(self._sizes))), dtype=self._trainable[0].dtype
        )
        with refusing():
            self._optimizer = self._stacked_optimizer()
        self._fresh = [v.numpy() for v in self._optimizer.variables]
        self._slots = self._stacked_slots(description)
        self._examples = description.numbers
        self._numbers = tf.constant(self._examples, tf.float64)
        model.reset_metrics()
        self._zero = [_tiled(v.value, n_folds) for v in self._metrics]
        self._state: list[tf.Tensor] = [_tiled(v.value, n_folds) for v in self._others]
        with refusing():
            self._train = self._traced(self._train_step, *train)
            self._test = self._traced(self._test_step, *test)
            if model.jit_compile:
                self._compile(train, test)

    @property
    def n_bytes(self) -> int:
        """Return how much the variables take, about."""
        return sum(int(np.prod(v.shape)) * 8 for v in self._optimizer.variables) * 2

    def _compile(self, train: tuple[Rows, Batches], test: tuple[Rows, Batches]) -> None:
        # XLA compiles in the first call, if it can.
        with kept(self._train.variables, xla=True):
            self.train(*train)
        self.test(*test)

    # -- state ---

    def load(self, models: Sequence[keras.Model], numbers: Sequence[float]) -> None:
        """Take weights and random states, and begin with a fresh optimizer.

        Args:
            models: one a fold, of the template's form.
            numbers: theirs, as their description has them.
        """
        self._numbers = tf.constant(numbers, tf.float64)
        rows = [_flat(model.trainable_variables) for model in models]
        self._theta.assign(np.stack(rows))
        others = [[v.numpy() for v in _others(model)] for model in models]
        self._state = [
            tf.constant(np.stack(parts)) for parts in zip(*others, strict=True)
        ]
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)

    def load_rates(self, models: Sequence[keras.Model]) -> None:
        """Take the learning rates, which callbacks may have changed.

        Args:
            models: one a fold.
        """
        if isinstance(self.model.optimizer.learning_rate, keras.Variable):
            rates = [[float(m.optimizer.learning_rate)] for m in models]
            self._rates.assign(rates)

    def unload(self, models: Sequence[keras.Model | None]) -> None:
        """Give models their weights back.

        Args:
            models: one a fold; None for a fold that has stopped.
        """
        theta = self._theta.numpy()
        state = [tensor.numpy() for tensor in self._state]
        iterations = self._optimizer.iterations.numpy()
        for fold, model in enumerate(models):
            if model is None:
                continue
            parts = np.split(theta[fold], np.cumsum(self._sizes)[:-1])
            for variable, part in zip(model.trainable_variables, parts, strict=True):
                variable.assign(part.reshape(variable.shape))
            for variable, tensor in zip(_others(model), state, strict=True):
                variable.assign(tensor[fold])
            model.optimizer.iterations.assign(iterations)

    # -- epochs ---

    def train(self, rows: Rows, batches: Batches) -> list[dict[str, float]]:
        """Train one epoch of every fold.

        Args:
            rows: all rows of the study.
            batches: of the kind that the stack was made for.

        Returns:
            What the metrics report, one for each fold.
        """
        return self._run(self._train, rows, batches)

    def test(self, rows: Rows, batches: Batches) -> list[dict[str, float]]:
        """Score rows of every fold.

        Args:
            rows: all rows of the study.
            batches: of the kind that the stack was made for.

        Returns:
            What the metrics report, one for each fold.
        """
        return self._run(self._test, rows, batches)

    def _run(self, epoch: Any, rows: Rows, batches: Batches) -> list[dict[str, float]]:
        given = (rows.tensors, batches.tensors, self._state, self._numbers)
        reports, self._state = epoch(*given)
        columns = {name: value.numpy() for name, value in reports.items()}
        return [
            {name: column[fold] for name, column in columns.items()}
            for fold in range(self.n_folds)
        ]

    def _traced(self, step: Step, rows: Rows, batches: Batches) -> Any:
        def epoch(tensors: Any, taken: Any, state: Any, numbers: tf.Tensor) -> Any:
            self.traces += 1
            with standing_in(self._slots, numbers, self._examples):
                return self._epoch(step, batches, tensors, taken, state)

        given = (rows.tensors, batches.tensors, self._state, self._numbers)
        specs = keras.tree.map_structure(tf.TensorSpec.from_tensor, given)
        if not self.model.jit_compile:
            # Rows and batches of any number.
            specs = (rows.spec(), [_of_any_length(s) for s in specs[1]], *specs[2:])
        concrete, _ = trace(epoch, POOL, *specs, xla=self.model.jit_compile)
        self._check_captured(concrete)
        return concrete

    def _check_captured(self, concrete: Any) -> None:
        """Refuse a graph that reads the model's variables, which stand for no fold."""
        captured = {id(tensor) for tensor in concrete.captured_inputs}
        for variable in (*self._trainable, *self._others, *self._metrics):
            if id(variable.value.handle) in captured:
                raise RefusedError(f"{variable.path} is read behind Keras's back")

    def _epoch(
        self, step: Step, batches: Batches, tensors: Any, taken: Any, state: Any
    ) -> Any:
        size, full, *last = taken
        if self.model.jit_compile:
            size = batches.size
        n_full = tf.shape(full)[1]

        def gather(rows: tf.Tensor) -> Any:
            return keras.tree.map_structure(lambda t: tf.gather(t, rows), tensors)

        def body(start: tf.Tensor, *folds: Any) -> Any:
            rows = tf.slice(full, [0, start], [self.n_folds, size])
            made = self._mapped(step, self._theta.value, *folds, gather(rows))
            return start + size, *self._settled(*made)

        folds = (state, [tf.identity(metric) for metric in self._zero])
        if full.shape[1] != 0:
            _, *folds = tf.while_loop(
                lambda start, *_: start < n_full,
                body,
                (0, *folds),
                parallel_iterations=1,
            )
        if last:
            parts = [
                self._mapped(
                    step, *_taken((self._theta.value, *folds), group), gather(rows)
                )
                for group, rows in zip(batches.groups, last, strict=True)
            ]
            folds = self._settled(*_joined(parts, batches.places))
        state, metrics = folds
        return _over_folds(self._report, metrics), state

    def _mapped(self, step: Step, *folds: Any) -> Any:
        theta = tf.identity(folds[0])
        return _over_folds(lambda parts: step(*parts), (theta, *folds[1:]))

    def _settled(self, gradients: Any, state: Any, metrics: Any) -> tuple[Any, Any]:
        if gradients is not None:
            self._optimizer.apply_gradients([(gradients, self._theta)])
        return _shaped(state, self._state), _shaped(metrics, self._zero)

    # -- one fold ---

    def _train_step(self, theta: Any, state: Any, metrics: Any, batch: Any) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        with tf.GradientTape() as tape:
            tape.watch(theta)
            weights = self._weights(theta)
            with self._scope(weights, state, metrics) as scope:
                y_pred = self.model(x, training=True)
                loss = self.model.compute_loss(x, y, y_pred, weight, training=True)
            scaled = self.model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, weights)
        with scope:
            self._measure(x, y, y_pred, weight, loss)
        return self._gradient(gradients, weights), *self._current(scope, state, metrics)

    def _gradient(self, gradients: Sequence[Any], weights: Sequence[Any]) -> tf.Tensor:
        """Return the gradient of all weights, 0 for those that have none."""
        missing = [gradient is None for gradient in gradients]
        if all(missing):
            raise RefusedError("no weight has a gradient")
        if any(missing) and self.model.optimizer.weight_decay:
            raise RefusedError("a weight that has no gradient would decay too")
        parts = [
            tf.reshape(tf.zeros_like(weight) if gradient is None else gradient, [-1])
            for gradient, weight in zip(gradients, weights, strict=True)
        ]
        return tf.concat(parts, 0)

    def _test_step(self, theta: Any, state: Any, metrics: Any, batch: Any) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        with self._scope(self._weights(theta), state, metrics) as scope:
            y_pred = self.model(x, training=False)
            loss = self.model.compute_loss(x, y, y_pred, weight, training=False)
            self._measure(x, y, y_pred, weight, loss)
        return None, *self._current(scope, state, metrics)

    def _measure(self, x: Any, y: Any, y_pred: Any, weight: Any, loss: Any) -> None:
        n = tf.shape(keras.tree.flatten(x)[0])[0]
        # The first is the mean of the loss, which compute_metrics leaves alone.
        self.model.metrics[0].update_state(loss, sample_weight=n)
        self.model.compute_metrics(x, y, y_pred, weight)

    def _report(self, metrics: Any) -> Any:
        pairs = list(zip(self._metrics, metrics, strict=True))
        with keras.StatelessScope(state_mapping=pairs):
            return self.model.get_metrics_result()

    def _weights(self, theta: Any) -> list[tf.Tensor]:
        """Cut the weights of a fold out of its row."""
        parts = tf.split(theta, self._sizes)
        return [
            tf.reshape(part, variable.shape)
            for part, variable in zip(parts, self._trainable, strict=True)
        ]

    def _scope(self, weights: Any, state: Any, metrics: Any) -> keras.StatelessScope:
        variables = [*self._trainable, *self._others, *self._metrics]
        values = [*weights, *state, *metrics]
        pairs = list(zip(variables, values, strict=True))
        return keras.StatelessScope(state_mapping=pairs, collect_losses=True)

    def _current(
        self, scope: keras.StatelessScope, state: Any, metrics: Any
    ) -> tuple[list[Any], list[Any]]:
        def values(variables: Any, before: Any) -> list[Any]:
            now = [scope.get_current_value(variable) for variable in variables]
            return [
                old if new is None else tf.cast(new, old.dtype)
                for new, old in zip(now, before, strict=True)
            ]

        return values(self._others, state), values(self._metrics, metrics)

    # -- making ---

    def _stacked_optimizer(self) -> keras.optimizers.Optimizer:
        optimizer = self.model.optimizer
        config = optimizer.get_config()
        if isinstance(optimizer.learning_rate, keras.Variable):
            config["learning_rate"] = lambda: self._rates.value
        stacked = type(optimizer).from_config(config)
        stacked.build([self._theta])
        return stacked

    def _stacked_slots(self, description: Description) -> list[tuple[Any, str]]:
        """Find where the numbers are of which the stack has a copy of its own."""
        own, copy = map(number_holders, (self.model.optimizer, self._optimizer))
        copies = {id(a): b for a, b in zip(own, copy, strict=True)}
        return [(copies.get(id(one), one), name) for one, name in description.slots]


def _others(model: keras.Model) -> list[keras.Variable]:
    trained = {id(variable) for variable in model.trainable_variables}
    return [variable for variable in model.variables if id(variable) not in trained]


def _flat(variables: Sequence[keras.Variable]) -> np.ndarray:
    return np.concatenate([variable.numpy().ravel() for variable in variables])


def _tiled(value: Any, n_folds: int) -> tf.Tensor:
    return tf.stack([tf.convert_to_tensor(value)] * n_folds)


def _of_any_length(spec: tf.TensorSpec) -> tf.TensorSpec:
    return tf.TensorSpec([*spec.shape[:1], None][: spec.shape.rank], spec.dtype)


def _shaped(tensors: Any, like: Any) -> list[tf.Tensor]:
    """Tell a loop that its variables keep their shapes."""
    return [
        tf.ensure_shape(tensor, old.shape)
        for tensor, old in zip(tensors, like, strict=True)
    ]


def _over_folds(function: Callable[[Any], Any], parts: Any) -> Any:
    # Dropout is drawn fold by fold, as in each training, which is nothing to warn of.
    return tf.vectorized_map(function, parts, warn=False)


def _taken(tensors: Any, folds: Sequence[int]) -> Any:
    return keras.tree.map_structure(lambda t: tf.gather(t, folds), tensors)


def _joined(parts: Sequence[Any], places: np.ndarray) -> Any:
    """Put what was made of groups of folds into the order of the folds."""
    return tf.nest.map_structure(
        lambda *made: (
            None if made[0] is None else tf.gather(tf.concat(made, 0), places)
        ),
        *parts,
    )
