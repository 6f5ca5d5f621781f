"""The room `results`: records to tables, the best trial, and folders on disk."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import kttoolkit
from kttoolkit.exceptions import ResultError, StudyFolderError
from kttoolkit.results import (
    RECORD_FILE,
    SPLITS_FILE,
    STUDY_FILE,
    TEST_FILE,
    Study,
    TrialRecord,
    TuneResult,
    read_records,
    read_result,
)
from kttoolkit.scoring import FoldFit

NAN = float("nan")
STUDY = Study(
    tuner="RandomSearch",
    objective="val_accuracy",
    direction="max",
    seed=7,
    cv="KFold(n_splits=2)",
    n_splits=2,
    task="binary",
    classes=("no", "yes"),
    n_samples=10,
    n_test=4,
    fingerprints={"data": "abc"},
    versions={"keras": "3"},
)


def fit(split, accuracy, loss, **changes):
    history = {"val_accuracy": accuracy, "val_loss": loss}
    given = {"n_train": 5, "n_test": 5, "seconds": 0.5, **changes}
    return FoldFit(split, split, 0, 100 + split, history, **given)


BEST = TrialRecord(
    trial_id="1",
    values={"units": 8, "rate": 0.5, "tuner/epochs": 2},
    status="completed",
    seconds=2.0,
    objective="val_accuracy",
    direction="max",
    metrics={"val_loss": 0.5, "val_accuracy": 0.75},
    splits={"val_loss": (0.25, 0.75), "val_accuracy": (0.5, 1.0)},
    epochs=(2, 1),
    fits=(fit(0, (0.25, 0.5), (1.0, 0.25)), fit(1, (1.0,), (0.75,))),
)
WORSE = replace(
    BEST,
    trial_id="0",
    values={"units": 4, "rate": 0.25},
    metrics={"val_accuracy": 0.5},
    splits={"val_accuracy": (0.5, 0.5)},
    epochs=(5, 6),
    fits=(
        fit(0, (0.5, 0.25), (1.0, 1.5), initial_epoch=4),
        fit(1, (0.25, 0.5), (1.5, 1.0), initial_epoch=4),
    ),
)
FAILED = TrialRecord(
    trial_id="2",
    values={"units": 16, "rate": 0.5},
    status="failed",
    message="ValueError: bad units\nTraceback\n...",
    attempt=1,
    seconds=0.25,
    objective="val_accuracy",
    direction="max",
    fits=(fit(0, (0.5,), (NAN,)),),
)
SKIPPED = replace(FAILED, trial_id="10", status="skipped", message="too large", fits=())
RECORDS = (WORSE, BEST, FAILED, SKIPPED)


def result_of(*records, test_metrics=None, study=STUDY, directory="studies/x"):
    return TuneResult(directory, study, records, test_metrics or {})


@pytest.fixture
def folder(tmp_path):
    """A study folder with four ended trials and one that has not ended."""
    folder = tmp_path / "study"
    folder.mkdir()
    STUDY.write(folder)
    for record in RECORDS:
        trial = folder / f"trial_{record.trial_id}"
        trial.mkdir()
        record.write(trial)
        (trial / "trial.json").write_text("{}")
        (trial / "split0.weights.h5").write_text(f"weights of {record.trial_id}")
        (trial / "logs").mkdir()
    (folder / "trial_11").mkdir()
    (folder / "trial_11" / "trial.json").write_text("{}")
    (folder / TEST_FILE).write_text('{"accuracy": 0.625}')
    rows = np.arange(10)
    a, b = rows[:5], rows[5:]
    np.savez_compressed(folder / SPLITS_FILE, train0=a, test0=b, train1=b, test1=a)
    return folder


# -- tables ------------------------------------------------------------------


def test_trials_have_a_row_each_with_scikit_learns_names():
    trials = result_of(*RECORDS).trials
    assert list(trials) == [
        "trial",
        "rank",
        "status",
        "mean_val_accuracy",
        "std_val_accuracy",
        "mean_val_loss",
        "std_val_loss",
        "param_units",
        "param_rate",
        "param_tuner/epochs",
        "split0_val_accuracy",
        "split1_val_accuracy",
        "split0_val_loss",
        "split1_val_loss",
        "best_epoch",
        "n_parameters",
        "seconds",
        "reason",
    ]
    best = trials.loc[1]
    assert best["mean_val_accuracy"] == 0.75
    assert best["std_val_accuracy"] == 0.25
    assert best[["split0_val_accuracy", "split1_val_accuracy"]].tolist() == [0.5, 1.0]
    assert best[["mean_val_loss", "std_val_loss"]].tolist() == [0.5, 0.25]
    assert best[["param_units", "param_rate", "best_epoch"]].tolist() == [8, 0.5, 1.5]
    assert trials["trial"].tolist() == ["0", "1", "2", "10"]
    assert trials["rank"].tolist() == [2, 1, pd.NA, pd.NA]
    assert trials["seconds"].tolist() == [2.0, 2.0, 0.25, 0.25]
    assert trials["reason"].tolist() == ["", "", "ValueError: bad units", "too large"]
    assert trials.loc[2:, "mean_val_accuracy"].isna().all()


def test_folds_have_a_row_for_each_training():
    folds = result_of(*RECORDS).folds
    wanted = {
        "trial": ["0", "0", "1", "1", "2"],
        "split": [0, 1, 0, 1, 0],
        "fold": [0, 1, 0, 1, 0],
        "execution": [0] * 5,
        "seed": [100, 101, 100, 101, 100],
        "n_train": [5] * 5,
        "n_test": [5] * 5,
        "best_epoch": pd.array([5, 6, 2, 1, None], dtype="Int64"),
        "epochs": [6, 6, 2, 1, 1],
        "seconds": [0.5] * 5,
        "val_accuracy": [0.5, 0.5, 0.5, 1.0, NAN],
        "val_loss": [NAN, NAN, 0.25, 0.75, NAN],
    }
    pd.testing.assert_frame_equal(folds, pd.DataFrame(wanted))


def test_curves_have_a_row_for_each_epoch():
    """A continued trial goes on counting where the lower rung stopped."""
    curves = result_of(*RECORDS).curves
    wanted = {
        "trial": ["0"] * 4 + ["1"] * 3 + ["2"],
        "split": [0, 0, 1, 1, 0, 0, 1, 0],
        "epoch": [5, 6, 5, 6, 1, 2, 1, 1],
        "val_accuracy": [0.5, 0.25, 0.25, 0.5, 0.25, 0.5, 1.0, 0.5],
        "val_loss": [1.0, 1.5, 1.5, 1.0, 1.0, 0.25, 0.75, NAN],
    }
    pd.testing.assert_frame_equal(curves, pd.DataFrame(wanted))


def test_curves_may_differ_in_length_and_be_empty():
    history = {"loss": (3.0, 2.0), "val_loss": (5.0,)}
    fits = (FoldFit(0, 0, 0, 1, history), FoldFit(1, 1, 0, 1, {}))
    curves = result_of(replace(BEST, fits=fits)).curves
    assert curves["loss"].tolist() == [3.0, 2.0]
    assert curves["val_loss"].isna().tolist() == [False, True]


def scored(score, direction="max", status="completed", **changes):
    metrics = {} if score is None else {"val_accuracy": score}
    return replace(BEST, metrics=metrics, direction=direction, status=status, **changes)


@pytest.mark.parametrize(
    ("direction", "scores", "wanted"),
    [
        ("max", [0.5, 0.9, 0.7], [3, 1, 2]),
        ("min", [0.5, 0.9, 0.7], [1, 3, 2]),
        ("max", [0.9, 0.5, 0.9], [1, 3, 1]),
        ("min", [0.5, 0.5, 0.1], [2, 2, 1]),
        ("max", [None, 0.5, NAN], [pd.NA, 1, pd.NA]),
    ],
)
def test_ranks_share_the_better_place_among_equals(direction, scores, wanted):
    result = result_of(*(scored(score, direction) for score in scores))
    assert result.trials["rank"].tolist() == wanted
    assert result.trials["rank"].dtype == "Int64"


@pytest.mark.parametrize(("direction", "best"), [("max", 0.9), ("min", 0.5)])
def test_a_failed_trial_has_no_rank_and_no_say_in_the_direction(direction, best):
    other = "min" if direction == "max" else "max"
    failed = scored(0.99, other, status="failed")
    result = result_of(failed, scored(0.5, direction), scored(0.9, direction))
    assert result.best_score == best
    assert result.trials["rank"].isna().tolist() == [True, False, False]


def test_failures_are_counted_the_most_frequent_first():
    twice = replace(FAILED, trial_id="3")
    failures = result_of(BEST, SKIPPED, FAILED, twice).failures
    assert failures.to_dict() == {"ValueError: bad units": 2, "too large": 1}
    assert failures.index[0] == "ValueError: bad units"
    assert result_of(BEST).failures.empty


# -- the best trial ----------------------------------------------------------


def test_the_best_trial_is_the_first_of_rank_one():
    tie = replace(BEST, trial_id="5", values={"units": 2})
    result = result_of(FAILED, WORSE, BEST, tie)
    assert result.best_trial is BEST
    assert result.best_score == 0.75
    assert result.best_values == {"units": 8, "rate": 0.5}
    assert BEST.std == 0.25
    assert (BEST.best_split, WORSE.best_split, FAILED.best_split) == (1, 0, 0)


@pytest.mark.parametrize(
    ("epochs", "wanted"), [((2, 1), 2), ((5, 6, 6), 6), ((1,), 1), ((), 1)]
)
def test_epochs_to_retrain_are_the_mean_of_the_folds(epochs, wanted):
    assert result_of(replace(BEST, epochs=epochs)).best_epochs == wanted


def test_without_a_completed_trial_the_first_reason_is_told():
    result = result_of(FAILED, SKIPPED)
    with pytest.raises(ResultError, match=r"2 ended .* first reason: ValueError: bad"):
        _ = result.best_trial
    assert result.summary().startswith("RandomSearch: 2 trials (1 failed, 1 skipped)")


def test_an_empty_study_has_empty_tables():
    result = result_of()
    for frame in (result.trials, result.folds, result.curves):
        assert frame.empty
    assert "rank" in result.trials
    assert "best_epoch" in result.folds
    assert result.failures.empty
    assert "0 trials (none ended)" in result.summary()
    assert "0 trials" in result._repr_html_()
    with pytest.raises(ResultError, match="got 0 ended trials and none completed"):
        _ = result.best_score


# -- in words ----------------------------------------------------------------


def test_the_summary_tells_score_setting_counts_and_folder():
    told = result_of(*RECORDS, test_metrics={"accuracy": 0.625}).summary()
    assert told.splitlines() == [
        "RandomSearch: 4 trials (2 completed, 1 failed, 1 skipped)",
        "best val_accuracy: 0.7500 ± 0.2500 over 2 trainings (KFold(n_splits=2))",
        "best setting: units=8, rate=0.5 (trial 1)",
        "epochs to retrain: 2",
        "untouched test rows (4): accuracy 0.6250",
        "study folder: studies/x",
    ]
    assert told in repr(result_of(*RECORDS, test_metrics={"accuracy": 0.625}))


def test_one_is_not_told_in_the_plural():
    one = replace(BEST, epochs=(1,), fits=BEST.fits[:1])
    told = result_of(one)
    assert told.summary().startswith("RandomSearch: 1 trial (1 completed)")
    assert "over 1 training (" in told.summary()
    assert "on all rows, for 1 epoch.\n" in told.setting_as_code()
    with pytest.raises(ResultError, match="got 1 ended trial and none completed"):
        _ = result_of(FAILED).best_trial


def test_the_notebook_table_is_ranked_and_hides_inner_parameters():
    shown = result_of(*RECORDS)._repr_html_()
    assert "mean_val_accuracy" in shown
    assert "mean_val_loss" not in shown
    assert "tuner/epochs" not in shown
    own = replace(BEST, values={"dense/units": 8})
    assert "param_dense/units" in result_of(own)._repr_html_()
    assert "dense/units=8" in result_of(own).summary()
    assert shown.index("<td>8</td>") < shown.index("<td>4</td>")


def test_the_notebook_table_runs_no_script():
    evil = "<script>alert(1)</script>"
    record = replace(BEST, values={"<script>": evil, "ok<b>": 1})
    study = replace(STUDY, tuner=evil)
    shown = result_of(record, study=study, directory=evil)._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "param_&lt;script&gt;" in shown


# -- on disk -----------------------------------------------------------------


def test_a_folder_is_read_back_as_it_was_written(folder):
    result = kttoolkit.load_result(folder)
    assert result.study == STUDY
    assert result.records[:2] == (WORSE, BEST)
    assert repr(result.records) == repr(RECORDS)
    assert result.test_metrics == {"accuracy": 0.625}
    assert [[part.tolist() for part in pair] for pair in result.splits] == [
        [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]],
        [[5, 6, 7, 8, 9], [0, 1, 2, 3, 4]],
    ]
    assert result.trials.equals(result_of(*RECORDS).trials)


def test_trials_are_in_the_order_of_their_proposal(folder):
    """Trial 10 comes after 2, and one that has not ended is left out."""
    assert [record.trial_id for record in read_records(folder)] == ["0", "1", "2", "10"]
    assert TrialRecord.read(folder / "trial_11") is None


def test_a_saved_result_is_the_same_result(folder, tmp_path):
    result = read_result(folder)
    target = result.save(tmp_path / "deep" / "copy")
    shutil.rmtree(folder)
    copy = kttoolkit.load_result(str(target))
    assert repr(copy.records) == repr(RECORDS)
    assert (copy.study, copy.test_metrics) == (STUDY, {"accuracy": 0.625})
    assert copy.best_trial == BEST
    assert len(copy.splits) == 2
    weights = sorted(path.parent.name for path in target.rglob("*.h5"))
    assert weights == ["trial_1"]
    assert (target / "trial_0" / "trial.json").exists()


def test_a_result_without_a_completed_trial_can_be_saved(folder, tmp_path):
    for name in ("trial_0", "trial_1"):
        shutil.rmtree(folder / name)
    read_result(folder).save(tmp_path / "copy")
    assert len(read_result(tmp_path / "copy").records) == 2


def test_save_overwrites_nothing(folder, tmp_path):
    result = read_result(folder)
    file = tmp_path / "file"
    file.write_text("mine")
    for target in (folder, file):
        with pytest.raises(StudyFolderError, match=r"to an empty folder, but .* none"):
            result.save(target)
    assert file.read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert result.save(tmp_path / "empty").is_dir()


def test_classes_that_json_does_not_have_are_written_as_text(tmp_path):
    """Classes of pandas.cut are intervals."""
    classes = (pd.Interval(0, 1), pd.Interval(1, 2))
    replace(STUDY, classes=classes).write(tmp_path)
    assert Study.read(tmp_path).classes == ("(0, 1]", "(1, 2]")
    replace(STUDY, classes=(np.int64(3), 4.5, True)).write(tmp_path)
    assert Study.read(tmp_path).classes == (3, 4.5, True)


@pytest.mark.parametrize("name", ["", "nowhere", "file"])
def test_a_folder_without_a_study_is_refused(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyFolderError, match=r"must (be a study|hold study)"):
        kttoolkit.load_result(tmp_path / name)


def spoil(path, how):
    if how == "missing":
        path.unlink()
    elif how == "later":
        path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    elif how == "incomplete":
        path.write_text('{"format": 1}')
    elif how == "extra":
        path.write_text(json.dumps({**json.loads(path.read_text()), "later": 1}))
    else:
        path.write_bytes(how)


DAMAGE = [
    ("later", "must be of format 1, but it is of format 2"),
    ("incomplete", "must hold a"),
    ("extra", "must hold a .*later"),
    (b"", "must be JSON, but it is damaged"),
    (b'{"format": 1, "tu', "must be JSON, but it is damaged"),
    (b"\xff\xfe\x00", "must be JSON, but it is damaged"),
    (b"[1]", r"must hold a .*, but it holds \[1\]"),
    (b"3", "must hold a .*, but it holds 3"),
    (b"{}", "must be of format 1, but it is of format None"),
]


@pytest.mark.fault
@pytest.mark.parametrize(
    ("how", "message"),
    [*DAMAGE, ("missing", "study.json, .* is missing. The project of a tuner")],
)
def test_a_damaged_study_is_refused(folder, how, message):
    spoil(folder / STUDY_FILE, how)
    with pytest.raises(StudyFolderError, match=message):
        read_result(folder)


@pytest.mark.fault
@pytest.mark.parametrize(("how", "message"), DAMAGE)
def test_a_damaged_trial_is_refused(folder, how, message):
    spoil(folder / "trial_1" / RECORD_FILE, how)
    with pytest.raises(StudyFolderError, match=message):
        read_result(folder)


@pytest.mark.fault
def test_a_trial_with_damaged_curves_is_refused(folder):
    path = folder / "trial_1" / RECORD_FILE
    for fits in ([3], [{"split": 0}], {"a": 1}, 5):
        path.write_text(json.dumps({**json.loads(path.read_text()), "fits": fits}))
        with pytest.raises(StudyFolderError, match="must hold a trial, but it does"):
            read_result(folder)


@pytest.mark.fault
def test_damaged_test_metrics_are_refused(folder):
    (folder / TEST_FILE).write_text("{")
    with pytest.raises(StudyFolderError, match=r"test.json must be JSON"):
        read_result(folder)


@pytest.mark.fault
def test_row_numbers_that_are_missing_or_damaged_are_told(folder):
    path = folder / SPLITS_FILE
    whole = path.read_bytes()
    for part in (b"", b"no archive", whole[:60], whole[:-30]):
        path.write_bytes(part)
        with pytest.raises(StudyFolderError, match=r"splits.npz must hold row numbers"):
            _ = read_result(folder).splits
    np.savez_compressed(path, a=np.arange(3), b=np.arange(3))
    with pytest.raises(StudyFolderError, match=r"splits.npz must hold row numbers"):
        _ = read_result(folder).splits
    path.unlink()
    with pytest.raises(ResultError, match=r"splits.npz is missing"):
        _ = read_result(folder).splits
    assert len(read_result(folder).trials) == 4


# -- models ------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda result: result.fit_best(),
        lambda result: result.ensemble(),
        lambda result: result.evaluate([[1]], [1]),
        lambda result: result.out_of_fold(),
    ],
    ids=["fit_best", "ensemble", "evaluate", "out_of_fold"],
)
def test_models_need_the_build_function(folder, ask):
    with pytest.raises(ResultError, match=r"load_result\('.*study', build=build"):
        ask(read_result(folder))


class FakeTrainer:
    def fit_best(self, result, x, y, **fit_kwargs):
        return ("model", x, y, fit_kwargs), "preprocessor"

    def evaluate(self, result, x, y, model="refit"):
        return {"model": model, "x": x, "y": y}


def test_a_trainer_is_asked_for_models(folder):
    result = read_result(folder, trainer=FakeTrainer())
    assert result.fit_best(1, 2, epochs=3) == ("model", 1, 2, {"epochs": 3})
    both = result.fit_best(return_preprocessor=True)
    assert both == (("model", None, None, {}), "preprocessor")
    asked = result.evaluate(1, 2, model="ensemble")
    assert asked == {"model": "ensemble", "x": 1, "y": 2}


def test_a_result_opens_without_tensorflow(folder):
    code = (
        "import sys, kttoolkit\n"
        f"result = kttoolkit.load_result({str(folder)!r})\n"
        "assert len(result.trials) == 4 and result.best_score == 0.75\n"
        "result.folds, result.curves, result.splits, result._repr_html_()\n"
        "assert not {'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# -- is the winner real? ---


def rival(trial_id, scores, n_parameters=10):
    fits = tuple(
        replace(BEST.fits[0], split=k, fold=k, n_train=40, n_test=10,
                            n_parameters=n_parameters)
        for k in range(len(scores))
    )  # fmt: skip
    return replace(
        BEST,
        trial_id=trial_id,
        metrics={BEST.objective: float(np.mean(scores))},
        splits={BEST.objective: tuple(scores)},
        epochs=(1,) * len(scores),
        fits=fits,
    )


RIVALS = (
    rival("0", [0.70, 0.72, 0.71, 0.69], n_parameters=900),
    rival("1", [0.80, 0.83, 0.81, 0.78], n_parameters=500),
    rival("2", [0.80, 0.82, 0.80, 0.78], n_parameters=40),
)


def test_trials_are_compared_with_the_best_over_their_folds():
    table = result_of(*RIVALS).compare().set_index("trial")
    assert list(table.index) == ["1", "2", "0"]
    assert table.loc["1", "difference"] == 0
    assert table.loc["0", "difference"] == pytest.approx(0.1)
    # By hand: differences 0.10, 0.11, 0.10, 0.09; a share of a quarter; t of 3.
    error = np.sqrt((1 / 4 + 1 / 4) * np.var([0.10, 0.11, 0.10, 0.09], ddof=1))
    assert table.loc["0", "low"] == pytest.approx(0.1 - 3.1824463 * error)
    assert table["is_clear"].to_dict() == {"1": False, "2": False, "0": True}
    assert table.loc["0", "p_wilcoxon"] == pytest.approx(0.125)
    assert table.loc["1", "p_wilcoxon"] == 1
    assert len(result_of(*RIVALS).compare(top=2)) == 2
    for bad in (0, -1, 1.5, "2"):
        with pytest.raises(ResultError, match=f"top must be.* >= 1, but got {bad!r}"):
            result_of(*RIVALS).compare(top=bad)


def test_the_simplest_within_one_standard_error():
    """0.805 with an error of 0.0104: 0.80 is near enough, 0.705 is not."""
    assert result_of(*RIVALS).one_standard_error().trial_id == "2"
    assert result_of(*RIVALS[:2]).one_standard_error().trial_id == "1"


def test_comparisons_need_folds_and_sizes():
    with pytest.raises(ResultError, match=r"trial 3 has 1 scores. Search with cv=5"):
        result_of(rival("3", [0.9])).compare()
    unknown = rival("3", [0.9, 0.91], n_parameters=0)
    with pytest.raises(ResultError, match=r"not known of trials \['3'\]"):
        result_of(unknown, *RIVALS).one_standard_error()
    with pytest.raises(ResultError, match="At least one trial must have completed"):
        result_of(FAILED).compare()


def test_the_size_of_the_model_is_on_record(blobs, build, tmp_path):
    result = kttoolkit.tune(
        build, *blobs, tuner=[{"units": 3}], cv=2, max_epochs=1, seed=0, verbose=0,
        directory=tmp_path,
    )  # fmt: skip
    assert list(result.trials["n_parameters"]) == [4 * 3 + 3 + 3 + 1]
