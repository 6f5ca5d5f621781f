"""Weights that stay what they are where XLA runs out of memory.

TensorFlow hands the buffers of the variables that a graph updates over to XLA, for it
to write the new values into. Should XLA then find no memory for the rest, it frees what
it was handed, and the variables keep it: their values are garbage, and freeing them
once more aborts the process, also with `model.fit`. A buffer that somebody else holds
is not handed over (`XlaComputationLaunchContext::PopulateInputs` in TensorFlow's
compiler/jit/xla_launch_util.cc; seen with TensorFlow 2.21 on processors and on a GPU).
That takes the memory of the variables once more, so it is done the first time a graph
runs: XLA asks for the same amount every time.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import keras
import tensorflow as tf

from kttoolkit.engine._tensorflow import held


@contextmanager
def kept(variables: Iterable[tf.Variable], *, xla: bool) -> Iterator[None]:
    """Hold what variables hold, too, while a graph runs on them.

    Args:
        variables: that it may update.
        xla: whether XLA compiled it; else nothing is done.

    Yields:
        Nothing.
    """
    also = held(variables) if xla else []
    yield
    also.clear()


class KeepsFirstWeights(keras.callbacks.Callback):
    """Holds what a model holds through the first epoch of each `model.fit`."""

    sees_weights_only = True

    def __init__(self) -> None:
        super().__init__()
        self._held: list[tf.Tensor] | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        """Begin anew: a model may have been unfrozen and compiled since."""
        del logs
        self._held = None

    def on_epoch_begin(
        self, epoch: int, logs: Mapping[str, float] | None = None
    ) -> None:
        """Hold all that the first batch updates."""
        del epoch, logs
        if self._held is None and self.model.jit_compile:
            self._held = held(_variables(self.model))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Let go."""
        del epoch, logs
        self._held = []


def _variables(model: keras.Model) -> Iterator[tf.Variable]:
    found = [*model.variables, *model.metrics_variables]
    for part in vars(model).values():
        # Some models have several.
        if isinstance(part, keras.optimizers.Optimizer):
            found += part.variables
    return (variable.value for variable in found)
