"""The arguments of `fit`, as the compiled engine takes them."""

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from kttoolkit.engine._rows import Rows

_DEFAULT_BATCH = 32
_LARGEST_ITEM = 8
# Places of rows are counted in 32 bits; no larger batch is another one.
_LARGEST_BATCH = 2**30
# What TensorFlow says where an array that is copied to a GPU finds no room there.
_NO_ROOM_FOR_A_COPY = "Dst tensor is not initialized"
_ROWS = ("x", "y", "sample_weight", "validation_data")


class RefusedError(Exception):
    """Says why the compiled engine leaves a training to `model.fit`."""


class TooLargeError(RefusedError):
    """Says that the rows do not fit into the device's memory."""

    def __init__(self) -> None:
        super().__init__("the data do not fit into the device's memory")


class DrawsError(RefusedError):
    """Says that Python's or NumPy's random numbers are drawn in tracing."""

    def __init__(self) -> None:
        super().__init__(
            "it draws numbers of Python's or NumPy's random when it is traced, which "
            "model.fit does for every model anew"
        )


@dataclass(frozen=True)
class FitCall:
    """One call of `keras.Model.fit`, every argument by its name.

    Attributes:
        given: the arguments as they came, for handing them on.
        values: the same with defaults filled in.
    """

    given: tuple[tuple[Any, ...], Mapping[str, Any]]
    values: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> "FitCall":
        """Bind arguments to the names that `keras.Model.fit` has for them.

        Args:
            args: those by position, behind the model.
            kwargs: those by name.

        Returns:
            The call.

        Raises:
            RefusedError: if they do not fit; Keras then says what is wrong.
        """
        try:
            bound = inspect.signature(keras.Model.fit).bind(None, *args, **kwargs)
        except TypeError as error:
            raise RefusedError(f"the arguments of fit are wrong: {error}") from error
        bound.apply_defaults()
        return cls((args, kwargs), bound.arguments)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def callbacks(self) -> list[keras.callbacks.Callback]:
        """Return the callbacks in one flat list."""
        return [] if not self.values["callbacks"] else self._flat_callbacks()

    def _flat_callbacks(self) -> list[keras.callbacks.Callback]:
        given = self.values["callbacks"]
        if isinstance(given, keras.callbacks.CallbackList):
            raise RefusedError("callbacks come as a CallbackList of their own")
        flat: list[keras.callbacks.Callback] = keras.tree.flatten(given)
        return flat


def training_rows(call: FitCall) -> Rows:
    """Put the rows to train on onto the device.

    Args:
        call: the arguments of `fit`.

    Returns:
        The rows.

    Raises:
        RefusedError: if they are not arrays, or do not go together.
    """
    x, y, weight = call.x, call.y, call.sample_weight
    if call.validation_split and call.validation_data is None:
        x, y, weight = _split(call, first=True)
    if call.class_weight is not None:
        if weight is not None or keras.tree.is_nested(y) or y is None:
            raise RefusedError("class_weight needs one output and no sample_weight")
        weight = _weight_of_classes(y, call.class_weight)
    return _as_rows(x, y, weight, call.batch_size, call.steps_per_epoch)


def validation_rows(call: FitCall) -> Rows | None:
    """Put the rows to score on onto the device.

    Args:
        call: the arguments of `fit`.

    Returns:
        The rows, or None where nothing is to be scored.

    Raises:
        RefusedError: if they are not arrays, or do not go together.
    """
    if call.validation_data is not None:
        if not isinstance(call.validation_data, tuple | list):
            kind = type(call.validation_data).__name__
            raise RefusedError(f"validation_data is a {kind}, not arrays")
        parts = keras.utils.unpack_x_y_sample_weight(call.validation_data)
    elif call.validation_split:
        parts = _split(call, first=False)
    else:
        return None
    batch_size = call.validation_batch_size or call.batch_size
    x, y, weight = parts
    rows = _as_rows(x, y, weight, batch_size, call.validation_steps)
    if rows.steps is not None and rows.steps > rows.n_batches:
        raise RefusedError("validation_steps is more than the rows make")
    return rows


def _as_rows(x: Any, y: Any, weight: Any, batch_size: Any, steps: Any) -> Rows:
    if weight is not None and keras.tree.is_nested(y):
        if not keras.tree.is_nested(weight):
            weight = keras.tree.map_structure(lambda _: weight, y)
        elif not _same_structure(y, weight):
            raise RefusedError("sample_weight has not the structure of y")
    _check_whole("batch_size", batch_size)
    _check_whole("the number of steps", steps)
    packed = keras.utils.pack_x_y_sample_weight(x, y, weight)
    with _refusing_what_is_too_large():
        tensors = keras.tree.map_structure(_as_tensor, packed)
        _check_finite(keras.utils.unpack_x_y_sample_weight(tensors)[0])
    # Keras counts a list of inputs as a tuple, here as in `fit`.
    tensors = keras.tree.lists_to_tuples(tensors)
    sizes = {int(tensor.shape[0]) for tensor in keras.tree.flatten(tensors)}
    if sizes == {0}:
        raise RefusedError("there are no rows")
    if len(sizes) != 1:
        raise RefusedError(f"arrays have different numbers of rows: {sorted(sizes)}")
    n = sizes.pop()
    if batch_size is None:
        batch_size = math.ceil(n / steps) if steps else _DEFAULT_BATCH
    return Rows(tensors, n, min(int(batch_size), _LARGEST_BATCH), steps)


def _check_whole(name: str, value: Any) -> None:
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if value is not None and not (is_whole and value > 0):
        raise RefusedError(f"{name}={value!r} is no whole number above 0")


def _check_finite(inputs: Any) -> None:
    """Refuse NaN, of which a ReLU makes 0 where its kernel is fused, and else NaN."""
    for tensor in keras.tree.flatten(inputs):
        is_float = tensor.dtype.is_floating
        if is_float and not tf.reduce_all(tf.math.is_finite(tensor)):
            raise RefusedError("x holds NaN or infinity")


def _same_structure(one: Any, other: Any) -> bool:
    try:
        keras.tree.assert_same_structure(one, other)
    except (ValueError, TypeError):
        return False
    return True


def _as_tensor(value: Any) -> tf.Tensor:
    """Convert as Keras does: floats to `floatx`, a Series to a column."""
    if isinstance(value, tf.Tensor) and hasattr(value, "numpy"):
        is_float = value.dtype.is_floating
        return tf.cast(value, keras.config.floatx()) if is_float else value
    if isinstance(value, pd.DataFrame | pd.Series):
        dtypes = value.dtypes if isinstance(value, pd.DataFrame) else [value.dtype]
        if not all(isinstance(dtype, np.dtype) for dtype in dtypes):
            raise RefusedError("the data hold columns of pandas' own dtypes")
        if isinstance(value, pd.DataFrame) and _any_other_float(value):
            value = value.astype(keras.config.floatx())
        column = isinstance(value, pd.Series)
        value = value.to_numpy()[:, None] if column else value.to_numpy()
    is_number = isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    if not is_number or value.dtype.itemsize > _LARGEST_ITEM:
        is_array = isinstance(value, np.ndarray)
        kind = value.dtype if is_array else type(value).__name__
        raise RefusedError(f"the data hold a {kind}, and not only arrays of numbers")
    if value.dtype.kind == "f":
        value = value.astype(keras.config.floatx(), copy=False)
    return tf.convert_to_tensor(value)


@contextmanager
def _refusing_what_is_too_large() -> Iterator[None]:
    try:
        yield
    except (tf.errors.OpError, MemoryError) as error:
        is_told = isinstance(error, tf.errors.ResourceExhaustedError | MemoryError)
        if not is_told and _NO_ROOM_FOR_A_COPY not in str(error):
            raise
        raise TooLargeError from error


def in_host_memory(
    args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Keep rows out of a GPU's memory, into which `model.fit` copies arrays whole.

    Args:
        args: of `fit`, by position.
        kwargs: of `fit`, by name.

    Returns:
        The same; arrays are tensors in the memory of the host, from where batches go
        to the GPU.
    """
    with tf.device("CPU:0"):
        rows = {name: kwargs[name] for name in _ROWS if name in kwargs}
        args, rows = keras.tree.map_structure(_as_host_tensor, (args, rows))
    return args, {**kwargs, **rows}


def _as_host_tensor(value: Any) -> Any:
    is_number = isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
    return tf.convert_to_tensor(value) if is_number else value


def _any_other_float(frame: pd.DataFrame) -> bool:
    floatx = keras.config.floatx()
    kinds = [dtype for dtype in frame.dtypes if getattr(dtype, "kind", "O") == "f"]
    return any(str(dtype) != floatx for dtype in kinds)


def _weight_of_classes(y: Any, class_weight: Mapping[int, float]) -> np.ndarray:
    """Return each row's weight of its class, 1 for a class without one."""
    labels = np.asarray(y)
    if labels.ndim > 2:
        raise RefusedError("class_weight needs one class a row")
    if labels.ndim > 1:
        one_hot = labels.shape[-1] != 1
        labels = labels.argmax(-1) if one_hot else labels.squeeze(-1)
    names, place = np.unique(np.round(labels).astype("int32"), return_inverse=True)
    weights = [class_weight.get(int(name), 1.0) for name in names]
    return np.asarray(weights, keras.config.floatx())[place]


def _split(call: FitCall, *, first: bool) -> tuple[Any, Any, Any]:
    """Cut `validation_split` off the end, as Keras does."""
    parts = (call.x, call.y, call.sample_weight)
    arrays = [part for part in keras.tree.flatten(parts) if part is not None]
    if not all(hasattr(array, "shape") and len(array.shape) for array in arrays):
        raise RefusedError("validation_split needs arrays")
    n = int(arrays[0].shape[0])
    at = math.floor(n * (1.0 - call.validation_split))
    if at in {0, n}:
        raise RefusedError("validation_split leaves one part without rows")
    cut = slice(0, at) if first else slice(at, n)

    def take(part: Any) -> Any:
        if part is None:
            return None
        return part.iloc[cut] if hasattr(part, "iloc") else part[cut]

    x, y, weight = keras.tree.map_structure(take, parts)
    return x, y, weight
