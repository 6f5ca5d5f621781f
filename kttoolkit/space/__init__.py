"""Hyperparameters on the right scale, one function each.

Each takes `hp`, Keras Tuner's or ours, asks it for a value and returns that, or what
is made of it. They work in every build function, under every tuner, and in
conditional scopes, where they return None while the scope is not active.
"""

from kttoolkit.space._dense import (
    SHAPES,
    activation,
    batch_norm,
    depth,
    dropout,
    units,
    widths,
)
from kttoolkit.space._images import (
    GLOBAL_POOLINGS,
    POOLINGS,
    augmentation,
    filters,
    global_pooling,
    image_size,
    kernel_size,
    pooling,
)
from kttoolkit.space._loss import SparseLoss, loss
from kttoolkit.space._optimizer import (
    adam_betas,
    clipnorm,
    clipvalue,
    epsilon,
    learning_rate,
    momentum,
    weight_decay,
)
from kttoolkit.space._optimizer_choice import OPTIMIZERS, optimizer
from kttoolkit.space._scales import (
    choice,
    integer,
    linear_float,
    log_float,
    one_minus_log,
)
from kttoolkit.space._schedule import SCHEDULES, learning_rate_schedule
from kttoolkit.space._training import (
    CLASS_WEIGHTS,
    batch_size,
    class_weight,
    early_stopping,
    epochs,
)
from kttoolkit.space._weights import constraint, initializer, regularizer

__all__ = [
    "CLASS_WEIGHTS",
    "GLOBAL_POOLINGS",
    "OPTIMIZERS",
    "POOLINGS",
    "SCHEDULES",
    "SHAPES",
    "SparseLoss",
    "activation",
    "adam_betas",
    "augmentation",
    "batch_norm",
    "batch_size",
    "choice",
    "class_weight",
    "clipnorm",
    "clipvalue",
    "constraint",
    "depth",
    "dropout",
    "early_stopping",
    "epochs",
    "epsilon",
    "filters",
    "global_pooling",
    "image_size",
    "initializer",
    "integer",
    "kernel_size",
    "learning_rate",
    "learning_rate_schedule",
    "linear_float",
    "log_float",
    "loss",
    "momentum",
    "one_minus_log",
    "optimizer",
    "pooling",
    "regularizer",
    "units",
    "weight_decay",
    "widths",
]
