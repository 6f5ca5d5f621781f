"""Numbers that a traced graph is given when it runs, in place of burnt-in ones.

A momentum, a dropout rate or the factor of a penalty is a Python number, which tracing
turns into a constant. While a graph is traced for many such numbers, a `Number` stands
in for each. It calculates as Python does, in double precision, and is rounded where it
meets a tensor, so that the graph computes the same to the bit. XLA inverts a constant
divisor, and adds up in an order of its own: there the last digit may differ.
"""

import contextlib
import math
import numbers
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

_SCHEDULES = keras.optimizers.schedules
_OF_ANY_OPTIMIZER = {"weight_decay", "clipnorm", "clipvalue", "global_clipnorm"}
_OF_ADAM = {"beta_1", "beta_2", "epsilon"}
# Keras's classes and those of their attributes which its code only calculates with.
# TensorFlow simplifies some constants so that they round otherwise than numbers that
# are given: the epsilon of RMSprop, divisors of some schedules, powers. Those are not
# here. Each that is was compared, with values drawn at random (tests/test_numbers.py).
ATTRIBUTES: Mapping[type, frozenset[str]] = {
    **{
        getattr(keras.optimizers, name): frozenset(_OF_ANY_OPTIMIZER | own)
        for name, own in {
            "Adam": _OF_ADAM, "AdamW": _OF_ADAM, "Nadam": _OF_ADAM, "Adamax": _OF_ADAM,
            "Lamb": _OF_ADAM, "Lion": {"beta_1", "beta_2"}, "SGD": {"momentum"},
            "RMSprop": {"rho", "momentum"}, "Adadelta": {"rho", "epsilon"},
            "Adagrad": {"epsilon"}, "Ftrl": set(),
        }.items()
    },
    _SCHEDULES.ExponentialDecay: frozenset({"initial_learning_rate", "decay_rate"}),
    _SCHEDULES.InverseTimeDecay: frozenset({"initial_learning_rate"}),
    _SCHEDULES.PolynomialDecay: frozenset(
        {"initial_learning_rate", "decay_steps", "end_learning_rate"}
    ),
    _SCHEDULES.CosineDecay: frozenset({
        "initial_learning_rate", "decay_steps", "alpha", "warmup_steps",
        "warmup_target",
    }),
    keras.regularizers.L1: frozenset({"l1"}),
    keras.regularizers.L2: frozenset({"l2"}),
    keras.regularizers.L1L2: frozenset({"l1", "l2"}),
    keras.layers.Dropout: frozenset({"rate"}),
    keras.layers.SpatialDropout1D: frozenset({"rate"}),
    keras.layers.SpatialDropout2D: frozenset({"rate"}),
    keras.layers.GaussianNoise: frozenset({"stddev"}),
    keras.constraints.MaxNorm: frozenset({"max_value"}),
}  # fmt: skip


def number_in(holder: Any, name: str, value: Any) -> float | None:
    """Return an attribute as a number that a graph may be given, if it is one.

    Args:
        holder: any object.
        name: of its attribute.
        value: of its attribute.

    Returns:
        The number, or None where it has to be burnt in.

    Example:
        >>> import keras
        >>> number_in(keras.layers.Dropout(0.5), "rate", 0.5)
        0.5
    """
    if name not in ATTRIBUTES.get(type(holder), ()):
        return None
    if isinstance(value, tf.Tensor) and value.dtype == tf.float32:
        value = float(value)  # L1 keeps its factor so.
    is_counted = isinstance(holder, _SCHEDULES.LearningRateSchedule)
    if type(value) is not float and not (type(value) is int and is_counted):
        return None
    return float(value) if math.isfinite(value) else None


def kind_of(value: float) -> tuple[bool, ...]:
    """Say what Keras may ask of a number: how it compares with 0 and with 1.

    Args:
        value: finite.

    Returns:
        Equal for numbers that may take each other's place in a graph.
    """
    return value < 0, value == 0, value == 1, value > 1


@contextlib.contextmanager
def standing_in(
    slots: Sequence[tuple[Any, str]], values: tf.Tensor, examples: Sequence[float]
) -> Iterator[None]:
    """Let numbers of the graph's stand in for attributes while it is traced.

    Args:
        slots: objects and names of their attributes.
        values: float64, of shape (n_slots,), in the graph.
        examples: numbers of the same kinds.

    Yields:
        Nothing, while they do.
    """
    held = [vars(holder)[name] for holder, name in slots]
    try:
        for i, (holder, name) in enumerate(slots):
            vars(holder)[name] = Number(values[i], examples[i], is_given=True)
        yield
    finally:
        for (holder, name), value in zip(slots, held, strict=True):
            vars(holder)[name] = value


class Number:
    """A number of Python's whose value is known when the graph runs.

    What cannot be done without the value raises a TypeError: the graph is traced for
    one value then.

    Args:
        tensor: float64, of shape ().
        example: a value that is calculated along with it.
        is_given: whether all values are of the example's kind (`kind_of`).
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, tensor: tf.Tensor, example: float, *, is_given: bool = False
    ) -> None:
        self._tensor = tensor
        self._example = example
        self._is_given = is_given
        self._rounded: dict[tf.DType, tf.Tensor] = {}

    def rounded(self, dtype: tf.DType) -> tf.Tensor:
        """Return the tensor that Python's number would become.

        Args:
            dtype: of the tensor, floating.

        Returns:
            A tensor of shape ().

        Raises:
            TypeError: if the dtype is another one.
        """
        if not dtype.is_floating:
            raise TypeError(f"a number that is not known yet is no {dtype.name}")
        if dtype not in self._rounded:
            # Outside of the loop that asks for it.
            with self._tensor.graph.as_default():
                self._rounded[dtype] = tf.cast(self._tensor, dtype)
        return self._rounded[dtype]

    def _with(self, other: Any, function: Callable[[Any, Any], Any]) -> Any:
        if isinstance(other, Number):
            tensor, example = other._tensor, other._example  # noqa: SLF001
        elif type(other) in {int, float}:
            tensor = example = float(other)
        else:
            return NotImplemented
        with self._tensor.graph.as_default():
            found = function(self._tensor, tensor)
        return Number(found, function(self._example, example))

    def _compare(self, other: Any, function: Callable[[Any, Any], bool]) -> bool:
        if not self._is_given or type(other) not in {int, float} or other not in {0, 1}:
            raise TypeError("a number that is not known yet compares with 0 and 1 only")
        return function(self._example, other)

    def __add__(self, other: Any) -> Any:
        return self._with(other, operator.add)

    def __radd__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b + a)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, operator.sub)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, operator.mul)

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b * a)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, operator.truediv)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b / a)

    def __neg__(self) -> Any:
        return self._with(-1.0, operator.mul)

    def __eq__(self, other: object) -> bool:
        return self._compare(other, operator.eq)

    def __ne__(self, other: object) -> bool:
        return self._compare(other, operator.ne)

    def __lt__(self, other: Any) -> bool:
        return self._compare(other, operator.lt)

    def __le__(self, other: Any) -> bool:
        return self._compare(other, operator.le)

    def __gt__(self, other: Any) -> bool:
        return self._compare(other, operator.gt)

    def __ge__(self, other: Any) -> bool:
        return self._compare(other, operator.ge)

    def __bool__(self) -> bool:
        return self._compare(0, operator.ne)


def _as_tensor(
    value: Number,
    dtype: Any = None,
    name: str | None = None,
    as_ref: bool = False,  # noqa: FBT001, FBT002
) -> tf.Tensor:
    del name, as_ref
    # Python's numbers become float32 where nothing else is asked for.
    return value.rounded(tf.float32 if dtype is None else tf.as_dtype(dtype))


# TensorFlow treats some numbers otherwise than tensors.
numbers.Real.register(Number)
tf.register_tensor_conversion_function(Number, _as_tensor)
