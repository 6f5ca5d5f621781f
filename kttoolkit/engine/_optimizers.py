"""Optimizers that treat every number by itself, for which many weights may be one."""

import keras

from kttoolkit.engine._call import RefusedError

_ELEMENTWISE = (
    keras.optimizers.SGD, keras.optimizers.Adam, keras.optimizers.AdamW,
    keras.optimizers.Nadam, keras.optimizers.Adamax, keras.optimizers.RMSprop,
    keras.optimizers.Adagrad, keras.optimizers.Adadelta, keras.optimizers.Lion,
)  # fmt: skip


def check_optimizer(model: keras.Model) -> None:
    """Refuse optimizers that look at more than one number at a time.

    Args:
        model: compiled.

    Raises:
        RefusedError: with the reason.
    """
    optimizer = model.optimizer
    name = type(optimizer).__name__
    if type(optimizer) not in _ELEMENTWISE:
        raise RefusedError(f"{name} does not treat every weight by itself")
    if "_exclude_from_weight_decay" in vars(optimizer):
        raise RefusedError(f"{name} leaves some weights out of its weight decay")
    of_all = ("clipnorm", "global_clipnorm", "use_ema", "gradient_accumulation_steps")
    for option in of_all:
        if getattr(optimizer, option, None):
            raise RefusedError(f"{name} has {option}, which looks at all weights")
