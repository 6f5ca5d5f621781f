"""The room `cv`: folds as scikit-learn cuts them, preprocessing that cannot leak."""

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
    check_cv,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from kttoolkit.cv import (
    Folds,
    as_dense,
    as_folds,
    as_transformer,
    prepare,
    split_off_test,
)
from kttoolkit.data import as_training_data
from kttoolkit.exceptions import CrossValidationError, DataError

X = np.arange(24, dtype="float32").reshape(12, 2)
CLASSES = ["a", "b", "c"] * 4
NUMBERS = np.linspace(0, 1.5, 12)
GROUPS = np.repeat([0, 1, 2, 3], 3)


def rows_of(folds):
    return [(fold.train.tolist(), fold.test.tolist()) for fold in folds]


def expected(pairs):
    return [(train.tolist(), test.tolist()) for train, test in pairs]


@pytest.fixture
def classified():
    return as_training_data(X, CLASSES)


@pytest.fixture
def grouped():
    return as_training_data(X, CLASSES, groups=GROUPS)


@pytest.fixture
def measured():
    return as_training_data(X, NUMBERS)


# -- what is cut -------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (CLASSES, StratifiedKFold),
        ([True, False] * 6, StratifiedKFold),
        (NUMBERS, KFold),
        (np.stack([NUMBERS, NUMBERS], axis=1), KFold),
        ([[1, 1], [0, 1], [0, 0]] * 4, KFold),
    ],
    ids=["classes", "booleans", "numbers", "two numbers", "multilabel"],
)
def test_a_number_chooses_as_scikit_learn_does(y, kind):
    data = as_training_data(X, y)
    classifies = data.task != "regression"
    target = y if data.labels is None else data.labels
    assert isinstance(check_cv(4, target, classifier=classifies), kind)
    shuffled = kind(4, shuffle=True, random_state=3)
    for number in (4, np.int64(4)):
        folds = as_folds(number, data, seed=3)
        assert rows_of(folds) == expected(shuffled.split(X, target))
        assert folds.description == repr(shuffled)
        assert (len(folds), folds.validation) == (4, None)


def test_one_hot_rows_are_stratified_by_their_class():
    labels = np.tile([0, 1, 2], 4)
    one_hot = as_training_data(X, np.eye(3)[labels])
    numbered = as_training_data(X, labels, task="classification")
    cut = rows_of(as_folds(4, one_hot, seed=0))
    assert cut == rows_of(as_folds(4, numbered, seed=0))


def test_names_are_five_folds():
    data = as_training_data(np.zeros((20, 1)), ["a", "b"] * 10)
    for name, kind in (("stratified", StratifiedKFold), ("kfold", KFold)):
        splitter = kind(5, shuffle=True, random_state=1)
        folds = as_folds(name, data, seed=1)
        assert rows_of(folds) == expected(splitter.split(data.x, data.labels))


SPLITTERS = [
    KFold(3),
    KFold(3, shuffle=True, random_state=1),
    StratifiedKFold(4),
    RepeatedKFold(n_splits=3, n_repeats=2, random_state=1),
    RepeatedStratifiedKFold(n_splits=4, n_repeats=2, random_state=1),
    LeaveOneOut(),
    ShuffleSplit(3, test_size=0.25, random_state=1),
    StratifiedShuffleSplit(3, test_size=0.25, random_state=1),
    PredefinedSplit([-1, -1, -1, 0, 0, 0, 1, 1, 1, 2, 2, 2]),
]


@pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda s: type(s).__name__)
def test_a_splitter_is_used_as_it_is(splitter, classified):
    folds = as_folds(splitter, classified, seed=7)
    assert rows_of(folds) == expected(splitter.split(X, classified.labels))
    assert folds.description.startswith(type(splitter).__name__)
    assert "\n" not in folds.description


@pytest.mark.parametrize(
    "splitter", [GroupKFold(3), StratifiedGroupKFold(3), LeaveOneGroupOut()]
)
def test_a_group_is_never_on_both_sides(splitter, grouped):
    folds = as_folds(splitter, grouped)
    assert rows_of(folds) == expected(splitter.split(X, grouped.labels, GROUPS))
    for fold in folds:
        assert set(GROUPS[fold.train]).isdisjoint(GROUPS[fold.test])


def test_groups_that_a_splitter_ignores_are_warned_of(grouped):
    """The default folds do not keep groups together; scikit-learn says so."""
    with pytest.warns(UserWarning, match="groups parameter is ignored by Stratified"):
        as_folds(3, grouped)


def test_time_series_folds_never_look_ahead(measured):
    folds = as_folds(TimeSeriesSplit(3), measured)
    assert rows_of(folds) == expected(TimeSeriesSplit(3).split(X))
    assert all(fold.train.max() < fold.test.min() for fold in folds)


class BySign:
    """A splitter of one's own that looks at the rows, not only at their number."""

    def split(self, X, y=None, groups=None):
        first = np.asarray(X)[:, 0]
        yield np.flatnonzero(first < 12), np.flatnonzero(first >= 12)


@pytest.mark.parametrize("form", [np.array, pd.DataFrame])
def test_a_splitter_is_given_the_real_rows(form):
    data = as_training_data(form(X), NUMBERS, preprocessed_later=True)
    (fold,) = as_folds(BySign(), data)
    assert (fold.train.tolist(), fold.test.tolist()) == ([*range(6)], [*range(6, 12)])


def test_several_inputs_can_be_cut():
    data = as_training_data({"a": X, "b": X}, {"out": NUMBERS})
    assert rows_of(as_folds(KFold(3), data)) == expected(KFold(3).split(X))


def test_index_pairs_masks_and_generators(measured):
    mask = np.arange(12) < 4
    pairs = [([0, 1, 2], [3, 4]), (~mask, mask), (np.array([5]), (6, 7))]
    wanted = [([0, 1, 2], [3, 4]), ([*range(4, 12)], [0, 1, 2, 3]), ([5], [6, 7])]
    for cv in (pairs, iter(pairs), (pair for pair in pairs), tuple(pairs)):
        folds = as_folds(cv, measured)
        assert rows_of(folds) == wanted
        assert folds.description == "index pairs"


def test_a_row_may_be_trained_on_twice(measured):
    (fold,) = as_folds([([0, 0, 1], [2])], measured)
    assert fold.train.tolist() == [0, 0, 1]


def test_folds_pass_through(measured):
    folds = as_folds(3, measured, seed=0)
    assert as_folds(folds, measured) is folds


# -- hold-out ----------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 7, 10, 99, 768])
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.25, 1 / 3, 0.5])
def test_validation_split_takes_keras_rows(n, fraction):
    """The last rows; `floor(n * (1 - fraction))` stay for training, as in Keras."""
    from keras.src.trainers.data_adapters.array_slicing import train_validation_split

    rows = np.arange(n)
    (train,), (test,) = train_validation_split((rows,), fraction)
    data = as_training_data(rows, rows / 7, task="regression")
    (fold,) = as_folds(None, data, validation_split=fraction)
    assert fold.train.tolist() == np.asarray(train).tolist()
    assert fold.test.tolist() == np.asarray(test).tolist()


def test_no_cv_is_a_hold_out_of_a_fifth(measured):
    folds = as_folds(None, measured)
    assert rows_of(folds) == [([*range(9)], [9, 10, 11])]
    assert folds.description == "validation_split=0.2"


def test_validation_data_score_all_rows(measured):
    validation = as_training_data(X[:2], NUMBERS[:2], like=measured)
    folds = as_folds(None, measured, validation=validation)
    assert rows_of(folds) == [([*range(12)], [])]
    assert folds.validation is validation
    part = prepare(folds.splits[0], measured, folds, None, None)
    assert part.test is validation
    assert part.train.n_samples == 12


@pytest.mark.parametrize(
    "fraction",
    [0, 1, -0.5, 2, float("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), "0.2"],
)
def test_validation_split_must_be_a_fraction(measured, fraction):
    with pytest.raises(CrossValidationError, match="0 < validation_split < 1 must"):
        as_folds(None, measured, validation_split=fraction)


def test_forms_of_validation_exclude_each_other(measured):
    with pytest.raises(CrossValidationError, match="Only one of validation_split and"):
        as_folds(None, measured, validation_split=0.5, validation=measured)
    for given in ({"validation_split": 0.5}, {"validation": measured}):
        with pytest.raises(CrossValidationError, match=r"need cv=None, but got cv=3"):
            as_folds(3, measured, **given)


# -- seed and fingerprint ----------------------------------------------------


def test_the_seed_fixes_the_folds(classified):
    first = as_folds(4, classified, seed=0)
    assert rows_of(first) == rows_of(as_folds(4, classified, seed=0))
    assert rows_of(first) != rows_of(as_folds(4, classified, seed=1))


def test_fingerprint_tells_folds_apart(classified):
    validation = classified.take(np.array([0, 1, 2]))
    holdout = as_folds(None, classified, validation=validation)
    other = as_folds(None, classified, validation=classified.take(np.array([0, 1])))
    pairs = [
        as_folds([([0, 1, 2], [3])], classified),
        as_folds([([0, 1, 2, 3], [4])], classified),
        as_folds([([2, 1, 0], [3])], classified),
        as_folds([([0, 1, 2], [3]), ([3, 4, 5], [0])], classified),
    ]
    prints = [folds.fingerprint() for folds in (holdout, other, *pairs)]
    assert len(set(prints)) == len(prints)
    again = as_folds([(np.array([0, 1, 2]), [3])], classified)
    assert again.fingerprint() == pairs[0].fingerprint()


# -- classes and folds -------------------------------------------------------


def test_a_class_missing_in_training_is_named():
    """Iris is sorted by species: each plain fold of three tests on an unseen one."""
    iris = load_iris()
    data = as_training_data(iris.data, iris.target_names[iris.target])
    with pytest.warns(UserWarning, match="missing from the training part") as caught:
        as_folds(KFold(3), data)
    told = [str(warning.message) for warning in caught]
    for number, name in enumerate(["setosa", "versicolor", "virginica"]):
        assert told[number].startswith(
            f"Class '{name}' is missing from the training part of fold {number}:"
        )
    assert caught[0].filename == __file__


def test_a_hold_out_of_sorted_rows_is_warned_of():
    data = as_training_data(X, ["a"] * 9 + ["b"] * 3)
    with pytest.warns(UserWarning, match="Class 'b' is missing .* of fold 0"):
        as_folds(None, data, validation_split=0.25)


def test_a_declared_class_without_rows_is_no_warning():
    y = pd.Categorical(["a", "b"] * 6, categories=["a", "b", "never"])
    assert len(as_folds(3, as_training_data(X, y), seed=0)) == 3


@pytest.mark.parametrize(
    "cv",
    [
        5,
        "stratified",
        StratifiedKFold(5),
        RepeatedStratifiedKFold(n_splits=5),
        StratifiedGroupKFold(5),
    ],
    ids=str,
)
def test_more_stratified_folds_than_members_name_the_largest_number(cv):
    data = as_training_data(X, ["a"] * 9 + ["rare"] * 3)
    found = r"n_splits=5 and class 'rare' has 3\. The largest that works is 3\."
    with pytest.raises(CrossValidationError, match=found):
        as_folds(cv, data)
    assert len(as_folds(3, data, seed=0)) == 3


def test_a_class_of_one_row_cannot_be_stratified():
    data = as_training_data(X, ["a"] * 11 + ["only"])
    with pytest.raises(CrossValidationError, match=r"'only' has 1\. No number"):
        as_folds(2, data)


# -- what is refused ---------------------------------------------------------


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (1, "at least 2 folds, but got cv=1"),
        (0, "at least 2 folds, but got cv=0"),
        (-3, "at least 2 folds, but got cv=-3"),
        (True, "at least 2 folds, but got cv=True"),
        ("loo", r"one of \('stratified', 'kfold'\), but got 'loo'"),
        (2.5, "cv must be a number, a name.*got 2.5 of type float"),
        (np.True_, "cv must be a number, a name"),
        (KFold, r"got the class KFold\. Pass an instance: KFold\(\)"),
        (13, "n_splits=13, n_samples=12. The largest that works is 12"),
        (KFold(13), "cannot cut 12 rows: Cannot have number of splits"),
        (GroupKFold(3), "cannot cut 12 rows: The 'groups' parameter"),
        (LeaveOneGroupOut(), "cannot cut 12 rows: The 'groups' parameter"),
        ("stratified", "one class a row, but the task is 'regression'.*'kfold'"),
        (StratifiedKFold(3), "cannot cut 12 rows: Supported target types"),
        ([], "at least one fold, but got none"),
        ([3, 4], r"index pairs, but got 3"),
        ([([0], [1], [2])], "must yield .train, test. index pairs"),
        ([([[0], [1, 2]], [1])], "must yield .train, test. index pairs"),
        ({"a": 1}, "index pairs, but got 'a'"),
        ([([0, 1], [1, 2])], "1 rows of fold 0 are, the first is 1"),
        ([([0], [1]), ([0, 1], [1, 0])], "2 rows of fold 1 are"),
        ([([0, 1], [12])], r"lie in 0 ... 11, but the validation part of fold 0"),
        ([([-1, 1], [2])], r"the training part of fold 0 has -1"),
        ([([0, 1], [])], "the validation part of fold 0 is empty"),
        ([([], [0])], "the training part of fold 0 is empty"),
        ([([0.5, 1.2], [3])], "row numbers .* but got dtype float64"),
        ([(["0"], ["1"])], "row numbers .* but got dtype <U1"),
        ([([[0, 1]], [2])], r"but got dtype int64 and shape \(1, 2\)"),
        ([([True, False], [False, True])], r"mask of shape \(12,\).* shape \(2,\)"),
    ],
)
def test_folds_that_cannot_be_cut_are_refused(measured, cv, message):
    with pytest.raises(CrossValidationError, match=message):
        as_folds(cv, measured)


@pytest.mark.parametrize("cv", [3, None, KFold(3)])
def test_a_stream_has_no_folds(cv):
    stream = as_training_data(iter([1, 2]))
    with pytest.raises(CrossValidationError, match=r"of type list_iterator.*cv=None"):
        as_folds(cv, stream)


# -- the test rows -----------------------------------------------------------


def test_test_rows_are_stratified_and_fixed_by_the_seed(classified):
    data = classified
    kept, test = split_off_test(data, 0.25, seed=0)
    assert sorted([*kept, *test]) == list(range(12))
    assert kept.tolist() == sorted(kept)
    assert test.tolist() == sorted(test)
    assert sorted(data.labels[test]) == [0, 1, 2]
    assert split_off_test(data, 0.25, seed=0)[1].tolist() == test.tolist()
    others = [split_off_test(data, 0.25, seed=seed)[1].tolist() for seed in range(1, 9)]
    assert any(other != test.tolist() for other in others)


def test_test_rows_may_be_a_number(measured):
    kept, test = split_off_test(measured, 5, seed=0)
    assert (len(kept), len(test)) == (7, 5)


def test_groups_stay_whole(grouped):
    kept, test = split_off_test(grouped, 0.25, seed=0)
    assert set(GROUPS[kept]).isdisjoint(GROUPS[test])
    assert (len(kept), len(test)) == (9, 3)


@pytest.mark.parametrize("gap", [0, 2])
def test_test_rows_in_time_come_last(classified, gap):
    splitter = TimeSeriesSplit(2, gap=gap)
    kept, test = split_off_test(classified, 0.25, seed=0, cv=splitter)
    assert kept.tolist() == list(range(9 - gap))
    assert test.tolist() == [9, 10, 11]


@pytest.mark.parametrize(
    "cv", [[(np.arange(6), np.arange(6, 12))], PredefinedSplit([0, 1] * 6)]
)
def test_folds_that_number_all_rows_leave_none_to_test(classified, cv):
    with pytest.raises(CrossValidationError, match=r"cv numbers all rows.*x_test"):
        split_off_test(classified, 0.25, seed=0, cv=cv)


@pytest.mark.parametrize("size", [0.0, 1.0, -1, 12, 50, 0.01, "half"])
def test_test_rows_that_leave_a_side_empty_are_refused(size, classified):
    with pytest.raises(CrossValidationError, match="test_size must leave rows of"):
        split_off_test(classified, size, seed=0)


# -- preprocessing -----------------------------------------------------------


class Recorder(TransformerMixin, BaseEstimator):
    """Writes down every row that it is fitted to, and every label."""

    rows: ClassVar = []
    labels: ClassVar = []

    def fit(self, X, y=None):
        self.rows.append(np.asarray(X)[:, 0].tolist())
        self.labels.append(None if y is None else np.asarray(y).tolist())
        self.mean_ = np.asarray(X).mean(axis=0)
        return self

    def transform(self, X):
        return np.asarray(X) - self.mean_


@pytest.fixture
def recorder():
    Recorder.rows.clear()
    Recorder.labels.clear()
    return Recorder()


@pytest.mark.parametrize("wrap", [lambda t: t, make_pipeline, lambda t: lambda hp: t])
@pytest.mark.parametrize("cv", [4, KFold(3), LeaveOneOut(), None])
def test_no_validation_row_reaches_a_fit(recorder, measured, cv, wrap):
    folds = as_folds(cv, measured, seed=0)
    for number, fold in enumerate(folds):
        part = prepare(fold, measured, folds, wrap(recorder), None)
        assert Recorder.rows[number] == X[fold.train, 0].tolist()
        mean = X[fold.train].mean(axis=0)
        assert np.allclose(part.train.x, X[fold.train] - mean)
        assert np.allclose(part.test.x, X[fold.test] - mean)
        assert part.test.y.tolist() == measured.y[fold.test].tolist()
    assert len(Recorder.rows) == len(folds)


def test_outside_validation_rows_reach_no_fit_either(recorder, measured):
    outside = as_training_data(X[:2] + 100, NUMBERS[:2], like=measured)
    folds = as_folds(None, measured, validation=outside)
    part = prepare(folds.splits[0], measured, folds, recorder, None)
    assert Recorder.rows == [X[:, 0].tolist()]
    assert np.allclose(part.test.x, X[:2] + 100 - X.mean(axis=0))


def only_fold(data, preprocessor, hp=None):
    folds = as_folds([(np.arange(6), np.arange(6, 12))], data)
    return prepare(folds.splits[0], data, folds, preprocessor, hp)


def test_the_users_object_stays_unfitted(measured):
    scaler = StandardScaler()
    part = only_fold(measured, scaler)
    assert part.preprocessor is not scaler
    assert np.allclose(part.train.x.mean(axis=0), 0, atol=1e-6)
    with pytest.raises(NotFittedError, match="not fitted"):
        scaler.transform(X)


def test_a_fitted_object_is_fitted_anew(measured):
    part = only_fold(measured, StandardScaler().fit(X * 100))
    assert np.allclose(part.preprocessor.mean_, X[:6].mean(axis=0))


def test_a_function_of_hp_is_tuned(measured):
    seen = []

    def preprocessor(hp):
        seen.append(hp)
        return StandardScaler(with_std=hp["std"])

    part = only_fold(measured, preprocessor, {"std": False})
    assert seen == [{"std": False}]
    assert not part.preprocessor.with_std


def test_a_supervised_transformer_gets_labels(recorder, classified):
    only_fold(classified, recorder)
    one_hot = as_training_data(X, np.eye(3)[classified.labels])
    only_fold(one_hot, recorder)
    only_fold(as_training_data(X, NUMBERS), recorder)
    only_fold(as_training_data(X), recorder)
    assert Recorder.labels[:2] == [classified.labels[:6].tolist()] * 2
    assert np.allclose(Recorder.labels[2], NUMBERS[:6])
    assert Recorder.labels[3] is None
    assert only_fold(classified, SelectKBest(k=1)).train.x.shape == (6, 1)


def test_text_becomes_dense_numbers():
    """OneHotEncoder gives a sparse matrix unless told otherwise."""
    frame = pd.DataFrame({"c": list("uvw") * 4})
    data = as_training_data(frame, NUMBERS, preprocessed_later=True)
    part = only_fold(data, OneHotEncoder())
    assert part.train.x.dtype == part.test.x.dtype == np.float32
    assert part.test.x.tolist() == np.tile(np.eye(3), (2, 1)).tolist()


def test_frames_become_arrays(measured):
    part = only_fold(measured, StandardScaler().set_output(transform="pandas"))
    assert isinstance(part.train.x, np.ndarray)
    assert part.train.x.dtype == np.float32


def test_whole_numbers_stay_whole_for_an_embedding():
    data = as_training_data([["u"], ["v"]] * 6, NUMBERS, preprocessed_later=True)
    part = only_fold(data, OrdinalEncoder(dtype="int64"))
    assert part.train.x.dtype == np.int64
    assert as_dense(np.array([[True]])).dtype == np.float32


def test_counts_of_words_are_no_numbers_of_words():
    data = as_training_data(["a b", "b"] * 6, NUMBERS, preprocessed_later=True)
    part = only_fold(data, CountVectorizer(token_pattern=r"\w", binary=True))
    assert part.train.x.dtype == part.test.x.dtype == np.float32
    assert set(map(tuple, part.test.x)) <= {(1.0, 1.0), (0.0, 1.0)}


@pytest.mark.parametrize(
    ("y", "way_out"),
    [
        (np.arange(12), r"pass task='regression'\.$"),
        (list("aabbccddeeff"), r"The largest that works is 2\.$"),
    ],
)
def test_quantities_that_were_taken_for_classes_are_thought_of(y, way_out):
    data = as_training_data(np.zeros((12, 2)), y, task="classification")
    with pytest.raises(CrossValidationError, match=way_out):
        as_folds(5, data, seed=0)


@pytest.mark.parametrize("form", [pd.Series, list, np.array, pd.DataFrame])
@pytest.mark.parametrize(
    "vectorizer",
    [CountVectorizer(), make_pipeline(CountVectorizer(), TfidfTransformer())],
    ids=["vectorizer", "pipeline"],
)
def test_texts_reach_a_vectorizer_as_texts(form, vectorizer):
    """And not as a table, of which it would take the name of its column."""
    texts = ["good film", "bad film", "good good"] * 4
    data = as_training_data(form(texts), NUMBERS, preprocessed_later=True)
    part = only_fold(data, vectorizer)
    expected = clone(vectorizer).fit(texts[:6]).transform(texts[6:])
    np.testing.assert_allclose(part.test.x, expected.toarray())


def test_a_column_of_texts_stays_a_column_for_all_others():
    letters = pd.Series(list("uvw") * 4)
    data = as_training_data(letters, NUMBERS, preprocessed_later=True)
    part = only_fold(data, OneHotEncoder())
    assert part.test.x.tolist() == np.tile(np.eye(3), (2, 1)).tolist()


def test_rows_that_a_preprocessor_loses_are_told():
    frame = pd.DataFrame({"words": ["good film"] * 12, "n": NUMBERS})
    data = as_training_data(frame, NUMBERS, preprocessed_later=True)
    rule = r"a row for each row, but of 6 rows came 2\. Text vectorizers take one"
    with pytest.raises(DataError, match=rule):
        only_fold(data, CountVectorizer(token_pattern=r"\w"))


@pytest.mark.parametrize("value", [None, "passthrough", lambda hp: None])
def test_no_preprocessor_changes_nothing(measured, value):
    part = only_fold(measured, value)
    assert part.preprocessor is None
    assert part.train.x.tolist() == X[:6].tolist()


class Plain:
    """No scikit-learn estimator, but it transforms."""

    def fit_transform(self, X, y=None):
        self.seen = len(X)
        return X

    def transform(self, X):
        return X


def test_a_transformer_of_ones_own_is_copied(measured):
    plain = Plain()
    part = only_fold(measured, plain)
    assert part.preprocessor.seen == 6
    assert not hasattr(plain, "seen")


@pytest.mark.parametrize(
    "wrong", [StandardScaler, KFold(3), 3, "scale", lambda hp: 3, lambda hp: Plain]
)
def test_what_cannot_transform_is_refused(wrong):
    with pytest.raises(DataError, match="must be a scikit-learn transformer"):
        as_transformer(wrong, None)


def test_output_that_is_not_finite_is_refused(measured):
    early = FunctionTransformer(lambda x: np.where(x < 3, np.inf, x))
    with pytest.raises(DataError, match="must be finite, but got 0 NaN and 3 inf"):
        only_fold(measured, early)


def test_validation_rows_that_turn_nan_are_refused_too(measured):
    """Else the validation loss is NaN, and the learning rate is blamed."""
    late = FunctionTransformer(lambda x: np.where(x < 15, x, np.nan))
    with pytest.raises(DataError, match=r"output must be finite, but got 9 NaN"):
        only_fold(measured, late)


@pytest.mark.parametrize(
    "output", [np.array([["u"]]), pd.DataFrame({"c": ["u"], "n": [1]}), [[10**400]]]
)
def test_output_that_is_no_numbers_is_refused(output):
    with pytest.raises(DataError, match=r"output must be numbers.*Add OneHotEncoder"):
        as_dense(output)


def test_several_inputs_cannot_be_preprocessed():
    data = as_training_data({"a": X, "b": X}, NUMBERS)
    with pytest.raises(DataError, match="x as one array or DataFrame, but got a dict"):
        only_fold(data, StandardScaler())


def test_folds_are_counted_and_walked():
    folds = Folds((), "none")
    assert (len(folds), list(folds)) == (0, [])
