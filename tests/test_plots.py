"""Pictures: their data by hand, and that they are drawn for every kind of result."""

import dataclasses
import math

import matplotlib as mpl
import numpy as np
import pytest
from test_importance import ask as four
from test_importance import bowl, write

from kttoolkit import plots, space
from kttoolkit.exceptions import ResultError
from kttoolkit.importance import importance

mpl.use("Agg")
import matplotlib.pyplot as plt

NAMES = ["history", "slice", "curves", "folds", "importance"]


def every_kind(hp):
    four(hp)
    space.momentum(hp)
    hp.Choice("a $very$ long name of <b>something</b>", ["x", "y" * 40])
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Float("beta", 0.1, 0.9)


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    plt.close("all")


def with_folds(result, n_folds=3):
    """Give every trial folds that differ, with curves."""
    rng = np.random.default_rng(0)
    records = []
    for record in result.records:
        scores = tuple(record.score + 0.1 * rng.normal(size=n_folds))
        fits = tuple(
            dataclasses.replace(
                record.fits[0], split=k, fold=k, n_train=20, n_test=10,
                history={"val_loss": (scores[k] + 1, scores[k]), "loss": (2.0, 1.0)},
            )
            for k in range(n_folds)
        )  # fmt: skip
        done = record.status == "completed"
        records.append(
            dataclasses.replace(
                record,
                splits={"val_loss": scores} if done else {},
                metrics={"val_loss": float(np.mean(scores))} if done else {},
                fits=fits if done else (),
                epochs=(2,) * n_folds if done else (),
            )
        )
    return dataclasses.replace(result, records=tuple(records))


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots")
    return with_folds(write(folder, 20, bowl, ask=every_kind, failed=(3,)))


def drawn(axes):
    """Draw for good; what is wrong with labels shows only then."""
    first = axes[0] if isinstance(axes, list) else axes
    first.figure.canvas.draw()
    return first


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_is_drawn(name, result):
    ax = drawn(getattr(result.plot, name)())
    assert ax.get_xlabel()
    assert ax.has_data()


@pytest.mark.parametrize("name", ["history", "slice", "curves", "folds"])
@pytest.mark.parametrize("n", [1, 2, 250])
def test_results_of_all_sizes(name, n, tmp_path):
    few = with_folds(write(tmp_path, n, bowl))
    assert drawn(getattr(few.plot, name)()).has_data()


@pytest.mark.parametrize("name", NAMES)
def test_a_maximised_objective(name, tmp_path):
    found = write(tmp_path, 12, lambda v: -bowl(v), direction="max")
    ax = drawn(getattr(found.plot, name)())
    if name == "history":
        assert "higher is better" in ax.get_ylabel()


@pytest.mark.parametrize("name", NAMES)
def test_one_hyperparameter(name, tmp_path):
    found = write(tmp_path, 12, lambda v: v["rate"], ask=lambda hp: hp.Float(
        "rate", 0.0, 1.0))  # fmt: skip
    assert drawn(getattr(found.plot, name)()).has_data()


@pytest.mark.parametrize("name", NAMES)
def test_the_users_axes_are_drawn_on(name, result):
    if name == "slice":
        _, axes = plt.subplots(1, 2)
        found = result.plot.slice(names=["learning_rate", "kind"], axes=axes)
        assert found == list(axes)
        return
    _, ax = plt.subplots()
    assert getattr(result.plot, name)(ax=ax) is ax


@pytest.mark.parametrize("name", NAMES)
def test_without_a_completed_trial_there_is_no_picture(name, tmp_path):
    failed = write(tmp_path, 3, bowl, failed=(0, 1, 2))
    if name == "history":
        assert drawn(failed.plot.history()).get_ylabel()
        return
    with pytest.raises(ResultError, match=r"complete"):
        getattr(failed.plot, name)()


def test_history_by_hand(tmp_path):
    scores = iter([3.0, 1.0, 9.0, 2.0, 0.5])
    found = write(tmp_path, 5, lambda values: next(scores), failed=(2,))
    frame = plots.history_frame(found)
    assert list(frame["number"]) == [1, 2, 3, 4, 5]
    assert list(frame["best"]) == [3.0, 1.0, 1.0, 1.0, 0.5]
    assert math.isnan(frame["score"][2])
    assert list(frame["status"]) == ["completed", "completed", "failed", "completed",
                                     "completed"]  # fmt: skip


def test_slices_by_hand(result):
    frame = plots.slice_frame(result, names=["beta"])
    has = [r for r in result.records if "beta" in r.values and r.status == "completed"]
    assert list(frame["trial"]) == [record.trial_id for record in has]
    assert list(frame["value"]) == [record.values["beta"] for record in has]
    assert list(frame["score"]) == [record.score for record in has]
    with pytest.raises(ResultError, match=r"must be one of.*'learning_rate'.*'rate'"):
        plots.slice_frame(result, names=["rate"])


def test_slices_are_on_the_hyperparameter_s_scale(result):
    rate, momentum, units, kind = result.plot.slice(
        names=["learning_rate", "momentum", "units", "kind"]
    )
    drawn(rate)
    assert rate.get_xscale() == "log"
    places = momentum.transData.transform([(0.9, 0), (0.99, 0), (0.999, 0)])[:, 0]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1])
    assert [tick.get_text() for tick in kind.get_xticklabels()] == ["a", "b", "c"]
    assert [tick.get_text() for tick in units.get_xticklabels()] == [
        "16", "32", "64", "128", "256"
    ]  # fmt: skip


def test_too_few_axes_are_refused(result):
    _, ax = plt.subplots()
    with pytest.raises(ResultError, match="axes for 2 hyperparameters, but got 1"):
        result.plot.slice(names=["units", "kind"], axes=[ax])


def test_curves_by_hand(result):
    frame = plots.curves_frame(result, top=2)
    best = result.best_trial
    assert list(frame["rank"]) == [1, 1, 2, 2]
    last = [fit.history["val_loss"][1] for fit in best.fits]
    row = frame.iloc[1]
    assert row["epoch"] == 2
    assert row["mean"] == pytest.approx(np.mean(last))
    assert row["high"] - row["mean"] == pytest.approx(np.std(last))
    assert row["n_folds"] == 3
    assert list(plots.curves_frame(result, metric="loss", top=1)["mean"]) == [2.0, 1.0]
    with pytest.raises(ResultError, match=r"one of \['loss', 'val_loss'\].*'acc'"):
        plots.curves_frame(result, metric="acc")


def test_folds_by_hand(result):
    frame = plots.folds_frame(result, top=2)
    best = result.best_trial
    assert list(frame["score"][:3]) == list(best.splits["val_loss"])
    assert list(frame["rank"]) == [1] * 3 + [2] * 3
    assert frame["mean"][0] == pytest.approx(best.score)


def test_importance_may_be_found_before(result):
    found = importance(result, n_resamples=2)
    ax = plots.plot_importance(found)
    widths = [bar.get_width() for bar in ax.patches]
    assert widths == list(found.frame["importance"][::-1])


def test_names_are_no_mathematics(result):
    (ax,) = result.plot.slice(names=["a $very$ long name of <b>something</b>"])
    drawn(ax)
    assert r"\$very\$" in ax.get_xlabel()
    assert ax.get_xlabel().endswith("…")


def test_pictures_need_no_tensorflow(result):
    import subprocess
    import sys

    code = (
        "import sys, matplotlib; matplotlib.use('Agg'); import kttoolkit; "
        f"r = kttoolkit.load_result({str(result.directory)!r}); r.plot.history(); "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
