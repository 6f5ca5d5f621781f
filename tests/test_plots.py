"""Pictures: their data by hand, and that they are drawn for every kind of result."""

import dataclasses
import math
import re
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from test_importance import ask as four
from test_importance import bowl, write

from kttoolkit import plots, space
from kttoolkit.exceptions import ResultError
from kttoolkit.importance import importance
from kttoolkit.plots import _fonts
from kttoolkit.plots._words import wrapped
from kttoolkit.report._svg import as_svg

mpl.use("Agg")
import matplotlib.pyplot as plt

NAMES = ["history", "slice", "curves", "folds", "importance", "gap",
         "parallel_coordinates", "contours", "timeline"]  # fmt: skip


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
    assert ax.get_xlabel() or ax.get_xticklabels()
    assert ax.has_data()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "importance"])
@pytest.mark.parametrize("n", [1, 2, 50])
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
    if name == "contours":
        with pytest.raises(ResultError, match=r"two hyperparameters.*\['rate'\]"):
            found.plot.contours()
        return
    assert drawn(getattr(found.plot, name)()).has_data()


@pytest.mark.parametrize("name", NAMES)
def test_the_users_axes_are_drawn_on(name, result):
    if name in {"slice", "contours"}:
        _, axes = plt.subplots(1, 2 if name == "slice" else 1, squeeze=False)
        names = ["learning_rate", "kind"]
        found = getattr(result.plot, name)(names=names, axes=axes)
        axes = axes.ravel()
        assert found == list(axes)
        return
    _, ax = plt.subplots()
    assert getattr(result.plot, name)(ax=ax) is ax


@pytest.mark.parametrize("name", NAMES)
def test_without_a_completed_trial_there_is_no_picture(name, tmp_path):
    failed = write(tmp_path, 3, bowl, failed=(0, 1, 2))
    if name in {"history", "timeline"}:
        assert drawn(getattr(failed.plot, name)()).get_ylabel()
        return
    with pytest.raises(ResultError, match=r"complete"):
        getattr(failed.plot, name)()


def test_history_by_hand(tmp_path):
    scores = iter([3.0, 1.0, 9.0, 2.0, 0.5])
    found = write(tmp_path, 5, lambda values: next(scores), failed=(2,))
    frame = plots.history_frame(found)
    assert list(frame["number"]) == [0, 1, 2, 3, 4]
    assert list(frame["best"]) == [3.0, 1.0, 1.0, 1.0, 0.5]
    assert math.isnan(frame["score"][2])
    assert list(frame["status"]) == ["completed", "completed", "failed", "completed",
                                     "completed"]  # fmt: skip


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize("wild", [30.0, 1e6])
def test_what_is_far_worse_stands_within_the_axes(direction, wild, tmp_path):
    """It is in the legend; a triangle below the axes would be seen nowhere."""
    sign = 1.0 if direction == "min" else -1.0
    scores = iter([1.0, 1.02, wild, 1.01, 1.03, 1.04])
    found = write(tmp_path, 6, lambda v: sign * next(scores), direction=direction)
    ax = drawn(found.plot.history())
    (triangle,) = (c for c in ax.collections if c.get_label() == "far worse")
    ((_, place),) = triangle.get_offsets()
    low, high = ax.get_ylim()
    assert min(place - low, high - place) > 0.03 * (high - low)
    assert high - low < 1
    assert low < sign * 1.0 < high


def test_slices_by_hand(result):
    frame = plots.slice_frame(result, names=["beta"])
    has = [r for r in result.records if "beta" in r.values and r.status == "completed"]
    assert list(frame["trial"]) == [record.trial_id for record in has]
    assert list(frame["value"]) == [record.values["beta"] for record in has]
    assert list(frame["score"]) == [record.score for record in has]
    with pytest.raises(ResultError, match=r"must be one of.*'learning_rate'.*'rate'"):
        plots.slice_frame(result, names=["rate"])


@pytest.mark.parametrize("name", ["slice", "parallel_coordinates", "contours"])
def test_one_name_is_no_list_of_letters(result, name):
    with pytest.raises(ResultError, match=r"names must be.*'units'. Pass.*\['units'\]"):
        getattr(result.plot, name)(names="units")


@pytest.mark.parametrize("name", ["gap", "curves", "folds"])
@pytest.mark.parametrize("bad", [0, -1, 1.5, "3"])
def test_pictures_of_the_best_show_one_trial_or_more(result, name, bad):
    with pytest.raises(ResultError, match=f"top must be.* >= 1, but got {bad!r}"):
        getattr(result.plot, name)(top=bad)


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
    with pytest.raises(ResultError, match="axes for 2 panels, but got 1"):
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


def gap_of(train, validation, epochs, chosen):
    """One trial with these curves in every fold."""
    from kttoolkit.results import Study, TrialRecord, TuneResult
    from kttoolkit.scoring import FoldFit

    fits = tuple(
        FoldFit(
            k, k, 0, 0, {"loss": train, "val_loss": validation}, n_train=8, n_test=4
        )
        for k in range(2)
    )
    record = TrialRecord(
        "0", {}, "completed", objective="val_loss", direction="min",
        metrics={"val_loss": validation[chosen - 1]}, epochs=(chosen,) * 2, fits=fits,
        splits={"val_loss": (validation[chosen - 1],) * 2},
    )  # fmt: skip
    assert len(train) == epochs
    study = Study("RandomSearch", "val_loss", "min", 0, "KFold(2)", 2)
    return plots.gap_frame(TuneResult("x", study, (record,), {})).iloc[0]


def test_the_gap_is_told_in_words():
    over = gap_of((1.0, 0.5, 0.1), (1.0, 0.8, 0.9), 3, chosen=2)
    assert (over["train"], over["validation"]) == (0.5, 0.8)
    assert over["gap"] == pytest.approx(0.3)
    assert over["verdict"] == "overfits"
    assert gap_of((1.0, 0.9), (0.9, 0.8), 2, chosen=2)["verdict"] == "trains on"
    assert gap_of((1.0, 0.9), (0.7, 0.8), 2, chosen=1)["verdict"] == "fits"


def test_a_gap_needs_a_counterpart_in_training(tmp_path):
    found = write(tmp_path, 3, bowl)
    study = dataclasses.replace(found.study, objective="loss")
    with pytest.raises(ResultError, match="'loss' has no counterpart"):
        plots.gap_frame(dataclasses.replace(found, study=study))


def test_coordinates_by_hand(result):
    frame = plots.parallel_coordinates_frame(result, names=["learning_rate", "kind"])
    rates = np.log([r.values["learning_rate"] for r in result.records
                    if r.status == "completed"])  # fmt: skip
    expected = (rates - rates.min()) / (rates.max() - rates.min())
    np.testing.assert_allclose(frame["learning_rate"], expected)
    assert set(frame["kind"]) == {0.0, 0.5, 1.0}
    beta = plots.parallel_coordinates_frame(result, names=["beta"])["beta"]
    assert beta.isna().any()


def test_coordinates_end_at_the_score(result):
    """A line needs two axes: one hyperparameter would be points of no extent."""
    trials = [r for r in result.records if r.status == "completed"]
    ax = drawn(result.plot.parallel_coordinates(names=["learning_rate"]))
    (lines,) = ax.collections
    segments = np.array(lines.get_segments())
    assert segments.shape == (len(trials), 2, 2)
    worst_first = np.sort([r.score for r in trials])[::-1]
    expected = (worst_first - worst_first.min()) / np.ptp(worst_first)
    np.testing.assert_allclose(segments[:, 1, 1], expected, atol=1e-9)
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert labels == ["learning_rate", "validation loss"]
    left, right = ax.get_xlim()
    assert left < 0 < 1 < right
    ends = [(text.xy, text.get_text()) for text in ax.texts[2:]]
    assert ends == [
        ((1, 0.0), f"{worst_first[-1]:.3g}"), ((1, 1.0), f"{worst_first[0]:.3g}")
    ]  # fmt: skip


def test_the_ends_of_a_momentum_are_told_to_the_last_digit(result):
    """Near 1 three digits would all be 1."""
    ax = drawn(result.plot.parallel_coordinates(names=["momentum", "learning_rate"]))
    momenta = [r.values["momentum"] for r in result.records if r.status == "completed"]
    told = [float(text.get_text()) for text in ax.texts]
    assert told[:2] == pytest.approx([min(momenta), max(momenta)], abs=1e-6)
    assert len(ax.texts[0].get_text()) > len("0.999")


def scored(folder, scores, **kwargs):
    """Trials of one hyperparameter with these scores."""
    left = iter(scores)
    return write(folder, len(scores), lambda values: next(left),
                 ask=lambda hp: hp.Float("rate", 0.0, 1.0), **kwargs)  # fmt: skip


@pytest.mark.parametrize(
    ("direction", "scores", "ends"),
    [
        ("min", [1.0, 1.02, 1e6, 1.01, 1.03, 1.04], ["1", "≥ "]),
        ("max", [-1.0, -1.02, -1e6, -1.01, -1.03, -1.04], ["≤ ", "-1"]),
        ("max", [0.99912, 0.99934, 0.99941], ["0.99912", "0.99941"]),
        ("min", [2.0, 2.0], ["2"]),
    ],
)
def test_the_ends_of_the_score_are_told(direction, scores, ends, tmp_path):
    """What is far worse stands at the worst end, which says so."""
    found = scored(tmp_path, scores, direction=direction)
    ax = drawn(found.plot.parallel_coordinates())
    told = [text.get_text() for text in ax.texts if text.xy[0] == 1]
    assert len(told) == len(ends)
    assert all(text.startswith(end) for text, end in zip(told, ends, strict=True))


@pytest.mark.parametrize(
    ("objective", "label"),
    [
        ("val_accuracy", "validation\naccuracy"),
        ("val_loss", "validation loss"),
        ("val_mean_absolute_error", "validation mean\nabsolute error"),
        ("val_정확도", "validation\n정확도"),
        ("val_" + "x" * 99, f"validation xxxxx\n{'x' * 16}\n{'x' * 15}…"),
        ("val_$a_of_$b", r"validation \$a of" "\n" r"\$b"),
    ],
)
def test_a_long_metric_is_on_several_lines(objective, label):
    assert wrapped(objective, 16) == label


def test_contours_of_huge_scores_have_infinite_means(tmp_path):
    """Trials at one place are averaged; that the sum overflows is no warning."""
    found = write(tmp_path, 3, lambda values: 1e308, ask=lambda hp: [
        hp.Choice("a", [1]), hp.Choice("b", [1])
    ])  # fmt: skip
    frame = plots.contours_frame(found, names=["a", "b"])
    assert list(frame["n_trials"]) == [3]
    assert np.isinf(frame["score"]).all()


def test_rounds_of_a_coarse_to_fine_search(tmp_path):
    found = write(tmp_path, 9, bowl)
    with pytest.raises(ResultError, match="has rounds, but this one was a RandomS"):
        found.plot.rounds()
    with pytest.raises(ResultError, match="has rounds, but this one was a Hyperband"):
        climbing().plot.rounds()
    records = tuple(
        dataclasses.replace(
            record, values={**record.values, "tuner/round": 1 + number // 3}
        )
        for number, record in enumerate(found.records)
    )
    found = dataclasses.replace(found, records=records)
    frame = plots.rounds_frame(found, names=["learning_rate"])
    assert list(frame["round"]) == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    axes = found.plot.rounds()
    drawn(axes)
    assert axes[0].get_xscale() == "log"
    labels = [tick.get_text() for tick in axes[0].get_yticklabels()]
    assert labels == ["round 1", "round 2", "round 3"]


def test_contours_by_hand(tmp_path):
    """Trials at the same place are averaged; the surface lies on the scales."""
    found = write(tmp_path, 40, bowl)
    frame = plots.contours_frame(found, names=["units", "kind"])
    cell = frame.iloc[0]
    there = [
        record.score
        for record in found.records
        if (record.values["units"], record.values["kind"]) == (cell["x"], cell["y"])
    ]
    assert cell["n_trials"] == len(there) > 1
    assert cell["score"] == pytest.approx(np.mean(there))
    assert frame["n_trials"].sum() == 40
    (ax,) = found.plot.contours(names=["learning_rate", "units"])
    drawn(ax)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    (surface,) = (c for c in ax.collections if hasattr(c, "levels"))
    rates = [record.values["learning_rate"] for record in found.records]
    corners = np.concatenate([path.vertices for path in surface.get_paths()])
    assert corners[:, 0].min() == pytest.approx(min(rates), rel=0.2)
    assert corners[:, 0].max() == pytest.approx(max(rates), rel=0.2)


def either(hp):
    """Two hyperparameters that no trial has together, and one that all have."""
    hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["adam"]):
        hp.Float("beta", 0.1, 0.9)
    with hp.conditional_scope("optimizer", ["sgd"]):
        hp.Float("momentum", 0.1, 0.9)
    hp.Float("rate", 0.1, 0.9)


def test_pairs_that_no_trial_has_together_are_left_out(tmp_path):
    """Their panel would be empty, with ticks that stand for nothing."""
    found = write(tmp_path, 20, lambda v: v["rate"], ask=either)
    axes = found.plot.contours()
    drawn(axes)
    pairs = [(ax.get_xlabel(), ax.get_ylabel()) for ax in axes]
    assert pairs == [("beta", "rate"), ("momentum", "rate"), ("beta", "optimizer")]
    frame = plots.contours_frame(found)
    assert list(frame.groupby(["x_name", "y_name"], sort=False).groups) == pairs
    names = ["momentum", "beta", "rate"]
    assert len(found.plot.contours(names=names)) == 2
    with pytest.raises(
        ResultError, match=r"no trial has two of \['beta', 'momentum'\]"
    ):
        found.plot.contours(names=["beta", "momentum"])


def test_trials_on_a_line_span_no_surface(tmp_path):
    def ask(hp):
        hp.Float("a", 0.0, 1.0)
        hp.Float("b", 0.0, 1.0)

    found = write(tmp_path, 8, lambda v: v["a"], ask=ask)
    records = tuple(
        dataclasses.replace(record, values={"a": 0.1 * k, "b": 0.2 * k})
        for k, record in enumerate(found.records)
    )
    (ax,) = dataclasses.replace(found, records=records).plot.contours()
    assert drawn(ax).has_data()


def climbing():
    """Two brackets: of three settings one climbs, of two none."""
    from kttoolkit.results import Study, TrialRecord, TuneResult

    def trial(number, score, bracket, rung, epochs, parent=None, **kwargs):
        values = {"tuner/epochs": epochs, "tuner/bracket": bracket, "tuner/round": rung}
        if parent is not None:
            values["tuner/trial_id"] = parent
        return TrialRecord(
            str(number), values, "completed", objective="val_loss", direction="min",
            metrics={"val_loss": score}, **kwargs,
        )  # fmt: skip

    records = (
        trial(0, 3.0, 1, 0, 3, seconds=10.0, ended=1010.0),
        trial(1, 2.0, 1, 0, 3, seconds=10.0, ended=1012.0),
        trial(2, 4.0, 1, 0, 3, seconds=5.0, ended=1018.0),
        trial(3, 1.5, 1, 1, 9, parent="1", seconds=50.0, ended=5000.0),
        trial(4, 2.5, 0, 0, 9, seconds=10.0, ended=5010.0),
    )
    study = Study("Hyperband", "val_loss", "min", 0, "KFold(2)", 2)
    return TuneResult("x", study, records, {})


def test_rungs_by_hand(result):
    frame = plots.rungs_frame(climbing())
    assert list(frame["bracket"]) == [1, 1, 1, 1, 0]
    assert list(frame["setting"]) == ["0", "1", "2", "1", "4"]
    assert list(frame["is_promoted"]) == [False, True, False, False, False]
    first, second = climbing().plot.rungs()
    drawn(first)
    assert first.get_xlabel() == "epochs (bracket 1: 3 > 1 trial)"
    assert [tick.get_text() for tick in first.get_xticklabels()] == ["3", "9"]
    assert second.get_xlabel() == "epochs (bracket 0: 1 trial)"
    with pytest.raises(ResultError, match="has rungs, but this one was a RandomSearch"):
        result.plot.rungs()


def test_a_timeline_leaves_out_the_time_between_stop_and_resumption(result):
    """Trials 0 and 1 overlap by 8 s; before trial 3 nothing ran for 3932 s."""
    frame = plots.timeline_frame(climbing())
    assert list(frame["start"]) == [0.0, 2.0, 13.0, 18.0, 68.0]
    assert list(frame["end"]) == [10.0, 12.0, 18.0, 68.0, 78.0]
    assert list(frame["is_resumed"]) == [False, False, False, True, False]
    assert list(frame["at_once"]) == [1, 2, 1, 1, 1]
    ax = drawn(climbing().plot.timeline())
    assert ax.get_xlabel() == "seconds of search, up to 2 at a time"
    records = tuple(dataclasses.replace(r, ended=0.0) for r in result.records)
    with pytest.raises(ResultError, match="tell when they ended, but none of the 20"):
        dataclasses.replace(result, records=records).plot.timeline()


@pytest.mark.parametrize("n", [1, 2, 10, 14])
def test_there_is_no_half_of_a_trial(n, tmp_path):
    found = write(tmp_path, n, bowl)
    timeline, history = drawn(found.plot.timeline()), drawn(found.plot.history())
    ticks = [*timeline.get_yticks(), *history.get_xticks()]
    assert all(float(tick).is_integer() for tick in ticks)


def named(axis):
    """The trials that an axis names, at their places."""
    texts = [tick.get_text() for tick in axis.get_ticklabels()]
    return {place: text for place, text in zip(axis.get_ticklocs(), texts, strict=True)
            if text}  # fmt: skip


@pytest.mark.parametrize("rename", [str, "0{}".format, "{:032x}".format])
def test_trials_are_named_as_in_the_tables(rename, tmp_path):
    found = write(tmp_path, 14, bowl)
    ids = [rename(number) for number in range(14)]
    records = [dataclasses.replace(record, trial_id=name)
               for record, name in zip(found.records, ids, strict=True)]  # fmt: skip
    found = dataclasses.replace(found, records=tuple(records))
    timeline, history = found.plot.timeline(), found.plot.history()
    for ax, axis in ((timeline, timeline.yaxis), (history, history.xaxis)):
        drawn(ax)
        places = named(axis)
        assert len(places) > 2
        for place, text in places.items():
            assert ids[int(place)].startswith(text.removesuffix("…"))
    (star,) = (c for c in timeline.collections if c.get_label() == "best")
    assert ids[int(star.get_offsets()[0, 1])] == found.best_trial.trial_id


# -- fonts ---

# STIX comes with matplotlib, and has this one letter of Japanese, as DejaVu has not.
NO = "\N{HIRAGANA LETTER NO}"
KOREAN = "학습률"


def in_japanese(hp):
    hp.Float(NO, 0.0, 1.0)
    hp.Choice("plain", ["x", NO * 2])


def in_korean(hp):
    hp.Float(KOREAN, 0.0, 1.0)
    hp.Choice("함수", ["렐루", "탄젠트"])


def families(axes):
    """The fonts of all texts of a picture that say something."""
    texts = {}
    for ax in axes[0].figure.axes if isinstance(axes, list) else axes.figure.axes:
        texts |= {text.get_text(): text.get_fontfamily() for text in ax.findobj(
            plt.Text) if text.get_text()}  # fmt: skip
    return texts


@pytest.mark.parametrize("name", ["slice", "contours", "parallel_coordinates"])
def test_names_are_drawn_in_fonts_that_have_their_signs(name, tmp_path, monkeypatch):
    """Warnings are errors: no sign is missing, and no font is unknown."""
    monkeypatch.setattr(_fonts, "_NAMES", ("no such font", "cmr10", "STIXGeneral"))
    axes = getattr(write(tmp_path, 9, lambda v: v[NO], ask=in_japanese).plot, name)()
    drawn(axes)
    found = families(axes)
    own = mpl.rcParams["font.family"]
    assert {text for text in found if NO in text} == {NO, NO * 2}
    for text, fonts in found.items():
        assert fonts == ([*own, "STIXGeneral"] if NO in text else own)


def test_the_names_of_classes_and_colour_bars_are_too(tmp_path, monkeypatch):
    monkeypatch.setattr(_fonts, "_NAMES", ("STIXGeneral",))
    predictions = of_classes().replace("class <0>", NO)
    predictions = predictions.rename(
        columns={"probability_class <0>": f"probability_{NO}"}
    )
    found = families(drawn(plots.plot_confusion(predictions)))
    assert found[NO][-1] == "STIXGeneral"
    study = scored(tmp_path, [1.0, 2.0, 3.0])
    study = dataclasses.replace(
        study, study=dataclasses.replace(study.study, objective=f"val_{NO}")
    )
    found = families(drawn(study.plot.parallel_coordinates()))
    assert found[f"validation {NO} (lower is better)"][-1] == "STIXGeneral"


def test_a_font_that_has_the_signs_is_left_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(_fonts, "_NAMES", ("STIXNonUnicode",))
    found = write(tmp_path, 9, lambda v: v[NO], ask=in_japanese)
    with mpl.rc_context({"font.family": ["DejaVu Serif", "STIXGeneral"]}):
        fonts = families(drawn(found.plot.slice()))
    assert set(map(tuple, fonts.values())) == {("DejaVu Serif", "STIXGeneral")}


def test_a_font_that_was_installed_meanwhile_is_found(monkeypatch):
    """matplotlib keeps a list of fonts, which a new one is not in."""
    manager = _fonts.font_manager.fontManager
    path = _fonts.font_manager.findfont("STIXGeneral")
    others = [font for font in manager.ttflist if font.name != "STIXGeneral"]
    monkeypatch.setattr(manager, "ttflist", others)
    monkeypatch.setattr(_fonts, "_NAMES", ("STIXGeneral",))
    found = ["/no/such/font.ttf", str(path)]
    monkeypatch.setattr(_fonts.font_manager, "findSystemFonts", lambda: found)
    assert _fonts._installed() == ["STIXGeneral"]


def test_without_a_font_there_is_one_hint(tmp_path, monkeypatch):
    monkeypatch.setattr(_fonts, "_NAMES", ())
    _fonts._hint.cache_clear()
    found = write(tmp_path, 9, lambda v: v[KOREAN], ask=in_korean)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(3):
            drawn(found.plot.slice())
            drawn(found.plot.contours())
    assert len(told) == 1
    expected = r"missing from font DejaVu Sans: .*'apt install fonts-nanum' for Korean"
    assert re.search(expected, str(told[0].message))


def test_a_report_is_silent_about_fonts(tmp_path, monkeypatch):
    """Its letters are drawn by the browser; the hint is left for the first picture."""
    monkeypatch.setattr(_fonts, "_NAMES", ())
    _fonts._hint.cache_clear()
    found = write(tmp_path, 9, lambda v: v[KOREAN], ask=in_korean)
    assert KOREAN in as_svg(found.plot.slice, name="slice")
    with pytest.warns(UserWarning, match="Glyph of a Korean"):
        found.plot.slice()


# -- predictions ---


def of_classes(n=200, n_classes=2):
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(n_classes), size=n)
    target = np.array([rng.choice(n_classes, p=row) for row in chances])
    names = np.array([f"class <{k}>" for k in range(n_classes)], dtype=object)
    frame = pd.DataFrame({"row": range(n), "split": 0})
    frame["target"] = names[target]
    frame["prediction"] = names[chances.argmax(axis=1)]
    for name, column in zip(names, chances.T, strict=True):
        frame[f"probability_{name}"] = column
    return frame


@pytest.mark.parametrize("n_classes", [2, 3, 10, 20])
def test_confusion_is_scikit_learns(n_classes):
    from sklearn.metrics import confusion_matrix

    predictions = of_classes(n_classes=n_classes)
    frame = plots.confusion_frame(predictions)
    labels = [f"class <{k}>" for k in range(n_classes)]
    expected = confusion_matrix(
        predictions["target"], predictions["prediction"], labels=labels
    )
    np.testing.assert_array_equal(frame, expected)
    assert drawn(plots.plot_confusion(predictions)).get_ylabel() == "true class"


def test_honest_probabilities_lie_on_the_diagonal():
    frame = plots.calibration_frame(of_classes(20_000))
    np.testing.assert_allclose(frame["predicted"], frame["observed"], atol=0.05)
    assert frame["n"].sum() == 20_000
    assert "class <1>" in drawn(plots.plot_calibration(of_classes())).get_xlabel()


def test_residuals_by_hand():
    predictions = pd.DataFrame(
        {"row": [0, 1, 2], "split": 0, "target": [1.0, 2.0, 3.0],
         "prediction": [1.5, 2.0, 2.0]}
    )  # fmt: skip
    frame = plots.residuals_frame(predictions)
    assert list(frame["residual"]) == [-0.5, 0.0, 1.0]
    assert drawn(plots.plot_residuals(predictions)).has_data()


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["no diabetes at all", "no diabetes but at risk", "no diabetes, treated"],
         ["no diabetes at all", "no diabetes but at risk", "no diabetes, treated"]),
        (["a very long name that " + end for end in ("says no", "says yes")],
         ["a very long …hat says no", "a very long …at says yes"]),
        (["a" * 30 + middle + "z" * 30 for middle in "bc"],
         ["1. aaaaaaaaaaaaaaaaaaaa…", "2. aaaaaaaaaaaaaaaaaaaa…"]),
        (["b\0", "b\1"], ["1. b\ufffd", "2. b\ufffd"]),
    ],
    ids=["whole", "middle", "numbered", "unprintable"],
)  # fmt: skip
def test_labels_of_classes_stay_different(names, labels):
    """Cut at the end, names that begin alike were all one."""
    predictions = pd.DataFrame({"row": range(len(names)), "split": 0})
    predictions["target"] = predictions["prediction"] = names
    predictions[[f"probability_{name}" for name in names]] = 1 / len(names)
    ax = drawn(plots.plot_confusion(predictions))
    for ticks in (ax.get_xticklabels(), ax.get_yticklabels()):
        assert [tick.get_text() for tick in ticks] == labels


def test_predictions_of_several_targets_are_drawn_one_at_a_time():
    rng = np.random.default_rng(0)
    columns = [f"{kind}_{k}" for kind in ("target", "prediction") for k in range(2)]
    several = pd.DataFrame(rng.normal(size=(30, 4)), columns=columns)
    several.insert(0, "row", range(30))
    several.insert(1, "split", 0)
    for name in ("residuals", "confusion", "calibration"):
        for kind in ("_frame", ""):
            draw = getattr(plots, name + kind if kind else f"plot_{name}")
            with pytest.raises(ResultError, match=r"one target.*of 2, target_0 to t"):
                draw(several)
    one = several.rename(columns={"target_1": "target", "prediction_1": "prediction"})
    frame = plots.residuals_frame(one)
    expected = several["target_1"] - several["prediction_1"]
    np.testing.assert_allclose(frame["residual"], expected)


def test_predictions_of_another_kind_are_refused():
    regression = pd.DataFrame(
        {"row": [0], "split": [0], "target": [1.0], "prediction": [1.0]}
    )
    with pytest.raises(ResultError, match=r"drawn for classes.*residuals"):
        plots.confusion_frame(regression)
    with pytest.raises(ResultError, match="two classes, but got 3"):
        plots.calibration_frame(of_classes(n_classes=3))
    with pytest.raises(ResultError, match="got predictions of classes"):
        plots.residuals_frame(of_classes())


def test_a_search_s_own_predictions(blobs, build, tmp_path):
    import kttoolkit

    x, y = blobs
    result = kttoolkit.tune(
        build, x, np.where(y == 1, "yes", "no"), tuner=[{"units": 4}], cv=2,
        max_epochs=1, seed=0, verbose=0, directory=tmp_path,
    )  # fmt: skip
    ax = drawn(result.plot.confusion())
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["no", "yes"]
    assert drawn(result.plot.calibration()).has_data()
    # Each takes the result, too, as the other frames do.
    predictions = result.out_of_fold()
    for frame in (plots.confusion_frame, plots.calibration_frame):
        pd.testing.assert_frame_equal(frame(result), frame(predictions))
    with pytest.raises(ResultError, match="got predictions of classes"):
        plots.residuals_frame(result)
