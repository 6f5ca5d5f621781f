"""Worker processes for trials; free of TensorFlow until they train.

`kttoolkit.workers.training` is what runs in them.
"""

from kttoolkit.workers._pool import Workers, n_cores, width_of

__all__ = ["Workers", "n_cores", "width_of"]
