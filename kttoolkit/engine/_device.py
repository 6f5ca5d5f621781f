"""How TensorFlow is to use the devices, settled before the first training."""

import contextlib
import functools

import tensorflow as tf

from kttoolkit.quiet import quiet_start


@functools.cache
def prepare_devices() -> None:
    """Let memory on GPUs grow as it is needed, instead of being taken whole.

    A process that has used a GPU already keeps what it has. The devices are started
    here, so that what TensorFlow tells of them comes while nobody listens.
    """
    with quiet_start():
        for device in tf.config.list_physical_devices("GPU"):
            with contextlib.suppress(RuntimeError):
                tf.config.experimental.set_memory_growth(device, True)
        tf.config.list_logical_devices()
