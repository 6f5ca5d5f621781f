"""Metrics that count, brought up to date once an epoch in place of once a batch.

An accuracy takes 17 operations and an AUC 40, in every batch, which is a tenth of a
small network's step or more. What they add up are whole numbers, and sums of those are
the same in any order. So predictions are kept for an epoch, and counted at its end.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from kttoolkit.engine._keras import compiled_metrics

# 16 MB of predictions; float32 counts without rounding up to 2**24.
_MAX_KEPT = 1 << 22
_M = keras.metrics
# What is one outcome a row, and so no fraction: for one target and one prediction, for
# one target and a row of predictions, for a row of each.
_OF_VALUES = (_M.Accuracy, _M.BinaryAccuracy)
_OF_CLASSES = (_M.SparseCategoricalAccuracy, _M.SparseTopKCategoricalAccuracy)
_OF_ROWS = (_M.CategoricalAccuracy, _M.TopKCategoricalAccuracy)
_OF_ALL = (
    _M.TruePositives, _M.TrueNegatives, _M.FalsePositives, _M.FalseNegatives,
    _M.Precision, _M.Recall, _M.SensitivityAtSpecificity, _M.SpecificityAtSensitivity,
    _M.PrecisionAtRecall, _M.RecallAtPrecision, _M.AUC,
)  # fmt: skip


def can_count_later(model: keras.Model, n: int) -> bool:
    """Tell whether there are counts that can wait for the end of an epoch.

    Args:
        model: built and compiled.
        n: rows of the epoch.

    Returns:
        Whether there are, and the predictions of all rows take little room.
    """
    outputs = _outputs(model)
    if not all(spec.shape[1:].is_fully_defined() for spec in outputs):
        return False
    size = n * sum(spec.shape[1:].num_elements() for spec in outputs)
    return 0 < size <= _MAX_KEPT and bool(_counting(model))


class _Call(NamedTuple):
    """An update that was put off.

    Attributes:
        metric: whose.
        target: which of the tensors of rows holds the targets.
        output: which of the kept predictions they go with.
    """

    metric: keras.metrics.Metric
    target: int
    output: int


class Counts:
    """What is counted at the end of the epoch that is traced here.

    Args:
        model: built and compiled; None counts nothing later.
    """

    def __init__(self, model: keras.Model | None) -> None:
        self._metrics = [] if model is None else _counting(model)
        self._outputs = [] if model is None else _outputs(model)
        self._calls: list[_Call] = []

    def nothing(self, n_batches: Any) -> list[tf.TensorArray]:
        """Make room for predictions, and keep none yet.

        Args:
            n_batches: of the epoch.

        Returns:
            An array for each output, to hand on from batch to batch.
        """
        return [
            tf.TensorArray(
                spec.dtype, n_batches, element_shape=spec.shape, infer_shape=False
            )
            for spec in self._outputs
        ]

    def after(
        self, step: Callable[[Any], Any], rows: Any, i: Any, kept: Sequence[Any]
    ) -> list[Any]:
        """Take a step, and keep what is to be counted later.

        Args:
            step: takes a batch, and brings metrics up to date.
            rows: the batch.
            i: its number.
            kept: what there was before.

        Returns:
            What there is now.
        """
        self._calls = []
        predicted: list[Any] = [None] * len(kept)
        with ExitStack() as stack:
            for metric in self._metrics:
                calls = self._putting_off(metric, keras.tree.flatten(rows), predicted)
                stack.enter_context(calls)
            step(rows)
        return [
            array if values is None else array.write(i, values)
            for array, values in zip(kept, predicted, strict=True)
        ]

    def catch_up(self, rows: Any, kept: Sequence[Any]) -> None:
        """Count what was put off.

        Args:
            rows: all rows of the epoch.
            kept: what there is of them.
        """
        given = keras.tree.flatten(rows)
        predicted = {call.output: kept[call.output].concat() for call in self._calls}
        for metric, target, output in self._calls:
            metric.update_state(given[target], predicted[output])

    @contextmanager
    def _putting_off(
        self, metric: keras.metrics.Metric, given: list[Any], predicted: list[Any]
    ) -> Iterator[None]:
        def update(y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            target = _place(y_true, given)
            output = self._room(y_pred, predicted)
            is_plain = sample_weight is None and _is_whole(metric, y_true, y_pred)
            if target is not None and output is not None and is_plain:
                predicted[output] = y_pred
                self._calls.append(_Call(metric, target, output))
            else:
                type(metric).update_state(metric, y_true, y_pred, sample_weight)

        vars(metric)["update_state"] = update
        try:
            yield
        finally:
            del vars(metric)["update_state"]

    def _room(self, values: Any, predicted: Sequence[Any]) -> int | None:
        """Find which output this is, or a free one that looks like it."""
        held = _place(values, predicted)
        if held is not None or getattr(values, "_keras_mask", None) is not None:
            return held
        pairs = enumerate(zip(predicted, self._outputs, strict=True))
        free = (
            i for i, (other, spec) in pairs if other is None and _fits(values, spec)
        )
        return next(free, None)


def _counting(model: keras.Model) -> list[keras.metrics.Metric]:
    known = {*_OF_VALUES, *_OF_CLASSES, *_OF_ROWS, *_OF_ALL}
    return [
        metric
        for metric in compiled_metrics(model)
        if type(metric) in known
        and metric.dtype == "float32"
        # A float's last digit may depend on its place in a tensor.
        and not getattr(metric, "_from_logits", False)
        and getattr(metric, "label_weights", None) is None
        and "update_state" not in vars(metric)
    ]


def _outputs(model: keras.Model) -> list[tf.TensorSpec]:
    """Describe what a model predicts; subclasses do not tell."""
    outputs = getattr(model, "outputs", None) or []
    return [tf.TensorSpec([None, *out.shape[1:]], out.dtype) for out in outputs]


def _is_whole(metric: keras.metrics.Metric, y_true: Any, y_pred: Any) -> bool:
    """Tell whether a metric adds up whole numbers alone."""
    if type(metric) in _OF_ALL:
        return True
    if type(metric) in _OF_ROWS:
        return y_true.shape.rank == y_pred.shape.rank == 2
    if type(metric) in _OF_CLASSES:
        return _is_one(y_true) and y_pred.shape.rank == 2
    return _is_one(y_true) and _is_one(y_pred)


def _is_one(values: tf.Tensor) -> bool:
    return values.shape[1:].num_elements() == 1


def _place(tensor: Any, tensors: Sequence[Any]) -> int | None:
    return next((i for i, other in enumerate(tensors) if other is tensor), None)


def _fits(values: Any, spec: tf.TensorSpec) -> bool:
    same = values.dtype == spec.dtype and values.shape[1:] == spec.shape[1:]
    return same and values.graph is tf.compat.v1.get_default_graph()
