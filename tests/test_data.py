"""The room `data`: every accepted form of x and y, and every refusal."""

import datetime as dt
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kttoolkit.data import (
    TrainingData,
    as_training_data,
    check_finite_inputs,
    frame_to_array,
    is_stream,
    n_rows,
    take,
)
from kttoolkit.exceptions import DataError

X4 = np.arange(8, dtype="float32").reshape(4, 2)


def coded(y, **kwargs):
    return as_training_data(np.zeros((len(y), 1)), y, **kwargs)


# -- x -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble", bool])
def test_floats_and_booleans_become_float32(dtype):
    data = as_training_data(np.array([[0, 1], [1, 0]], dtype=dtype))
    assert data.x.dtype == np.float32
    assert data.x.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "int64"])
def test_whole_numbers_keep_their_dtype(dtype):
    """Images stay small, and an Embedding gets whole numbers."""
    data = as_training_data(np.arange(24, dtype=dtype).reshape(2, 3, 4))
    assert data.x.dtype == dtype
    assert (data.n_samples, data.x.shape) == (2, (2, 3, 4))


def test_float32_is_not_copied():
    assert np.shares_memory(as_training_data(X4).x, X4)


@pytest.mark.parametrize(
    "x",
    [
        [[1, 2.5], [3, 4]],
        ((1, 2.5), (3, 4)),
        [(1, 2.5), (3, 4)],
        # As `.values` of a frame with columns of several types.
        np.array([[1, 2.5], [3, 4]], dtype=object),
    ],
)
def test_nested_lists_are_tables(x):
    assert as_training_data(x).x.tolist() == [[1, 2.5], [3, 4]]


def test_lists_of_numbers_are_one_vector():
    """NumPy numbers have a shape too, but are not inputs of a model."""
    assert as_training_data([np.float64(1), np.float64(2)]).x.tolist() == [1, 2]
    assert as_training_data(range(3)).x.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series([1, 2, 3]), [[1], [2], [3]]),
        (pd.Series([1.5, 2, 3], dtype="float16"), [[1.5], [2], [3]]),
        (pd.Series([True, False, True]), [[1], [0], [1]]),
        (pd.Series([True, False, True], dtype="boolean"), [[1], [0], [1]]),
        (pd.Series([1, 2, 3], dtype="Int64"), [[1], [2], [3]]),
        (pd.Series([1.5, 2, 3], dtype="Float32"), [[1.5], [2], [3]]),
        (pd.Series(pd.arrays.SparseArray([0.0, 1, 0])), [[0], [1], [0]]),
        (pd.Series(list("bab"), dtype="category"), [[0, 1], [1, 0], [0, 1]]),
        (pd.Series(pd.Categorical([True, False, True])), [[0, 1], [1, 0], [0, 1]]),
        (
            pd.Series(pd.Categorical(list("bab"), categories=list("bca"))),
            [[1, 0, 0], [0, 0, 1], [1, 0, 0]],
        ),
    ],
)
def test_columns_of_a_table_become_floats(column, expected):
    """Categories are one-hot in their declared order, unseen ones included."""
    data = as_training_data(pd.DataFrame({"c": column}))
    assert data.x.dtype == np.float32
    assert data.x.tolist() == expected
    assert data.feature_names == ("c",)


def test_mixed_table_puts_categories_last():
    frame = pd.DataFrame(
        {
            "kind": pd.Categorical(["u", "v"]),
            "n": pd.array([1, 2], dtype="Int64"),
            "b": [True, False],
        }
    )
    assert frame_to_array(frame).tolist() == [[1, 1, 1, 0], [2, 0, 0, 1]]


def test_series_is_one_column_and_column_names_may_be_numbers():
    assert as_training_data(pd.Series([1.0, 2.0])).x.shape == (2, 1)
    assert as_training_data(pd.DataFrame(X4)).feature_names == ("0", "1")


def test_dict_and_list_of_arrays_stay_apart():
    parts = {"a": X4, "b": pd.Series([1, 2, 3, 4], dtype="Int64"), "c": [[1]] * 4}
    data = as_training_data(parts)
    assert {k: v.shape for k, v in data.x.items()} == {
        "a": (4, 2),
        "b": (4,),
        "c": (4, 1),
    }
    frame = pd.DataFrame({"q": pd.Categorical(list("abab"))})
    listed = as_training_data([X4, frame])
    assert [part.shape for part in listed.x] == [(4, 2), (4, 2)]
    assert as_training_data((X4, X4)).n_samples == 4


@pytest.mark.parametrize(
    "x",
    [
        ["a b", "c"],
        np.array(["a b", "c"]),
        np.array(["a b", "c"], dtype=object),
        np.array([b"a b", b"c"]),
    ],
    ids=["list", "str", "object", "bytes"],
)
def test_one_text_a_row_is_left_to_the_model(x):
    """A TextVectorization layer takes it from here."""
    data = as_training_data(x)
    assert data.x.shape == (2,)
    assert data.x[1] in {"c", b"c"}
    assert as_training_data({"t": x}).x["t"].shape == (2,)


def test_preprocessed_later_leaves_text_and_gaps_alone():
    frame = pd.DataFrame({"a": ["x", None], "b": [np.nan, 1.0]})
    assert as_training_data(frame, preprocessed_later=True).x is frame
    listed = as_training_data([["x", np.nan], ["y", 1.0]], preprocessed_later=True)
    assert listed.x.dtype == object
    assert np.isnan(listed.x[0, 1])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (scipy.sparse.eye(3), r"x must be dense.*dia_matrix and shape \(3, 3\)"),
        (scipy.sparse.csr_array(np.eye(2)), r"x must be dense.*toarray"),
        ({"a": scipy.sparse.eye(3)}, r"x\['a'\] must be dense"),
        ([scipy.sparse.eye(3), np.ones(3)], r"x\[0\] must be dense"),
        ([], "at least one row, but got n_samples=0"),
        (np.empty((0, 3)), "at least one row, but got n_samples=0"),
        (pd.DataFrame({"a": []}), "at least one row, but got n_samples=0"),
        ({}, "at least one row"),
        (np.ones((3, 0)), r"at least one column, but got shape \(3, 0\)"),
        (pd.DataFrame(index=range(3)), "at least one column"),
        (None, "of type NoneType"),
        ("data.csv", "of type str"),
        ({1, 2}, "of type set"),
        (np.array(5.0), r"got shape \(\)"),
        ([[1, 2], [3]], "x must be an array.*Rows of different lengths"),
        ({"a": [[1, 2], [3]]}, r"x\['a'\] must be an array"),
        (np.array([[1], [2, 3]], dtype=object), "of type list.*different lengths"),
        (np.array([[1, "a"]], dtype=object), "of type int.*mixed columns"),
        (np.ones(3, dtype=complex), "x must be numbers, but got dtype complex"),
        (np.zeros(2, dtype=[("a", float)]), "x must be numbers, but got dtype"),
        (np.array(["2020"], dtype="M8[D]"), "x must be numbers, but got dates"),
        (np.array([3], dtype="m8[s]"), "x must be numbers, but got dates"),
        ([["a", "b"]], "got text .*first value 'a'.*preprocessor"),
        (["\ud800"], r"Text in x must be Unicode, but got .\\ud800"),
        (["a", None], "1 missing values among 2"),
        (["a", float("nan"), "b"], "1 missing values among 3"),
        (np.ma.array([1.0, 2.0], mask=[True, False]), "1 masked values"),
        ({"a": np.ones(3), "b": np.ones(2)}, "as many rows, but got a: 3, b: 2"),
        (np.full((2, 2), 1e300), "fit into float32.*1e.300"),
        (pd.DataFrame({"a": [1e300, 1.0]}), "fit into float32.*1e.300"),
    ],
)
def test_x_that_cannot_be_trained_on_is_refused(x, message):
    with pytest.raises(DataError, match=message):
        as_training_data(x)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["x", "y"], "(str|object)"),
        (["x", 1], "object"),
        (pd.to_datetime(["2020-01-01", "2021-01-01"]), "datetime64"),
        (pd.to_timedelta([1, 2], unit="D"), "timedelta64"),
        (pd.period_range("2020", periods=2, freq="D"), "period"),
        ([1j, 2j], "complex128"),
    ],
    ids=["text", "mixed", "date", "timedelta", "period", "complex"],
)
def test_columns_that_are_no_numbers_are_named(values, dtype):
    frame = pd.DataFrame({"good": [1, 2], "bad": values})
    with pytest.raises(DataError, match=rf"but got 'bad' \({dtype}.*astype\('category"):
        as_training_data(frame)
    with pytest.raises(DataError, match=rf"but got 'bad' \({dtype}"):
        as_training_data({"part": frame})


@pytest.mark.parametrize("names", [["a", "a"], [1, "1"]])
@pytest.mark.parametrize("preprocessed_later", [True, False])
def test_columns_of_one_name_are_refused(names, preprocessed_later):
    frame = pd.DataFrame(np.ones((2, 2)), columns=names)
    with pytest.raises(DataError, match="different names, but got"):
        as_training_data(frame, preprocessed_later=preprocessed_later)


def test_not_finite_x_is_counted_by_column():
    x = np.ones((4, 3))
    x[0, 2] = x[1, 2] = np.nan
    x[3, 0] = -np.inf
    with pytest.raises(DataError, match="2 NaN and 1 infinite values in columns 0, 2"):
        as_training_data(x)
    with pytest.raises(DataError, match=r"x\['in'\] must be finite, but got 2 NaN"):
        as_training_data({"in": x})
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    found = r"2 NaN and 1 infinite values in columns 'c' \(2\), 'a' \(1\)"
    with pytest.raises(DataError, match=found):
        as_training_data(frame)
    with pytest.raises(DataError, match="in columns a, c"):
        check_finite_inputs(frame)
    with pytest.raises(DataError, match="1 NaN and 0 infinite values"):
        as_training_data([1.0, np.nan])


@pytest.mark.parametrize(
    "column",
    [
        pd.array([1, None], dtype="Int64"),
        pd.array([True, None], dtype="boolean"),
        pd.Categorical(["u", None]),
    ],
    ids=["Int64", "boolean", "category"],
)
def test_gaps_in_pandas_own_columns_are_found(column):
    """A missing category must not become a row of zeros in silence."""
    frame = pd.DataFrame({"g": column})
    for x in (frame, {"part": frame}):
        with pytest.raises(DataError, match=r"1 NaN and 0 infinite .* 'g' \(1\)"):
            as_training_data(x)


# -- y -----------------------------------------------------------------------

CLASSIFICATION = {
    "integers": ([0, 1, 1, 0], "binary", (0, 1)),
    "not contiguous": ([3, 8, 4, 3] * 4, "multiclass", (3, 4, 8)),
    "floats": ([0.0, 1.0, 1.0, 0.0], "binary", (0.0, 1.0)),
    "signs": ([-1, 1, 1, -1], "binary", (-1, 1)),
    "booleans": ([True, False, True, True], "binary", (False, True)),
    "strings": (["no", "yes", "no", "no"], "binary", ("no", "yes")),
    "numpy strings": (np.array(list("cab")), "multiclass", ("a", "b", "c")),
    "objects": (np.array([2, 1, 2, 1], dtype=object), "binary", (1, 2)),
    "tuple": (("a", "b", "a"), "binary", ("a", "b")),
    "Int64": (pd.Series([1, 2, 1, 2], dtype="Int64"), "binary", (1, 2)),
    "boolean": (pd.Series([True, False], dtype="boolean"), "binary", (False, True)),
    "pandas strings": (pd.Series(["a", "b"], dtype="str"), "binary", ("a", "b")),
    "index": (pd.Index(["a", "b", "a"]), "binary", ("a", "b")),
    "category": (
        pd.Series(list("baab"), dtype="category"),
        "binary",
        ("a", "b"),
    ),
    "ordered": (
        pd.Categorical(
            ["low", "high", "low"], categories=["low", "mid", "high"], ordered=True
        ),
        "multiclass",
        ("low", "mid", "high"),
    ),
    "declared numbers": (
        pd.Categorical([2, 1, 2], categories=[3, 2, 1]),
        "multiclass",
        (3, 2, 1),
    ),
}


@pytest.mark.parametrize(
    ("y", "task", "classes"), CLASSIFICATION.values(), ids=CLASSIFICATION
)
def test_classes_are_coded_and_decoded_back(y, task, classes):
    data = coded(y)
    assert (data.task, data.classes) == (task, classes)
    assert data.is_classification
    assert data.y.shape == (len(y),)
    assert data.labels.tolist() == [classes.index(value) for value in list(y)]
    scores = np.eye(len(classes))[data.labels]
    assert data.decode(scores).tolist() == list(y)
    if task == "binary":
        assert data.decode(scores[:, 1:]).tolist() == list(y)
        assert data.decode(scores[:, 1]).tolist() == list(y)
    assert type(data.decode(scores).tolist()[0]) is type(np.asarray(y).tolist()[0])


def test_column_vector_keeps_its_shape():
    for y in (np.array([["a"], ["b"]]), np.array([[3], [7]])):
        data = coded(y)
        assert data.y.tolist() == [[0], [1]]
        assert data.labels.tolist() == [0, 1]
    assert coded(np.array([[0.5], [7.1]])).y.shape == (2, 1)
    assert coded(pd.DataFrame({"t": ["a", "b"]})).y.tolist() == [0, 1]


@pytest.mark.parametrize("form", [np.array, pd.DataFrame, np.ndarray.tolist])
@pytest.mark.parametrize("dtype", ["int64", "float64", bool])
def test_one_hot_keeps_its_form_and_has_labels(form, dtype):
    data = coded(form(np.eye(3, dtype=dtype)[[0, 2, 1, 2]]))
    assert (data.task, data.classes) == ("multiclass", (0, 1, 2))
    assert data.labels.tolist() == [0, 2, 1, 2]
    assert data.y.dtype == np.float32
    assert data.y.argmax(axis=1).tolist() == [0, 2, 1, 2]
    assert data.decode(data.y).tolist() == [0, 2, 1, 2]


def test_columns_of_a_one_hot_table_name_the_classes():
    labels = pd.Series(["no", "yes", "maybe", "yes"])
    y = pd.get_dummies(labels)
    data = coded(y)
    assert (data.task, data.classes) == ("multiclass", ("maybe", "no", "yes"))
    assert data.decode(data.y).tolist() == labels.tolist()
    assert coded(pd.get_dummies(pd.Series([7, 3, 5]))).classes == (3, 5, 7)
    for names in (["a", "a", "b"], [0.5, 1.5, 2.5], [("a", 1), ("a", 2), ("b", 1)]):
        assert coded(y.set_axis(names, axis=1)).classes == (0, 1, 2)


def test_one_hot_columns_of_other_rows_are_found_by_name():
    """Other rows may lack a class, or have their columns in another order."""
    trained = coded(pd.get_dummies(pd.Series(["no", "yes", "maybe"])))
    more = pd.get_dummies(pd.Series(["yes", "no", "yes"]))[["yes", "no"]]
    data = as_training_data(np.ones((3, 1)), more, like=trained)
    assert data.y.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 1]]
    assert data.labels.tolist() == [2, 1, 2]
    other = more.rename(columns={"no": "never"})
    with pytest.raises(DataError, match=r"\['maybe', 'no', 'yes'\], but got 'never'"):
        as_training_data(np.ones((3, 1)), other, like=trained)
    numbered = coded(np.eye(3))
    same = as_training_data(np.ones((3, 1)), pd.DataFrame(np.eye(3)), like=numbered)
    by_place = as_training_data(
        np.ones((3, 1)), pd.DataFrame(np.eye(3), columns=[*"cba"]), like=numbered
    )
    assert same.y.tolist() == by_place.y.tolist() == np.eye(3).tolist()


def test_intervals_of_pandas_cut_are_classes():
    y = pd.Series(pd.cut([1, 2, 3, 4], 2))
    data = coded(y)
    assert data.labels.tolist() == [0, 0, 1, 1]
    assert data.decode(data.labels).tolist() == y.tolist()


@pytest.mark.parametrize(
    "y",
    [
        [0.5, 1.5, 2.5],
        [0.0, 1.0, 2.0],
        list(range(40)),
        pd.Series([0.5, 1.5, 7.0], dtype="Float64"),
        pd.Series([0.5, 1.5, 7.0], dtype=object),
        np.array([[0.5, 2], [1, 3]]),
    ],
    ids=["floats", "three whole floats", "counts", "Float64", "object", "two columns"],
)
def test_numbers_of_many_values_are_regression(y):
    data = coded(y)
    assert (data.task, data.labels, data.classes) == ("regression", None, ())
    assert data.y.dtype == np.float32
    assert np.allclose(data.y, np.asarray(y, dtype=float))
    predictions = np.ones((len(y), 1))
    assert data.decode(predictions) is predictions


def test_task_overrules_what_y_looks_like():
    assert coded([0, 1, 0, 1], task="regression").task == "regression"
    assert coded(np.eye(2), task="regression").task == "regression"
    grades = coded([1.0, 2.0, 3.0, 1.0], task="classification")
    assert (grades.task, grades.classes) == ("multiclass", (1.0, 2.0, 3.0))
    assert coded(list(range(40)), task="classification").classes == tuple(range(40))
    numbers = pd.Series([1, 2, 3], dtype="category")
    assert coded(numbers, task="regression").y.tolist() == [1, 2, 3]


def test_probabilities_for_a_classifier_are_left_as_they_are():
    """Soft labels would be nonsense as one class for each value."""
    for y in ([0.1, 0.9, 0.4], np.array([[0.3, 0.7], [1, 0]])):
        data = coded(y, task="classification")
        assert (data.task, data.labels) == ("other", None)
        assert np.allclose(data.y, y)
    with pytest.raises(DataError, match=r"continuous values from 0\.5 to 7\.5"):
        coded([0.5, 7.5, 2.0], task="classification")


def test_targets_with_more_axes_are_for_the_loss_to_read():
    images = np.random.default_rng(0).random((3, 4, 4))
    assert coded(images).task == "other"
    assert coded(images, task="regression").y.shape == (3, 4, 4)
    tokens = coded(np.array([[4, 7], [1, 2]]), task="classification")
    assert (tokens.task, tokens.y.dtype.kind) == ("other", "i")


def test_several_labels_a_row_are_multilabel():
    data = coded([[1, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert (data.task, data.labels) == ("multilabel", None)
    assert not data.is_classification


def test_multi_output_targets_stay_apart():
    data = coded_outputs({"a": [1, 2, 3, 4], "b": pd.Series([0, 1, 0, 1])})
    assert (data.task, data.labels) == ("other", None)
    assert {k: v.tolist() for k, v in data.y.items()} == {
        "a": [1, 2, 3, 4],
        "b": [0, 1, 0, 1],
    }
    for kind in (list, tuple):
        series = coded_outputs(kind([pd.Series(np.ones(4)), np.zeros(4)]))
        assert [part.tolist() for part in series.y] == [[1] * 4, [0] * 4]
    listed = coded_outputs([np.ones(4), np.ones((4, 2))])
    assert [part.shape for part in listed.y] == [(4,), (4, 2)]


def coded_outputs(y):
    return as_training_data(X4, y)


def test_no_y_is_no_task():
    data = as_training_data(X4)
    assert (data.y, data.task, data.labels) == (None, "other", None)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (scipy.sparse.eye(4), "y must be dense.*dia_matrix"),
        ({"a": scipy.sparse.eye(4)}, r"y\['a'\] must be dense"),
        ([], r"y must hold a value for every row, but got shape \(0,\)"),
        (np.zeros((4, 0)), r"got shape \(4, 0\)"),
        (np.array(1), r"got shape \(\)"),
        ("abcd", r"got shape \(\) of type str"),
        ((v for v in range(4)), "of type generator"),
        ([[1], [1, 2], [1], [2]], "y must be an array"),
        ([1, 0, 1], r"same number of rows, but got x: 4, y: 3"),
        (np.zeros(3), "same number of rows, but got x: 4, y: 3"),
        ({"a": [1, 0, 1, 0], "b": [1]}, r"x: 4, y\['b'\]: 1"),
        ([1.0, np.nan, np.inf, 0], "1 NaN and 1 infinite values among 4"),
        ([[1.0], [np.nan], [0], [1]], "1 NaN and 0 infinite"),
        (["a", None, "b", "a"], "1 NaN and 0 infinite values among 4"),
        (["a", float("nan"), "b", "a"], "1 NaN and 0 infinite values among 4"),
        (pd.Series([True, None] * 2, dtype="boolean"), "2 NaN"),
        (pd.Series(["a", None] * 2, dtype="category"), "2 NaN"),
        (pd.DataFrame({"a": [1, np.nan] * 2, "b": [1] * 4}), "2 NaN .*among 8"),
        ({"a": [1, 2, np.nan, 4]}, r"y\['a'\] must be known and finite.*1 NaN"),
        (["a"] * 4, "two classes, but got only 'a' in all 4 rows"),
        ([7] * 4, "two classes, but got only 7 in all 4 rows"),
        (pd.Categorical(["a"] * 4, categories=["a", "b"]), "got only 'a'"),
        ([[0, 1]] * 4, "every one-hot row marks column 1"),
        (np.array(["2020", "2021"] * 2, dtype="M8[D]"), "got dtype datetime64"),
        (pd.Series(pd.to_timedelta([1, 2] * 2, unit="D")), "got dtype timedelta64"),
        ([1j, 2j, 1j, 2j], "got dtype complex128"),
        ([1, "a", 1, "a"], r"all text or all numbers, but y holds \['int', 'str'\]"),
        (np.array([["a", "b"]] * 4), "y of several columns must be numbers"),
        (pd.DataFrame({"a": ["u"] * 4, "b": ["inf"] * 4}), "y must be numbers, but"),
        (pd.DataFrame([[10**400, 1]] * 4, dtype=object), "y must be numbers, but"),
        ({"a": ["u", "v"] * 2}, r"y\['a'\] must be numbers.*LabelEncoder"),
        ({"a": None}, r"y\['a'\] must hold a value"),
        ([1e300, 1, 2, 3.5], "y must fit into float32"),
    ],
)
def test_y_that_cannot_be_learnt_is_refused(y, message):
    with pytest.raises(DataError, match=message):
        as_training_data(X4, y)


def test_wrong_tasks_are_refused():
    with pytest.raises(DataError, match=r"task must be one of.*'classify'"):
        coded([0, 1], task="classify")
    with pytest.raises(DataError, match="for regression, but got values like 'a"):
        coded(["a", "b"], task="regression")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1, -2, 1], "not be negative, but got a minimum of -2"),
        ([1, 1, np.nan, 1], "sample_weight must be known and finite"),
        (list("abcd"), "sample_weight must be numbers"),
        ([1, 1], "x: 4, sample_weight: 2"),
        ({"out": [1] * 4}, r"one for each as y has, but got \['out'\] and y with one"),
    ],
)
def test_wrong_weights_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        as_training_data(X4, [0, 1, 0, 1], sample_weight=weights)


TWO_OUTPUTS = {"dict": {"a": np.arange(4), "b": np.ones(4)}}
TWO_OUTPUTS["list"] = list(TWO_OUTPUTS["dict"].values())


@pytest.mark.parametrize("form", TWO_OUTPUTS)
def test_each_output_may_have_its_weights(form):
    y = TWO_OUTPUTS[form]
    data = as_training_data(X4, y, sample_weight=y)
    part = data.take(np.array([3, 1])).sample_weight
    first = part["a"] if form == "dict" else part[0]
    assert first.tolist() == [3, 1]
    assert first.dtype == "float32"
    other = as_training_data(X4, y, sample_weight=np.ones(4))
    assert data.fingerprint() != other.fingerprint()


@pytest.mark.parametrize(
    ("form", "weights", "message"),
    [
        ("dict", {"a": [1] * 4}, r"got \['a'\] and y with the keys \['a', 'b'\]"),
        ("list", [np.ones(4)], "got 1 and y with 2 outputs"),
        ("dict", {"a": [1] * 4, "b": [1, -1, 1, 1]}, r"sample_weight\['b'\] must not"),
        ("list", [np.ones(4), np.ones(3)], r"x: 4, sample_weight\[1\]: 3"),
    ],
)
def test_wrong_weights_of_outputs_are_refused(form, weights, message):
    with pytest.raises(DataError, match=message):
        as_training_data(X4, TWO_OUTPUTS[form], sample_weight=weights)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([1, 2], "x: 4, groups: 2"),
        (["a", None, "b", "b"], "groups must be known.*1 NaN"),
        ([[1], [1, 2], [3], [4]], "groups must be an array"),
    ],
)
def test_wrong_groups_are_refused(groups, message):
    with pytest.raises(DataError, match=message):
        as_training_data(X4, [0, 1, 0, 1], groups=groups)


# -- more rows like these ----------------------------------------------------


def test_like_brings_columns_into_the_order_trained_on():
    trained = as_training_data(pd.DataFrame({"a": [1, 2], "b": [3, 4]}))
    more = pd.DataFrame({"z": [0, 0], "b": [30, 40], "a": [10, 20]})
    assert as_training_data(more, like=trained).x.tolist() == [[10, 30], [20, 40]]
    with pytest.raises(DataError, match=r"trained on, but \['a'\] are missing"):
        as_training_data(more.drop(columns="a"), like=trained)


def test_like_codes_categories_as_trained():
    """Test rows that lack a category must not shift the one-hot columns."""
    trained = as_training_data(
        pd.DataFrame({"n": [1, 2], "c": pd.Categorical(["u", "v"])})
    )
    for values in (["v", "v"], pd.Categorical(["v", "v"])):
        more = pd.DataFrame({"c": values, "n": [5, 6]})
        data = as_training_data(more, like=trained)
        assert data.x.tolist() == [[5, 0, 1], [6, 0, 1]]
    unknown = pd.DataFrame({"c": ["w", "u"], "n": [5, 6]})
    with pytest.raises(DataError, match=r"Column 'c' of x.*'v'\], but got \['w'"):
        as_training_data(unknown, like=trained)
    twice = pd.DataFrame([[1, "u", "u"]], columns=["n", "c", "c"])
    with pytest.raises(DataError, match="different names"):
        as_training_data(twice, like=trained)


TEXTS = ["good film", "bad film", "so good"]


@pytest.mark.parametrize(
    "form",
    [
        list,
        np.array,
        lambda texts: np.array(texts, object),
        lambda texts: np.array(texts).astype("S"),
        pd.Series,
        lambda texts: pd.Series(texts, dtype="string"),
    ],
    ids=["list", "array", "object", "bytes", "series", "string"],
)
def test_texts_become_what_keras_takes(form):
    """For a model that begins with `TextVectorization`."""
    data = as_training_data(form(TEXTS), [0, 1, 0])
    assert data.x.dtype == object
    assert data.x.tolist() == TEXTS
    assert all(type(text) is str for text in data.x)


def test_a_list_of_images_is_told_from_several_inputs():
    images = list(np.zeros((5, 8, 8)))
    with pytest.raises(DataError, match=r"x: 8, y: 5\. A list .*: use np\.stack"):
        as_training_data(images, [0, 1, 0, 1, 0])
    sizes = [np.zeros((8 + k, 8)) for k in range(20)]
    with pytest.raises(DataError, match=r"7: 15, \.\.\. of 20\. A list counts"):
        as_training_data(sizes, [0, 1] * 10)


@pytest.mark.parametrize("path", ["photos", Path("table.csv")])
def test_a_path_is_to_be_read_first(path):
    with pytest.raises(DataError, match=r"Read it first: .*images_from_directory"):
        as_training_data(path, [0, 1])


@pytest.mark.parametrize("ordered", [False, True])
def test_like_codes_categories_that_were_declared_in_another_order(ordered):
    sizes = pd.Categorical(["S", "M", "L"], ["S", "M", "L"], ordered=ordered)
    trained = as_training_data(pd.DataFrame({"size": sizes}))
    for other in (["L", "M", "S"], ["M", "L", "S"], ["S", "L"]):
        more = pd.DataFrame({"size": pd.Categorical(["L", "S"], other)}, index=[7, 3])
        data = as_training_data(more, like=trained)
        assert data.x.tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    "y", [["c", "c"], [["c"], ["c"]], pd.Series(["c", "c"], dtype="category")]
)
def test_like_numbers_classes_as_trained(y):
    """One class alone is no error, and a column vector changes no number."""
    trained = coded(["a", "b", "c", "a"])
    data = coded(y, like=trained)
    assert data.y.tolist() == data.labels.tolist() == [2, 2]
    assert (data.task, data.classes) == ("multiclass", ("a", "b", "c"))


@pytest.mark.parametrize(
    ("trained", "y", "expected"),
    [
        ([0.0, 1.0], [1, 1], [1, 1]),
        ([True, False], [1, 0], [1, 0]),
        ([[3], [7]], [7, 7], [[1], [1]]),
        (np.eye(3), [[0, 1, 0]] * 2, [[0, 1, 0]] * 2),
        ([[1, 1], [0, 1], [0, 0]], [[0, 1]] * 2, [[0, 1]] * 2),
        ([0.5, 1.5], [1, 1], [1, 1]),
    ],
    ids=["floats", "booleans", "column", "one-hot", "multilabel", "regression"],
)
def test_like_keeps_the_form_of_y(trained, y, expected):
    like = coded(trained)
    data = coded(y, like=like)
    assert data.y.tolist() == expected
    assert (data.task, data.classes) == (like.task, like.classes)
    assert data.y.dtype == like.y.dtype


@pytest.mark.parametrize(
    ("trained", "y", "message"),
    [
        (
            ["a", "b"],
            ["a", "q"],
            r"were trained on, \['a', 'b'\].*\['q'\]",
        ),
        ([0, 1], ["0", "1"], r"but got \['0', '1'\]"),
        (["a", "b"], ["a", None], "1 NaN"),
        (["a", "b"], np.eye(2), r"shape \(n_samples\), but got shape \(2, 2\)"),
        (np.eye(2), [0, 1], r"shape \(n_samples, 2\), but got shape \(2,\)"),
        (np.eye(2), np.eye(3)[:2], r"\(n_samples, 2\), but got shape \(2, 3\)"),
        ([0.5, 1.5], ["a", "b"], "numbers for regression"),
        (["a", "b"], scipy.sparse.eye(2), "y must be dense"),
        (["a", "b"], {"out": [1, 2]}, "of type dict"),
    ],
)
def test_like_refuses_other_targets(trained, y, message):
    like = as_training_data(np.zeros((2, 1)), trained)
    with pytest.raises(DataError, match=message):
        as_training_data(np.zeros((2, 1)), y, like=like)


def test_like_without_targets_still_knows_the_classes():
    data = as_training_data(np.zeros((2, 1)), like=coded(["a", "b"]))
    assert (data.y, data.classes) == (None, ("a", "b"))
    assert data.decode(np.array([[0.9], [0.1]])).tolist() == ["b", "a"]


# -- take, fingerprint, streams ------------------------------------------------


def test_take_cuts_everything_at_once():
    frame = pd.DataFrame({"c": pd.Categorical(list("uvuv")), "n": range(4)})
    data = as_training_data(
        frame, list("abab"), sample_weight=[1, 2, 3, 4], groups=[5, 6, 7, 8]
    )
    part = data.take(np.array([3, 0]))
    assert part.x.tolist() == data.x[[3, 0]].tolist()
    assert part.y.tolist() == part.labels.tolist() == [1, 0]
    assert part.sample_weight.tolist() == [4, 1]
    assert part.groups.tolist() == [8, 5]
    kept = ("task", "classes", "feature_names", "categories", "indexable")
    assert all(getattr(part, name) == getattr(data, name) for name in kept)


def test_take_keeps_the_form():
    rows = np.array([2, 0])
    parts = {"a": X4, "b": [X4, pd.Series([1, 2, 3, 4])]}
    taken = take(parts, rows)
    assert taken["a"].tolist() == X4[rows].tolist()
    assert taken["b"][1].tolist() == [3, 1]
    frame = take(pd.DataFrame(X4, index=[9, 8, 7, 6]), rows)
    assert list(frame.index) == [7, 9]
    assert take(None, rows) is None
    assert n_rows(taken) == 2


def test_checked_data_pass_through():
    data = as_training_data(X4, [0, 1, 0, 1])
    assert as_training_data(data) is data


def variants():
    frame = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": ["u", "v", "u", "v"]})

    def make(**changes):
        given = {"x": X4, "y": list("abab"), **changes}
        return as_training_data(**given, preprocessed_later=True)

    weights = [1.0, 2, 3, 4]
    return {
        "plain": lambda: make(),
        "value": lambda: make(x=X4 + np.eye(4, 2)),
        "dtype": lambda: make(x=X4.astype("int64")),
        "shape": lambda: make(x=X4[:, :, None]),
        "order": lambda: make(x=X4[::-1]),
        "target": lambda: make(y=list("abba")),
        "class names": lambda: make(y=list("acac")),
        "weights": lambda: make(sample_weight=weights),
        "groups": lambda: make(groups=weights),
        "text": lambda: make(x=np.array([["u"], ["v"], ["u"], ["v"]], dtype=object)),
        "text value": lambda: make(x=np.array([["u"], ["v"], ["u"], ["w"]], object)),
        "frame": lambda: make(x=frame),
        "frame order": lambda: make(x=frame.iloc[::-1]),
        "frame column": lambda: make(x=frame.rename(columns={"a": "c"})),
        "frame columns": lambda: make(x=frame[["b", "a"]]),
        "frame value": lambda: make(x=frame.assign(b=["u", "v", "u", "w"])),
        "frame dtype": lambda: make(x=frame.astype({"b": "category"})),
        "dict": lambda: make(x={"a": X4, "b": X4}),
        "dict names": lambda: make(x={"a": X4, "c": X4}),
        "list": lambda: make(x=[X4, X4, X4]),
    }


def test_fingerprint_tells_all_data_apart_and_is_the_same_for_equal_data():
    first = {name: make().fingerprint() for name, make in variants().items()}
    again = {name: make().fingerprint() for name, make in variants().items()}
    assert first == again
    assert len(set(first.values())) == len(first)


def test_fingerprint_does_not_depend_on_memory_layout_or_order_of_names():
    y = [0, 1, 0, 1]
    plain = as_training_data(X4, y).fingerprint()
    assert as_training_data(np.asfortranarray(X4), y).fingerprint() == plain
    a_first = as_training_data({"a": X4, "b": -X4}, y).fingerprint()
    assert as_training_data({"b": -X4, "a": X4}, y).fingerprint() == a_first


class TensorSpecs:
    element_spec = ()

    def __iter__(self):
        return iter([])


class PyDatasetLike:
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return X4


class LoaderLike:
    def __iter__(self):
        return iter([X4])


class TensorLike:
    shape = (2,)

    def __array__(self, dtype=None, copy=None):
        return np.ones(2)

    def __getitem__(self, index):
        return 1.0


def test_streams_are_told_from_rows():
    streams = [TensorSpecs(), PyDatasetLike(), LoaderLike(), iter([1]), (i for i in "")]
    assert all(map(is_stream, streams))
    rows = [X4, pd.DataFrame(X4), pd.Series([1]), {"a": X4}, [X4], (X4,), [1], range(3)]
    rows += ["text", {1}, None, 5, TensorLike(), scipy.sparse.eye(2), pd.Index([1])]
    assert not any(map(is_stream, rows))
    assert as_training_data(TensorLike()).x.tolist() == [1, 1]


def test_a_stream_is_kept_as_it_is_and_brings_its_own_targets():
    stream = PyDatasetLike()
    data = as_training_data(stream)
    assert data.x is stream
    assert not data.indexable
    with pytest.raises(DataError, match=r"y must be None.*PyDatasetLike and y of"):
        as_training_data(stream, [1])


# -- whatever comes ----------------------------------------------------------

CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.just(pd.NA),
    st.dates(dt.date(2000, 1, 1), dt.date(2030, 1, 1)),
)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
DTYPES = st.one_of(hnp.scalar_dtypes(), hnp.unicode_string_dtypes(max_len=3))
ARRAYS = st.one_of(
    hnp.arrays(DTYPES, SHAPES), hnp.arrays(object, SHAPES, elements=CELLS, fill=None)
)
COLUMNS = st.one_of(
    st.lists(CELLS, min_size=3, max_size=3),
    st.lists(st.floats(), min_size=3, max_size=3),
    st.lists(st.sampled_from("ab"), min_size=3, max_size=3).map(pd.Categorical),
    st.lists(st.sampled_from([1, 2, None]), min_size=3, max_size=3).map(
        lambda v: pd.array(v, dtype="Int64")
    ),
)
FRAMES = st.dictionaries(
    st.sampled_from(string.ascii_lowercase), COLUMNS, max_size=4
).map(pd.DataFrame)
LISTS = st.recursive(CELLS, lambda inner: st.lists(inner, max_size=4), max_leaves=8)


def check_rows(data):
    assert isinstance(data, TrainingData)
    assert n_rows(data.x) == data.n_samples > 0
    if data.x.dtype.kind not in "OUST":
        assert np.isfinite(data.x).all()
        assert data.x.dtype.kind in "iuf"


@settings(max_examples=150, deadline=None)
@given(st.one_of(ARRAYS, FRAMES, LISTS))
def test_whatever_x_is_it_is_clean_or_refused(x):
    try:
        data = as_training_data(x)
    except DataError:
        return
    if isinstance(data.x, np.ndarray):
        check_rows(data)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(ARRAYS, FRAMES, LISTS, st.lists(CELLS, min_size=3, max_size=3)),
    st.sampled_from([None, "classification", "regression"]),
)
def test_whatever_y_is_it_is_clean_or_refused(y, task):
    try:
        data = as_training_data(np.zeros((3, 1)), y, task=task)
    except DataError:
        return
    if not isinstance(data.y, np.ndarray):
        assert y is None or isinstance(y, list | dict)
        return
    assert len(data.y) == 3
    assert np.isfinite(data.y).all()
    if data.is_classification:
        assert len(data.classes) >= 2
        assert set(data.labels) <= set(range(len(data.classes)))
        assert coded(y, like=data).labels.tolist() == data.labels.tolist()


def test_data_and_folds_are_read_without_tensorflow():
    code = (
        "import sys, kttoolkit.data, kttoolkit.cv, kttoolkit.scoring, "
        "kttoolkit.results\n"
        "assert not {'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
