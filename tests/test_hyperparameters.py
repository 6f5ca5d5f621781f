"""Booleans of a choice stay booleans, wherever they go and whoever asks for them."""

import json

import keras_tuner
import pytest

import kttoolkit

MIN = kttoolkit.Objective("score", "min")


def is_all_booleans(values):
    return {type(value) for value in values} == {bool}


class Asking(kttoolkit.RandomSearch):
    """Asks for a hyperparameter that no build function knows."""

    def run_trial(self, trial, *args, **kwargs):
        self.asked.append(trial.hyperparameters.Choice("norm", [True, False]))
        trial.hyperparameters.Float("a", 0, 1)
        return 1.0

    def searched(self):
        self.asked = []
        self.search(verbose=0)
        return self.asked


def test_a_choice_that_run_trial_asks_for_stays_boolean_in_a_search(tmp_path):
    made = {"directory": tmp_path, "seed": 1}
    tuner = Asking(objective=MIN, max_trials=6, **made)
    assert set(map(repr, tuner.searched())) == {"True", "False"}
    again = Asking(objective=MIN, max_trials=12, **made)
    assert is_all_booleans(again.searched())
    assert len(again.asked) == 6
    for oracle in (tuner.oracle, again.oracle):
        space = {hp.name: hp for hp in oracle.get_space().space}
        assert is_all_booleans(space["norm"].values)
        for trial in oracle.trials.values():
            assert isinstance(trial.hyperparameters["norm"], bool)
            assert is_all_booleans(trial.hyperparameters.space[0].values)


@pytest.mark.parametrize(
    "carried",
    [
        lambda hp: hp.copy(),
        lambda hp: kttoolkit.HyperParameters.from_config(hp.get_config()),
        lambda hp: kttoolkit.HyperParameters.from_config(
            json.loads(json.dumps(hp.get_config()))
        ),
    ],
)
def test_a_copy_has_what_it_is_a_copy_of(carried):
    hp = kttoolkit.HyperParameters()
    hp.Choice("norm", [False, True], default=True)
    hp.Choice("size", [1, 0])
    with hp.conditional_scope("norm", [True]):
        hp.Int("depth", 1, 4)
        hp.Fixed("fixed", 3)
        hp.Boolean("plain")
    copy = carried(hp)
    assert copy == hp
    assert repr(copy.get_config()) == repr(hp.get_config())
    assert list(map(type, copy.space)) == list(map(type, hp.space))
    assert copy.Choice("norm", [False, True]) is True
    copy.Choice("new", [1, 2])
    copy.values["norm"] = False
    assert hp.values["norm"] is True
    assert len(hp.space) == 5


def test_a_configuration_may_be_read_twice():
    hp = kttoolkit.HyperParameters()
    hp.Choice("norm", [True, False])
    with hp.conditional_scope("norm", [True]):
        hp.Int("depth", 1, 4)
    config = hp.get_config()
    for _ in range(2):
        assert kttoolkit.HyperParameters.from_config(config) == hp


def test_what_a_worker_asks_for_is_boolean_at_its_chief_and_on_disk(tmp_path):
    """Keras Tuner's client and its chief make trials of the messages they get."""

    def chief():
        oracle = kttoolkit.oracles.RandomSearchOracle(MIN, max_trials=9, seed=0)
        oracle._set_project_dir(tmp_path, "p")
        oracle.verbose = 0
        return oracle

    def sent(trial):
        return type(trial).from_proto(trial.to_proto())

    oracle = chief()
    for _ in range(2):
        trial = sent(oracle.create_trial("worker"))
        own = kttoolkit.tuners.as_hyperparameters(trial.hyperparameters)
        assert isinstance(own.Choice("norm", [True, False]), bool)
        assert is_all_booleans(own.space[0].values)
        trial.hyperparameters = own
        back = sent(trial)
        oracle.update_space(back.hyperparameters)
        oracle.update_trial(trial.trial_id, {"score": 1.0})
        back.status = "COMPLETED"
        oracle.end_trial(back)
        assert is_all_booleans(oracle.get_space().space[0].values)
    again = chief()
    again.reload()
    for trial in again.trials.values():
        assert isinstance(trial.hyperparameters["norm"], bool)


def test_numbers_of_a_choice_stay_numbers():
    hp = keras_tuner.HyperParameters()
    hp.Choice("size", [1, 0])
    own = kttoolkit.tuners.as_hyperparameters(hp)
    assert repr(own.space[0].values) == "[1, 0]"
