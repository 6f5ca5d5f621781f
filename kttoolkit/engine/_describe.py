"""A description of a model by which two models are known to be the same program.

A traced graph has the Python state of its model burnt in: shapes, constants, closures.
Two models may use one graph only if all of that is equal. Values of variables are no
part of it, for the graph reads them when it runs. Some numbers may be given to a graph
too, so they stand apart.
"""

import enum
import functools
import hashlib
import inspect
import struct
import sys
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kttoolkit.engine._numbers import kind_of, number_in

_PLAIN = (
    type(None), bool, int, float, complex, str, bytes, slice, type(...), enum.Enum,
    np.generic, np.dtype, tf.DType, tf.TensorShape,
)  # fmt: skip
# Of these, every value is equal to itself.
_HASHED = {type(None), bool, int, str, bytes}
_FIXED = (type, types.ModuleType, types.BuiltinFunctionType, np.ufunc)
# Classes written in C that hold nothing but what is walked through.
_SEEN_THROUGH = (
    dict, list, tuple, set, frozenset, OrderedDict, np.ndarray, types.SimpleNamespace,
    object,
)  # fmt: skip
_POINTER = struct.calcsize("P")
_MADE_BY_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE
# Modules whose globals and classes are the same for every model.
_LIBRARIES = sys.stdlib_module_names | {
    "keras", "tensorflow", "numpy", "keras_tuner", "kttoolkit", "_wrappers", "wrapt",
}  # fmt: skip
# Keras lays them around the methods of every layer.
_WRAPPERS = {"build_wrapper", "quantize_wrapper"}
# State that lives in variables, or has done its work when the model is built.
_BY_TYPE = (
    keras.initializers.Initializer, keras.random.SeedGenerator, weakref.ref,
    inspect.Signature,
)  # fmt: skip
# Bookkeeping that holds addresses, or that `fit` itself writes.
_SKIPPED = {
    "_tracker", "_nodes", "_kttoolkit_programs", "_kttoolkit_traced", "fit", "history",
    "_initial_seed",
    "stop_training", "stop_evaluating", "stop_predicting",
    "train_function", "test_function", "predict_function",
    "_eval_epoch_iterator", "_initial_epoch", "_trainable_variables_indices",
    "_exclude_from_weight_decay_cache",
}  # fmt: skip
# What a layer was made with, which Keras's own look up for saving only.
_SKIPPED_IN_KERAS = _SKIPPED | {"_auto_config"}
# What loading weights sets, and building does not.
_ABSENT_OR_FALSE = {"is_gptq_calibrated", "is_awq_calibrated"}
# How values are looked into, in the order of asking; later ones ask less.
_TESTS: dict[str, Callable[[Any], bool]] = {
    "plain": lambda value: isinstance(value, _PLAIN),
    "fixed": lambda value: isinstance(value, _FIXED),
    "variable": lambda value: isinstance(value, keras.Variable),
    "array": lambda value: isinstance(value, np.ndarray | tf.Tensor),
    "by_type": lambda value: isinstance(value, _BY_TYPE),
    "mapping": lambda value: isinstance(value, Mapping),
    "sequence": lambda value: isinstance(value, list | tuple | set | frozenset),
    "same": lambda value: callable(value) and not hasattr(type(value), "__call__"),  # noqa: B004
    "function": lambda value: isinstance(value, types.FunctionType),
    "method": lambda value: isinstance(value, types.MethodType),
    "static": lambda value: isinstance(value, classmethod | staticmethod),
    "property": lambda value: isinstance(value, property),
    "partial": lambda value: isinstance(value, functools.partial),
    "attributes": lambda value: (
        hasattr(value, "__dict__") and not isinstance(value, tf.Variable)
    ),
}
_WAYS: dict[type, str] = {}
_Child = tuple[str, Any]  # where it is, and what


@dataclass(frozen=True)
class Description:
    """What a traced graph depends on, as something that can be hashed.

    Attributes:
        form: equal for what differs in numbers at most.
        numbers: that a graph may be given, each of the kind that `form` tells.
        slots: the objects that hold them, and the names of the attributes.
        is_rigid: whether numbers are no different from the rest, because code that is
            not Keras's may do anything with them, or half precision rounds them.
    """

    form: tuple[Any, ...]
    numbers: tuple[float, ...] = ()
    slots: tuple[tuple[Any, str], ...] = field(default=(), compare=False)
    is_rigid: bool = False


def describe(*values: Any) -> Description:
    """Describe models, or whatever else a traced graph depends on.

    Args:
        *values: objects to walk through.

    Returns:
        Descriptions are equal for objects whose Python state is equal. An object that
        cannot be looked into is described by itself.

    Example:
        >>> import keras
        >>> one, two = (keras.regularizers.L2(0.1) for _ in range(2))
        >>> describe(one) == describe(two)
        True
        >>> other = describe(keras.regularizers.L2(0.2))
        >>> describe(one) == other, describe(one).form == other.form
        (False, True)
    """
    walker = _Walker()
    walker.walk(*values)
    form, numbers = tuple(walker.found), tuple(walker.numbers)
    if walker.is_rigid:
        return Description((*form, numbers), is_rigid=True)
    return Description(form, numbers, tuple(walker.slots))


class _Walker:
    """Goes through an object graph once, in the order of its attributes.

    What a value holds is generated, for a deep network would take up Python's stack.
    """

    def __init__(self) -> None:
        self.found: list[Any] = []
        self.numbers: list[float] = []
        self.slots: list[tuple[Any, str]] = []
        self.is_rigid = False
        self._seen: dict[int, int] = {}
        self._kinds: set[type] = set()
        self._classes: set[type] = set()
        self._modules: set[tuple[str, ...]] = set()
        # Keeps temporary objects, whose addresses would be used again.
        self._kept: list[Any] = []

    def walk(self, *values: Any) -> None:
        """Describe values, and all that they hold."""
        inside = [iter([("", value) for value in values])]
        while inside:
            for place, child in inside[-1]:
                held = self._describe(place, child)
                if held is not None:
                    inside.append(iter(held))
                    break
            else:
                inside.pop()

    def _describe(self, place: str, value: Any) -> Iterable[_Child] | None:
        """Describe one value, and return what is inside of it."""
        kind = type(value)
        if kind in _HASHED:
            self.found.append((place, kind, value))
            return None
        way = _WAYS.get(kind) or _way_of(value)
        if way == "plain":
            # 1, 1.0 and True are equal, and not the same.
            self.found.append((place, kind, _comparable(value)))
            if getattr(value, "__dict__", None) and not isinstance(value, enum.Enum):
                return self._beside(value)
        elif way == "fixed":
            self.found.append((place, _Same(value)))
        elif id(value) in self._seen:
            self.found.append((place, "seen", self._seen[id(value)]))
        else:
            self._seen[id(value)] = len(self._seen)
            self._kept.append(value)
            self.found.append((place, kind))
            held: Iterable[_Child] = getattr(self, f"_{way}")(value)
            return held if kind in self._kinds else chain(self._class(kind), held)
        return None

    def _by_type(self, value: Any) -> Iterable[_Child]:
        """Its type says all that a graph depends on."""
        return ()

    def _same(self, value: Any) -> Iterable[_Child]:
        self.found.append(_Same(value))
        return ()

    def _array(self, value: Any) -> Iterable[_Child]:
        self.found.append(_content(value))
        is_own = isinstance(value, np.ndarray) and type(value) is not np.ndarray
        return self._attributes(value) if is_own else ()

    def _mapping(self, value: Any) -> Iterator[_Child]:
        yield from self._children(value.items())
        yield "factory", getattr(value, "default_factory", None)
        yield from self._beside(value)

    def _sequence(self, value: Any) -> Iterator[_Child]:
        yield from self._children(enumerate(value))
        yield from self._beside(value)

    def _beside(self, value: Any) -> Iterable[_Child]:
        """Describe what a container has of its own beside what it contains."""
        is_own = not _is_library(type(value).__module__)
        return self._attributes(value) if is_own else ()

    def _method(self, value: Any) -> Iterator[_Child]:
        return self._children([("self", value.__self__), ("func", value.__func__)])

    def _static(self, value: Any) -> Iterable[_Child]:
        return [("func", value.__func__)]

    def _property(self, value: Any) -> Iterator[_Child]:
        return self._children(enumerate([value.fget, value.fset]))

    def _partial(self, value: Any) -> Iterator[_Child]:
        return self._children(enumerate([value.func, value.args, value.keywords]))

    def _attributes(self, value: Any) -> Iterator[_Child]:
        kind: Any = type(value)
        if _hides_state(kind):
            self.found.append(_Same(value))
            return
        if isinstance(value, keras.DTypePolicy):
            self.is_rigid |= value.compute_dtype != "float32"
        for name, child in _state(value):
            number = number_in(value, name, child)
            if number is None:
                yield name, child
            else:
                self.found.append((name, type(child), kind_of(number)))
                self.numbers.append(number)
                self.slots.append((value, name))
        self.found.append("end")

    def _children(self, items: Iterable[tuple[Any, Any]]) -> Iterator[_Child]:
        for name, child in items:
            yield str(name) if isinstance(name, str | int) else "key", child
            if not isinstance(name, str | int):
                yield "name", name
        self.found.append("end")

    def _variable(self, value: keras.Variable) -> Iterable[_Child]:
        self.found.append((tuple(value.shape), value.dtype, value.trainable))
        return [
            ("regularizer", getattr(value, "regularizer", None)),
            ("constraint", value.constraint),
            ("overwrite", getattr(value, "overwrite_with_gradient", None)),
        ]

    def _class(self, kind: type) -> Iterator[_Child]:
        """Describe what a user's class holds: methods, and what they have to read."""
        if kind in self._kinds:
            return
        self._kinds.add(kind)
        for parent in kind.__mro__:
            if parent not in self._classes and not _is_library(parent.__module__):
                self._classes.add(parent)
                self.is_rigid = True
                yield from self._children(_own(vars(parent)))

    def _function(self, value: types.FunctionType) -> Iterator[_Child]:
        is_own = not _is_library(value.__module__)
        self.found.append(value.__code__)
        if value.__code__.co_name in _WRAPPERS and not is_own:
            return
        if is_own:
            self.is_rigid = True
            yield from self._read(value.__globals__, _names(value.__code__))
        yield "defaults", value.__defaults__
        yield "keyword defaults", value.__kwdefaults__
        for cell in value.__closure__ or ():
            yield "cell", _contents(cell)
        if is_own:
            yield from self._children(vars(value).items())

    def _read(self, holder: Mapping[str, Any], names: set[str]) -> Iterator[_Child]:
        """Describe what a function reads from its module, and `Config.rate` from it."""
        for name in sorted(names & holder.keys()):
            value = holder[name]
            yield name, value
            if isinstance(value, type):
                yield from self._class(value)
            elif isinstance(value, types.ModuleType):
                key = (value.__name__, *sorted(names))
                if not (_is_library(value.__name__) or key in self._modules):
                    self._modules.add(key)
                    yield from self._read(vars(value), names)


def _way_of(value: Any) -> str:
    """Find the method of `_Walker` for a value, once for each type of a library."""
    way = next((way for way, test in _TESTS.items() if test(value)), "same")
    kind = type(value)
    # A proxy tells another class than its own.
    if value.__class__ is kind and _is_library(kind.__module__):
        _WAYS[kind] = way
    return way


class _Same:
    """Equal to another only if both hold the very same object, which it keeps."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _state(value: Any) -> list[tuple[str, Any]]:
    skipped = _SKIPPED_IN_KERAS if _is_library(type(value).__module__) else _SKIPPED
    kind: Any = type(value)
    slots = (
        (name, getattr(value, name)) for name in _slots(kind) if hasattr(value, name)
    )
    return [
        (name, child)
        for name, child in (*getattr(value, "__dict__", {}).items(), *slots)
        if name not in skipped
        and not name.startswith("_self_")
        and not (name in _ABSENT_OR_FALSE and child is False)
    ]


@functools.lru_cache(maxsize=4096)
def _slots(kind: Any) -> tuple[str, ...]:
    """Name what instances hold outside their dictionary."""
    members = (item for parent in kind.__mro__ for item in vars(parent).items())
    return tuple(
        name for name, item in members if isinstance(item, types.MemberDescriptorType)
    )


@functools.lru_cache(maxsize=4096)
def _hides_state(kind: Any) -> bool:
    """Tell whether a class written in C keeps what Python cannot look into."""
    base = next((parent for parent in kind.__mro__ if parent in _SEEN_THROUGH), object)
    # A dictionary and weak references take a pointer each.
    size = base.__basicsize__ + (2 + len(_slots(kind))) * _POINTER
    return kind.__basicsize__ > size or any(
        not parent.__flags__ & _MADE_BY_PYTHON and parent not in _SEEN_THROUGH
        for parent in kind.__mro__
    )


def _own(attributes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return what a class body defines, without what Python adds to it."""
    return [
        (name, value)
        for name, value in attributes.items()
        if isinstance(value, types.FunctionType) or not name.startswith("__")
    ]


@functools.lru_cache(maxsize=4096)
def _is_library(module: str | None) -> bool:
    return (module or "builtins").split(".")[0] in _LIBRARIES


def _names(code: types.CodeType) -> set[str]:
    """Return the names that a function, or one inside it, reads."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _comparable(value: Any) -> Any:
    """Return NaN and slices as something that is equal to itself and hashable."""
    if isinstance(value, slice) or value != value:
        return repr(value)
    return value


def _content(value: Any) -> Any:
    is_symbol = not isinstance(value, np.ndarray) and not hasattr(value, "numpy")
    if is_symbol or value.dtype in {tf.resource, tf.variant}:
        return _Same(value)
    if (array := np.asarray(value)).dtype == object:
        return _Same(value)
    content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()
    return (array.shape, str(array.dtype), content)


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None
