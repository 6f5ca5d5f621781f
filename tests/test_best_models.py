"""`get_best_models` of models whose weights are made when they are first called."""

import keras
import numpy as np
import pytest

import kttoolkit
from kttoolkit.exceptions import TrialError


class Plain(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.out = keras.layers.Dense(1)

    def call(self, x):
        return self.out(self.hidden(x))


class Reshaping(Plain):
    def call(self, x):
        return super().call(keras.ops.reshape(x, (-1, 4)))


class Named(Plain):
    def call(self, x):
        return super().call(keras.ops.concatenate([x["b"], x["a"]], -1))


class Listed(Plain):
    def call(self, x):
        return super().call(keras.ops.concatenate(list(x), -1))


class OwnBuild(Plain):
    def build(self, input_shape):
        self.hidden.build(input_shape)
        self.out.build((*input_shape[:-1], self.hidden.units))
        # As one may write it of a tuple, and of no list.
        self.wide = (None,) + input_shape[1:]  # noqa: RUF005


def images(x):
    return x.reshape(-1, 2, 2)


TAKEN = {
    Plain: lambda x: x,
    Reshaping: images,
    Named: lambda x: {"a": x[:, :1], "b": x[:, 1:]},
    Listed: lambda x: [x[:, :1], x[:, 1:]],
    OwnBuild: lambda x: x,
}


def searched(cls, rows, folder, **kwargs):
    def build(hp):
        model = cls(hp.Choice("units", [3, 5]))
        model.compile("adam", "mse")
        return model

    tuner = kttoolkit.RandomSearch(
        build, "val_loss", max_trials=2, directory=folder, seed=0, **kwargs
    )
    x, y = rows
    n = len(y) // 2
    train = keras.tree.map_structure(lambda part: part[:n], x), y[:n]
    test = keras.tree.map_structure(lambda part: part[n:], x), y[n:]
    tuner.search(*train, validation_data=test, epochs=2, verbose=0)
    return tuner, test


@pytest.mark.filterwarnings("error:Model .* had a build config")
@pytest.mark.parametrize("cls", TAKEN)
@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_a_subclassed_model_comes_back_with_its_weights(cls, engine, blobs, tmp_path):
    rows = TAKEN[cls](blobs[0]), blobs[1]
    tuner, test = searched(cls, rows, tmp_path, engine=engine)
    models = tuner.get_best_models(2)
    trials = tuner.oracle.get_best_trials(2)
    assert len(trials) == 2, tuner.oracle.trials["0"].message
    for model, trial in zip(models, trials, strict=True):
        assert model.evaluate(*test, verbose=0) == pytest.approx(trial.score, rel=1e-5)
    assert np.asarray(models[0].predict(test[0], verbose=0)).shape == (30, 1)


class Untold(Plain):
    def get_build_config(self):
        return None


def test_a_model_that_cannot_be_built_says_what_to_do(blobs, tmp_path):
    tuner, _ = searched(Untold, blobs, tmp_path)
    with pytest.raises(
        TrialError,
        match=r"must have weights before .* Untold .* has none until it is called, "
        r"and build_config.json of the trial does not tell its inputs: None\. Call it",
    ):
        tuner.get_best_models()
