"""The limit: the steps of a small network written by hand for XLA, without Keras."""

import itertools
from typing import Any

import numpy as np
import tensorflow as tf


class Network:
    """A multilayer perceptron and Adam, in TensorFlow's operations alone.

    Args:
        sizes: inputs, hidden layers, outputs.
        task: "classification" or "regression"; one output and "classification" is
            two classes.
        batch_size: rows a step.
    """

    def __init__(self, sizes: list[int], task: str, batch_size: int = 32) -> None:
        self.sizes = sizes
        self.task = task
        self.batch_size = batch_size
        shapes = [s for pair in itertools.pairwise(sizes) for s in (pair, pair[1:])]
        self.weights, self._first, self._second = (
            [tf.Variable(tf.zeros(s)) for s in shapes] for _ in range(3)
        )
        self._steps = tf.Variable(0.0)
        self._epoch = tf.function(self._train, jit_compile=True, autograph=False)
        self._score = tf.function(self._loss, jit_compile=True, autograph=False)

    def reset(self, seed: int) -> None:
        """Draw new weights (Glorot's uniform law) and forget the moments."""
        rng = np.random.default_rng(seed)
        for weight in self.weights:
            limit = np.sqrt(6 / sum(weight.shape)) if weight.shape.rank == 2 else 0
            weight.assign(rng.uniform(-limit, limit, weight.shape).astype("float32"))
        for variable in (*self._first, *self._second, self._steps):
            variable.assign(tf.zeros_like(variable))

    def train(self, x: tf.Tensor, y: tf.Tensor, order: tf.Tensor, rate: float) -> None:
        """Train one epoch on rows in this order."""
        self._epoch(x, y, order, tf.constant(rate))

    def score(self, x: tf.Tensor, y: tf.Tensor) -> float:
        """Return the mean loss of rows."""
        return float(self._score(x, y))

    def _loss(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        h = x
        for i in range(0, len(self.weights), 2):
            h = tf.matmul(h, self.weights[i]) + self.weights[i + 1]
            h = tf.nn.relu(h) if i + 2 < len(self.weights) else h
        if self.task == "regression":
            return tf.reduce_mean((h[:, 0] - y) ** 2)
        if self.sizes[-1] == 1:
            targets = tf.cast(y, tf.float32)[:, None]
            losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, h)
        else:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, h)
        return tf.reduce_mean(losses)

    def _step(self, x: tf.Tensor, y: tf.Tensor, rate: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            loss = self._loss(x, y)
        gradients = tape.gradient(loss, self.weights)
        self._steps.assign_add(1.0)
        n = self._steps
        rate *= tf.sqrt(1 - 0.999**n) / (1 - 0.9**n)
        slots = zip(self.weights, self._first, self._second, gradients, strict=True)
        for w, m, v, g in slots:
            m.assign_add((g - m) * 0.1)
            v.assign_add((g * g - v) * 0.001)
            w.assign_sub(rate * m / (tf.sqrt(v) + 1e-7))

    def _train(self, x: Any, y: Any, order: Any, rate: tf.Tensor) -> None:
        size = self.batch_size
        n_full = order.shape[0] // size * size

        def body(start: tf.Tensor) -> list[tf.Tensor]:
            taken = tf.slice(order, [start], [size])
            self._step(tf.gather(x, taken), tf.gather(y, taken), rate)
            return [start + size]

        tf.while_loop(lambda start: start < n_full, body, [0])
        rest = order[n_full:]
        if order.shape[0] > n_full:
            self._step(tf.gather(x, rest), tf.gather(y, rest), rate)
