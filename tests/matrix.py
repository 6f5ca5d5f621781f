"""Small models and data that every engine is tried on."""

import keras
import numpy as np

L = keras.layers
N, N_VALIDATION = 45, 13
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N + N_VALIDATION, 6)).astype("float32")
Y = (X @ RNG.normal(size=6) > 0).astype("int64")
IMAGES = RNG.uniform(size=(N + N_VALIDATION, 8, 8, 1)).astype("float32")
WORDS = RNG.integers(0, 20, size=(N + N_VALIDATION, 7))


def unnamed(layer):
    config = {k: v for k, v in layer.get_config().items() if k != "name"}
    return type(layer).from_config(config)


def dense(*hidden, out=None, optimizer="adam", loss="binary_crossentropy", **compiled):
    def build():
        body = list(hidden) or [L.Dense(5, activation="relu")]
        head = L.Dense(1, activation="sigmoid") if out is None else out
        layers = [unnamed(layer) for layer in (*body, head)]
        model = keras.Sequential([keras.Input((6,)), *layers])
        arguments = {"metrics": ["accuracy"], **compiled}
        made = optimizer() if callable(optimizer) else optimizer
        model.compile(made, loss, **arguments)
        return model

    return build


LAYERS = {
    "plain": [],
    "l1_l2": [L.Dense(4, kernel_regularizer=keras.regularizers.L1L2(0.01, 0.02))],
    "activity": [L.Dense(4, activity_regularizer="l2")],
    "dropout": [L.Dense(4), L.Dropout(0.4)],
    "noise": [L.GaussianNoise(0.3), L.Dense(4), L.AlphaDropout(0.2)],
    "batch_normalization": [L.Dense(4), L.BatchNormalization(), L.ReLU()],
    "layer_normalization": [L.LayerNormalization(), L.Dense(4, activation="gelu")],
    "max_norm": [L.Dense(4, kernel_constraint=keras.constraints.MaxNorm(0.5))],
    "spectral": [L.SpectralNormalization(L.Dense(4))],
    "frozen": [L.Dense(4, trainable=False), L.Dense(3)],
    "normalization": [L.Normalization(mean=0.5, variance=2.0), L.Dense(3)],
    "bfloat16": [L.Dense(4, dtype="mixed_bfloat16")],
}


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1),
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "clipnorm": lambda: keras.optimizers.SGD(0.1, clipnorm=0.1),
    "global_clipnorm": lambda: keras.optimizers.Adam(0.1, global_clipnorm=0.1),
    "clipvalue": lambda: keras.optimizers.Adam(0.1, clipvalue=0.01),
    "amsgrad": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "adadelta": lambda: keras.optimizers.Adadelta(1.0),
    "adamax": lambda: keras.optimizers.Adamax(0.01),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "ftrl": lambda: keras.optimizers.Ftrl(0.1),
    "lion": lambda: keras.optimizers.Lion(0.001),
    "lamb": lambda: keras.optimizers.Lamb(0.01),
    "adafactor": lambda: keras.optimizers.Adafactor(0.01),
    "muon": lambda: keras.optimizers.Muon(0.01),
    "ema": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=4),
    "accumulation": lambda: keras.optimizers.Adam(
        0.01, gradient_accumulation_steps=3
    ),
    "loss_scale": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.Adam(0.01), dynamic_growth_steps=4
    ),
    "cosine": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(0.1, 12)
    ),
    "exponential": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5, staircase=True)
    ),
}  # fmt: skip
