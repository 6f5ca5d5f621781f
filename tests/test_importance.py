"""Importance: what mattered comes first, and doubts are told."""

import numpy as np
import pytest

import kttoolkit
from kttoolkit import HyperParameters, space
from kttoolkit.exceptions import MissingDependencyError, ResultError
from kttoolkit.importance import Importance, features, importance, interactions
from kttoolkit.results import Study, TrialRecord, TuneResult, read_result
from kttoolkit.scoring import FoldFit

METHODS = ["permutation", "fanova", "ped_anova"]


def ask(hp):
    space.learning_rate(hp)
    space.units(hp)
    hp.Choice("kind", ["a", "b", "c"])
    hp.Boolean("flag")


def write(folder, n, score, ask=ask, direction="min", failed=()):
    """A study of random trials with a score that is a function of the values."""
    from kttoolkit.files import write_json

    folder.mkdir(exist_ok=True)
    Study("RandomSearch", "val_loss", direction, 0, "KFold(2)", 2).write(folder)
    for number in range(n):
        hp = HyperParameters()
        ask(hp)
        for place, entry in enumerate(hp.space):
            if hp.is_active(entry):
                hp.values[entry.name] = entry.random_sample(1000 * number + place)
        hp.ensure_active_values()
        value = float(score(hp.values))
        trial = folder / f"trial_{number:04}"
        trial.mkdir()
        curve = (value + 1, value)
        fits = tuple(
            FoldFit(k, k, 0, 0, {"val_loss": curve, "loss": curve}, n_train=4, n_test=4)
            for k in range(2)
        )
        status = "failed" if number in failed else "completed"
        TrialRecord(
            f"{number:04}", dict(hp.values), status, "boom" if number in failed else "",
            objective="val_loss", direction=direction, seconds=4.0,
            ended=1e9 + 5 * number,
            metrics={"val_loss": value} if status == "completed" else {},
            splits={"val_loss": (value, value)}, epochs=(2, 2), fits=fits,
        ).write(trial)  # fmt: skip
        write_json(trial / "trial.json", {"hyperparameters": hp.get_config()})
    return read_result(folder)


def bowl(values):
    """The learning rate matters most, the kind a little, the rest not at all."""
    rate = np.log10(values["learning_rate"]) + 2
    return rate**2 + {"a": 0.0, "b": 0.3, "c": 0.6}[values["kind"]]


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return write(tmp_path_factory.mktemp("study"), 60, bowl, failed=(3, 7))


@pytest.mark.parametrize("method", METHODS)
def test_what_mattered_comes_first(method, result):
    found = importance(result, method=method, n_resamples=3)
    assert found.frame["hyperparameter"][0] == "learning_rate"
    shares = found.frame.set_index("hyperparameter")["importance"]
    assert shares.sum() == pytest.approx(1)
    assert shares["learning_rate"] > 0.5
    assert shares[["units", "flag"]].max() < 0.2
    assert found.n_trials == 58
    assert (found.frame["std"] >= 0).all()
    assert found.note == ""


def test_the_same_seed_finds_the_same(result):
    first, again = (importance(result, seed=3, n_resamples=2) for _ in range(2))
    assert first.frame.equals(again.frame)


def test_too_few_trials_are_told(tmp_path):
    found = importance(write(tmp_path, 8, bowl), n_resamples=2)
    assert "8 trials are too few to tell 4 hyperparameters apart" in found.note
    assert "too few" in repr(found)
    assert "too few" in found._repr_html_()


def test_a_tie_is_told(tmp_path):
    def both(values):
        return np.log10(values["learning_rate"]) + np.log2(values["units"])

    found = importance(write(tmp_path, 60, both), n_resamples=2)
    assert set(found.frame["hyperparameter"][:2]) == {"learning_rate", "units"}


def test_names_are_escaped():
    import pandas as pd

    frame = pd.DataFrame({"hyperparameter": ["<script>"], "importance": [1.0]})
    shown = Importance(frame, "permutation", 3, "<script> may well")._repr_html_()
    assert "<script>" not in shown


@pytest.mark.parametrize("method", METHODS)
def test_conditional_hyperparameters(method, tmp_path):
    def conditional(hp):
        space.optimizer(hp, kinds=["sgd", "adam"])

    def score(values):
        return 3.0 if values["optimizer"] == "sgd" else 0.0

    found = importance(
        write(tmp_path, 40, score, ask=conditional), method=method, n_resamples=2
    )
    assert found.frame["hyperparameter"][0] == "optimizer"
    if method == "permutation":
        counts = found.frame.set_index("hyperparameter")["n_trials"]
        assert 0 < counts["momentum"] < 40


def test_features_are_on_their_scale(result):
    records = result.records[:2]
    matrix = features(records, result.ranges)
    names = [one.name for one in result.ranges]
    rate = matrix[0, names.index("learning_rate")]
    assert rate == pytest.approx(np.log(records[0].values["learning_rate"]))
    kind = matrix[0, names.index("kind")]
    assert kind == ["a", "b", "c"].index(records[0].values["kind"])


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_an_optuna_study_of_the_trials(result):
    import optuna

    study = result.to_optuna()
    assert isinstance(study, optuna.study.Study)
    assert len(study.trials) == 60
    assert study.best_value == result.best_score
    assert study.best_params == result.best_values
    states = [trial.state.name for trial in study.trials]
    assert states.count("FAIL") == 2
    rate = study.trials[0].distributions["learning_rate"]
    assert (rate.low, rate.high, rate.log) == (1e-4, 1.0, True)
    first = result.records[0]
    assert study.trials[0].intermediate_values == {1: first.score + 1, 2: first.score}
    axes = optuna.visualization.matplotlib.plot_optimization_history(study)
    assert axes.get_ylabel()


def test_maximised_objectives_keep_their_direction(tmp_path):
    found = write(tmp_path, 20, lambda v: -bowl(v), direction="max")
    assert found.to_optuna().best_value == found.best_score


def test_what_cannot_be_told_is_refused(result, tmp_path, monkeypatch):
    with pytest.raises(ResultError, match=r"method must be one of.*'shap'"):
        result.importance(method="shap")
    for bad in (0, 1, 2.5, None):
        with pytest.raises(ResultError, match=f"n_resamples must.*>= 2, but got {bad}"):
            importance(result, n_resamples=bad)
    with pytest.raises(ResultError, match=r"4 completed trials or more.*got 2"):
        write(tmp_path / "a", 2, bowl).importance()
    constant = write(tmp_path / "b", 6, bowl, ask=lambda hp: [
        hp.Fixed("learning_rate", 0.1), hp.Fixed("kind", "a")])  # fmt: skip
    with pytest.raises(ResultError, match="one value in all 6 trials"):
        constant.importance()
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(MissingDependencyError, match=r"kttoolkit\[optuna\]"):
        result.to_optuna()


def test_a_widened_range_holds_every_trial(tmp_path, blobs, build):
    result = kttoolkit.methods.coarse_to_fine(
        build, *blobs, rounds=2, max_trials=8, cv=2, max_epochs=1, seed=0, verbose=0,
        directory=tmp_path,
    )  # fmt: skip
    assert len(result.to_optuna().trials) == 8


def test_it_is_found_without_tensorflow(result):
    import subprocess
    import sys

    code = (
        "import sys, kttoolkit; "
        f"r = kttoolkit.load_result({str(result.directory)!r}); "
        "r.importance(); assert 'tensorflow' not in sys.modules; "
        "assert isinstance(r.directory.name, str)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_result_made_by_hand_has_no_ranges(tmp_path):
    empty = TuneResult(tmp_path, Study("R", "val_loss", "min", 0, "", 1), (), {})
    assert empty.ranges == ()


# -- interactions ---


def saddle(values):
    """Good where the kind and the flag agree: neither does anything alone."""
    rate = np.log10(values["learning_rate"]) + 2
    agree = (values["kind"] == "a") == bool(values["flag"])
    return 0.2 * rate**2 + (0.0 if agree else 2.0)


def test_what_matters_only_together_is_found(tmp_path):
    found = write(tmp_path, 120, saddle)
    frame = interactions(found, n_resamples=4)
    assert list(frame.columns) == ["hyperparameter", "other", "interaction", "std"]
    assert {frame["hyperparameter"][0], frame["other"][0]} == {"kind", "flag"}
    assert frame["interaction"][0] > 0.3
    assert frame["interaction"][0] > 5 * frame["interaction"][1:].max()
    assert frame["interaction"][0] > 2 * frame["std"][0]


def test_effects_that_add_up_are_no_interaction(result):
    frame = interactions(result, names=["learning_rate", "kind"], n_resamples=2)
    assert len(frame) == 1
    assert frame["interaction"][0] < 0.05


def test_the_left_over_of_a_sum_is_nothing():
    from kttoolkit.importance._interactions import _left_over

    one, other = np.array([[0.0], [1.0], [5.0]]), np.array([[2.0, 3.0]])
    assert _left_over(one + other) == pytest.approx(0)
    assert _left_over(one * other)[0, 0] == pytest.approx(1.0)


def test_interactions_need_two(result, tmp_path):
    with pytest.raises(
        ResultError, match=r"of two hyperparameters or more.*\['kind'\]"
    ):
        interactions(result, names=["kind"])
    with pytest.raises(ResultError, match=r"names must be a list.* but got 'kind'"):
        interactions(result, names="kind")
    with pytest.raises(ResultError, match=r"must be one of .* but got 'depth'"):
        interactions(result, names=["kind", "depth"])
    with pytest.raises(ResultError, match="got 3"):
        write(tmp_path, 3, bowl).interactions()
