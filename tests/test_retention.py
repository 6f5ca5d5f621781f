"""Weights of the best trials stay on disk, those of others go; results stay equal."""

import pandas as pd
import pytest
from conftest import build_binary

import kttoolkit
from kttoolkit.exceptions import ResultError, SearchError


@pytest.fixture
def tune(blobs, tmp_path):
    def call(**kwargs):
        options = {
            "tuner": "random", "cv": 2, "max_epochs": 2, "seed": 0, "verbose": 0,
            "directory": tmp_path, "batch_size": 16, "objective": "val_loss",
        }  # fmt: skip
        return kttoolkit.tune(build_binary, *blobs, **{**options, **kwargs})

    return call


def with_weights(result):
    """Return the trials that have any weights on disk."""
    found = result.directory.glob("trial_*/*.weights.h5")
    return {path.parent.name.removeprefix("trial_") for path in found}


def ranked(result, n):
    return set(result.trials.sort_values("rank")["trial"].head(n))


def test_the_best_keep_their_weights(tune):
    result = tune(max_trials=5, keep_checkpoints=2)
    assert with_weights(result) == ranked(result, 2)
    assert len(result.out_of_fold()) == 60
    assert with_weights(tune(max_trials=5, project_name="all")) == ranked(result, 5)


def test_a_resumed_search_minds_the_trials_before(tune):
    tune(max_trials=3, project_name="p", keep_checkpoints=1)
    result = tune(max_trials=5, project_name="p", keep_checkpoints=1, resume=True)
    assert len(result.trials) == 5
    assert with_weights(result) == ranked(result, 1)


def test_without_weights_models_are_trained_anew(tune):
    result = tune(max_trials=2, keep_checkpoints="none")
    assert with_weights(result) == set()
    assert result.fit_best() is not None
    with pytest.raises(ResultError, match=r"weights of trial \d must have been kept"):
        result.out_of_fold()


@pytest.mark.slow
def test_hyperband_climbs_from_weights_that_go_afterwards(tune):
    """A rung's last weights outlive its best ones for as long as one may go on."""
    options = {"tuner": "hyperband", "max_epochs": 4, "factor": 2}
    whole = tune(**options, project_name="whole")
    thrifty = tune(**options, keep_checkpoints=1, project_name="thrifty")
    pd.testing.assert_frame_equal(
        thrifty.trials.drop(columns="seconds"), whole.trials.drop(columns="seconds")
    )
    assert with_weights(thrifty) == ranked(whole, 1)
    assert thrifty.ensemble() is not None


@pytest.mark.parametrize("keep", [0, -1, True, "best", 1.5, None])
def test_what_makes_no_sense_is_refused(tune, keep):
    with pytest.raises(SearchError, match=r'must be "all", "none" or how many'):
        tune(max_trials=1, keep_checkpoints=keep)
