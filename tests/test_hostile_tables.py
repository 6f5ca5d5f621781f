"""Hostile tables: whatever trials a search left, they are looked at or refused."""

import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from conftest import tried
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_hostile import ours

from kttoolkit import plots
from kttoolkit.exceptions import ResultError, SearchSpaceError
from kttoolkit.hyperparameters import HyperParameters
from kttoolkit.importance import importance, interactions
from kttoolkit.importance._shares import METHODS
from kttoolkit.ranges import Scored, grid_size, narrowed, ranges_of, ways_to_shrink
from kttoolkit.results import Study, TrialRecord, TuneResult
from kttoolkit.results._space import is_space
from kttoolkit.scoring import FoldFit

mpl.use("agg")
import matplotlib.pyplot as plt

BIG = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
# Forests and pictures take their time.
COSTLY = settings(BIG, max_examples=max(8, settings().max_examples // 20))
NAMES = st.sampled_from(["a", "b", "한 <b>", "\x1b[31m", "$x_1", "score", "trial", ""])
FINITE = st.one_of(
    st.integers(-3, 9), st.floats(-2, 2), st.floats(allow_nan=False, width=32),
    st.sampled_from([0, 1, 0.5, 0.999, 5e-324, 1e-12, 1e150, 1e308, -1e308, 2**60]),
)  # fmt: skip
SCORES = st.one_of(
    st.floats(0, 1), st.floats(0, 1), st.just(0.5), st.floats(allow_nan=False),
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e308, -1e308]),
)  # fmt: skip
ODD = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3), st.floats(), st.integers(),
    st.lists(st.integers(), max_size=2), st.just({"a": 1}), FINITE,
)  # fmt: skip


# -- spaces ---


@st.composite
def entries(draw, name, parents):
    """One hyperparameter as Keras Tuner writes it, perhaps hanging on another."""
    kind = draw(
        st.sampled_from(["Int", "Float", "Float", "Choice", "Boolean", "Fixed"])
    )
    config = {"name": name, "conditions": []}
    if parents and draw(st.booleans()):
        parent = draw(st.sampled_from(parents))
        allowed = st.lists(st.sampled_from(parent.grid()), min_size=1, max_size=2)
        condition = {"name": parent.name, "values": draw(allowed)}
        config["conditions"] = [{"class_name": "Parent", "config": condition}]
    numbers = st.integers(-2, 2**40) if kind == "Int" else FINITE
    if kind in {"Int", "Float"}:
        low, high = sorted([draw(numbers), draw(numbers)])
        sampling = draw(st.sampled_from(["linear", "log", "reverse_log"]))
        steps = numbers.filter(lambda v: v > (sampling != "linear"))
        step = draw(st.one_of(st.none(), steps))
        # Else a grid has more values than memory takes.
        assume(not step or (high - low) / step < 1e4)
        config |= {"min_value": low, "max_value": high, "step": step,
                   "sampling": sampling, "default": low}  # fmt: skip
    elif kind == "Choice":
        few = st.lists(FINITE, min_size=1, max_size=24, unique=True)
        texts = st.lists(NAMES, min_size=1, max_size=4, unique=True)
        even = st.integers(2, 30).map(lambda n: np.geomspace(1e-4, 1, n).tolist())
        shares = st.integers(2, 30).map(lambda n: np.linspace(0, 0.99, n).tolist())
        many = st.integers(2, 30).map(lambda n: list(range(n)))
        few = few.map(lambda found: list(map(float, found)))
        values = draw(st.one_of(few, texts, even, shares, many, st.just([True, False])))
        config |= {"values": values, "default": values[0],
                   "ordered": not isinstance(values[0], str | bool)
                   and draw(st.booleans())}  # fmt: skip
    else:
        name = "value" if kind == "Fixed" else "default"
        config[name] = draw(NUMBERS_AND_TEXT) if kind == "Fixed" else False
    entry = {"class_name": kind, "config": config}
    assume(is_space([entry]))
    return entry


NUMBERS_AND_TEXT = st.one_of(FINITE, NAMES)


@st.composite
def spaces(draw):
    """A search space, conditional ones behind their parents, names twice at times."""
    space = []
    for name in draw(st.lists(NAMES, max_size=4)):
        kinds = {"Choice", "Boolean"}
        parents = [one for one in ranges_of(space) if one.kind in kinds]
        space.append(draw(entries(name, parents)))
    return space


def values_of(one, *, is_wild):
    """Values of a hyperparameter: inside, at the edges, and anywhere else."""
    if one.values:
        inside = st.sampled_from(one.values)
    elif one.kind == "Int":
        inside = st.integers(int(one.low), int(one.high))
    else:
        inside = st.floats(0, 1).map(lambda n: one.low * (1 - n) + one.high * n)
    config = one.config["config"]
    edges = st.sampled_from(one.values or (config["min_value"], config["max_value"]))
    return st.integers(0, 9 if is_wild else 7).flatmap(
        lambda n: inside if n < 5 else edges if n < 8 else FINITE if n < 9 else ODD
    )


@st.composite
def settings_of(draw, ranges, *, is_wild):
    values = {}
    for one in ranges:
        if one.is_active(values) and draw(st.integers(0, 9)):
            values[one.name] = draw(values_of(one, is_wild=is_wild))
    return values


# -- narrower ranges ---


def is_inside(old, new, best):
    """Tell whether a narrowed range keeps what `narrowed` promises of it."""
    config = new["config"]
    one = ranges_of([new])[0]
    winner = best.get(old.name)
    is_sound = old.is_active(best) and old.is_value(winner)
    assert (new["class_name"], config["name"]) == (old.kind, old.name)
    assert config["conditions"] == old.config["config"]["conditions"]
    if old.kind in {"Boolean", "Fixed"}:
        return True
    if old.kind == "Choice":
        assert not is_sound or winner == config["default"]
        return config["default"] in config["values"] and (
            old.is_laid_out or set(config["values"]) <= set(old.values)
        )
    assert one.low <= config["default"] <= one.high
    assert one.low < one.high or old.low == old.high
    assert old.low <= 0 or one.low > 0
    is_share = 0 <= old.low <= old.high < 1 and old.scale != "log"
    assert not is_share or one.high < 1
    if is_sound and old.low <= winner <= old.high and not old.step:
        assert config["default"] == (int(winner) if old.is_whole else winner)
    return is_space([new])


@BIG
@given(st.data())
def test_any_ranges_are_narrowed_or_refused(data):
    """What is left of a space is one that Keras Tuner takes, around the best trials."""
    tried()
    space = data.draw(spaces())
    ranges = ranges_of(space)
    one = st.builds(Scored, settings_of(ranges, is_wild=True), SCORES)
    trials = data.draw(st.lists(one, max_size=8))
    keep = data.draw(st.sampled_from([0.2, 1.0, 0.01, 0, -1, 2]))
    found = ours(narrowed, space, trials, keep=keep)
    if found is None:
        is_share = 0 < keep <= 1
        assert not is_share or not any(math.isfinite(one.score) for one in trials)
        return
    best = min(
        (trial for trial in trials if math.isfinite(trial.score)),
        key=lambda trial: trial.score,
    )
    for old, new in zip(ranges, found, strict=True):
        assert is_inside(old, new, best.values)
    HyperParameters.from_config({"space": found, "values": {}})


@BIG
@given(spaces())
def test_any_space_is_counted(space):
    tried()
    ranges = ranges_of(space)
    size = grid_size(ranges)
    assert size >= 0
    for way in ways_to_shrink(ranges):
        assert way.grid_size <= size


def narrow(entry, *found):
    """Narrow one range around values, the best one first."""
    trials = [Scored({"a": value}, score) for score, value in enumerate(found)]
    config = {"name": "a", "conditions": [], "step": None, "sampling": "linear",
              **entry[1]}  # fmt: skip
    return narrowed([{"class_name": entry[0], "config": config}], trials)[0]["config"]


def number(kind, low, high, **config):
    return kind, {"min_value": low, "max_value": high, "default": low, **config}


def test_scores_that_are_not_finite_count_for_nothing():
    """NaN is in no order, and infinity has no mean."""
    space = [{"class_name": "Boolean", "config": {"name": "a", "conditions": []}}]
    odd = [Scored({"a": False}, score) for score in (float("nan"), -math.inf)]
    found = narrowed(space, [*odd, Scored({"a": True}, 3.0)])
    assert found[0]["config"]["default"] is True
    with pytest.raises(SearchSpaceError, match="with a finite score, of 2 trials"):
        narrowed(space, odd)


def test_values_of_other_kinds_count_for_nothing():
    """A user's own settings may hold what Keras Tuner would not take as a default."""
    assert narrow(("Boolean", {"default": False}), 0.5, [1])["default"] is False
    kinds = ("Choice", {"values": ["x", "y"], "default": "x", "ordered": False})
    found = narrow(kinds, [1], "z", "y")
    assert (found["values"], found["default"]) == (["x", "y"], "y")
    assert narrow(number("Int", 1, 9), 2.5, "a", None)["min_value"] == 1


def test_whole_numbers_of_a_long_choice_stay_whole():
    """Keras Tuner takes no choice of whole numbers and others."""
    many = ("Choice", {"values": list(range(30)), "default": 0, "ordered": True})
    found = narrow(many, 10, 12, 11)
    assert all(isinstance(value, int) for value in found["values"])
    assert 10 in found["values"]


def test_a_range_of_whole_numbers_never_becomes_a_point():
    """One trial, whose tenth of the range holds no other whole number."""
    found = narrow(number("Int", 0, 5), 2)
    assert (found["min_value"], found["max_value"], found["default"]) == (1, 3, 2)


def test_positive_numbers_stay_positive():
    """Widened at its lower edge, a range once came to 0, or left its best value out."""
    assert narrow(number("Float", 0.5, 9.0), 0.5, 8.0)["min_value"] == 0.25
    found = narrow(number("Int", 1, 9, step=4), 1, 1, 1)
    assert (found["min_value"], found["default"]) == (1, 1)


def test_negative_bounds_are_widened_by_steps():
    """They once were where a range ended for good."""
    found = narrow(number("Float", -3.0, 5.0, step=1.0), -3.0, -3.0, -3.0)
    assert found["min_value"] == -4.0


@pytest.mark.parametrize("high", [1e308, 5e-324])
def test_the_largest_and_smallest_numbers_end_a_range(high):
    """Where nothing is left to widen to, a range stays as it is."""
    low = -high if high > 1 else high
    for sampling in ("linear", "log") if low > 0 else ("linear",):
        entry = number("Float", low, max(high, 0.5), sampling=sampling)
        found = narrow(entry, low, low)
        assert is_space([{"class_name": "Float", "config": found}])
        assert ranges_of([{"class_name": "Float", "config": found}])[0].grid()


# -- trials ---


@st.composite
def fits_of(draw, n_splits, metrics, initial):
    """Trainings of one trial, whose curves may be cut or missing."""
    curve = st.lists(SCORES, max_size=4).map(tuple)
    return tuple(
        FoldFit(
            k, k, 0, 0,
            {name: draw(curve) for name in metrics if draw(st.integers(0, 5))}, initial,
            draw(st.integers(0, 9)), draw(st.integers(0, 9)), 0.5,
            draw(st.sampled_from([0, 7, 2**52])),
        )
        for k in range(n_splits)
    )  # fmt: skip


HYPERBAND = ["tuner/epochs", "tuner/initial_epoch", "tuner/bracket", "tuner/round",
             "tuner/trial_id"]  # fmt: skip


@st.composite
def records_of(draw, number, ranges, objective, direction):
    """A trial as it can be read from a study folder, ended in any way."""
    values = draw(settings_of(ranges, is_wild=draw(st.integers(0, 4)) == 0))
    for name in HYPERBAND:
        if draw(st.integers(0, 5)) == 0:
            values[name] = draw(st.one_of(st.integers(0, 3), st.just("0"), ODD))
    status = draw(st.sampled_from(["completed"] * 6 + ["failed", "skipped"]))
    n_splits = draw(st.integers(0, 3))
    metrics = [objective, objective.removeprefix("val_"), "x"]
    shown = [name for name in metrics if draw(st.integers(0, 9))]
    splits = st.lists(SCORES, min_size=n_splits, max_size=n_splits).map(tuple)
    return TrialRecord(
        str(number), values, status, draw(st.sampled_from(["", "boom\nat"])),
        seconds=draw(st.sampled_from([0.0, 1.0, 1e11])),
        ended=draw(st.sampled_from([0.0, 1.0, 1e9, 1e11])),
        objective=objective, direction=direction,
        metrics={name: draw(SCORES) for name in shown},
        splits={name: draw(splits) for name in shown},
        epochs=draw(st.sampled_from([(), (1,) * n_splits, (9,) * n_splits])),
        fits=draw(fits_of(n_splits, metrics, draw(st.sampled_from([0, 0, 2])))),
    )  # fmt: skip


@st.composite
def results(draw, least=0):
    """What a search left: no trials, one, some; all failed; constant; conditional."""
    space = draw(spaces())
    ranges = ranges_of(space)
    objective = draw(st.sampled_from(["val_loss", "val_loss", "loss", "x", ""]))
    direction = draw(st.sampled_from(["min", "max"]))
    n = draw(st.integers(least, least + 6))
    records = tuple(
        draw(records_of(number, ranges, objective, direction)) for number in range(n)
    )
    tuner = draw(st.sampled_from(["Hyperband", "CoarseToFine", "<b>"]))
    study = Study(tuner, objective, direction, 0, "KFold(2)", 2)
    result = TuneResult(Path("studies") / "x", study, records, {})
    vars(result)["ranges"] = tuple(ranges)
    return result


FRAMES = {
    "history": plots.history_frame,
    "slice": plots.slice_frame,
    "curves": plots.curves_frame,
    "folds": plots.folds_frame,
    "gap": plots.gap_frame,
    "parallel_coordinates": plots.parallel_coordinates_frame,
    "contours": plots.contours_frame,
    "timeline": plots.timeline_frame,
    "rounds": plots.rounds_frame,
    "rungs": plots.rungs_frame,
}


ASKS = {
    "trials": lambda result: result.trials,
    "folds": lambda result: result.folds,
    "curves": lambda result: result.curves,
    "summary": lambda result: result.summary().encode(),
    "html": lambda result: result._repr_html_().encode(),
    "failures": lambda result: result.failures,
    "compare": lambda result: result.compare(),
    "one_standard_error": lambda result: result.one_standard_error(),
    "narrowed_space": lambda result: result.narrowed_space(),
    "setting_as_code": lambda result: result.setting_as_code(),
    "to_optuna": lambda result: result.to_optuna(),
    "best_epochs": lambda result: result.best_epochs,
}


@pytest.mark.parametrize("name", FRAMES)
@BIG
@given(results())
def test_any_trials_are_a_frame_or_refused(name, result):
    """The data half of every picture, whatever the trials are."""
    tried()
    frame = ours(FRAMES[name], result)
    assert frame is None or isinstance(frame, pd.DataFrame)


@BIG
@given(results())
def test_any_trials_are_told_or_refused(result):
    """Tables, words and tests of a result, whatever its trials are."""
    tried()
    repr(result).encode()
    for ask in ASKS.values():
        ours(ask, result)


# -- pictures ---

# The fonts at hand decide; a box stands for a letter that none of them has.
ignores_fonts = pytest.mark.filterwarnings("ignore:Glyph .* missing:UserWarning")


def draw(result, name):
    """Draw for good, or find it refused; return the axes."""
    try:
        axes = ours(getattr(result.plot, name))
        for number in plt.get_fignums():
            plt.figure(number).canvas.draw()
        return np.ravel(np.array(axes, dtype=object)).tolist()
    finally:
        plt.close("all")


@ignores_fonts
@pytest.mark.parametrize("name", FRAMES)
@settings(COSTLY, deadline=30_000)
@given(results())
def test_any_trials_are_drawn_or_refused(name, result):
    """The drawing half, in which an axis once had no end, or as good as none."""
    tried()
    draw(result, name)


def searched(scores, entries, settings_, *, tuner="Hyperband", objective="val_loss"):
    """A search whose trials have every picture: two folds, two epochs, notes."""
    records = []
    for k, (score, values) in enumerate(zip(scores, settings_, strict=True)):
        notes = {"tuner/round": k % 3}
        if tuner == "Hyperband":
            notes |= {"tuner/epochs": 2 + k, "tuner/bracket": k}
        history = {objective: (score, score), objective.removeprefix("val_"): (1, 2)}
        fits = tuple(FoldFit(s, s, 0, 0, history, 0, 8, 4, 0.5, 7) for s in (0, 1))
        records.append(
            TrialRecord(
                str(k), {**values, **notes}, "completed", seconds=1.0, ended=1e9 + k,
                objective=objective, metrics={objective: score}, epochs=(2, 2),
                splits={objective: (score, -score)}, fits=fits,
            )
        )  # fmt: skip
    study = Study(tuner, objective, "min", 0, "KFold(2)", 2)
    result = TuneResult(Path("studies") / "x", study, tuple(records), {})
    vars(result)["ranges"] = tuple(ranges_of(entries))
    return result


def entry(kind, name, **config):
    settled = {"name": name, "conditions": [], "step": None, "sampling": "linear"}
    return {"class_name": kind, "config": {**settled, **config}}


def tuner_of(name):
    """Return the tuner whose searches have a picture of that name."""
    return "CoarseToFine" if name == "rounds" else "Hyperband"


@pytest.mark.parametrize("name", FRAMES)
@pytest.mark.parametrize("low", [-1e308, 5e-324])
def test_the_largest_and_smallest_numbers_are_drawn(name, low):
    """An axis from one to the other once had infinitely many ticks."""
    ends = {"min_value": low, "max_value": 1e308, "default": low}
    scale = "log" if low > 0 else "linear"
    entries_ = [entry("Float", n, sampling=scale, **ends) for n in ("a", "b")]
    numbers = [low, 1e308, 0.5, 1.0, 2.0, 1e300]
    tried_ = [{"a": n, "b": m} for n, m in zip(numbers, numbers[2:] + numbers[:2],
                                               strict=True)]  # fmt: skip
    for scores in (numbers, [5e-324, 1e-323] * 3):
        result = searched(scores, entries_, tried_, tuner=tuner_of(name))
        assert draw(result, name)[0].has_data()


@pytest.mark.parametrize("name", FRAMES)
def test_no_more_is_named_than_there_is_room_for(name):
    """A thousand choices, of brackets, of values of a fine step; long names."""
    many = [f"choice {k}" * 20 for k in range(1000)]
    entries_ = [
        entry("Choice", "x" * 10_000, values=many, default=many[0], ordered=False),
        entry("Float", "$y_1$" * 99, min_value=1e-6, max_value=1.0, default=1.0,
              step=1.000001, sampling="log"),
    ]  # fmt: skip
    rates = np.geomspace(1e-6, 1, len(many)).tolist()
    tried_ = [{"x" * 10_000: a, "$y_1$" * 99: b}
              for a, b in zip(many, rates, strict=True)]  # fmt: skip
    result = searched(
        rates, entries_, tried_, tuner=tuner_of(name), objective="val_" + "$" * 9999
    )
    axes = draw(result, name)
    assert len(axes) <= 12
    assert all(len(ax.get_xticks()) <= 40 for ax in axes)
    assert len(axes[0].texts) <= 40


def found_in(*values, objective="val_loss", scores=None, **config):
    """A result of one numeric hyperparameter."""
    scores = scores or [float(k) for k in range(len(values))]
    records = [
        TrialRecord(
            str(k), value if isinstance(value, dict) else {"a": value}, "completed",
            objective=objective, metrics={objective: score},
        )
        for k, (value, score) in enumerate(zip(values, scores, strict=True))
    ]  # fmt: skip
    kind, numbers = number("Int", 0, 9, **config)
    settled = {"name": "a", "conditions": [], "step": None, "sampling": "linear",
               **numbers}  # fmt: skip
    study = Study("Hyperband", objective, "min", 0, "KFold(2)", 2)
    result = TuneResult(Path("studies") / "x", study, tuple(records), {})
    ranges = ranges_of([{"class_name": kind, "config": settled}])
    vars(result)["ranges"] = tuple(ranges)
    return result


def test_a_completed_trial_without_a_score_is_told():
    """It once was an error of `repr`, which a debugger asks for."""
    result = found_in(1, scores=[float("nan")])
    assert "1 trial (1 completed)" in repr(result)
    with pytest.raises(ResultError, match="needs completed trials with finite scores"):
        plots.slice_frame(result)


def test_values_that_have_no_place_are_not_drawn():
    """Texts, lists and nothing, where a number was asked for."""
    result = found_in(1, "a", [2], None, 3)
    assert list(plots.slice_frame(result)["value"]) == [1, 3]
    places = plots.parallel_coordinates_frame(result)["a"]
    assert places.tolist()[::4] == [0.0, 1.0]
    assert places.isna().sum() == 3
    nowhere = plots.parallel_coordinates_frame(found_in("a", "b"))
    assert nowhere["a"].isna().all()


def test_a_trial_that_goes_on_from_itself_ends_a_rung():
    """Its rungs were once followed for ever; notes that are cut were a `KeyError`."""
    notes = {"a": 1, "tuner/epochs": 3, "tuner/bracket": 0, "tuner/round": 0}
    circle = [{**notes, "tuner/trial_id": "1"}, {**notes, "tuner/trial_id": "0"}]
    frame = plots.rungs_frame(found_in(*circle, {"a": 1, "tuner/epochs": 3}))
    assert list(frame["trial"]) == ["0", "1"]


def test_trials_of_any_kind_are_optunas():
    """No trials, no score, a value between the steps, a value of another kind."""
    assert not found_in().to_optuna().trials
    study = found_in(0, 4, 5, "a", step=4, scores=[1.0, 2.0, 3.0, math.inf]).to_optuna()
    assert [trial.params for trial in study.trials] == [
        {"a": 0},
        {"a": 4},
        {"a": 5},
        {},
    ]
    assert study.trials[3].state.name == "FAIL"


@pytest.mark.parametrize("method", METHODS)
def test_huge_numbers_and_equal_scores_are_explained(method):
    """Squares of the former are infinite, and of the latter no tree makes anything."""
    huge = found_in(0, 1, 2, 3, 4, scores=[1e307, 2e307, 3e307, 4e307, 5e307])
    assert importance(huge, method=method, n_resamples=2).frame["n_trials"][0] == 5
    equal = found_in(0, 1, 2, 3, 4, scores=[1.0] * 5)
    assert importance(equal, method=method, n_resamples=2).frame["importance"][0] <= 1


def test_values_beyond_single_precision_are_refused():
    huge = found_in(0, 1, 2, 3, 10**40, scores=[1.0, 2.0, 3.0, 4.0, 5.0])
    with pytest.raises(ResultError, match=r"within ±1e\+30, but 'a' reaches 1e\+40"):
        importance(huge, method="fanova", n_resamples=2)
    assert len(importance(huge, n_resamples=2).frame) == 1


@COSTLY
@given(results(least=4), st.sampled_from([*METHODS, "interactions"]))
def test_any_trials_are_explained_or_refused(result, method):
    """Forests and Optuna's evaluators, whatever scores and values are."""
    tried()
    if method == "interactions":
        ours(interactions, result, n_resamples=1)
        return
    found = ours(importance, result, method=method, n_resamples=2)
    if found is not None:
        repr(found).encode()
        assert (found.frame["importance"] >= 0).all()
        assert found.frame["importance"].sum() <= 1 + 1e-9
        assert found.frame["n_trials"].max() <= found.n_trials
