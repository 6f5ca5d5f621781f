"""All folds of a trial in one program: their weights are the rows of one matrix.

The gradient of one fold is what Keras's own layers, loss and metrics compute in a
`keras.StatelessScope`, mapped over folds by `tf.vectorized_map`. The optimizer is
Keras's own, applied to the matrix of all weights of all folds at once; that is
exact for optimizers which treat every number by itself.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kttoolkit.engine import _pfor
from kttoolkit.engine._call import RefusedError
from kttoolkit.engine._optimizers import check_optimizer
from kttoolkit.engine._program import make_ready, refusing
from kttoolkit.engine._rows import Rows

# Layers that were compared with `model.fit`, fold by fold (tests/test_stacked.py).
_L = keras.layers
_LAYERS = (
    _L.InputLayer, _L.Dense, _L.Dropout, _L.AlphaDropout, _L.GaussianNoise,
    _L.BatchNormalization, _L.LayerNormalization, _L.Normalization, _L.Activation,
    _L.ReLU, _L.LeakyReLU, _L.ELU, _L.PReLU, _L.Softmax, _L.Flatten, _L.Reshape,
    _L.Rescaling, _L.Concatenate, _L.Add, _L.Multiply, _L.Average,
)  # fmt: skip


class Stack:
    """Trains one model in several folds at once.

    Args:
        model: gives the graph; belongs to the stack.
        n_folds: how many folds, the first axis of everything.
        rows: an example of the rows to train on.
        validation: an example of those to score on.

    Raises:
        RefusedError: if this model or optimizer cannot be stacked.
    """

    def __init__(
        self, model: keras.Model, n_folds: int, rows: Rows, validation: Rows
    ) -> None:
        self.model = model
        self.n_folds = n_folds
        self.traces = 0
        _pfor.register()
        check_optimizer(model)
        with refusing():
            make_ready(model, rows)
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
        self._optimizer = self._stacked_optimizer()
        self._fresh = [v.numpy() for v in self._optimizer.variables]
        model.reset_metrics()
        self._zero = [_tiled(v.value, n_folds) for v in self._metrics]
        self._state: list[tf.Tensor] = [_tiled(v.value, n_folds) for v in self._others]
        with refusing():
            self._train = self._traced(self._train_epoch, rows)
            self._test = self._traced(self._test_epoch, validation)

    @property
    def n_bytes(self) -> int:
        """Return how much the variables take, about."""
        return sum(int(np.prod(v.shape)) * 8 for v in self._optimizer.variables) * 2

    # -- state ---

    def load(self, models: Sequence[keras.Model]) -> None:
        """Take weights and random states, and begin with a fresh optimizer.

        Args:
            models: one a fold, of the template's description.
        """
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

    def train(self, rows: Rows, orders: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """Train one epoch of every fold.

        Args:
            rows: all rows of the study.
            orders: row numbers of each fold in the order to take them.

        Returns:
            What the metrics report, one for each fold.
        """
        return self._run(self._train, rows, orders)

    def test(self, rows: Rows, orders: Sequence[np.ndarray]) -> list[dict[str, float]]:
        """Score rows of every fold.

        Args:
            rows: all rows of the study.
            orders: row numbers of each fold.

        Returns:
            What the metrics report, one for each fold.
        """
        return self._run(self._test, rows, orders)

    def _run(
        self, epoch: Any, rows: Rows, orders: Sequence[np.ndarray]
    ) -> list[dict[str, float]]:
        size = rows.batch_size
        # The last batch may differ in size from fold to fold.
        n_full = (min(map(len, orders)) - 1) // size * size
        full = tf.constant(np.stack([order[:n_full] for order in orders]))
        rest = [order[n_full:] for order in orders]
        sizes = [len(part) for part in rest]
        padded = [np.pad(part, (0, max(sizes) - len(part))) for part in rest]
        last = tf.constant(np.stack(padded))
        batches = (full, last, tf.constant(sizes), tf.constant(size))
        reports, self._state = epoch(rows.tensors, batches, self._state)
        columns = {name: value.numpy() for name, value in reports.items()}
        return [
            {name: column[fold] for name, column in columns.items()}
            for fold in range(self.n_folds)
        ]

    def _train_epoch(self, tensors: Any, batches: Any, state: Any) -> Any:
        return self._epoch(self._train_step, tensors, batches, state, update=True)

    def _test_epoch(self, tensors: Any, batches: Any, state: Any) -> Any:
        return self._epoch(self._test_step, tensors, batches, state, update=False)

    def _epoch(
        self, step: Any, tensors: Any, batches: Any, state: Any, *, update: bool
    ) -> Any:
        self.traces += 1
        full, last, sizes, batch_size = batches

        def gather(taken: tf.Tensor) -> Any:
            return keras.tree.map_structure(lambda t: tf.gather(t, taken), tensors)

        def advance(
            gradients: tf.Tensor, state: list[tf.Tensor], metrics: list[tf.Tensor]
        ) -> Any:
            if update:
                self._optimizer.apply_gradients([(gradients, self._theta)])
            return _shaped(state, self._state), _shaped(metrics, self._zero)

        def body(start: tf.Tensor, state: Any, metrics: Any) -> Any:
            taken = full[:, start : start + batch_size]
            mapped = (tf.identity(self._theta.value), state, metrics, gather(taken))
            made = tf.vectorized_map(lambda parts: step(*parts), mapped)
            return [start + batch_size, *advance(*made)]

        def one(fold: tf.Tensor) -> Any:
            batch = gather(last[fold, : sizes[fold]])
            parts = [[s[fold] for s in part] for part in (state, metrics)]
            return step(self._theta.value[fold], *parts, batch)

        start = [tf.constant(0), state, [tf.identity(m) for m in self._zero]]
        n_full = tf.shape(full)[1]
        _, state, metrics = tf.while_loop(
            lambda start, *_: start < n_full, body, start, parallel_iterations=1
        )
        kinds = (
            self._theta.value.dtype,
            [s.dtype for s in state],
            [m.dtype for m in metrics],
        )
        made = tf.map_fn(
            one,
            tf.range(self.n_folds),
            fn_output_signature=kinds,
            parallel_iterations=1,
        )
        state, metrics = advance(*made)
        return tf.vectorized_map(self._report, metrics), state

    # -- one fold ---

    def _train_step(self, theta: Any, state: Any, metrics: Any, batch: Any) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        with tf.GradientTape() as tape:
            tape.watch(theta)
            with self._scope(theta, state, metrics) as scope:
                y_pred = self.model(x, training=True)
                loss = self.model.compute_loss(x, y, y_pred, weight, training=True)
        gradient = tape.gradient(loss, theta)
        with scope:
            self._measure(x, y, y_pred, weight, loss)
        return gradient, *self._current(scope, state, metrics)

    def _test_step(self, theta: Any, state: Any, metrics: Any, batch: Any) -> Any:
        x, y, weight = keras.utils.unpack_x_y_sample_weight(batch)
        with self._scope(theta, state, metrics) as scope:
            y_pred = self.model(x, training=False)
            loss = self.model.compute_loss(x, y, y_pred, weight, training=False)
            self._measure(x, y, y_pred, weight, loss)
        return theta, *self._current(scope, state, metrics)

    def _measure(self, x: Any, y: Any, y_pred: Any, weight: Any, loss: Any) -> None:
        n = tf.shape(keras.tree.flatten(x)[0])[0]
        # The first is the mean of the loss, which compute_metrics leaves alone.
        self.model.metrics[0].update_state(loss, sample_weight=n)
        self.model.compute_metrics(x, y, y_pred, weight)

    def _report(self, metrics: Any) -> Any:
        pairs = list(zip(self._metrics, metrics, strict=True))
        with keras.StatelessScope(state_mapping=pairs):
            return self.model.get_metrics_result()

    def _scope(self, theta: Any, state: Any, metrics: Any) -> keras.StatelessScope:
        parts = tf.split(theta, self._sizes)
        weights = [
            tf.reshape(part, variable.shape)
            for part, variable in zip(parts, self._trainable, strict=True)
        ]
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

    def _traced(self, epoch: Any, rows: Rows) -> Any:
        whole = tf.TensorSpec([self.n_folds, None], tf.int32)
        number = tf.TensorSpec([], tf.int32)
        state = [tf.TensorSpec(s.shape, s.dtype) for s in self._state]
        batches = (whole, whole, tf.TensorSpec([self.n_folds], tf.int32), number)
        signature = [rows.spec(), batches, state]
        function = tf.function(epoch, autograph=False, input_signature=signature)
        return function.get_concrete_function()


def check_layers(model: keras.Model) -> None:
    """Refuse layers that were never compared.

    Args:
        model: any.

    Raises:
        RefusedError: with the first such layer.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            check_layers(layer)
        elif type(layer) not in _LAYERS:
            kind = type(layer).__name__
            raise RefusedError(f"{kind} layers are not among those that are stacked")
        elif layer.compute_dtype != layer.variable_dtype:
            raise RefusedError("half precision rounds otherwise when it is batched")


def _others(model: keras.Model) -> list[keras.Variable]:
    trained = {id(variable) for variable in model.trainable_variables}
    return [variable for variable in model.variables if id(variable) not in trained]


def _flat(variables: Sequence[keras.Variable]) -> np.ndarray:
    return np.concatenate([variable.numpy().ravel() for variable in variables])


def _tiled(value: Any, n_folds: int) -> tf.Tensor:
    return tf.stack([tf.convert_to_tensor(value)] * n_folds)


def _shaped(tensors: Any, like: Any) -> list[tf.Tensor]:
    """Tell a loop that its variables keep their shapes."""
    return [
        tf.ensure_shape(tensor, old.shape)
        for tensor, old in zip(tensors, like, strict=True)
    ]
