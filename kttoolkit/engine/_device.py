"""How TensorFlow is to use the devices, settled before the first training."""

import contextlib
import functools

import tensorflow as tf

from kttoolkit.quiet import quiet_start


def has_gpu() -> bool:
    """Tell whether there is a GPU that TensorFlow may use."""
    return bool(tf.config.get_visible_devices("GPU"))


@functools.cache
def prepare_devices() -> None:
    """Let memory on GPUs grow as it is needed, instead of being taken whole.

    Where it was said for one GPU how its memory is to be used, be it by
    `tf.config.experimental.set_memory_growth` or by a limit with
    `tf.config.set_logical_device_configuration`, all are left as they are. A process
    that has used a GPU already keeps what it has. The devices are started here, so
    that what TensorFlow tells of them comes while nobody listens.
    """
    with quiet_start():
        gpus = tf.config.list_physical_devices("GPU")
        if not any(_is_settled(gpu) for gpu in gpus):
            for gpu in gpus:
                with contextlib.suppress(RuntimeError):
                    tf.config.experimental.set_memory_growth(gpu, True)
        tf.config.list_logical_devices()


def _is_settled(gpu: tf.config.PhysicalDevice) -> bool:
    is_divided = tf.config.get_logical_device_configuration(gpu) is not None
    return is_divided or tf.config.experimental.get_memory_growth(gpu) is not None
