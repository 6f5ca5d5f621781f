"""What is taken away from a search: tables, a model that serves, a Python file."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from test_results import BEST, FAILED, RECORDS, SKIPPED, WORSE, result_of

import kttoolkit
from kttoolkit import builders
from kttoolkit.exceptions import (
    DataError,
    MissingDependencyError,
    ModelFolderError,
    ResultError,
)
from kttoolkit.exporting._folder import INFO_FILE, MODEL_FILE, PREPROCESSOR_FILE
from kttoolkit.exporting._rows import RowForm
from kttoolkit.exporting._serve import ServedModel
from kttoolkit.exporting._sklearn import TransformerWriter

L = keras.layers
RNG = np.random.default_rng(0)
N = 48
X = RNG.normal(size=(N, 4)).astype("float32")
BINARY = (X[:, 0] > 0).astype(int)
FRAME = pd.DataFrame(
    {
        "a": X[:, 0],
        "b": X[:, 1],
        "c": pd.Categorical(RNG.choice(["u", "v", "w"], N)),
        "k": RNG.choice([True, False], N),
    }
)
NAMES = np.where(FRAME["a"] > 0.4, "yes", np.where(FRAME["b"] > 0, "no", "maybe"))
IMAGES = RNG.integers(0, 255, (N, 8, 8))
WORDS = RNG.integers(0, 20, (N, 7))
PREPROCESSOR = make_column_transformer(
    (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["a", "b"]),
    (OneHotEncoder(handle_unknown="ignore"), ["c"]),
)


def searched(directory, build, x, y, **options):
    given = {"tuner": "random", "max_trials": 1, "max_epochs": 2, "cv": 2, "seed": 0,
             "verbose": 0, **options}  # fmt: skip
    return kttoolkit.tune(build, x, y, directory=directory, **given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def binary(folder):
    return searched(folder, builders.mlp(units=4, depth=1), X, BINARY)


@pytest.fixture(scope="module")
def table(folder):
    return searched(folder, builders.tabular(units=4, depth=1), FRAME, NAMES)


@pytest.fixture(scope="module")
def preprocessed(folder):
    build = builders.mlp(units=4, depth=1)
    y = FRAME["a"] * 2 + 1
    return searched(folder, build, FRAME, y, preprocessor=PREPROCESSOR)


@pytest.fixture(scope="module")
def saved(preprocessed, tmp_path_factory):
    return preprocessed.save_model(tmp_path_factory.mktemp("models") / "pre")


# -- tables ------------------------------------------------------------------


def mixed():
    """Hyperparameters as users have them: of several kinds, lists, missing."""
    best = {"width": "a|b\nc_%", "many": [1, 2], "flag": True, "n": 8}
    worse = {"width": 3, "many": 0.1, "n": None}
    return result_of(replace(WORSE, values=worse), replace(BEST, values=best), FAILED)


def test_a_csv_holds_every_digit_with_the_best_trial_first(tmp_path):
    exact = replace(BEST, values={"units": 8, "rate": 0.1 + 0.2})
    result = result_of(WORSE, exact, FAILED, SKIPPED)
    path = result.export(tmp_path / "new" / "trials.csv")
    assert repr(0.1 + 0.2) in path.read_text("utf-8")
    back = pd.read_csv(path, dtype={"trial": str})
    assert back["trial"].tolist() == ["1", "0", "2", "10"]
    wanted = result.trials.set_index("trial").loc[back["trial"]].reset_index()
    pd.testing.assert_frame_equal(
        back.fillna({"reason": ""}), wanted, check_dtype=False
    )


@pytest.mark.parametrize("table", ["folds", "curves"])
def test_a_parquet_file_reads_back_equal(tmp_path, table):
    result = result_of(BEST, WORSE, FAILED)
    back = pd.read_parquet(result.export(tmp_path / "t.parquet", table=table))
    wanted = getattr(result, table)
    pd.testing.assert_frame_equal(back, wanted, check_dtype=False)


def test_parquet_keeps_values_of_several_kinds_as_json(tmp_path):
    """A Parquet column has one type; a hyperparameter need not."""
    back = pd.read_parquet(mixed().export(tmp_path / "t.parquet"))
    assert back.attrs["json_columns"] == ["param_width", "param_many"]
    width = [json.loads(value) for value in back["param_width"][:2]]
    assert width == ["a|b\nc_%", 3]
    assert [json.loads(value) for value in back["param_many"][:2]] == [[1, 2], 0.1]
    assert back["param_flag"].tolist() == [True, pd.NA, pd.NA]
    assert back["param_n"].isna().tolist() == [False, True, True]


def test_markdown_escapes_what_would_break_the_table(tmp_path):
    lines = mixed().export(tmp_path / "t.md", top=1).read_text("utf-8").splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(r"| trial | rank | mean val\_accuracy | std val")
    assert r"a\|b c\_%" in lines[2]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_latex_escapes_all_that_users_name(tmp_path):
    text = mixed().export(tmp_path / "t.tex", top=2).read_text("utf-8")
    assert r"mean val\_accuracy" in text
    assert r"a|b c\_\%" in text
    assert "0.75" in text
    assert text.count(r"\\") == 3


def test_four_digits_are_shown_and_columns_can_be_chosen(tmp_path):
    values = {"rate": 0.000123456, "units": 100000.0}
    result = result_of(replace(BEST, values=values))
    names = ["param_rate", "param_units"]
    text = result.export(tmp_path / "t.md", columns=names).read_text("utf-8")
    assert text == (
        "| rate | units |\n| ---: | ---: |\n| 0.0001235 | 100000 |\n"
    )  # fmt: skip


def test_rows_of_the_best_trials_alone_in_every_table(tmp_path):
    path = result_of(*RECORDS).export(tmp_path / "f.csv", table="folds", top=1)
    assert pd.read_csv(path)["trial"].tolist() == [1, 1]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "tex", "md"])
def test_a_result_without_trials_makes_an_empty_table(tmp_path, suffix):
    for table in ("trials", "folds", "curves"):
        assert result_of().export(tmp_path / f"{table}.{suffix}", table=table).exists()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("t.xlsx", {}, r"one of \['.csv', '.parquet', '.tex', '.md'\].*xlsx"),
        ("t.csv", {"table": "rows"}, "table must be one of .*'rows'"),
        ("t.csv", {"top": 0}, "top must be a whole number >= 1, but got 0"),
        ("t.csv", {"columns": ["nope"]}, r"columns must be names.*\['nope'\]"),
        ("t.csv", {"columns": []}, r"columns must be names.*\[\]"),
    ],
)
def test_a_table_that_is_not_there_is_refused(tmp_path, name, options, message):
    with pytest.raises(ResultError, match=message):
        result_of(*RECORDS).export(tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault
def test_a_failed_export_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    path.write_text("old")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDependencyError, match=r"kttoolkit\[parquet\]"):
        result_of(*RECORDS).export(path)
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]
    assert path.read_text() == "old"


def test_the_setting_is_code_without_a_build_function():
    """A study folder alone tells at least what to set."""
    values = {"units": 8, "name": 'a"b', "tuner/epochs": 2, "parts": [1, "x"]}
    text = result_of(replace(BEST, values=values), SKIPPED).setting_as_code()
    names = {}
    exec(text[text.index("setting =") : text.index("}") + 1], names)
    assert names["setting"] == {"units": 8, "name": 'a"b', "parts": [1, "x"]}
    compile(text, "setting", "exec")
    assert "tuner=[setting], cv=cv, seed=7" in text


# -- a model that serves -----------------------------------------------------


def test_names_of_a_served_model_stay_text():
    """Task and classes are read from a file, and shown in a terminal."""
    rows = RowForm("\x1b[31mred", ("\x1b]52;c;cm0\x07", "\u202egpj", "x" * 999))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    served = ServedModel(model, None, rows)
    shown = repr(served)
    assert shown.startswith(r"<ServedModel \x1b[31mred, classes ['\x1b]52;c;cm0\x07', ")
    assert shown.isprintable()
    assert len(shown) < 200
    with pytest.raises(DataError, match=r"but the task is '\\x1b\[31mred'"):
        served.predict_proba([[0.0]])


def test_a_binary_model_serves_what_it_was_trained_on(binary, tmp_path):
    served = kttoolkit.load_model(binary.save_model(tmp_path / "m"))
    expected = binary.fit_best().predict(X, verbose=0)[:, 0]
    probabilities = served.predict_proba(X)
    np.testing.assert_allclose(probabilities[:, 1], expected, atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert served.predict(X).tolist() == (expected > 0.5).astype(int).tolist()
    assert served.classes_.tolist() == [0, 1]
    assert repr(served) == "<ServedModel binary, classes [0, 1], 25 parameters>"
    with pytest.raises(AttributeError, match="the search was given arrays"):
        _ = served.feature_names_in_
    with pytest.raises(DataError, match=r"\(4,\), but got \(3,\)"):
        served.predict(X[:, :3])


def test_a_table_with_categories_is_put_right_by_name(table, tmp_path):
    """Order, further columns and text for categories are as at training."""
    served = kttoolkit.load_model(table.save_model(tmp_path / "m"))
    expected = table.fit_best().predict(table.trainer.data.x, verbose=0)
    raw = FRAME.astype({"c": object})[["k", "c", "b", "a"]].assign(other="text")
    np.testing.assert_allclose(served.predict_proba(raw), expected, atol=1e-6)
    assert served.classes_.tolist() == ["maybe", "no", "yes"]
    assert served.predict(raw).tolist() == served.classes_[expected.argmax(1)].tolist()
    assert served.feature_names_in_.tolist() == ["a", "b", "c", "k"]
    with pytest.raises(DataError, match=r"\['b'\] are missing"):
        served.predict(FRAME.drop(columns="b"))
    with pytest.raises(DataError, match=r"'c' of x must hold categories.*\['z'\]"):
        served.predict(FRAME.assign(c="z"))
    with pytest.raises(DataError, match=r"x must be finite.*'a' \(48\)"):
        served.predict(FRAME.assign(a=np.nan))


def test_a_preprocessor_is_served_without_pickle(preprocessed, saved):
    served = kttoolkit.load_model(saved)
    model, preprocessor = preprocessed.fit_best(return_preprocessor=True)
    inputs = np.asarray(preprocessor.transform(FRAME))
    expected = model.predict(inputs, verbose=0)[:, 0]
    np.testing.assert_allclose(served.predict(FRAME), expected, atol=1e-6)
    assert sorted(path.name for path in saved.iterdir()) == [
        INFO_FILE, MODEL_FILE, PREPROCESSOR_FILE,
    ]  # fmt: skip
    assert served.setting == preprocessed.best_values
    assert served.scores["mean"] == preprocessed.best_score
    with pytest.raises(AttributeError, match="the task is 'regression'"):
        _ = served.classes_
    with pytest.raises(DataError, match="Probabilities are those of classes"):
        served.predict_proba(FRAME)
    with pytest.raises(DataError, match="x must be a DataFrame as in training"):
        served.predict(FRAME.to_numpy())


@pytest.mark.slow
def test_a_model_serves_in_a_process_that_knows_the_folder_alone(saved, tmp_path):
    rows = tmp_path / "rows.csv"
    FRAME.to_csv(rows, index=False)
    code = (
        "import sys, pandas as pd, kttoolkit\n"
        "served = kttoolkit.load_model(sys.argv[1])\n"
        "print(served.predict(pd.read_csv(sys.argv[2])).tolist())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, saved, rows],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    here = kttoolkit.load_model(saved).predict(FRAME)
    np.testing.assert_allclose(json.loads(done.stdout), here, atol=1e-5)


def two_branches(hp):
    rows = keras.Input((4,), name="rows")
    one = L.Dense(5, "relu", kernel_regularizer=keras.regularizers.L2(1e-4))(rows)
    one = L.Dense(3)(one)
    other = L.Dropout(0.2)(L.Dense(4, activation="tanh")(rows))
    outputs = L.Dense(1)(L.Concatenate()([one, other]))
    model = keras.Model(rows, outputs)
    rate = keras.optimizers.schedules.CosineDecay(0.01, 100, 0.1)
    loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile(keras.optimizers.Adam(rate, clipnorm=1.0), loss=loss,
                  metrics=["accuracy"])  # fmt: skip
    return model


def test_logits_are_served_as_probabilities(folder, tmp_path):
    """A threshold of 0.5 on logits would be another one on probabilities."""
    result = searched(folder, two_branches, X, BINARY, cv=None)
    served = kttoolkit.load_model(result.save_model(tmp_path / "m"))
    logits = result.fit_best().predict(X, verbose=0)[:, 0]
    expected = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(served.predict_proba(X)[:, 1], expected, atol=1e-6)
    assert served.predict(X).tolist() == (logits > 0).astype(int).tolist()


def several(hp):
    one, two = keras.Input((4,), name="one"), keras.Input((2,), name="two")
    x = L.Concatenate()([one, two])
    first, second = L.Dense(1, name="first")(x), L.Dense(2, name="second")(x)
    model = keras.Model({"one": one, "two": two}, {"first": first, "second": second})
    model.compile(
        "sgd",
        {"first": "mse", "second": "mae"},
        loss_weights={"first": 2.0, "second": 1.0},
    )
    return model


@pytest.fixture(scope="module")
def many(folder):
    x = {"one": X, "two": X[:, :2]}
    y = {"first": X[:, :1], "second": X[:, 1:3]}
    return searched(folder, several, x, y, cv="kfold", objective="val_loss")


def test_several_inputs_and_outputs_serve_as_keras_returns_them(many, tmp_path):
    served = kttoolkit.load_model(many.save_model(tmp_path / "m"))
    rows = {"two": X[:, :2], "one": X, "other": X}
    got, expected = (
        served.predict(rows),
        many.fit_best().predict({"one": X, "two": X[:, :2]}, verbose=0),
    )
    assert sorted(got) == ["first", "second"]
    np.testing.assert_allclose(got["second"], expected["second"], atol=1e-6)
    with pytest.raises(DataError, match=r"\['two'\] are missing"):
        served.predict({"one": X})
    with pytest.raises(DataError, match=r"a dict of the inputs \['one', 'two'\]"):
        served.predict(X)


def test_an_ensemble_is_saved_too(binary, tmp_path):
    served = kttoolkit.load_model(binary.save_model(tmp_path / "m", model="ensemble"))
    expected = binary.ensemble().predict(X, verbose=0)[:, 0]
    np.testing.assert_allclose(served.predict_proba(X)[:, 1], expected, atol=1e-6)


def test_only_an_earlier_model_is_replaced(binary, tmp_path):
    target = binary.save_model(tmp_path / "m")
    with pytest.raises(ModelFolderError, match="pass overwrite=True"):
        binary.save_model(target)
    (target / "old").touch()
    binary.save_model(target, overwrite=True)
    assert not (target / "old").exists()
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.doc").touch()
    with pytest.raises(ModelFolderError, match="holds no model that could be replaced"):
        binary.save_model(other, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "mine"]


def test_a_model_needs_a_build_function_or_rows(binary, tmp_path):
    opened = kttoolkit.load_result(binary.directory)
    with pytest.raises(ResultError, match="needs the build function"):
        opened.save_model(tmp_path / "m")
    opened = kttoolkit.load_result(binary.directory, build=builders.mlp())
    with pytest.raises(ResultError, match="opened without them"):
        opened.save_model(tmp_path / "m")
    with pytest.raises(ResultError, match="'refit' or 'ensemble', but got 'best'"):
        binary.save_model(tmp_path / "m", model="best")


# -- nothing that is loaded runs code ----------------------------------------


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def told_anew(folder, **changes):
    """Rewrite what the folder says, its checksums too, as someone hostile would."""
    from kttoolkit.exporting._folder import _digest

    info = json.loads((folder / INFO_FILE).read_text())
    info["files"] = {name: _digest(folder / name) for name in info["files"]}
    (folder / INFO_FILE).write_text(json.dumps({**info, **changes}))


def test_a_lambda_in_the_network_is_refused_and_not_run(copy, tmp_path):
    ran = tmp_path / "ran"
    code = f"lambda x: (x, open({str(ran)!r}, 'w').close())[0]"
    lambda_layer = L.Lambda(eval(code), output_shape=(5,))
    model = keras.Sequential([keras.Input((5,)), lambda_layer, L.Dense(1)])
    model.save(copy / MODEL_FILE)
    ran.unlink(missing_ok=True)
    with pytest.raises(ModelFolderError, match=r"damaged: its SHA-256"):
        kttoolkit.load_model(copy)
    told_anew(copy)
    with pytest.raises(ModelFolderError, match=r"safe mode.*nothing in the file was"):
        kttoolkit.load_model(copy)
    assert not ran.exists()


class Evil:
    """Of a type that no one has vouched for."""

    def __init__(self):
        self.a = 1

    def __setstate__(self, state):
        raise AssertionError("its code was run")

    def transform(self, x):
        return x


def test_a_foreign_type_in_the_preprocessor_is_refused_and_not_run(copy):
    import skops.io

    skops.io.dump(Evil(), copy / PREPROCESSOR_FILE)
    told_anew(copy)
    with pytest.raises(
        ModelFolderError, match=r"pass trusted=\['test_exporting.Evil'\]"
    ):
        kttoolkit.load_model(copy)
    with pytest.raises(ModelFolderError, match="its code was run"):
        kttoolkit.load_model(copy, trusted=["test_exporting.Evil"])


def cut(path):
    path.write_bytes(path.read_bytes()[:200])


@pytest.mark.fault
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: told_anew(f, format=99), "of format 1, but it is of format 99"),
        (lambda f: told_anew(f, rows={}), "its description is damaged"),
        (lambda f: told_anew(f, files={}), "it lists no files"),
        (lambda f: (f / INFO_FILE).unlink(), "must hold kttoolkit.json"),
        (lambda f: (f / MODEL_FILE).unlink(), "must hold model.keras"),
        (lambda f: cut(f / INFO_FILE), "kttoolkit.json must be as.*damaged"),
        (lambda f: cut(f / PREPROCESSOR_FILE), "preprocessor.skops must be.*damaged"),
        (lambda f: (cut(f / MODEL_FILE), told_anew(f)), "its safe mode opens"),
        (lambda f: (cut(f / PREPROCESSOR_FILE), told_anew(f)), "skops must.*damaged"),
    ],
)
def test_a_damaged_folder_says_what_is_damaged(copy, spoil, message):
    spoil(copy)
    with pytest.raises(ModelFolderError, match=message):
        kttoolkit.load_model(copy)


def test_another_version_of_scikit_learn_is_told(copy):
    told_anew(copy, versions={"scikit-learn": "0.1.0"})
    with pytest.warns(UserWarning, match=r"fitted with scikit-learn 0\.1\.0"):
        kttoolkit.load_model(copy)


def test_no_file_of_a_folder_is_a_pickle(saved):
    for name in (MODEL_FILE, PREPROCESSOR_FILE):
        with zipfile.ZipFile(saved / name) as file:
            assert not [n for n in file.namelist() if n.endswith((".pkl", ".pickle"))]


class Doubled(L.Layer):
    def call(self, x):
        return 2 * x


def with_layer(layer):
    def build(hp):
        model = keras.Sequential([keras.Input((4,)), layer(), L.Dense(1)])
        model.compile("sgd", "mse")
        return model

    return build


def test_layers_of_ones_own_are_passed_when_a_model_is_opened(folder, tmp_path):
    result = searched(folder, with_layer(Doubled), X, X[:, 0])
    target = result.save_model(tmp_path / "m")
    with pytest.raises(ModelFolderError, match="custom_objects="):
        kttoolkit.load_model(target)
    served = kttoolkit.load_model(target, custom_objects={"Doubled": Doubled})
    expected = result.fit_best().predict(X, verbose=0)[:, 0]
    np.testing.assert_allclose(served.predict(X), expected, atol=1e-6)
    with pytest.raises(
        ResultError, match=r"an object of your own, Doubled.*save_model"
    ):
        result.to_python(tmp_path / "best.py")


def test_a_lambda_is_neither_saved_nor_written(folder, tmp_path):
    """It could not be opened again without running code from a file."""
    result = searched(folder, with_layer(lambda: L.Lambda(lambda x: x)), X, X[:, 0])
    with pytest.raises(ResultError, match="holds a Lambda layer of a Python lambda"):
        result.save_model(tmp_path / "m")
    with pytest.raises(ResultError, match="it holds a Lambda layer"):
        result.to_python(tmp_path / "best.py")
    assert list(tmp_path.iterdir()) == []


class Scaled(L.Layer):
    """Was made of what Keras cannot write down for it."""

    def __init__(self, by):
        super().__init__(name="scaled")
        self.by = by

    def call(self, x):
        return x * self.by


def test_the_layer_that_cannot_be_saved_is_named(folder, tmp_path):
    def inner():
        return keras.Sequential([keras.Input((4,)), Scaled(np.ones(4, "float32"))])

    result = searched(folder, with_layer(inner), X, X[:, 0])
    with pytest.raises(ResultError, match=r"but Scaled 'scaled' has no get_config\."):
        result.save_model(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


# -- a plain Python file -----------------------------------------------------

TRAIN = """
import sys
from importlib.abc import MetaPathFinder
class Refuse(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {"kttoolkit", "keras_tuner"}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np, runpy
best = runpy.run_path("best.py", run_name="best")
"""


def trained_by(path, x, y, inputs):
    """Train by the file, in this process, and predict."""
    names = {"__name__": "best"}
    exec(compile(path.read_text("utf-8"), str(path), "exec"), names)
    model = names["train"](x, y)
    model = model[0] if isinstance(model, tuple) else model
    return model.predict(inputs, verbose=0)


FAMILIES = {
    "mlp": (
        builders.mlp(units=4, depth=2, dropout=0.2, regularizer="l2",
                     schedule="cosine", batch_norm=True, class_weight="balanced"),
        X, BINARY,
    ),
    "linear": (builders.linear(optimizer="sgd"), X, X[:, 0]),
    "cnn": (builders.cnn(depth=1, filters=4), IMAGES, BINARY),
    "residual_cnn": (builders.residual_cnn(depth=2, filters=4), IMAGES, BINARY),
    "text_bag_of_words": (builders.text_bag_of_words(units=4, depth=1), WORDS, BINARY),
    "sequence": (builders.sequence(units=3, bidirectional=True), WORDS, BINARY),
    "two_branches": (two_branches, X, BINARY),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_file_trains_the_model_that_fit_best_trains(folder, tmp_path, family):
    """The same layers, initial weights, batches, epochs: the same predictions."""
    build, x, y = FAMILIES[family]
    result = searched(folder, build, x, y, batch_size=16, cv=None, max_epochs=1)
    path = result.to_python(tmp_path / "best.py")
    got = trained_by(path, x, y, x)
    expected = result.fit_best().predict(x, verbose=0)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert "kttoolkit" not in path.read_text("utf-8")
    # Its dropout is made before the layer that it is called on, as code reads.
    assert ("seed=" in path.read_text("utf-8")) == (family == "two_branches")
    ruff = [sys.executable, "-m", "ruff"]
    for what in (["format", "--check"], ["check"]):
        done = subprocess.run([*ruff, *what, "--isolated", path], check=False,
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_file_runs_where_there_is_no_kttoolkit(table, tmp_path):
    """On a CSV file, from the command line, and saves the model."""
    path = table.to_python(tmp_path / "best.py")
    FRAME.assign(y=NAMES).to_csv(tmp_path / "data.csv", index=False)
    code = TRAIN + (
        "sys.argv = ['best.py', 'data.csv', '--target', 'y']\n"
        "runpy.run_path('best.py', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=path.parent, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    model = keras.saving.load_model(tmp_path / "model.keras")
    got = model.predict(table.trainer.data.x, verbose=0)
    expected = table.fit_best().predict(table.trainer.data.x, verbose=0)
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_the_file_fits_the_preprocessor_too(preprocessed, tmp_path):
    path = preprocessed.to_python(tmp_path / "best.py")
    model, preprocessor = preprocessed.fit_best(return_preprocessor=True)
    inputs = np.asarray(preprocessor.transform(FRAME))
    got = trained_by(path, FRAME, FRAME["a"] * 2 + 1, inputs)
    np.testing.assert_allclose(got, model.predict(inputs, verbose=0), atol=1e-5)


@pytest.mark.parametrize("form", ["series", "frame", "numbers"])
def test_a_column_is_written_and_served(folder, tmp_path, form):
    """Texts for a vectorizer, as a column or a table of one; a column of numbers."""
    words = pd.Series(np.where(BINARY, "good film", "bad film"), name="words")
    x = {"series": words, "frame": words.to_frame(), "numbers": FRAME["a"]}[form]
    scaler = StandardScaler() if form == "numbers" else TfidfVectorizer()
    build = builders.mlp(units=4, depth=1)
    result = searched(folder, build, x, BINARY, preprocessor=scaler)
    model, preprocessor = result.fit_best(return_preprocessor=True)
    inputs = preprocessor.transform(x.to_frame() if form == "numbers" else words)
    inputs = inputs if form == "numbers" else inputs.toarray()
    expected = model.predict(inputs, verbose=0)
    got = trained_by(result.to_python(tmp_path / "best.py"), x, BINARY, inputs)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    served = kttoolkit.load_model(result.save_model(tmp_path / "model"))
    np.testing.assert_array_equal(served.predict(x), expected.ravel() > 0.5)


def test_the_file_knows_several_inputs_and_outputs(many, tmp_path):
    path = many.to_python(tmp_path / "best.py")
    x = {"one": X, "two": X[:, :2]}
    got = trained_by(path, x, {"first": X[:, :1], "second": X[:, 1:3]}, x)
    expected = many.fit_best().predict(x, verbose=0)
    np.testing.assert_allclose(got["first"], expected["first"], atol=1e-5)
    assert '"first": "mse"' in path.read_text("utf-8")


@pytest.mark.parametrize("form", [dict, list])
def test_the_file_weighs_rows_as_the_search_did(folder, tmp_path, form):
    names = ["first", "second"]
    x = {"one": X, "two": X[:, :2]}
    y = dict(zip(names, (X[:, :1], X[:, 1:3]), strict=True))
    weights = {name: np.linspace(n, 1, len(X)) for n, name in enumerate(names)}
    build = several
    if form is list:
        y, weights = list(y.values()), list(weights.values())
        build = several_in_a_row
    result = searched(
        folder, build, x, y, cv="kfold", objective="val_loss", sample_weight=weights
    )
    path = result.to_python(tmp_path / "best.py")
    if form is dict:
        np.savez(tmp_path / "rows.npz", **x, **y)
        np.savez(tmp_path / "weights.npz", **weights)
    else:
        targets = {f"y{n}": part for n, part in enumerate(y)}
        np.savez(tmp_path / "rows.npz", **x, **targets)
        np.savez(tmp_path / "weights.npz", *weights)
    command = [sys.executable, path, "rows.npz", "--weights", "weights.npz"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    got = keras.models.load_model(tmp_path / "model.keras").predict(x, verbose=0)
    expected = result.fit_best().predict(x, verbose=0)
    for mine, theirs in zip(
        keras.tree.flatten(got), keras.tree.flatten(expected), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def several_in_a_row(hp):
    model = several(hp)
    row = keras.Model(model.input, list(model.output.values()))
    row.compile("sgd", ["mse", "mae"])
    return row


def adapted(hp):
    scale = L.Normalization()
    scale.adapt(X)
    model = keras.Sequential([keras.Input((4,)), scale, L.Dense(1)])
    model.compile("sgd", "mse")
    return model


def pretrained(hp):
    model = with_layer(lambda: L.Dense(2, name="old"))(hp)
    model.get_layer("old").set_weights([np.ones((4, 2)), np.ones(2)])
    return model


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.last = L.Dense(1)

    def call(self, x):
        return self.last(x)


def own_class(hp):
    model = Own()
    model.compile("sgd", "mse")
    return model


def test_what_a_layer_was_adapted_to_stands_in_the_file(folder, tmp_path):
    """No config holds it; without it the file would build another network."""
    result = searched(folder, adapted, X, X[:, 0])
    path = result.to_python(tmp_path / "best.py")
    got = trained_by(path, X, X[:, 0], X)
    expected = result.fit_best().predict(X, verbose=0)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert "variance=[" in path.read_text("utf-8")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (pretrained, "sets weights, which no config holds"),
        (own_class, "a model class of your own, Own"),
    ],
)
def test_what_no_code_can_tell_is_refused(folder, tmp_path, build, message):
    result = searched(folder, build, X, X[:, 0])
    with pytest.raises(ResultError, match=rf"{message}.*save_model"):
        result.to_python(tmp_path / "best.py")
    assert list(tmp_path.iterdir()) == []


def test_transformers_are_written_as_one_would_write_them():
    writer = TransformerWriter()
    made = make_pipeline(
        FunctionTransformer(np.log1p), SelectKBest(f_classif, k=2), StandardScaler()
    )
    from kttoolkit.exporting._layout import lines

    names = {"np": np}
    exec("\n".join([*writer.lines(), ""]), names)
    text = "\n".join(lines(writer.expression(made)))
    exec("\n".join(writer.lines()), names)
    assert repr(eval(text, names)) == repr(made)
    with pytest.raises(ResultError, match="which is not scikit-learn's"):
        writer.expression(FunctionTransformer(textwrap.dedent))
