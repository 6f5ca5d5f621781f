"""Small models and data that every engine is tried on."""

import keras
import numpy as np
import tensorflow as tf

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


def images():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            L.RandomFlip("horizontal"),
            L.RandomRotation(0.1),
            L.Conv2D(3, 3, activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
    return model


def words():
    model = keras.Sequential(
        [
            keras.Input((7,)),
            L.Embedding(20, 4, mask_zero=True),
            L.Bidirectional(L.LSTM(3, dropout=0.2, recurrent_dropout=0.1)),
            L.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def attention():
    inputs = keras.Input((7,))
    h = L.Embedding(20, 4)(inputs)
    h = L.MultiHeadAttention(2, 2, dropout=0.1)(h, h)
    model = keras.Model(inputs, L.Dense(1, activation="sigmoid")(L.Flatten()(h)))
    model.compile("adam", "binary_crossentropy")
    return model


def unbuilt():
    model = keras.Sequential([L.Dense(4, activation="relu"), L.Dense(1)])
    model.compile("adam", "mse")
    return model


def unseeded_noise():
    class Noise(L.Layer):
        def call(self, inputs, training=False):
            drawn = keras.random.normal(keras.ops.shape(inputs))
            return inputs + drawn if training else inputs

    return dense(Noise(), L.Dense(3))()


class OwnSteps(keras.Model):
    """A training loop as in Keras's guide: its own step, metrics and trackers."""

    def __init__(self):
        super().__init__()
        self.layer = L.Dense(1)
        self.tracker = keras.metrics.Mean(name="loss")

    def call(self, x):
        return self.layer(x)

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = keras.ops.mean((self(x, training=True)[:, 0] - y) ** 2)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(
            zip(gradients, self.trainable_weights, strict=True)
        )
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result(), "last": loss, "rows": tf.size(y)}

    def test_step(self, data):
        x, y = data
        return {"last": keras.ops.mean((self(x)[:, 0] - y) ** 2)}

    @property
    def metrics(self):
        return [self.tracker]


def own_steps():
    model = OwnSteps()
    model.compile("adam")
    return model


class OwnLoss(keras.Model):
    def __init__(self):
        super().__init__()
        self.layer = L.Dense(1, activation="sigmoid")

    def call(self, x):
        return self.layer(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        return super().compute_loss(x, y, y_pred, sample_weight, **kwargs) * 0.5


def own_loss():
    model = OwnLoss()
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def two_in_two_out():
    a, b = keras.Input((6,), name="a"), keras.Input((7,), name="b")
    h = L.Concatenate()([L.Dense(3)(a), L.Dense(3)(b)])
    outputs = {"one": L.Dense(1, name="one")(h), "two": L.Dense(2, name="two")(h)}
    model = keras.Model({"a": a, "b": b}, outputs)
    losses = {"one": "mse", "two": "mae"}
    model.compile(
        "adam", losses, loss_weights={"one": 0.3, "two": 1}, metrics={"one": ["mae"]}
    )
    return model


MODELS = {
    "images": (images, IMAGES),
    "words": (words, WORDS),
    "attention": (attention, WORDS),
    "unbuilt": (unbuilt, X),
    "unseeded_noise": (unseeded_noise, X),
    "own_steps": (own_steps, X),
    "own_loss": (own_loss, X),
}
