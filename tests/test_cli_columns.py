"""Columns of a file are what they were in training, and files are not all alike."""

import io
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import OneHotEncoder

import kttoolkit
from kttoolkit import cli
from kttoolkit.exceptions import DataError, ModelFolderError
from kttoolkit.exporting import RowForm

TUNE = [
    "--tuner", "random", "--cv", "none", "--validation-split", "0.5", "--max-trials",
    "1", "--max-epochs", "1", "--seed", "0", "--verbose", "0",
]  # fmt: skip
N = 48


def cells(values):
    return [values[number % len(values)] for number in range(N)]


FRAME = pd.DataFrame(
    {
        "size": cells(["12", "S", "M", "12"]),
        "code": cells(["2.50", "007", "A1"]),
        "member": cells(["True", "False", "", "True", "False"]),
        "paid": cells(["True", "False", "False"]),
        "age": cells(["31", "", "47", "?", "23.5", "64", "18"]),
        "bought": cells(["yes", "no"]),
    }
)
X = FRAME.drop(columns="bought")


def written(frame, path, **options):
    frame.to_csv(path, index=False, **options)
    return path


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("columns")
    table = written(FRAME, folder / "table.csv")
    out = folder / "study"
    command = ["tune", str(table), "--target", "bought", "--out", str(out)]
    assert cli.main([*command, *TUNE]) == 0
    return out


@pytest.fixture(scope="module")
def expected(study, tmp_path_factory):
    """What the model says of rows that hold what training rows held."""
    rows = X.replace({"": np.nan, "?": np.nan})
    rows["paid"] = rows["paid"] == "True"
    rows["age"] = rows["age"].astype(float)
    return kttoolkit.load_model(study / "model").predict_proba(rows)


@pytest.fixture
def predict(study, tmp_path, capsys):
    """Predict a frame of text as `kttoolkit predict` does; give the output."""

    def run(frame, *options, folder=study):
        path = written(frame, tmp_path / "new.csv")
        capsys.readouterr()
        status = cli.main(["predict", str(folder), str(path), *options])
        out, err = capsys.readouterr()
        return pd.read_csv(io.StringIO(out)) if status == 0 else err

    return run


def probabilities(found):
    return found[["probability_no", "probability_yes"]].to_numpy()


# -- columns are read as in training -----------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("size", "12"),
        ("code", "2.50"),
        ("code", "007"),
        ("member", "True"),
        ("member", ""),
        ("paid", "False"),
        ("age", ""),
    ],
)
def test_a_column_that_looks_otherwise_alone_is_read_as_in_training(
    predict, expected, column, value
):
    """A guess from these rows alone would take text for numbers or truth values."""
    rows = np.flatnonzero(X[column] == value)
    found = predict(X.iloc[rows])
    np.testing.assert_allclose(probabilities(found), expected[rows], atol=1e-6)


def test_the_folder_of_the_model_serves_too(study, predict, expected):
    rows = np.flatnonzero(X["size"] == "12")
    found = predict(X.iloc[rows], folder=study / "model")
    np.testing.assert_allclose(probabilities(found), expected[rows], atol=1e-6)


def test_a_blank_among_truth_values_is_filled_as_training_filled_it(predict, expected):
    rows = X.head(6).copy()
    rows.loc[2, "paid"] = ""
    found = probabilities(predict(rows))
    kept = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(found[kept], expected[kept], atol=1e-6)
    # The median of two thirds of False.
    np.testing.assert_allclose(found[2], expected[2], atol=1e-6)


def test_truth_values_may_be_written_otherwise(predict, expected):
    names = {"True": ["TRUE", "1", " true"], "False": ["FALSE", "0", "0.0"]}
    for place in range(3):
        rows = X.head(6).copy()
        rows["paid"] = [names[value][place] for value in rows["paid"]]
        np.testing.assert_allclose(
            probabilities(predict(rows)), expected[:6], atol=1e-6
        )


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("age", "old", "Column 'age' must hold numbers.* got 'old' in row 3 of .*new"),
        ("age", "True", "Column 'age' must hold numbers.* got 'True' in row 3 of"),
        ("paid", "maybe", "'paid' must hold True or False.* got 'maybe' in row 3 of"),
        ("paid", "2", "'paid' must hold True or False.* got '2' in row 3 of"),
    ],
)
def test_a_cell_of_another_kind_is_named(predict, column, value, message):
    rows = X.head(6).copy()
    rows.loc[2, column] = value
    err = " ".join(predict(rows).split())
    assert pd.Series([err]).str.contains(message)[0], err
    assert "leave the cell empty" in err


def test_a_column_of_truth_values_alone_is_no_column_of_numbers(predict):
    err = predict(X.head(6).assign(age="True"))
    assert "Column 'age' must hold numbers, as in training, but got 'True'" in err


def test_what_is_no_column_of_training_may_be_anything(predict, expected):
    rows = X.head(6).assign(bought="", other="1 of 2", age=X["age"].head(6))
    np.testing.assert_allclose(probabilities(predict(rows)), expected[:6], atol=1e-6)


def test_text_is_the_text_that_stands_in_the_file(tmp_path):
    path = written(FRAME, tmp_path / "table.csv")
    x, _ = cli.read_table(str(path), "bought")
    assert x["code"].tolist() == FRAME["code"].tolist()
    assert x["size"].tolist() == FRAME["size"].tolist()
    assert x["member"].dropna().tolist() == [v for v in FRAME["member"] if v]
    assert x["paid"].dtype == bool
    assert x["age"].dtype == float


def test_a_model_saved_without_kinds_opens_and_says_so(
    study, tmp_path, predict, expected
):
    old = shutil.copytree(study / "model", tmp_path / "old")
    info = json.loads((old / "kttoolkit.json").read_text("utf-8"))
    del info["rows"]["kinds"], info["rows"]["header"]
    (old / "kttoolkit.json").write_text(json.dumps(info), "utf-8")
    assert kttoolkit.load_model(old).rows.kinds is None
    found = predict(X, folder=old)
    np.testing.assert_allclose(probabilities(found), expected, atol=1e-6)
    told = "note: the model was saved by an earlier kttoolkit and does not tell which"
    err = predict(X.drop(columns="size"), folder=old)
    assert told in err
    assert "['size'] are missing" in err
    err = predict(X.assign(age="old"), folder=old)
    assert told in err
    assert "must be rows that the preprocessor of the model takes" in err
    assert told not in predict(X.drop(columns="size"))


@pytest.mark.parametrize("state", [{"kinds": {"size": "date"}}, {"header": "yes"}])
def test_a_damaged_form_of_a_file_is_refused(study, tmp_path, state):
    folder = shutil.copytree(study / "model", tmp_path / "m")
    info = json.loads((folder / "kttoolkit.json").read_text("utf-8"))
    info["rows"].update(state)
    (folder / "kttoolkit.json").write_text(json.dumps(info), "utf-8")
    with pytest.raises(ModelFolderError, match=f"its '{next(iter(state))}' is"):
        kttoolkit.load_model(folder)


def test_a_model_from_python_tells_its_columns(tmp_path, predict):
    """Of a preprocessor of one's own, and of category columns without one."""
    frame = pd.DataFrame(
        {
            "size": FRAME["size"],
            "grade": pd.Categorical(cells([1, 2])),
            "day": pd.to_datetime("2020-01-01"),
            "paid": FRAME["paid"] == "True",
            "n": np.linspace(-1, 1, N, dtype="float32"),
        }
    )
    data = kttoolkit.data.as_training_data(frame, np.arange(N), preprocessed_later=True)
    rows = RowForm.of(data, is_preprocessed=True)
    assert rows.kinds == {"size": "text", "paid": "boolean", "n": "number"}
    assert rows.header is None
    assert RowForm.from_json(json.loads(json.dumps(rows.to_json()))) == rows
    coded = frame.drop(columns="day").astype({"size": "category"})
    data = kttoolkit.data.as_training_data(coded, np.arange(N))
    assert RowForm.of(data, is_preprocessed=False).kinds == {"size": "text"}
    coded = coded[["size", "paid", "n"]]
    result = kttoolkit.tune(
        kttoolkit.builders.mlp(batch_size=16), coded, FRAME["bought"], tuner="random",
        cv=2, max_trials=1, max_epochs=1, seed=0, directory=tmp_path, verbose=0,
        project_name="python",
    )  # fmt: skip
    folder = result.save_model(tmp_path / "m")
    found = predict(coded[coded["size"] == "12"], folder=folder)
    served = kttoolkit.load_model(folder).predict_proba(coded)
    np.testing.assert_allclose(
        probabilities(found), served[coded["size"] == "12"], atol=1e-6
    )


def test_what_a_preprocessor_refuses_is_told(tmp_path):
    """Instead of a traceback from within scikit-learn."""
    frame = FRAME[["size"]]
    fitted = make_column_transformer((OneHotEncoder(sparse_output=False), ["size"]))
    fitted.fit(frame)
    data = kttoolkit.data.as_training_data(frame, preprocessed_later=True)
    rows = RowForm.of(data, is_preprocessed=True)
    with pytest.raises(DataError, match=r"must be rows that the preprocessor.*'XXL'"):
        rows.prepare(frame.assign(size="XXL"), fitted)


# -- the first line ----------------------------------------------------------


@pytest.fixture
def years(tmp_path):
    frame = pd.DataFrame(
        {"2020": range(N), "2021": range(N), "bought": FRAME["bought"]}
    )
    return written(frame, tmp_path / "years.csv")


@pytest.mark.parametrize("target", [None, "bought"])
def test_columns_named_by_numbers_are_told_of_header(years, target):
    message = r"\['0', '1', '2'\].*first line holds a number and.*pass --header"
    with pytest.raises(DataError, match=message):
        cli.read_table(str(years), target)


def test_a_target_that_is_none_is_no_matter_of_header(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("a,b\nc,d\n")
    with pytest.raises(DataError, match=r"columns are \['a', 'b'\]\.$"):
        cli.read_table(str(path), "0th")


def test_header_is_remembered(years, tmp_path, capsys):
    out = tmp_path / "study"
    command = ["tune", str(years), "--target", "bought", "--out", str(out), "--header"]
    assert cli.main([*command, *TUNE]) == 0
    assert kttoolkit.load_model(out / "model").rows.header is True
    capsys.readouterr()
    assert cli.main(["predict", str(out), str(years)]) == 0
    assert len(pd.read_csv(io.StringIO(capsys.readouterr().out))) == N
    assert cli.main(["predict", str(out), str(years), "--no-header"]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "must have the columns that were trained on" in err
    assert "['2020', '2021'] are missing" in err
    assert "pass --header" in err


def test_no_header_is_remembered(tmp_path, capsys):
    path = tmp_path / "plain.csv"
    FRAME[["size", "bought"]].iloc[1:].to_csv(path, index=False, header=False)
    out = tmp_path / "study"
    command = ["tune", str(path), "--target", "1", "--out", str(out), "--no-header"]
    assert cli.main([*command, *TUNE]) == 0
    capsys.readouterr()
    assert cli.main(["predict", str(out), str(path)]) == 0
    assert len(pd.read_csv(io.StringIO(capsys.readouterr().out))) == N - 1


# -- files of other kinds ----------------------------------------------------

KOREAN = pd.DataFrame(
    {
        "크기": cells(["큰", "작은", "12"]),
        "값": range(N),
        "샀다": cells(["예", "아니오"]),
    }
)


def test_files_may_be_written_otherwise(tmp_path, capsys):
    path = written(KOREAN, tmp_path / "k.csv", sep=";", encoding="cp949")
    out = tmp_path / "study"
    form = ["--sep", ";", "--encoding", "cp949"]
    command = ["tune", str(path), "--target", "샀다", "--out", str(out)]
    assert cli.main([*command, *form, *TUNE]) == 0
    capsys.readouterr()
    assert cli.main(["predict", str(out), str(path), *form]) == 0
    found = capsys.readouterr().out
    assert len(pd.read_csv(io.StringIO(found))) == N
    # The model is the same, however the rows come.
    path = written(KOREAN, tmp_path / "u.tsv", sep="\t", encoding="utf-8-sig")
    assert cli.main(["predict", str(out), str(path), "--sep", r"\t"]) == 0
    assert capsys.readouterr().out == found


@pytest.mark.parametrize(
    ("file", "options", "message"),
    [
        ("cp949", [], "must be text in utf-8.*the encoding.*example --encoding cp949"),
        ("utf-8", ["--encoding", "cp949"], "must be text in cp949, but"),
    ],
)
@pytest.mark.parametrize("header", [[], ["--header"]])
def test_a_file_in_another_encoding_says_so(
    tmp_path, capsys, file, options, message, header
):
    path = written(KOREAN, tmp_path / "k.csv", encoding=file)
    assert cli.main(["tune", str(path), "--target", "값", *options, *header]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert pd.Series([err]).str.contains(message)[0], err


@pytest.mark.parametrize(("sep", "shown"), [(";", "--sep ';'"), ("\t", r"--sep '\t'")])
@pytest.mark.parametrize("target", ["bought", "0", None])
def test_a_file_with_another_separator_is_told_of_sep(tmp_path, sep, shown, target):
    path = written(FRAME, tmp_path / "t.csv", sep=sep)
    with pytest.raises(DataError, match=re.escape(shown)):
        cli.read_table(str(path), target)


def test_commas_in_a_file_with_another_separator_change_no_hint(tmp_path):
    """Lines of several lengths are no CSV at all."""
    path = tmp_path / "t.csv"
    path.write_text("a;b\n1;x\n2;x, y, z\n")
    with pytest.raises(DataError, match=r"must be a CSV file.*--sep ';'"):
        cli.read_table(str(path), "a")


def test_predict_tells_of_sep(study, tmp_path, capsys):
    path = written(X, tmp_path / "t.csv", sep=";")
    assert cli.main(["predict", str(study), str(path)]) == 2
    assert "--sep ';'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--sep", "ab"],
            r"--sep: one character, \\t or \\s\+ is needed, but got 'ab'",
        ),
        (["--sep", '"'], r"""--sep: one character.* but got '"'"""),
        (["--encoding", "klingon"], "--encoding: .*cp949 is needed, but got 'klingon'"),
        (["--encoding", "rot13"], "--encoding: .*utf-8.* is needed, but got 'rot13'"),
    ],
)
@pytest.mark.parametrize("command", [["tune", "t.csv"], ["predict", "m", "t.csv"]])
def test_options_of_a_file_state_their_rule(capsys, command, options, message):
    with pytest.raises(SystemExit, match="2"):
        cli.main([*command, *options])
    err = " ".join(capsys.readouterr().err.split())
    assert pd.Series([err]).str.contains(message)[0], err


def test_any_blanks_may_part_the_columns(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("a   b\n1   x\n2 y\n")
    x, y = cli.read_table(str(path), "b", sep=r"\s+")
    assert x["a"].tolist() == [1, 2]
    assert y.tolist() == ["x", "y"]


# -- odd tables --------------------------------------------------------------


def test_a_target_needs_other_columns(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a\nx\ny\n")
    message = r"must have a column besides the target, but got 'a' alone\.$"
    with pytest.raises(DataError, match=message):
        cli.read_table(str(path), "a")


def test_a_table_without_rows_is_told(predict):
    assert "at least one row" in predict(X.head(0))


def test_whole_numbers_of_any_size_are_numbers(predict, expected):
    rows = X.head(6).assign(age=[str(2**70), *X["age"][1:6]])
    found = probabilities(predict(rows))
    np.testing.assert_allclose(found[1:], expected[1:6], atol=1e-6)


def test_an_unknown_value_is_no_cell_of_another_kind(predict, expected):
    """Of every column, all cells at a time."""
    for name in X:
        found = predict(X.head(3).assign(**{name: "?"}))
        assert len(found) == 3, found
