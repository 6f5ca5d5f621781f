"""How functions are traced and called: on other variables, on which executor.

`ConcreteFunction._call_flat`, `ops._create_c_op`, `gradient_registry._registry`,
`context.clear_kernel_cache`, `context.get_compiler_ir` and `ResourceVariable`, none of
them public, were checked on TensorFlow 2.21.
"""

import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops
from tensorflow.python.ops.resource_variable_ops import (
    ResourceVariable as _PlainVariable,
)

POOL, ONE_THREAD = "", "SINGLE_THREADED_EXECUTOR"
# Loops of TensorFlow 1 and talk between devices.
_NEED_A_POOL = {
    "Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond", "RefSwitch",
    "RefMerge", "RefEnter", "RefExit", "RefNextIteration", "VariableV2",
    "CollectiveReduce", "CollectiveReduceV2", "CollectiveGather", "CollectiveGatherV2",
    "CollectiveBcastSend", "CollectiveBcastRecv",
}  # fmt: skip
_PATCHING = threading.RLock()
# They run their functions in the same thread. Others, conditions among them, wait
# for the pool, and wait for ever where all its threads are waiting.
_LOOPS = {"While", "StatelessWhile"}


def trace(
    function: Callable[..., Any], executor: str, *args: Any, xla: bool = False
) -> tuple[Any, str]:
    """Trace a function for an executor.

    Args:
        function: of tensors.
        executor: `ONE_THREAD` or `POOL`.
        *args: shapes to trace it for.
        xla: whether XLA compiles it.

    Returns:
        The `ConcreteFunction`, and the executor that can run it.
    """
    made = tf.function(function, autograph=False, jit_compile=xla)
    with _forgetting_gradients():
        if xla:
            # A failure is met again, and told with its lines of Python.
            with suppress(Exception), _without_origins():
                return made.get_concrete_function(*args), POOL
        if executor == ONE_THREAD:
            with _executing_by(ONE_THREAD):
                concrete = made.get_concrete_function(*args)
            if all(map(_runs_in_one_thread, _nodes_of(concrete))):
                return concrete, ONE_THREAD
        return made.get_concrete_function(*args), POOL


def check_compiles(concrete: Any) -> None:
    """Have XLA convert a graph, which it would do at the first call otherwise.

    Args:
        concrete: a `ConcreteFunction` traced for XLA.

    Raises:
        ValueError: if it cannot.
    """
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices()
    given = tf.nest.flatten(concrete.structured_input_signature)
    context.context().get_compiler_ir(
        device_name=devices[0].name,
        platform_name=None,
        function_name=concrete.name,
        flat_args=[spec for spec in given if isinstance(spec, tf.TensorSpec)],
        captured_inputs=concrete.captured_inputs,
        stage="hlo",
    )


@contextmanager
def _without_origins() -> Iterator[None]:
    """Do not note for each operation which lines of Python it comes from.

    XLA writes these stacks out, and TensorFlow keeps them until the process ends: 6 MB
    for the graph of a small network.
    """
    with _PATCHING:
        noting = ops._create_c_op  # noqa: SLF001
        plain = functools.partial(noting, extract_traceback=False)
        ops._create_c_op = plain  # noqa: SLF001
        try:
            yield
        finally:
            ops._create_c_op = noting  # noqa: SLF001


@contextmanager
def _forgetting_gradients() -> Iterator[None]:
    """Drop the custom gradients of a graph that has been differentiated.

    TensorFlow registers one for each `tf.custom_gradient` in a graph, for ever, and
    with it the graph: 3 MB for a small network.
    """
    known = ops.gradient_registry._registry  # noqa: SLF001
    before = set(known)
    try:
        yield
    finally:
        for name in known.keys() - before:
            if name.startswith("CustomGradient-"):
                del known[name]


def call_with(
    concrete: Any, executor: str, args: Sequence[Any], captured: Sequence[Any]
) -> Any:
    """Call a traced function on other variables than it was traced with.

    Args:
        concrete: a `ConcreteFunction`.
        executor: as `trace` gave it.
        args: its arguments as a flat list of tensors.
        captured: what takes the place of its `captured_inputs`.

    Returns:
        What the function returns.
    """
    with _executing_by(executor):
        return concrete._call_flat(list(args), list(captured))  # noqa: SLF001


def values_of(variables: Iterable[Any]) -> list[np.ndarray]:
    """Read variables, which takes a quarter of the time of `numpy` of each.

    Args:
        variables: Keras's.

    Returns:
        What they hold; later changes do not change it.
    """
    return [_value_of(variable.value) for variable in variables]


def held(variables: Iterable[Any]) -> list[tf.Tensor]:
    """Return tensors that share the buffers of variables.

    Args:
        variables: TensorFlow's; those of a distribution strategy are left out.

    Returns:
        What they hold; later changes do not change it.
    """
    return [_read(each) for each in variables if type(each) is _PlainVariable]


def _value_of(variable: Any) -> np.ndarray:
    if type(variable) is not _PlainVariable:
        # Of a distribution strategy, maybe.
        return variable.numpy()
    return _read(variable).numpy()


def _read(variable: Any) -> tf.Tensor:
    return tf.raw_ops.ReadVariableOp(resource=variable.handle, dtype=variable.dtype)


def put_values(variables: Iterable[Any], values: Iterable[np.ndarray]) -> None:
    """Give variables other values, in a quarter of the time of `assign` of each.

    Args:
        variables: Keras's.
        values: of their shapes and dtypes, as `values_of` read them.
    """
    for variable, value in zip(variables, values, strict=True):
        plain = variable.value
        if type(plain) is _PlainVariable:
            tf.raw_ops.AssignVariableOp(resource=plain.handle, value=value)
        else:
            variable.assign(value)


def forget_kernels() -> None:
    """Drop what TensorFlow keeps of every operation that ran outside a graph.

    It keeps a kernel for each shape and name of a variable, for ever: 35 KB. Traced
    functions take 0.1 to 0.3 s longer at their next call.
    """
    context.context().clear_kernel_cache()


def operations_of(concrete: Any) -> set[str]:
    """Name the operations of a traced function, and of all functions inside it.

    Args:
        concrete: a `ConcreteFunction`.

    Returns:
        Their types, such as "MatMul".
    """
    return {node.op for node in _nodes_of(concrete)}


def _executing_by(executor: str) -> AbstractContextManager[None]:
    return tf.experimental.function_executor_type(executor)


def _nodes_of(concrete: Any) -> list[Any]:
    graph = concrete.graph.as_graph_def()
    inside = (function.node_def for function in graph.library.function)
    return [*itertools.chain(graph.node, *inside)]


def _runs_in_one_thread(node: Any) -> bool:
    if node.op in _LOOPS:
        return True
    calls = any(value.HasField("func") for value in node.attr.values())
    return not calls and node.op not in _NEED_A_POOL
