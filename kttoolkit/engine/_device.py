"""How TensorFlow is to use the devices, settled before the first training."""

import functools

import tensorflow as tf


@functools.cache
def prepare_devices() -> None:
    """Let memory on GPUs grow as it is needed, instead of being taken whole.

    A process that has used a GPU already keeps what it has.
    """
    for device in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(device, True)
        except RuntimeError:
            return
