"""The command line, run as a user runs it."""

import io
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import kttoolkit
from kttoolkit import cli
from kttoolkit.exceptions import DataError


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A CSV with text, missing values and a text target."""
    rng = np.random.default_rng(0)
    label = np.array(["yes", "no"])[np.arange(60) % 2]
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=60) + (label == "yes"),
            "colour": rng.choice(["red", "grün", "한글"], 60),
            "bought": label,
        }
    )
    frame.loc[3, "size"] = np.nan
    frame.loc[4, "colour"] = None
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    frame.to_csv(path, index=False)
    return path


def test_tune_writes_model_predictions_and_trials(table, tmp_path, capsys):
    out = tmp_path / "study"
    status = cli.main(
        ["tune", str(table), "--target", "bought", "--tuner", "random", "--cv", "2",
         "--max-trials", "2", "--max-epochs", "1", "--seed", "0", "--out", str(out),
         "--test-size", "0.2"]
    )  # fmt: skip
    assert status == 0
    printed = capsys.readouterr().out
    for expected in ("best epoch", "best val_accuracy", "±", "untouched test rows (12"):
        assert expected in printed
    served = kttoolkit.load_model(out / "model")
    assert set(served.predict(pd.read_csv(table))) <= {"yes", "no"}
    predictions = pd.read_csv(out / "predictions.csv")
    assert len(predictions) == 48
    assert set(predictions["prediction"]) <= {"yes", "no"}
    truth = pd.read_csv(table)["bought"]
    assert list(predictions["target"]) == list(truth[predictions["row"]])
    assert list(pd.read_csv(out / "trials.csv")["status"]) == ["completed"] * 2

    assert cli.main(["results", str(out)]) == 0
    assert "best setting" in capsys.readouterr().out
    assert cli.main(["tune", str(table), "--target", "bought", "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_tuned_network_predicts_a_table(table, tmp_path, capsys):
    """Raw rows as they come: without the target, in another order, with gaps."""
    out = tmp_path / "study"
    cli.main(
        ["tune", str(table), "--target", "bought", "--tuner", "random", "--cv", "2",
         "--max-trials", "1", "--max-epochs", "1", "--seed", "0", "--out", str(out),
         "--verbose", "0"]
    )  # fmt: skip
    rows = pd.read_csv(table)[["colour", "size"]].head(5)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    capsys.readouterr()
    assert cli.main(["predict", str(out), str(tmp_path / "rows.csv")]) == 0
    found = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert list(found) == ["prediction", "probability_no", "probability_yes"]
    expected = kttoolkit.load_model(out / "model").predict_proba(pd.read_csv(table))
    np.testing.assert_allclose(found[list(found)[1:]], expected[:5], atol=1e-6)
    assert cli.main(["predict", str(tmp_path), str(tmp_path / "rows.csv")]) == 2
    assert "must hold kttoolkit.json" in capsys.readouterr().err
    rows[["size"]].to_csv(tmp_path / "rows.csv", index=False)
    assert cli.main(["predict", str(out), str(tmp_path / "rows.csv")]) == 2
    assert "colour" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["None", "some", "None", "all"], ["None", "some", "None", "all"]),
        (["01", "02", "10", "01"], ["01", "02", "10", "01"]),
        (["0", "10", "0", "2"], [0, 10, 0, 2]),
        (["0.5", "-3", "0", "1e3"], [0.5, -3, 0, 1000]),
        (["yes", "", "NA", "?"], ["yes", None, None, None]),
        (["True", "False", "True", "False"], [True, False, True, False]),
    ],
)
@pytest.mark.parametrize("header", ["size,kind", "1,2"])
def test_classes_keep_the_names_that_they_are_written_by(
    tmp_path, cells, expected, header
):
    path = tmp_path / "table.csv"
    first = "" if header == "1,2" else f"{header}\n"
    rows = "\n".join(f"{n}.5,{cell}" for n, cell in enumerate(cells))
    path.write_text(first + rows + "\n", "utf-8")
    target = "1" if header == "1,2" else "kind"
    _, y = cli.read_table(str(path), target)
    got = [None if pd.isna(value) else value for value in y]
    assert got == expected
    assert y.name == target


def test_errors_name_options_as_the_command_line_does(table, tmp_path, capsys):
    command = ["tune", str(table), "--target", "bought", "--out", str(tmp_path)]
    told = [
        (["--max-trials", "0"], "error: --max-trials must be a whole number"),
        (["--cv", "1"], "got --cv 1. For one hold-out pass --cv None with --valid"),
        (["--test-size", "2"], "error: --test-size must leave .* got --test-size 2.0"),
        (["--cv", "none", "--validation-split", "2"], "0 < --validation-split < 1"),
        ([], "holds other files. Choose another --out"),
    ]
    for options, message in told:
        if not options:
            (tmp_path / "file").write_text("")
        assert cli.main([*command, *options]) == 2
        assert re.search(message, capsys.readouterr().err)


def test_rows_may_be_held_out(table, tmp_path):
    out = tmp_path / "study"
    assert not cli.main(
        ["tune", str(table), "--target", "bought", "--tuner", "random", "--cv", "none",
         "--validation-split", "0.5", "--max-trials", "1", "--max-epochs", "1",
         "--out", str(out), "--verbose", "0"]
    )  # fmt: skip
    study = kttoolkit.load_result(out).study
    assert (study.n_splits, study.cv) == (1, "validation_split=0.5")


@pytest.mark.slow
def test_a_reader_may_have_enough_of_the_output(table, tmp_path):
    """`kttoolkit predict ... | head` ends without a trace, and without noise."""
    out = tmp_path / "study"
    cli.main(
        ["tune", str(table), "--target", "bought", "--tuner", "random", "--cv", "2",
         "--max-trials", "1", "--max-epochs", "1", "--out", str(out), "--verbose", "0"]
    )  # fmt: skip
    rows = pd.concat([pd.read_csv(table)] * 200)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    command = f"{sys.executable} -m kttoolkit predict {out} {tmp_path / 'rows.csv'}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -2"],
        check=False, capture_output=True, text=True, timeout=120,
        env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"},
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""
    assert done.returncode == 0


def test_the_package_itself_can_be_run():
    """Where scripts are not on the path, `python -m kttoolkit` is the command line."""
    command = [sys.executable, "-m", "kttoolkit"]
    found = subprocess.run(
        [*command, "datasets"], capture_output=True, check=True, timeout=60
    )
    assert b"pima_diabetes" in found.stdout
    failed = subprocess.run(
        [*command, "results", "nowhere"], capture_output=True, timeout=60
    )
    assert failed.returncode == 2
    assert b"error:" in failed.stderr


def test_results_need_no_tensorflow(tmp_path):
    code = (
        "import sys; from kttoolkit import cli; cli.main(['results', sys.argv[1]]);"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "none")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "There must be a study folder" in done.stderr


def test_datasets_are_listed(capsys):
    assert cli.main(["datasets"]) == 0
    printed = capsys.readouterr().out
    assert "pima_diabetes" in printed
    assert "28 x 28" in printed
    assert "GPL-2 (mlbench) " in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["tune", "wine", "--cv", "five"], "--cv: a whole number of folds.*got 'five'"),
        (["results", "x", "--rows", "-1"], "--rows: a whole number >= 1.*got '-1'"),
        (["results", "x", "--rows", "0"], "--rows: a whole number >= 1.*got '0'"),
        (["results", "x", "--rows", "a"], "--rows: a whole number >= 1.*got 'a'"),
    ],
)
def test_numbers_of_the_command_line_state_their_rule(capsys, options, message):
    with pytest.raises(SystemExit, match="2"):
        cli.main(options)
    assert re.search(message, capsys.readouterr().err)


def test_help_tells_defaults(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["tune", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for default in ("essential", "hyperband", "5"):
        assert f"(default: {default})" in told
    with pytest.raises(SystemExit, match="0"):
        cli.main(["results", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "DIR the study folder" in told
    assert "the most trials to show (default: 10)" in told


def test_a_table_without_header_is_told_by_its_first_line(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("1,2.5,a\n3,?,b\n")
    x, y = cli.read_table(str(path), "-1")
    assert list(x.columns) == ["0", "1"]
    assert list(y) == ["a", "b"]
    assert x["1"].isna().sum() == 1
    x, y = cli.read_table(str(path), "0", header=False)
    assert list(y) == [1, 3]
    path.write_text("a,b\nc,d\n")
    assert len(cli.read_table(str(path), "a")[0]) == 1
    assert len(cli.read_table(str(path), "0", header=False)[0]) == 2


@pytest.mark.parametrize(
    ("file", "target", "message"),
    [
        ("missing.csv", "a", "FILE must be a CSV file or one of auto_mpg"),
        ("missing.csv", "a", "one of (?!.*fashion_mnist)"),
        ("fashion_mnist", None, r"rows of 'fashion_mnist' are .*\(28, 28\).*wine"),
        ("wine", "alcohol", "--target is for CSV files.*'alcohol'.*'wine'.*Leave"),
        ("table.csv", None, r"--target must name .* \['a', 'b'\]"),
        (
            "table.csv",
            "c",
            r"must be a column .* but got 'c'; columns are \['a', 'b'\]",
        ),
        ("table.csv", "7", "must be a column"),
        ("empty.csv", "a", "must be a CSV file in UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, monkeypatch, file, target, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text("a,b\nx,2\n")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match=message):
        cli.read_table(file, target)


def test_the_preprocessor_meets_new_categories_and_missing_values():
    train = pd.DataFrame({"n": [1.0, np.nan, 3.0], "t": ["a", "b", None]})
    fitted = cli.table_preprocessor(train).fit(train.iloc[:1])
    new = pd.DataFrame({"n": [np.nan, np.nan], "t": ["never seen", np.nan]})
    expected = [[0, 0, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(fitted.transform(new), expected, atol=1e-9)
