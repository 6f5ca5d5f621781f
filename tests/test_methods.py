"""Manual settings, cross-validation of one, nested folds, re-testing."""

import re

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_validate,
)

import kttoolkit
from kttoolkit import HyperParameters, methods
from kttoolkit.comparison import paired_difference
from kttoolkit.cv import as_folds
from kttoolkit.data import as_training_data
from kttoolkit.exceptions import (
    CrossValidationError,
    ResultError,
    SearchError,
    SearchSpaceError,
)
from kttoolkit.methods._recut import cut_again
from kttoolkit.models import StudyTrainer

QUICK = {"cv": 2, "max_epochs": 2, "seed": 0, "verbose": 0}


@pytest.fixture(scope="module")
def found(blobs, build, tmp_path_factory):
    """A small random search."""
    return kttoolkit.tune(
        build, *blobs, tuner="random", max_trials=4, **QUICK,
        directory=tmp_path_factory.mktemp("found"), project_name="p",
    )  # fmt: skip


# -- manual ---


def test_settings_added_to_a_search_are_scored_as_its_own(found, tmp_path):
    """The same folds, seeds and epochs: the winner's copy has the winner's scores."""
    best = found.best_trial
    result = found.add(best.values, {"units": 5})
    added = {r.trial_id: r for r in result.records if r.trial_id.startswith("added")}
    assert len(added) == 2
    assert len(result.records) == len(found.records) + 2
    for name, values in best.splits.items():
        assert added["added0"].splits[name] == pytest.approx(values, rel=1e-5)
    assert added["added1"].values == {"units": 5, "learning_rate": 1e-3}
    more = result.add({"units": 6})
    assert {"added0", "added1", "added2"} <= set(more.trials["trial"])
    assert more.trials["rank"].notna().all()


def test_a_winner_that_was_added_makes_models(blobs, build, tmp_path):
    x, y = blobs
    result = kttoolkit.tune(
        build, x, y, tuner=[{"learning_rate": 1e-3}], directory=tmp_path,
        **{**QUICK, "max_epochs": 8},
    ).add({"learning_rate": 0.1, "units": 8})  # fmt: skip
    assert result.best_trial.trial_id == "added0"
    assert result.best_hyperparameters.get("learning_rate") == 0.1
    assert result.fit_best().predict(x, verbose=0).shape == (60, 1)
    assert len(result.out_of_fold()) == 60


def test_a_resumed_search_does_not_mind_what_was_added(blobs, build, tmp_path):
    arguments = {"tuner": "random", **QUICK, "directory": tmp_path}
    arguments["project_name"] = "p"
    whole = kttoolkit.tune(build, *blobs, max_trials=3, **arguments)
    whole.add({"units": 3})
    again = kttoolkit.tune(build, *blobs, max_trials=5, **arguments, resume=True)
    ids = list(again.trials["trial"])
    assert len([name for name in ids if not name.startswith("added")]) == 5
    assert "added0" in ids
    pd.testing.assert_frame_equal(
        whole.trials[["trial", "mean_val_accuracy"]],
        again.trials[["trial", "mean_val_accuracy"]].head(3),
    )


def test_a_misspelt_setting_is_refused(found):
    with pytest.raises(SearchSpaceError, match=r"settings\[1\] names 'unit'.*'units'"):
        found.add({"units": 3}, {"unit": 4})


def test_without_code_or_rows_nothing_can_be_added(found, build):
    with pytest.raises(ResultError, match="build=build"):
        kttoolkit.load_result(found.directory).add({"units": 3})
    with pytest.raises(ResultError, match="its rows are not known"):
        kttoolkit.load_result(found.directory, build=build).add({"units": 3})


# -- one setting ---


def test_scores_are_those_of_scikit_learn(blobs):
    """scikit-learn's own loop, over the same folds, with plain Keras inside."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    x, y = blobs
    folds = list(StratifiedKFold(3).split(x, y))
    hp = {"units": 4, "learning_rate": 0.05}

    def build(hp):
        from conftest import build_binary

        return build_binary(hp)

    ours = methods.cross_validate(
        build, x, y, hp=hp, cv=folds, epochs=3, seed=7, return_indices=True,
        return_train_score=True,
    )  # fmt: skip
    from kttoolkit.engine import FitPlan

    seeds = iter([FitPlan(None, 7).fold_seed(k, 0) for k in range(3)])

    class Network(ClassifierMixin, BaseEstimator):
        def fit(self, x, y):
            keras.utils.set_random_seed(next(seeds))
            values = HyperParameters()
            values.values = dict(hp)
            self.model_ = build(values)
            self.model_.fit(x, y, epochs=3, verbose=0)
            self.classes_ = np.unique(y)
            return self

        def predict(self, x):
            return (self.model_.predict(x, verbose=0)[:, 0] > 0.5).astype(int)

    theirs = cross_validate(Network(), x, y, cv=folds, scoring="accuracy")
    np.testing.assert_allclose(ours["test_accuracy"], theirs["test_score"], atol=1e-6)
    assert set(ours) == {
        "fit_time", "epochs", "test_accuracy", "test_loss", "train_accuracy",
        "train_loss", "indices",
    }  # fmt: skip
    np.testing.assert_array_equal(ours["indices"]["test"][1], folds[1][1])
    assert list(ours["epochs"]) == [3, 3, 3]


def test_the_best_epoch_is_a_search_s_score(found, blobs, build):
    scores = methods.cross_validate(
        build, *blobs, hp=found.best_hyperparameters, cv=2, epochs=2, epoch="best",
        seed=0,
    )  # fmt: skip
    splits = found.best_trial.splits["val_accuracy"]
    np.testing.assert_allclose(scores["test_accuracy"], splits, rtol=1e-5)


def test_builders_and_defaults(blobs):
    scores = methods.cross_validate(
        kttoolkit.builders.linear(), *blobs, cv=2, epochs=1, batch_size=8
    )
    assert scores["test_loss"].shape == (2,)
    assert "train_loss" not in scores


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ({"epoch": "third"}, SearchError, "epoch must be 'last' or 'best'.*'third'"),
        ({"epochs": 0}, SearchError, "epochs must be a whole number >= 1, but got 0"),
        ({"hp": {"unit": 1}}, SearchSpaceError, "hp names 'unit'.*Did you mean"),
        ({"cv": 100}, CrossValidationError, "100"),
    ],
)
def test_senseless_arguments_are_refused(bad, error, message, blobs, build):
    with pytest.raises(error, match=message):
        methods.cross_validate(build, *blobs, **bad)


# -- nested ---


@pytest.fixture(scope="module")
def nested(blobs, build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nested")
    return folder, methods.nested_cross_validate(
        build, *blobs, outer=3, inner=2, tuner="random", max_trials=2, max_epochs=2,
        seed=0, verbose=0, directory=folder,
    )  # fmt: skip


def test_outer_scores_are_of_rows_that_no_search_saw(nested, blobs, build):
    """Each is the score of the winner, retrained by hand on the other rows."""
    x, y = blobs
    _, outcome = nested
    assert list(outcome.frame["n_test"]) == [20, 20, 20]
    folds = as_folds(3, as_training_data(x, y), seed=0)
    for number, fold in enumerate(folds):
        result = outcome.results[number]
        assert result.study.n_samples == 40
        model = result.fit_best(x[fold.train], y[fold.train])
        score = model.evaluate(x[fold.test], y[fold.test], verbose=0, return_dict=True)
        row = outcome.frame.iloc[number]
        assert row["outer_score"] == pytest.approx(score["accuracy"])
        assert row["inner_score"] == result.best_score
    assert {"param_units", "param_learning_rate"} <= set(outcome.frame)


def test_optimism_is_inner_minus_outer(nested):
    _, outcome = nested
    frame = outcome.frame
    gap = frame["inner_score"].mean() - frame["outer_score"].mean()
    assert outcome.optimism == pytest.approx(gap)
    assert outcome.score == pytest.approx(frame["outer_score"].mean())
    told = outcome.summary()
    assert "of the whole tuning" in told
    assert "units: " in told


def test_tuning_to_noise_shows_optimism(build, tmp_path):
    """Labels that mean nothing: the inner score is above a half, the outer not."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(60, 4)).astype("float32"), np.arange(60) % 2
    outcome = methods.nested_cross_validate(
        build, x, y, outer=3, inner=2, tuner="random", max_trials=6, max_epochs=3,
        seed=0, verbose=0, directory=tmp_path,
    )  # fmt: skip
    assert outcome.optimism > 0.03
    assert "too good" in outcome.summary()


def test_nested_searches_resume(nested, blobs, build):
    folder, outcome = nested
    again = methods.nested_cross_validate(
        build, *blobs, outer=3, inner=2, tuner="random", max_trials=2, max_epochs=2,
        seed=0, verbose=0, directory=folder, resume=True,
    )  # fmt: skip
    pd.testing.assert_frame_equal(outcome.frame, again.frame)


def test_nested_searches_are_continued_or_started_again(blobs, build, tmp_path):
    with pytest.raises(SearchError, match=r"resume=True and overwrite=True\. Leave"):
        methods.nested_cross_validate(
            build, *blobs, directory=tmp_path, resume=True, overwrite=True
        )
    assert not list(tmp_path.iterdir())


def test_what_the_outer_folds_decide_is_not_an_option(blobs, build):
    with pytest.raises(SearchError, match=r"cv=4\. Use outer= and inner="):
        methods.nested_cross_validate(build, *blobs, cv=4)
    with pytest.raises(CrossValidationError, match="outer=None"):
        methods.nested_cross_validate(build, *blobs, outer=None)


@pytest.mark.parametrize("names", [(np.int64(0), np.int64(1)), (np.str_("a"), "b")])
def test_a_list_of_numpy_s_scalars_is_rows_of_targets(names, blobs, build, tmp_path):
    """Each has a shape, as arrays have, but is no output of its own."""
    x, y = blobs
    outcome = methods.nested_cross_validate(
        build, x, [names[label] for label in y], outer=2, inner=2, tuner="random",
        max_trials=1, max_epochs=1, seed=0, verbose=0, directory=tmp_path,
    )  # fmt: skip
    expected = methods.nested_cross_validate(
        build, x, np.array(names)[y], outer=2, inner=2, tuner="random",
        max_trials=1, max_epochs=1, seed=0, verbose=0, directory=tmp_path,
        project_name="array",
    )  # fmt: skip
    pd.testing.assert_frame_equal(outcome.frame, expected.frame)


# -- re-test ---


def test_the_interval_is_nadeau_and_bengio_s():
    """Worked by hand: five differences, a test share of a quarter."""
    first = [0.8, 0.82, 0.78, 0.81, 0.79]
    second = [0.77, 0.80, 0.77, 0.77, 0.79]
    found = paired_difference(first, second, test_share=0.25)
    d = np.subtract(first, second)
    error = np.sqrt((1 / 5 + 0.25) * d.var(ddof=1))
    assert found.mean == pytest.approx(0.02)
    assert found.high - found.mean == pytest.approx(2.7764451 * error)
    assert not found.is_clear
    assert paired_difference(first, second, test_share=0.0).is_clear
    same = paired_difference(first, first, test_share=0.25)
    assert (same.low, same.high, same.p_value) == (0, 0, 1)


def test_pairs_must_be_pairs():
    with pytest.raises(ResultError, match=r"got \(2,\) and \(3,\)"):
        paired_difference([1, 2], [1, 2, 3], test_share=0.1)


def test_the_interval_covers_what_it_says():
    """Settings that do not differ: a plain t-test is fooled far more often."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(2000, 1)) * np.sqrt(0.2)
    d = shared + rng.normal(size=(2000, 10)) * np.sqrt(0.8)
    corrected = sum(
        paired_difference(row, np.zeros(10), test_share=0.25).is_clear for row in d
    )
    plain = sum(
        paired_difference(row, np.zeros(10), test_share=0.0).is_clear for row in d
    )
    assert corrected / 2000 == pytest.approx(0.05, abs=0.025)
    assert plain > 2 * corrected


def test_old_winners_meet_the_defaults_on_new_folds(found):
    outcome = methods.retest(found, top=2, repeats=2, cv=3)
    frame = outcome.frame
    assert list(frame["trial"]) == [found.best_trial.trial_id, frame["trial"][1],
                                    "defaults"]  # fmt: skip
    assert frame["difference"][0] == 0
    assert len(outcome.scores) == 6
    for name in frame["trial"]:
        mean = outcome.scores[name].mean()
        row = frame[frame["trial"] == name].iloc[0]
        assert row["mean_val_accuracy"] == pytest.approx(mean)
    paired = paired_difference(
        outcome.scores["defaults"], outcome.scores[frame["trial"][0]], test_share=0.5
    )
    assert frame["low"][2] == pytest.approx(paired.low)
    assert found.best_trial.trial_id in outcome.verdict
    assert "RetestResult" in repr(outcome)


def test_a_winner_by_chance_is_found_out(blobs, build, tmp_path):
    """A learning rate that cannot learn, made the old winner, is clearly beaten."""
    x, y = blobs
    settings = [{"learning_rate": 1e-6}, {"learning_rate": 0.1, "units": 8}]
    result = kttoolkit.tune(build, x, y, tuner=settings[:1], directory=tmp_path,
                            **{**QUICK, "max_epochs": 10})  # fmt: skip
    better = result.add(settings[1])
    outcome = methods.retest(better, top=2, repeats=3, cv=3)
    assert outcome.frame["trial"][0] == "added0"
    assert outcome.holds
    assert "still the best" in outcome.verdict
    import dataclasses

    flattered = [
        dataclasses.replace(record, metrics={**record.metrics, "val_accuracy": 0.99})
        if record.trial_id == "0000" or record is better.records[0]
        else record
        for record in better.records
    ]
    fooled = dataclasses.replace(better, records=tuple(flattered))
    outcome = methods.retest(fooled, top=2, repeats=3, cv=3)
    assert not outcome.holds
    assert "does not hold: added0 is better by" in outcome.verdict


@pytest.mark.parametrize(
    ("low", "told"),
    [(0.25, r"by 0.2500\. It"), (0.1, r"\(from 0.1000 to 0.2500\)\. It")],
)
def test_an_interval_is_told_where_there_is_one(low, told):
    frame = pd.DataFrame(
        {
            "trial": ["0", "defaults"], "mean_loss": [0.5, 0.25], "rank": [2, 1],
            "difference": [0.0, 0.25], "low": [0.0, low], "high": [0.0, 0.25],
        }
    )  # fmt: skip
    outcome = methods.RetestResult(frame, frame, "loss", "min", float("nan"))
    assert re.search(told, outcome.verdict)


def test_new_rows_may_be_given(found, blobs):
    rng = np.random.default_rng(5)
    y = np.arange(40) % 2
    x = rng.normal(size=(40, 4)).astype("float32") + y[:, None]
    outcome = methods.retest(found, x, y, top=1, repeats=1)
    assert len(outcome.scores) == 2
    assert np.isnan(outcome.rank_correlation)


GROUPS = np.repeat(np.arange(6), 4)


def searched(cv):
    """A trainer of a search on 24 rows of two classes, in six groups if asked for."""
    groups = GROUPS if "Group" in repr(cv) else None
    data = as_training_data(np.zeros((24, 2)), np.arange(24) % 2, groups=groups)
    folds = as_folds(cv, data, seed=0)
    return StudyTrainer(None, data, folds), data, folds


@pytest.mark.parametrize(
    "cv",
    [GroupKFold(3), LeaveOneGroupOut(), TimeSeriesSplit(3, gap=1), LeaveOneOut(),
     KFold(3), PredefinedSplit(GROUPS % 3), list(KFold(4).split(GROUPS)), None],
    ids=repr,
)  # fmt: skip
def test_what_draws_nothing_cuts_as_before(cv):
    """New folds by chance would tear groups apart or look into the future."""
    trainer, data, folds = searched(cv)
    again = cut_again(trainer, data, folds.description, seed=5)
    assert again.fingerprint() == folds.fingerprint()


@pytest.mark.parametrize(
    "cv",
    [3, "kfold", StratifiedGroupKFold(3, shuffle=True, random_state=0),
     RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0),
     ShuffleSplit(3, test_size=0.25, random_state=0)],
    ids=repr,
)  # fmt: skip
def test_what_draws_at_random_draws_again(cv):
    trainer, data, folds = searched(cv)
    first, same, other = (
        cut_again(trainer, data, folds.description, seed=seed) for seed in (5, 5, 6)
    )
    assert first.fingerprint() == same.fingerprint()
    assert len({f.fingerprint() for f in (folds, first, other)}) == 3
    assert [len(fold.test) for fold in first] == [len(fold.test) for fold in folds]
    if isinstance(cv, StratifiedGroupKFold):
        for fold in first:
            assert not set(GROUPS[fold.train]) & set(GROUPS[fold.test])


def test_new_rows_are_cut_by_the_search_s_splitter():
    trainer, _, folds = searched(TimeSeriesSplit(3))
    rows = as_training_data(np.zeros((40, 2)), np.arange(40) % 2)
    again = cut_again(trainer, rows, folds.description, seed=5)
    expected = [test for _, test in TimeSeriesSplit(3).split(rows.x)]
    for fold, test in zip(again, expected, strict=True):
        np.testing.assert_array_equal(fold.test, test)


@pytest.mark.parametrize(
    ("cv", "reason"),
    [(GroupKFold(3), "'groups' parameter"), (None, "none of scikit-learn's"),
     (PredefinedSplit(GROUPS % 3), "none of scikit-learn's"),
     (list(KFold(4).split(GROUPS)), "none of scikit-learn's")],
    ids=repr,
)  # fmt: skip
def test_new_rows_that_cannot_be_cut_so_are_refused(cv, reason):
    trainer, _, folds = searched(cv)
    rows = as_training_data(np.zeros((40, 2)), np.arange(40) % 2)
    with pytest.raises(CrossValidationError, match=f"Pass cv=.*{reason}"):
        cut_again(trainer, rows, folds.description, seed=5)


@pytest.mark.parametrize(
    "cv", ["KFold(3)", "KFold(n_folds=3)", "Mine(n_splits=3)", "KFold(n_splits=n)"]
)
def test_a_splitter_that_cannot_be_read_is_not_guessed(cv):
    trainer, data, folds = searched(3)
    assert cut_again(trainer, data, cv, seed=5) is folds
    rows = as_training_data(np.zeros((40, 2)), np.arange(40) % 2)
    with pytest.raises(CrossValidationError, match=r"Pass cv=, a number of folds"):
        cut_again(trainer, rows, cv, seed=5)


def test_a_re_test_keeps_groups_together(blobs, build, tmp_path, monkeypatch):
    """Every setting of every repeat is scored on the search's own folds."""
    from kttoolkit.methods import _retest

    groups = np.repeat(np.arange(6), 10)
    result = kttoolkit.tune(
        build, *blobs, tuner=[{"units": 4}], groups=groups, directory=tmp_path,
        **{**QUICK, "cv": GroupKFold(3), "max_epochs": 1},
    )  # fmt: skip
    seen, evaluate = [], _retest.evaluate

    def watched(factory, hp, data, folds, plan, **options):
        seen.append((folds.fingerprint(), plan.seed))
        return evaluate(factory, hp, data, folds, plan, **options)

    monkeypatch.setattr(_retest, "evaluate", watched)
    outcome = methods.retest(result, top=1, repeats=2)
    assert {cut for cut, _ in seen} == {result.study.fingerprints["folds"]}
    assert len({seed for _, seed in seen}) == 2
    assert len(outcome.scores) == 6
    assert "of the 1 other." in outcome.verdict


def test_a_hold_out_is_re_tested_on_its_own_rows(blobs, build, tmp_path):
    """Two folds of all rows were scored before, the last rows trained on too."""
    result = kttoolkit.tune(
        build, *blobs, tuner=[{"units": 4}], validation_split=0.25,
        directory=tmp_path, **{**QUICK, "cv": None, "max_epochs": 1},
    )  # fmt: skip
    outcome = methods.retest(result, top=1, repeats=3)
    assert list(outcome.scores["fold"]) == [0, 0, 0]
    paired = paired_difference(
        outcome.scores["defaults"], outcome.scores[result.best_trial.trial_id],
        test_share=15 / 45,
    )  # fmt: skip
    assert outcome.frame["low"][1] == pytest.approx(paired.low)


def test_senseless_retests_are_refused(found):
    with pytest.raises(SearchError, match="repeats >= 1 must hold, but got 0"):
        methods.retest(found, repeats=0)
    with pytest.raises(ResultError, match="opened from disk"):
        methods.retest(kttoolkit.load_result(found.directory))
