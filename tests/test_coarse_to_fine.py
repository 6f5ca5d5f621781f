"""Coarse to fine: rounds, ranges, resumption, and that it pays."""

import math

import keras_tuner
import numpy as np
import pytest
from scipy import stats

import kttoolkit
from kttoolkit import HyperParameters, methods, space
from kttoolkit.exceptions import SearchError
from kttoolkit.ranges import ranges_of
from kttoolkit.tuners import CoarseToFine, RandomSearch

SCORE = keras_tuner.Objective("score", "min")


def ask(hp):
    space.learning_rate(hp, min_value=1e-6, max_value=1.0)
    space.momentum(hp)
    hp.Choice("kind", ["good", "bad", "worse"])


def loss_of(values):
    """A bowl around a rate of 0.01 and a momentum of 0.99."""
    rate = math.log10(values["learning_rate"]) + 2
    beta = math.log10(1 - values["momentum"]) + 2
    extra = {"good": 0.0, "bad": 3.0, "worse": 6.0}[values["kind"]]
    return rate**2 + beta**2 + extra


def search(cls, folder, seed=0, trials=30, score=loss_of, stop_after=None, **options):
    class Quick(cls):
        def run_trial(self, trial, *args, **kwargs):
            if stop_after is not None and len(self.oracle.end_order) >= stop_after:
                raise KeyboardInterrupt
            return score(trial.hyperparameters.values)

    tuner = Quick(
        ask, SCORE, max_trials=trials, seed=seed, directory=folder, project_name="p",
        **options,
    )  # fmt: skip
    tuner.search(verbose=0)
    return tuner


def table(tuner):
    return [
        (name, dict(trial.hyperparameters.values), trial.score)
        for name, trial in tuner.oracle.trials.items()
    ]


def test_each_round_searches_in_narrower_ranges(tmp_path):
    """Six decades of learning rates, of ten searches on average."""
    widths = []
    for seed in range(10):
        tuner = search(CoarseToFine, tmp_path / str(seed), seed, rounds=3)
        rounds = [values["tuner/round"] for _, values, _ in table(tuner)]
        assert rounds == [1] * 10 + [2] * 10 + [3] * 10
        found = [ranges_of(narrower)[0] for narrower in tuner.oracle.spaces]
        widths.append([math.log10(one.high / one.low) for one in found])
        for _, values, _ in table(tuner)[10:]:
            one = found[values["tuner/round"] - 2]
            assert one.low <= values["learning_rate"] <= one.high
    second, third = np.mean(widths, axis=0)
    assert 6 > 4.5 > second > third
    assert third < 3


def test_ranges_are_those_that_the_rule_says(tmp_path):
    from kttoolkit.ranges import Scored, narrowed

    tuner = search(CoarseToFine, tmp_path, rounds=2, keep=0.3)
    first = [Scored(v, s) for _, v, s in table(tuner) if v["tuner/round"] == 1]
    hp = HyperParameters()
    ask(hp)
    expected = narrowed(hp.get_config()["space"], first, keep=0.3)
    assert tuner.oracle.spaces == [expected]


@pytest.mark.parametrize("stop_after", [4, 10, 17])
def test_a_resumed_search_proposes_the_same(stop_after, tmp_path):
    whole = table(search(CoarseToFine, tmp_path / "a", rounds=3))
    with pytest.raises(KeyboardInterrupt):
        search(CoarseToFine, tmp_path / "b", rounds=3, stop_after=stop_after)
    assert table(search(CoarseToFine, tmp_path / "b", rounds=3)) == whole


def test_failed_trials_are_left_out(tmp_path):
    def fragile(values):
        if values["kind"] == "bad":
            raise ValueError("bad")
        return loss_of(values)

    tuner = search(CoarseToFine, tmp_path, score=fragile, rounds=3,
                   max_consecutive_failed_trials=10**6)  # fmt: skip
    assert len(table(tuner)) == 30
    last = [v["kind"] for _, v, _ in table(tuner) if v["tuner/round"] == 3]
    assert set(last) <= {"good", "bad"}


@pytest.mark.slow
def test_where_the_range_is_wide_it_beats_flat_random_search(tmp_path):
    """Same budget, sixty seeds, paired: not by chance, and by half the distance."""
    best = {"fine": [], "flat": []}
    for seed in range(60):
        fine = search(CoarseToFine, tmp_path / f"f{seed}", seed, rounds=3)
        flat = search(RandomSearch, tmp_path / f"r{seed}", seed)
        best["fine"].append(min(score for *_, score in table(fine)))
        best["flat"].append(min(score for *_, score in table(flat)))
    test = stats.wilcoxon(best["fine"], best["flat"], alternative="less")
    assert test.pvalue < 0.01
    assert np.median(best["fine"]) < 0.6 * np.median(best["flat"])


def test_as_a_method_it_gives_one_result(blobs, build, tmp_path):
    x, y = blobs
    result = methods.coarse_to_fine(
        build, x, y, rounds=2, max_trials=6, cv=2, max_epochs=2, seed=0, verbose=0,
        directory=tmp_path,
    )  # fmt: skip
    assert list(result.trials["param_tuner/round"]) == [1, 1, 1, 2, 2, 2]
    assert "tuner/round" not in result.best_values
    finer = result.narrowed_space(keep=0.5)
    assert {hp.name for hp in finer.space} == {"units", "learning_rate"}
    again = kttoolkit.tune(
        build, x, y, tuner="random", max_trials=2, cv=2, max_epochs=1, seed=0,
        hyperparameters=finer, verbose=0, directory=tmp_path,
    )  # fmt: skip
    low, high = finer.space[1].min_value, finer.space[1].max_value
    assert again.trials["param_learning_rate"].between(low, high).all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"rounds": 0}, "rounds=0 and max_trials=30"),
        ({"rounds": 4, "trials": 6}, "rounds=4 and max_trials=6. Take fewer"),
        ({"keep": 0.0}, "0 < keep <= 1 .* keep=0.0"),
    ],
)
def test_senseless_rounds_are_refused(bad, message, tmp_path):
    with pytest.raises(SearchError, match=message):
        search(CoarseToFine, tmp_path, **bad)


def test_coarse_to_fine_chooses_its_tuner(tmp_path):
    with pytest.raises(SearchError, match=r"tuner='random'\. Leave it out, or call"):
        methods.coarse_to_fine(ask, [[1.0]], [1], tuner="random", directory=tmp_path)
