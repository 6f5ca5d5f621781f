"""Weights files filled in by us: byte for byte what Keras would have written."""

import keras
import numpy as np
import pytest
from matrix import LAYERS, X, Y, dense
from trials import rich

from kttoolkit.engine import _moulds
from kttoolkit.engine._keras import reset_names
from kttoolkit.engine._moulds import Moulds

L = keras.layers


@pytest.fixture
def moulds():
    return Moulds()


def trained(build, seed, *, optimizer=True):
    """Build a model with values of its own, as in the fold of a search."""
    keras.utils.set_random_seed(seed)
    reset_names()
    model = build()
    model.fit(X, Y, batch_size=16, verbose=0)
    if not optimizer:
        model.optimizer = None
    return model


def both(moulds, model, folder):
    """Write a model's weights with a mould and without one."""
    ours, theirs = folder / "ours.weights.h5", folder / "theirs.weights.h5"
    moulds.write(model, ours, model.save_weights)
    model.save_weights(theirs)
    return ours, theirs


@pytest.mark.parametrize("optimizer", [False, True])
@pytest.mark.parametrize("name", sorted(LAYERS.keys() - {"bfloat16"}))
def test_files_are_those_of_keras(name, optimizer, moulds, tmp_path):
    for seed in range(2):
        model = trained(dense(*LAYERS[name]), seed, optimizer=optimizer)
        ours, theirs = both(moulds, model, tmp_path)
        assert ours.read_bytes() == theirs.read_bytes()
    # `fit` leaves the tensors of its graph in layers that penalize activity.
    assert moulds.n_filled == (name != "activity")


def test_another_model_has_another_mould(moulds, tmp_path):
    for units in (3, 4, 3):
        ours, theirs = both(moulds, trained(dense(L.Dense(units)), units), tmp_path)
        assert ours.read_bytes() == theirs.read_bytes()
    assert moulds.n_filled == 1


def test_models_that_were_never_compiled_have_no_optimizer(moulds, tmp_path):
    for seed in range(2):
        keras.utils.set_random_seed(seed)
        reset_names()
        model = keras.Sequential([keras.Input((6,)), L.Dense(3)])
        ours, theirs = both(moulds, model, tmp_path)
        assert ours.read_bytes() == theirs.read_bytes()
    assert moulds.n_filled == 1


def test_equal_values_make_no_mould(moulds, tmp_path):
    for seed in range(2):
        keras.utils.set_random_seed(seed)
        reset_names()
        # Never trained: gamma and the variance are ones alike, beta and others zeros.
        ours, theirs = both(moulds, rich()(), tmp_path)
        assert ours.read_bytes() == theirs.read_bytes()
    assert moulds.n_filled == 0
    both(moulds, trained(rich(), 2), tmp_path)
    both(moulds, trained(rich(), 3), tmp_path)
    assert moulds.n_filled == 1


class _Counting(L.Dense):
    """Writes more than its variables, and no variable's value."""

    n_written = 0

    def save_own_variables(self, store):
        super().save_own_variables(store)
        type(self).n_written += 1
        store["extra"] = np.full(3, type(self).n_written, "float32")


def test_layers_that_write_what_they_like_are_left_to_keras(moulds, tmp_path):
    for seed in range(2):
        both(moulds, trained(dense(_Counting(3)), seed), tmp_path)
    assert _Counting.n_written == 4
    assert moulds.n_filled == 0


def test_large_models_and_old_moulds_are_not_kept(moulds, tmp_path, monkeypatch):
    monkeypatch.setattr(_moulds, "_MAX_MOULDS", 1)
    for units in (3, 4, 3, 3):
        both(moulds, trained(dense(L.Dense(units)), units), tmp_path)
    assert moulds.n_filled == 1
    monkeypatch.setattr(_moulds, "_MAX_BYTES", 100)
    both(moulds, trained(dense(L.Dense(3)), 0), tmp_path)
    assert moulds.n_filled == 1
    moulds.clear()
    monkeypatch.undo()
    both(moulds, trained(dense(L.Dense(3)), 0), tmp_path)
    assert moulds.n_filled == 1
