"""Hostile input: whatever is handed in works, or is refused in our own words."""

import array
import collections
import csv
import datetime as dt
import decimal
import fractions
import io
import itertools
import re
import types
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from conftest import tried
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rich.console import Console
from sklearn.model_selection import GroupKFold, KFold, ShuffleSplit, StratifiedKFold

import kttoolkit
from kttoolkit import builders, cli, space
from kttoolkit.comparison import paired_difference, signed_rank
from kttoolkit.cv import as_folds, split_off_test
from kttoolkit.data import as_training_data
from kttoolkit.exceptions import CrossValidationError, KttoolkitError
from kttoolkit.importance import Importance
from kttoolkit.ranges import ranges_of
from kttoolkit.results import Study, TrialRecord, TuneResult
from kttoolkit.scoring import FoldFit, aggregate
from kttoolkit.trackers import ProgressTracker, SearchInfo
from kttoolkit.trackers._progress import SearchState, display

BIG = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def ours(function, *args, **kwargs):
    """Call; return what it gives, or None where one of our errors states the rule."""
    with warnings.catch_warnings():
        # What is told on purpose: by us, and by scikit-learn of what is not needed.
        warnings.filterwarnings("ignore", "Class .* is missing", UserWarning)
        warnings.filterwarnings("ignore", "The groups parameter is", UserWarning)
        try:
            return function(*args, **kwargs)
        except KttoolkitError:
            return None


def mostly(plain, other):
    """Draw three plain values for an odd one, so that what comes later is reached."""
    return st.integers(0, 3).flatmap(lambda n: plain if n else other)


# -- data of all kinds ---

NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.floats(0, 1),
    st.sampled_from([10**400, -(2**63), 2**64, 1e308, 5e-324, -0.0]),
)
SCALARS = st.one_of(
    NUMBERS,
    st.booleans(),
    st.text(max_size=4),
    st.sampled_from(["1", "nan", "한글", "<script>", "\x00", "\ud800", "a,b"]),
    st.binary(max_size=3),
    st.none(),
    st.just(pd.NA),
    st.just(pd.NaT),
    st.complex_numbers(),
    st.sampled_from(
        [
            dt.date(2020, 1, 1), dt.datetime(1, 1, 1), dt.timedelta(1), dt.time(1),
            pd.Timestamp("2020", tz="Asia/Seoul"), decimal.Decimal("1.5"),
            decimal.Decimal("NaN"), fractions.Fraction(1, 3), (), (1, 2), [1], {1},
            {"a": 1}, object, len, np.float32(1), np.datetime64("NaT"),
        ]
    ),
)  # fmt: skip
DTYPES = st.one_of(
    hnp.floating_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.boolean_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.unicode_string_dtypes(max_len=3),
    hnp.byte_string_dtypes(max_len=3),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.array_dtypes(max_size=2),
    st.sampled_from(["longdouble", "float16", ">f4", ">i8"]),
)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
ARRAYS = st.one_of(
    DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES)),
    hnp.arrays(object, SHAPES, elements=SCALARS, fill=st.nothing()),
)


def columns(n_rows):
    """Columns of `n_rows` as pandas knows them, with all that may be missing."""

    def of(elements, dtype=None):
        values = st.lists(elements, min_size=n_rows, max_size=n_rows)
        return values.map(lambda v: pd.Series(v, dtype=dtype))

    def coded(categories):
        values = st.lists(st.sampled_from([*categories, None]), min_size=n_rows,
                          max_size=n_rows)  # fmt: skip
        return values.map(lambda v: pd.Series(pd.Categorical(v, categories=categories)))

    small = st.one_of(st.none(), st.integers(0, 3))
    return st.one_of(
        of(st.floats(), "float64"),
        of(st.floats(-5, 5), "float32"),
        of(st.integers(-5, 5), "int64"),
        of(st.just(7), "int64"),
        of(st.booleans(), "bool"),
        of(small, "Int64"),
        of(st.integers(0, 2**64 - 1), "UInt64"),
        of(st.one_of(st.none(), st.floats(-5, 5)), "Float64"),
        of(st.one_of(st.none(), st.booleans()), "boolean"),
        of(st.one_of(st.none(), st.text(max_size=3)), "string"),
        of(st.sampled_from(["1", "2.5", "x"]), "object"),
        of(SCALARS, "object"),
        of(st.sampled_from([0.0, 1.0]), "Sparse[float64]"),
        of(st.integers(0, 9).map(lambda n: pd.Timestamp(n, tz="Asia/Seoul", unit="D"))),
        of(st.integers(0, 9).map(lambda n: pd.Timestamp(n, unit="D"))),
        of(st.integers(0, 9).map(lambda n: pd.Timedelta(n, unit="D"))),
        of(st.integers(2000, 2009).map(lambda n: pd.Period(str(n), "Y"))),
        of(st.integers(0, 9).map(lambda n: pd.Interval(n, n + 1))),
        of(st.complex_numbers(max_magnitude=9), "complex128"),
        of(small, "int64[pyarrow]"),
        of(st.one_of(st.none(), st.text("ab", max_size=2)), "string[pyarrow]"),
        coded(["u", "한", "<b>"]),
        coded([1, 2, 10**6]),
        coded([0.5, 1.5]),
        coded([]),
        coded([pd.Timestamp("2020"), pd.Timestamp("2021")]),
    )


@st.composite
def frames(draw, max_columns=4):
    """Tables, with names of columns as they come out of spreadsheets."""
    n_rows = draw(st.integers(0, 6))
    parts = draw(st.lists(columns(n_rows), max_size=max_columns))
    frame = pd.concat(parts, axis=1) if parts else pd.DataFrame(index=range(n_rows))
    names = st.one_of(
        st.sampled_from(
            [
                "a",
                "a",
                "1",
                1,
                1.0,
                "",
                " ",
                None,
                "<script>",
                "한글",
                ("a", "b"),
                float("nan"),
                True,
                "x" * 10_000,
            ]
        ),
        st.text(max_size=5),
    )
    given_names = draw(st.lists(names, min_size=len(parts), max_size=len(parts)))
    if given_names:
        frame.columns = pd.Index(given_names, dtype=object, tupleize_cols=False)
    if draw(st.booleans()):
        frame.index = pd.Index([0] * n_rows)
    return frame


ODD = st.sampled_from(
    [
        None, 1, 1.5, "text", b"bytes", range(4), {1, 2}, (), [], {}, [[]],
        [[1], [1, 2]], [None, None], [{}, {}], {"a": {}}, {"a": {"b": [1.0]}},
        len, int, object(),
        scipy.sparse.csr_matrix((3, 2)), scipy.sparse.coo_array((3, 2)),
        np.ma.masked_array([1.0, 2.0], [True, False]), np.matrix([[1, 2], [3, 4]]),
        array.array("d", [1.0, 2.0]), memoryview(b"abc"), collections.deque([1, 2]),
        pd.Index([1, 2, 3]), pd.Categorical(["a", "b", "a"]),
        pd.date_range("2020", periods=3), pd.Series([1.0, 2.0], index=[5, 5]),
        pd.DataFrame(), pd.MultiIndex.from_tuples([(1, 2), (3, 4)]),
        np.array(1.0), np.array("text"), np.zeros((3, 0)), np.zeros((0, 3)),
    ]
)  # fmt: skip
VECTORS = st.one_of(
    st.lists(SCALARS, max_size=6),
    st.lists(NUMBERS, max_size=6),
    st.lists(st.sampled_from(["yes", "no", None, 1, 2, 1.0, True]), max_size=6),
    st.integers(0, 6).flatmap(columns),
)
ONE = st.one_of(ARRAYS, frames(), ODD, VECTORS, st.lists(VECTORS, max_size=4))
ANY = st.one_of(
    ONE,
    st.dictionaries(st.one_of(st.text(max_size=3), st.integers()), ONE, max_size=3),
    st.lists(ARRAYS, max_size=3),
    st.tuples(ARRAYS, ARRAYS),
)
GIVEN = {
    "task": st.sampled_from([None, None, "classification", "regression", "x", 3, []]),
    "sample_weight": st.one_of(st.none(), st.none(), ONE),
    "groups": st.one_of(st.none(), st.none(), ONE),
    "preprocessed_later": st.booleans(),
}


@BIG
@given(ANY, st.one_of(st.none(), ANY), st.fixed_dictionaries(GIVEN))
def test_any_data_are_clean_or_refused(x, y, options):
    """No error of NumPy or pandas comes out, whatever x, y, weights and groups are."""
    tried()
    data = ours(as_training_data, x, y, **options)
    if data is None or not data.indexable:
        return
    assert data.fingerprint() == data.fingerprint()
    assert data.n_samples >= 1
    first = data.take(np.array([0]))
    assert first.n_samples == 1
    again = ours(as_training_data, x, y, like=data, **options)
    assert again is None or again.n_samples == data.n_samples


@st.composite
def fitting(draw):
    """x and y of as many rows, so that what comes after the lengths is reached."""
    n_rows = draw(st.integers(1, 8))
    table = st.lists(columns(n_rows), min_size=1, max_size=3).map(
        lambda parts: pd.concat(parts, axis=1, keys=range(len(parts)))
    )
    width = draw(st.integers(0, 3))
    shape = (n_rows, width) if width else (n_rows,)
    matrix = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, shape))
    objects = hnp.arrays(object, shape, elements=SCALARS, fill=st.nothing())
    few = st.lists(st.sampled_from(["a", "b", 1, 2]), min_size=n_rows, max_size=n_rows)
    plain = hnp.arrays("float32", (n_rows, 2), elements=st.floats(-9, 9, width=32))
    shares = hnp.arrays("float64", n_rows, elements=st.floats(0, 1))
    one = st.one_of(columns(n_rows), table, matrix, objects, few)
    two = st.lists(st.booleans(), min_size=n_rows, max_size=n_rows)
    return (
        draw(mostly(plain, one)),
        draw(mostly(st.one_of(two, few, shares), one)),
        draw(mostly(st.one_of(st.none(), shares), one)),
        draw(mostly(st.one_of(st.none(), few, two), one)),
    )


CVS = st.one_of(
    st.integers(-2, 9),
    st.sampled_from(
        [
            None, True, 2.5, "stratified", "kfold", "x", [], [()], [(1, 2)],
            [([0], [1])], [([0, 0], [9])], [([-1], [0])], KFold(2), KFold,
            StratifiedKFold(3),
            GroupKFold(2), ShuffleSplit(2), np.zeros((2, 2)), object(), 10**30,
            [([0.5], [1])], [(None, None)], "", float("nan"), {1: 2}, b"5", iter([]),
            np.array(3), np.array("x"), itertools.count(),
        ]
    ),
)  # fmt: skip


@BIG
@given(
    fitting(), CVS, GIVEN["task"], st.booleans(),
    mostly(st.none(), st.one_of(NUMBERS, SCALARS)),
    mostly(st.one_of(st.floats(0, 1), st.integers(0, 9)), SCALARS),
)  # fmt: skip
def test_any_folds_are_cut_or_refused(rows, cv, task, later, share, test_size):
    """Weights, groups, folds and test rows: all of ours, or refused by us."""
    tried()
    x, y, weights, groups = rows
    data = ours(
        as_training_data, x, y, task=task, sample_weight=weights, groups=groups,
        preprocessed_later=later,
    )  # fmt: skip
    if data is None:
        return
    folds = ours(as_folds, cv, data, seed=0, validation_split=share)
    if folds is not None:
        assert len(folds.fingerprint()) == 64
        assert all(len(fold.train) and len(fold.test) for fold in folds)
    parts = ours(split_off_test, data, test_size, seed=0)
    if parts is not None:
        assert sorted(np.concatenate(parts)) == list(range(data.n_samples))


# -- settings of all kinds ---

ASKED = {
    space.choice: ("values", "default"),
    space.integer: ("min_value", "max_value", "step", "sampling", "default"),
    space.linear_float: ("min_value", "max_value", "step", "default"),
    space.log_float: ("min_value", "max_value", "default"),
    space.one_minus_log: ("min_value", "max_value", "points", "default"),
}
BOUNDS = mostly(st.one_of(st.integers(1, 99), st.floats(1e-6, 0.999)), SCALARS)
SETTINGS = {
    "values": mostly(
        st.lists(st.one_of(st.integers(0, 5), st.sampled_from("abc")), max_size=4),
        st.one_of(st.lists(SCALARS, max_size=4), SCALARS),
    ),
    "default": mostly(st.none(), BOUNDS),
    "min_value": BOUNDS,
    "max_value": BOUNDS,
    "step": mostly(st.none(), BOUNDS),
    "points": mostly(st.none(), st.one_of(st.integers(-3, 99), SCALARS)),
    "sampling": st.sampled_from(["linear", "log", "reverse_log", "x", None, 3]),
}


@pytest.mark.parametrize("ask", ASKED, ids=lambda ask: ask.__name__)
@given(data=st.data())
def test_any_range_is_asked_for_or_refused(ask, data):
    """What a range may not be is said by us, and what is asked for is inside of it."""
    tried()
    given_ = {name: data.draw(SETTINGS[name], label=name) for name in ASKED[ask]}
    hp = kttoolkit.HyperParameters()
    value = ours(ask, hp, name="한 <b>", **given_)
    if value is None or ask is space.choice:
        return
    assert given_["min_value"] <= value <= given_["max_value"]
    for one in ranges_of(hp.get_config()["space"]):
        assert one.name == "한 <b>"


FITS = st.builds(
    FoldFit, st.integers(0, 3), st.just(0), st.just(0), st.just(0),
    st.dictionaries(
        st.sampled_from(["val_loss", "loss", "x"]),
        st.lists(st.floats(), max_size=4).map(tuple), max_size=3,
    ),
)  # fmt: skip


@given(st.lists(FITS, max_size=4), st.sampled_from(["per_fold", "common", "x", None]))
def test_any_trainings_are_scored_or_refused(fits, selection):
    """No folds, no epochs, NaN and infinity end in an error that says what to do."""
    tried()
    objective = types.SimpleNamespace(name="val_loss", direction="min")
    score = ours(aggregate, fits, objective, epoch_selection=selection)
    if score is not None:
        assert np.isfinite(score.means["val_loss"]) or max(
            abs(v) for v in score.splits["val_loss"]
        ) > 1e300  # fmt: skip


SCORES = st.lists(st.floats(), max_size=6)


@given(SCORES, SCORES, st.booleans(), st.sampled_from([0.95, 0, 1, 2.0, -1]))
def test_any_scores_are_compared_or_refused(first, second, same_length, confidence):
    """No NaN, infinity or overflow ends in a warning of NumPy."""
    tried()
    second = (second * 6)[: len(first)] if same_length else second
    ours(paired_difference, first, second, test_share=0.25, confidence=confidence)
    ours(signed_rank, first, second)


# -- tables on disk ---

CELLS = st.sampled_from(
    ["1", "2.5", "", "?", "nan", "yes", "no", '"a,b"', '"', "한글", "=1+1", "1e999",
     "9" * 5000, "2020-01-01", "\x00", "\ufeff", "true", "\t"]
)  # fmt: skip
LINES = st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=6)
CONTENT = st.one_of(
    LINES.map(lambda lines: "\n".join(lines).encode()),
    LINES.map(lambda lines: "\r\n".join(lines).encode("utf-16")),
    st.binary(max_size=60),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    CONTENT, st.sampled_from([None, True, False]),
    st.sampled_from([None, "0", "-1", "99", "yes", "", "한글", "²"]),
)  # fmt: skip
def test_any_csv_is_read_or_refused(tmp_path, content, header, target):
    """Cut, binary, ragged and empty files; targets that are not there."""
    tried()
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    found = ours(cli.read_table, str(path), target, header=header)
    if found is None:
        return
    x, y = found
    assert len(x) == len(y)
    if len(x.columns):
        cli.table_preprocessor(x)


@pytest.mark.parametrize("n_classes", [2, 10_000])
def test_ten_thousand_classes(n_classes):
    """Classes of two rows each are numbered and cut in less than seconds."""
    y = np.repeat([f"class {k}" for k in range(n_classes)], 2)
    data = as_training_data(np.zeros((len(y), 1)), y)
    assert len(data.classes) == n_classes
    folds = as_folds(2, data, seed=0)
    assert [len(fold.test) for fold in folds] == [n_classes] * 2


# -- names that users give ---

HOSTILE = {
    "html": "<script>alert(1)</script>",
    "colour": "\x1b[31mred\x1b[0m",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "return": "safe\rdone\x08\x08",
    "lines": "one\ntwo\u2028three",
    "right to left": "\u202egpj.exe\u2066",
    "long": "x" * 10_000,
    "markup": "[bold]x[/bold] {0} %s",
}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def named(text):
    """A study in which all that a user may name is called so."""
    metrics = {"val_loss": 0.5, text: 1.0}
    records = [
        TrialRecord(
            str(k), {text: text, "rate": 0.1 + k}, "completed", objective="val_loss",
            metrics=metrics, splits=dict.fromkeys(metrics, (0.5, 0.5)),
            epochs=(1, 1), fits=tuple(
                FoldFit(s, s, 0, 0, dict.fromkeys(metrics, (0.5,))) for s in (0, 1)
            ),
        )
        for k in range(3)
    ]  # fmt: skip
    failed = TrialRecord("3", {text: text}, "failed", f"{text}: boom", direction="min")
    study = Study("RandomSearch", "val_loss", "min", 0, text, 2, classes=(text, "b"))
    return TuneResult(Path("studies") / "x", study, (*records, failed), {text: 1.0})


def terminal(*shown, is_terminal=False):
    console = Console(file=io.StringIO(), width=100, force_terminal=is_terminal)
    for part in shown:
        console.print(part, soft_wrap=True)
    return console.file.getvalue()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_names_do_nothing_in_a_terminal(text):
    """No name moves a cursor, colours, rings, fills a clipboard or forges a line."""
    result = named(text)
    info = SearchInfo(text, text, "min", 4, "studies/p")
    state = SearchState(info)
    for record in result.records:
        state.add(record)
    state.start(text, {text: text})
    log = io.StringIO()
    tracker = ProgressTracker(2, console=Console(file=log, width=100))
    tracker.search_started(info)
    tracker.trial_ended(result.records[0])
    tracker.trial_ended(result.records[3])
    table = io.StringIO()
    cli.show(result, Console(file=table, width=100), 5)
    frame = pd.DataFrame({"hyperparameter": [text], "importance": [1.0], "std": [0.0]})
    told = [
        result.summary(), repr(result), repr(Importance(frame, "permutation", 9, text)),
        terminal(display(state)), log.getvalue(), table.getvalue(),
        repr(builders.describe(lambda hp: hp.Choice(text, [text, "y"]))),
    ]  # fmt: skip
    for one in told:
        assert not CONTROL.search(one)
    assert len(result.summary().splitlines()) == 6
    assert len(log.getvalue().splitlines()) == 3
    assert len(terminal(display(state))) < 6000


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_names_stay_text_in_a_notebook(text):
    """No element comes of a name, and no direction of writing is turned."""
    frame = pd.DataFrame({"hyperparameter": [text], "importance": [1.0], "std": [0.0]})
    for page in (
        named(text)._repr_html_(),
        Importance(frame, "permutation", 9, text)._repr_html_(),
        builders.describe(lambda hp: hp.Choice(text, [text, "y"]))._repr_html_(),
    ):
        assert "<script" not in page
        assert not CONTROL.search(page)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("suffix", [".csv", ".tex", ".md", ".parquet"])
def test_names_are_exported(text, suffix, tmp_path):
    """Tables are written whatever is named, and pages hold no control characters."""
    result = named(text)
    for table in ("trials", "folds", "curves"):
        path = result.export(tmp_path / f"{table}{suffix}", table=table)
        if suffix in {".tex", ".md"}:
            assert not CONTROL.search(path.read_text("utf-8"))
    if suffix == ".csv":
        back = pd.read_csv(tmp_path / "trials.csv", lineterminator="\n")
        assert len(back) == 4


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_csv_holds_no_formulas(start, tmp_path):
    """A spreadsheet that opens the table runs nothing; numbers stay numbers."""
    text = f"{start}HYPERLINK(1)"
    result = named(text)
    with result.export(tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    written = text.replace("\r", "\n")
    assert rows[0][f"param_{written}"] == f"'{written}"
    if start not in "\t\r":
        assert rows[-1]["reason"] == f"'{text}: boom"
    assert float(rows[0]["mean_val_loss"]) == 0.5
    with result.export(tmp_path / "c.csv", table="curves").open(
        newline="", encoding="utf-8"
    ) as file:
        assert f"'{written}" in next(csv.reader(file))


# -- paths of all kinds ---

PATHS = {
    "spaces": "my studies  of 2026",
    "korean": "한글 폴더",
    "braces": "100% {done} {0} $HOME ~",
    "patterns": "[a-z]* ?",
    "markup": "<b>&amp; [red]",
    "lines": "one\ntwo\x1b[31m",
    "long": "n" * 200,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PATHS.values(), ids=PATHS)
def test_folders_and_projects_have_any_name(name, tmp_path, blobs, build):
    """Searched, resumed, opened, told, exported, saved and served under such a path."""
    x, y = blobs
    directory = tmp_path / name

    def search(n_trials, **options):
        return kttoolkit.tune(
            build, x, y, tuner="random", cv=2, max_epochs=1, max_trials=n_trials,
            directory=directory, project_name=name, seed=0, verbose=0, **options,
        )  # fmt: skip

    search(1, trackers="csv")
    result = search(2, resume=True, trackers="csv")
    assert result.directory == directory / name
    opened = kttoolkit.load_result(directory / name, build=build, x=x, y=y)
    assert len(opened.trials) == 2
    assert not CONTROL.search(opened.summary())
    compile(opened.setting_as_code(), "code", "exec")
    assert len(pd.read_csv(opened.export(directory / f"{name}.csv"))) == 2
    folder = opened.save_model(tmp_path / f"{name} model")
    assert kttoolkit.load_model(folder).predict(x).shape == (60,)
    assert len(kttoolkit.load_result(opened.save(tmp_path / "copy")).trials) == 2
    assert len(search(1, overwrite=True).trials) == 1
    assert {p.name for p in tmp_path.iterdir()} == {name, folder.name, "copy"}


@pytest.mark.slow
def test_relative_and_symbolic_paths(tmp_path, monkeypatch, blobs, build):
    """A folder is where it is said to be, through links and from where one stands."""
    x, y = blobs
    (tmp_path / "disk").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "disk")
    monkeypatch.chdir(tmp_path / "here")

    def search(n_trials, **options):
        return kttoolkit.tune(
            build, x, y, tuner="random", cv=2, max_epochs=1, max_trials=n_trials,
            directory="../here/link", project_name="p", seed=0, verbose=0, **options,
        )  # fmt: skip

    search(1)
    assert len(search(2, resume=True).trials) == 2
    (tmp_path / "here" / "study").symlink_to(tmp_path / "disk" / "p")
    result = kttoolkit.load_result("study", build=build, x=x, y=y)
    assert len(result.trials) == 2
    folder = result.save_model("link/model")
    assert kttoolkit.load_model("link/model").predict(x).shape == (60,)
    assert folder == tmp_path / "here" / "link" / "model"
    assert len(search(1, overwrite=True).trials) == 1


def test_a_report_holds_no_control_characters(tmp_path):
    """What would end a script, colour or turn the page is written out or left out."""
    for name, text in HOSTILE.items():
        folder = tmp_path / name
        path = named(text).report(folder / "report.html")
        page = path.read_text("utf-8")
        assert "<script>alert" not in page
        assert not CONTROL.search(page), (name, CONTROL.findall(page))


class Silent:
    """Its text is an error, and so is what it yields."""

    def __repr__(self):
        raise RuntimeError("\x1b[31m")

    def split(self, *args):
        raise KeyError("\x1b[31m")


def failing():
    yield [0, 1], [2]
    raise OSError("\x1b[31m")


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (np.array(3), r"index pairs, but got array\(3\) \(TypeError: iteration over"),
        (itertools.count(), r"must yield \(train, test\) index pairs, but got 0"),
        (itertools.repeat(([0], [1])), "no more than 100,000 folds, but repeat"),
        (failing(), r"index pairs, but got .* \(OSError: \\x1b\[31m\)"),
        (Silent(), r"a Silent that cannot be shown cannot cut 4 rows: '.*x1b\[31m'"),
        ([Silent()], "index pairs, but got a Silent that cannot be shown"),
        (-(10**5000), "at least 2 folds, but got cv=a int that is too large to be"),
        (10**5000, "must hold, but got n_splits=a int that is too large to be shown"),
    ],
    ids=map(str, range(8)),
)
def test_folds_that_never_end_or_fail_are_refused(cv, message):
    """Whatever a user's own splitter raises, and however it shows itself."""
    data = as_training_data(np.zeros((4, 1)), [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(CrossValidationError, match=message) as caught:
        as_folds(cv, data, seed=0)
    assert not CONTROL.search(str(caught.value))


@pytest.mark.parametrize(
    "ask",
    [
        lambda value: kttoolkit.trackers.as_trackers(value),
        lambda value: kttoolkit.trackers.as_trackers([value]),
        lambda value: kttoolkit.tuners.get(value),
        lambda value: builders.mlp(units=3, tune=[value]),
        lambda value: builders.mlp(units=3, tune=value),
        lambda value: space.loss(kttoolkit.HyperParameters(), task=value),
        lambda value: space.integer(
            kttoolkit.HyperParameters(),
            name="a",
            min_value=1,
            max_value=3,
            sampling=value,
        ),
        lambda value: kttoolkit.methods.cross_validate(None, [[0.0]], epochs=value),
        lambda value: kttoolkit.methods.cross_validate(None, [[0.0]], epoch=value),
        lambda value: named("x").export("t.csv", table=value),
        lambda value: named("x").plot.curves(metric=value),
    ],
)
@pytest.mark.parametrize("value", ["\x1b[31mred\u202e", "\x07" * 10_000])
def test_what_is_refused_is_shown_as_text(ask, value):
    """An error that is printed does nothing to a terminal, and fills none."""
    with pytest.raises(KttoolkitError, match=r"\\x(1b|07)") as caught:
        ask(value)
    assert not CONTROL.search(str(caught.value))
    assert len(str(caught.value)) < 600
