"""Ranges on their scales, grids counted, spaces narrowed."""

import math
import time

import keras
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kttoolkit
from kttoolkit import HyperParameters, space
from kttoolkit.exceptions import SearchError, SearchSpaceError
from kttoolkit.ranges import (
    Scored,
    grid_size,
    n_active_values,
    narrowed,
    ranges_of,
    ways_to_shrink,
)


def config(ask):
    hp = HyperParameters()
    ask(hp)
    return hp.get_config()["space"]


def one(ask):
    return ranges_of(config(ask))[0]


@pytest.mark.parametrize(
    ("ask", "scale", "n_grid"),
    [
        (lambda hp: hp.Float("a", 0, 1), "linear", 10),
        (lambda hp: hp.Float("a", 0.0, 1.0, step=0.25), "linear", 5),
        (lambda hp: hp.Float("a", 1e-4, 1, sampling="log", default=1), "log", 10),
        (lambda hp: hp.Float("a", 1e-4, 1, sampling="log", step=10), "log", 5),
        (lambda hp: hp.Int("a", 1, 7), "linear", 7),
        (lambda hp: hp.Int("a", 32, 512, step=32), "linear", 16),
        (lambda hp: hp.Int("a", 16, 256, step=2, sampling="log"), "log", 5),
        (lambda hp: hp.Choice("a", [1e-2, 1e-3, 1e-4]), "log", 3),
        (lambda hp: hp.Choice("a", [1, 2, 3, 4]), "linear", 4),
        (lambda hp: hp.Choice("a", [1, 2, 7, 8]), "ordered", 4),
        (lambda hp: hp.Choice("a", [0.9, 0.99, 0.999]), "one_minus_log", 3),
        (lambda hp: hp.Choice("a", ["x", "y"]), "categorical", 2),
        (lambda hp: hp.Choice("a", [1, 2], ordered=False), "categorical", 2),
        (lambda hp: hp.Boolean("a"), "categorical", 2),
        (lambda hp: hp.Fixed("a", 3), "fixed", 1),
        (space.momentum, "one_minus_log", 101),
        (space.learning_rate, "log", 11),
        (space.units, "log", 5),
    ],
)
def test_scales_and_grids(ask, scale, n_grid):
    found = one(ask)
    assert found.scale == scale
    assert len(found.grid()) == n_grid


@pytest.mark.parametrize("ask", [
    lambda hp: hp.Float("a", 1e-4, 1, sampling="log"),
    lambda hp: hp.Float("a", 0.0, 1.0, step=0.1),
    lambda hp: hp.Int("a", 1, 9),
    lambda hp: hp.Int("a", 16, 256, step=2, sampling="log"),
    lambda hp: hp.Choice("a", [3, 1, 2]),
])  # fmt: skip
def test_the_grid_is_the_one_that_grid_search_walks(ask):
    """Counted without Keras Tuner, it must be Keras Tuner's."""
    hp = HyperParameters()
    ask(hp)
    walked = {*hp.space[0].values, hp.space[0].default}
    assert one(ask).grid() == pytest.approx(
        tuple(sorted(walked)) if one(ask).kind != "Choice" else (3, 1, 2)
    )


def test_conditions_are_read():
    def ask(hp):
        hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["b"]):
            hp.Int("n", 1, 4)
        hp.Int("m", 1, 3)

    ranges = ranges_of(config(ask))
    assert ranges[1].conditions == (("kind", ("b",)),)
    assert ranges[1].is_active({"kind": "b"})
    assert not ranges[1].is_active({"kind": "a"})
    assert grid_size(ranges) == (1 + 4) * 3
    assert n_active_values(ranges) == {"kind": 2, "n": 4, "m": 3}
    assert grid_size([]) == 1


# -- narrowing ---


def trials(name, values, scores=None):
    scores = range(len(values)) if scores is None else scores
    return [Scored({name: v}, float(s)) for v, s in zip(values, scores, strict=True)]


def narrow(ask, found, keep=0.3):
    (entry,) = narrowed(config(ask), found, keep=keep)
    return ranges_of([entry])[0]


def rate(hp):
    hp.Float("a", 1e-4, 1.0, sampling="log")


def test_a_log_range_is_cut_on_its_log_scale():
    """Best at 1, 2 and 4e-2: as far beyond on either side as two lie apart."""
    found = trials("a", [0.01, 0.04, 0.02, 0.9, 1e-4, 1e-3, 2e-4])
    cut = narrow(rate, found, keep=0.2)
    assert cut.scale == "log"
    assert cut.low == pytest.approx(0.005, rel=1e-4)
    assert cut.high == pytest.approx(0.08, rel=1e-4)
    assert cut.default == 0.01


def test_a_best_value_at_the_edge_widens_the_range_there():
    found = trials("a", [0.95, 0.5, 0.3, 1e-4, 1e-3, 2e-4])
    cut = narrow(rate, found)
    assert cut.high > 1
    assert 1e-4 < cut.low < 0.5


def test_a_kept_range_is_never_a_point():
    cut = narrow(rate, trials("a", [0.01, 0.01, 0.01, 0.5]), keep=0.5)
    assert cut.low < 0.01 < cut.high
    assert math.log10(cut.high / cut.low) == pytest.approx(0.4, rel=1e-3)


def test_a_single_trial_narrows_too():
    cut = narrow(rate, trials("a", [0.01]))
    assert cut.low < 0.01 < cut.high


def test_steps_stay_on_their_lattice():
    def dropout(hp):
        hp.Float("a", 0.0, 0.5, step=0.1)

    cut = narrow(dropout, trials("a", [0.2, 0.3, 0.3, 0.0, 0.5, 0.1]))
    assert (cut.low, cut.high, cut.step) == (0.1, 0.4, 0.1)


def test_shares_stay_shares():
    def dropout(hp):
        hp.Float("a", 0.0, 0.5)

    low = narrow(dropout, trials("a", [0.0, 0.1, 0.5, 0.4, 0.3, 0.2]))
    assert low.low == 0
    high = narrow(dropout, trials("a", [0.5, 0.45, 0.1, 0.2, 0.1, 0.2]))
    assert 0.5 < high.high <= 0.75


@pytest.mark.parametrize(
    ("options", "best"),
    [
        ({"min_value": 0.001, "max_value": 0.5, "sampling": "log"}, 0.5),
        ({"min_value": 0.0, "max_value": 1.0}, 1.0),
        ({"min_value": 0.0, "max_value": 1.0, "step": 0.1}, 1.0),
    ],
)
def test_no_share_is_widened_beyond_the_whole(options, best):
    def share(hp):
        hp.Float("a", **options)

    cut = narrow(share, trials("a", [best, best * 0.95, 0.1, 0.2, 0.1, 0.2]))
    assert best <= cut.high <= 1


def test_a_best_value_of_a_list_is_in_the_narrowed_one_once():
    """0 is 1e-16 away from what the scale gives back of it."""

    def ask(hp):
        return space.momentum(hp, min_value=0.0, default=0.5)

    cut = narrow(ask, trials("momentum", [0.0, 0.5, 0.9, 0.95, 0.99, 0.999]))
    assert cut.values[0] == 0
    assert cut.values[1] > 0.001


def test_powers_of_two_stay_powers_of_two():
    cut = narrow(space.units, trials("units", [256, 128, 256, 32, 16, 32]))
    assert (cut.low, cut.high) == (64, 512)
    assert set(cut.grid()) == {64, 128, 256, 512}


def test_whole_numbers_stay_positive():
    def depth(hp):
        hp.Int("a", 1, 3)

    cut = narrow(depth, trials("a", [1, 1, 1, 3, 3, 2]))
    assert (cut.low, cut.high) == (1, 2)


def test_momentum_is_cut_and_widened_on_one_minus_log():
    found = trials("momentum", [0.99, 0.995, 0.99, 0.92, 0.91, 0.93])
    cut = narrow(space.momentum, found)
    assert cut.scale == "one_minus_log"
    assert cut.low == pytest.approx(0.9859, abs=0.0005)
    assert cut.high == pytest.approx(0.99646, abs=0.0001)
    assert 0.99 in cut.values
    wide = narrow(space.momentum, trials("momentum", [0.999, 0.998, 0.999, 0.91, 0.92]))
    assert 0.999 < wide.high < 1


def test_a_short_list_of_numbers_keeps_neighbours():
    def sizes(hp):
        hp.Choice("a", [8, 16, 32, 64, 128, 256])

    cut = narrow(sizes, trials("a", [32, 32, 32, 256, 128, 64]))
    assert cut.values == (16, 32, 64)
    assert cut.default == 32


def kinds(hp):
    hp.Choice("a", ["x", "y", "z"])


def test_a_choice_that_is_clearly_worse_is_dropped():
    found = trials("a", ["x", "x", "x", "x", "y", "y", "y", "z"],
                   [1.0, 1.1, 1.2, 1.1, 5.0, 5.2, 5.1, 9.0])  # fmt: skip
    cut = narrow(kinds, found)
    # z was tried once: nobody knows.
    assert cut.values == ("x", "z")


def test_a_choice_that_may_be_as_good_is_kept():
    found = trials("a", ["x", "x", "x", "y", "y", "y", "z", "z", "z"],
                   [1.0, 1.1, 5.0, 1.2, 4.0, 3.0, 2.0, 9.0, 1.5])  # fmt: skip
    assert narrow(kinds, found).values == ("x", "y", "z")


def test_what_no_good_trial_had_stays_as_it_was():
    def ask(hp):
        hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["b"]):
            hp.Float("rate", 0.1, 1.0)

    space_config = config(ask)
    a, b = {"kind": "a"}, {"kind": "b", "rate": 0.5}
    found = [Scored(a, 0.0), Scored(a, 1.0), Scored(a, 2.0), Scored(b, 9.0)]
    assert narrowed(space_config, found, keep=0.5)[1]["config"]["min_value"] == 0.1
    assert space_config == config(ask)


@pytest.mark.parametrize("keep", [0, 1.5, -1])
def test_keep_is_a_share(keep):
    with pytest.raises(SearchSpaceError, match=rf"0 < keep <= 1 .* keep={keep}"):
        narrowed(config(rate), trials("a", [0.1]), keep=keep)


def test_nothing_can_be_narrowed_around_nothing():
    with pytest.raises(SearchSpaceError, match="none has completed"):
        narrowed(config(rate), [])


ASKS = {
    "log": rate,
    "linear": lambda hp: hp.Float("a", -3.0, 5.0),
    "share": lambda hp: hp.Float("a", 0.0, 0.5),
    "stepped": lambda hp: hp.Float("a", 0.0, 0.9, step=0.1),
    "int": lambda hp: hp.Int("a", 1, 12),
    "int0": lambda hp: hp.Int("a", 0, 4),
    "powers": lambda hp: hp.Int("a", 16, 1024, step=2, sampling="log"),
    "log_int": lambda hp: hp.Int("a", 4, 400, sampling="log"),
    "momentum": lambda hp: space.momentum(hp, name="a"),
    "list": lambda hp: hp.Choice("a", [1, 2, 5, 10, 100]),
    "kinds": kinds,
    "flag": lambda hp: hp.Boolean("a"),
}


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(ASKS)),
    places=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    keep=st.floats(0.01, 1),
    rounds=st.integers(1, 4),
)
def test_any_space_can_be_narrowed_again_and_again(kind, places, keep, rounds):
    """Whatever the trials were: legal ranges that hold the best value."""
    current = config(ASKS[kind])
    for _ in range(rounds):
        hp = HyperParameters.from_config({"space": current, "values": {}})
        (entry,) = hp.space
        found = trials("a", [entry.prob_to_value(place) for place in places])
        current = narrowed(hp.get_config()["space"], found, keep=keep)
        (after,) = HyperParameters.from_config({"space": current, "values": {}}).space
        best = found[0].values["a"]
        sampled = [after.prob_to_value(p) for p in (0.0, 0.3, 0.999999, 1.0)]
        assert after.default == pytest.approx(best) or kind == "flag"
        if kind not in {"kinds", "flag"}:
            assert min(sampled) <= best * (1 + 1e-9) + 1e-9
            assert max(sampled) >= best * (1 - 1e-9) - 1e-9
        if kind in {"share", "stepped", "momentum"}:
            assert 0 <= min(sampled) <= max(sampled) < 1
        if kind in {"int", "powers", "log_int"}:
            assert min(sampled) >= 1
        if kind in {"log", "share", "linear"}:
            assert after.min_value < after.max_value


# -- grids that are too large ---


def large(hp):
    hp.Float("rate", 1e-4, 1.0, sampling="log")
    hp.Int("units", 1, 50)
    hp.Choice("kind", ["a", "b"])
    with hp.conditional_scope("kind", ["b"]):
        hp.Int("n", 1, 40)


def test_ways_to_shrink_a_grid_are_sorted_by_what_is_left():
    ranges = ranges_of(config(large))
    assert grid_size(ranges) == 10 * 50 * (1 + 40)
    ways = ways_to_shrink(ranges)
    assert [(w.name, w.n_values, w.n_kept, w.grid_size) for w in ways] == [
        ("kind", 2, 1, 500),
        ("units", 50, 3, 10 * 3 * 41),
        ("n", 40, 3, 10 * 50 * 4),
        ("rate", 10, 3, 3 * 50 * 41),
    ]


def test_a_grid_that_is_too_large_is_refused_before_it_starts(blobs, tmp_path):
    def build(hp):
        large(hp)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    message = (
        r"max_combinations=1,000, but this one has 20,500\. The cheapest ways to "
        r"shrink it: kind with 1 instead of 2 values leaves 500; units with 3 instead "
        r"of 50 values leaves 1,230; n with 3 instead of 40 values leaves 2,000\. Or "
    )
    options = {"tuner": "grid", "cv": 2, "verbose": 0, "directory": tmp_path}
    with pytest.raises(SearchError, match=message):
        kttoolkit.tune(build, *blobs, **options)
    assert not list(tmp_path.iterdir())
    result = kttoolkit.tune(build, *blobs, **options, max_trials=2, max_epochs=1)
    assert len(result.records) == 2
    with pytest.raises(SearchError, match="max_combinations=1, but this one has 2"):
        kttoolkit.tune(build, *blobs, **options, max_trials=2, max_combinations=1)


def test_a_grid_longer_than_the_timeout_is_told_after_its_first_trial(blobs, tmp_path):
    def build(hp):
        hp.Int("units", 1, 900)
        time.sleep(0.05)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    with pytest.warns(UserWarning, match=r"grid of 900 combinations takes about \d+ s"):
        kttoolkit.tune(
            build, *blobs, tuner="grid", cv=2, max_epochs=1, timeout=1.5, verbose=0,
            directory=tmp_path,
        )  # fmt: skip
