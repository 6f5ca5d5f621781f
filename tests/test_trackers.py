"""Trackers: what each writes is read back by the library that it is for."""

import json
import os
import struct
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import build_binary

import kttoolkit
from kttoolkit.cli import main
from kttoolkit.exceptions import MissingDependencyError, SearchError
from kttoolkit.results import TrialRecord
from kttoolkit.scoring import FoldFit
from kttoolkit.trackers import (
    TRACKERS,
    CSVTracker,
    MLflowTracker,
    OptunaTracker,
    SearchInfo,
    TensorBoardTracker,
    Tracker,
    Trackers,
    WandbTracker,
    as_trackers,
)

os.environ.update(
    MLFLOW_DISABLE_TELEMETRY="true", WANDB_ERROR_REPORTING="false",
    WANDB_MODE="offline", WANDB_SILENT="true",
)  # fmt: skip
for _name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
    os.environ.pop(_name, None)


def build_or_fail(hp):
    """Trial 1 of the search below, and no other, asks for 7 units."""
    if hp.Int("units", 2, 8) == 7:
        raise ValueError("seven units are unlucky")
    return build_binary(hp)


def search(folder, blobs, **options):
    asked = {
        "tuner": "random", "cv": 2, "max_trials": 3, "max_epochs": 2, "seed": 0,
        "directory": folder, "project_name": "p", "verbose": 0, **options,
    }  # fmt: skip
    return kttoolkit.tune(build_or_fail, *blobs, **asked)


@pytest.fixture(scope="module")
def tracked(blobs, tmp_path_factory):
    """Three trials, one of which fails, and a fourth in a resumed search.

    The trackers that write to `late` join when it is resumed.
    """
    folder = tmp_path_factory.mktemp("tracked")
    late = f"sqlite:///{folder}"
    search(folder, blobs, trackers=list(TRACKERS))
    joining = [
        CSVTracker(folder / "late"), TensorBoardTracker(folder / "late"),
        OptunaTracker(f"{late}/late_optuna.db", study="other"),
    ]  # fmt: skip
    trackers = [*TRACKERS, *joining]
    result = search(
        folder, blobs, trackers=trackers, resume=True, seed=None, max_trials=4
    )
    assert [r.status for r in result.records] == [
        "completed", "failed", "completed", "completed",
    ]  # fmt: skip
    return result


# -- CSV ---


@pytest.mark.parametrize("place", ["p/trackers", "late/p"])
def test_csv_files_hold_what_the_result_holds(tracked, place):
    """Every trial once, though the search was resumed and one tracker came late."""
    folder = tracked.directory.parent / place
    found = pd.read_csv(folder / "trials.csv", dtype={"trial": str})
    expected = tracked.trials
    assert found["attempt"].tolist() == [0, 0, 0, 0]
    assert set(found) - {"attempt"} == set(expected) - {"rank"}
    for name in ("trial", "status", "param_units", "mean_val_loss", "split1_loss"):
        values = found[name].tolist()
        np.testing.assert_array_equal(values, expected[name].tolist())
    assert "seven units are unlucky" in found["reason"][1]
    curves = pd.read_csv(folder / "curves.csv", dtype={"trial": str})
    assert not curves["start"].any()
    for record in tracked.records:
        for fit in record.fits:
            rows = curves.query(
                f"trial == {record.trial_id!r} and split == {fit.split}"
            )
            assert rows["epoch"].tolist() == [1, 2]
            assert tuple(rows["val_loss"]) == fit.history["val_loss"]
    assert len(curves) == 12


def record(trial_id, *, attempt=0, **values):
    curve = {"loss": (2.0, 1.0), "val_loss": (2.5, 1.5)}
    return TrialRecord(
        trial_id, values, "completed", attempt=attempt, objective="val_loss",
        metrics={"val_loss": 1.5}, splits={"val_loss": (1.5,)}, epochs=(2,),
        fits=(FoldFit(0, 0, 0, 1, curve),),
    )  # fmt: skip


def tell(trackers, one):
    """Tell what happens in a trial."""
    trackers.trial_started(one.trial_id, one.values)
    for fit in one.fits:
        trackers.fold_started(one.trial_id, fit.split, len(one.fits))
        for index in range(fit.epochs):
            trackers.epoch_ended(one.trial_id, fit.split, index + 1, fit.at(index))
        trackers.fold_ended(one.trial_id, fit)
    trackers.trial_ended(one)


def info_of(folder, *ended):
    return SearchInfo("RandomSearch", "val_loss", "min", 4, str(folder), ended)


def test_csv_widens_marks_retries_and_mends_a_row_cut_short(tmp_path):
    """A new hyperparameter or a kill costs no row that was written."""
    tracker, folder = CSVTracker(), tmp_path / "trackers"
    tracker.search_started(info_of(tmp_path))
    tell(tracker, record("0", units=4))
    tell(tracker, record("0", attempt=1, units=4))
    with (folder / "trials.csv").open("a", encoding="utf-8") as file:
        file.write("1,0,compl")
    tracker = CSVTracker()
    tracker.search_started(info_of(tmp_path, record("0", attempt=1, units=4)))
    tell(tracker, record("1", units=4, rate=0.1))
    trials = pd.read_csv(folder / "trials.csv")
    assert trials[["trial", "attempt"]].to_numpy().tolist() == [[0, 0], [0, 1], [1, 0]]
    assert trials["param_rate"].isna().tolist() == [True, True, False]
    curves = pd.read_csv(folder / "curves.csv")
    assert curves["start"].tolist() == [0, 0, 1, 1, 0, 0]


# -- TensorBoard ---


@pytest.mark.parametrize("place", ["p", "late/p"])
def test_tensorboard_reads_scalars_and_hyperparameters(tracked, place):
    """Its own reader and the HParams page's, from the folder that a user names."""
    from tensorboard.backend.event_processing import (
        data_provider,
        plugin_event_multiplexer,
    )
    from tensorboard.context import RequestContext
    from tensorboard.plugins.hparams import (
        api_pb2,
        backend_context,
        list_session_groups,
    )
    from tensorboard.util import tensor_util

    folder = str(tracked.directory.parent / place)
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(folder)
    multiplexer.Reload()
    prefix = "trackers/tensorboard/" if place == "p" else ""
    fit = tracked.records[2].fits[1]
    for part, name in (("train", "loss"), ("validation", "val_loss")):
        events = multiplexer.Tensors(f"{prefix}2/split1/{part}", "epoch_loss")
        values = [tensor_util.make_ndarray(e.tensor_proto).item() for e in events]
        assert [event.step for event in events] == [0, 1]
        np.testing.assert_allclose(values, fit.history[name], rtol=1e-6)

    provider = data_provider.MultiplexerDataProvider(multiplexer, folder)
    context = backend_context.Context(SimpleNamespace(data_provider=provider))
    statuses = [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE]
    request = api_pb2.ListSessionGroupsRequest(
        allowed_statuses=statuses, start_index=0, slice_size=9
    )
    handler = list_session_groups.Handler(RequestContext(), context, "e", request)
    groups = {group.name: group for group in handler.run().session_groups}
    assert sorted(groups) == ["0", "1", "2", "3"]
    assert groups["1"].sessions[0].status == api_pb2.STATUS_FAILURE
    best = groups[tracked.best_trial.trial_id]
    assert best.hparams["units"].number_value == tracked.best_values["units"]
    scores = {m.name.tag: m.value for m in best.metric_values if not m.name.group}
    assert scores["mean_val_accuracy"] == pytest.approx(tracked.best_score)


def test_tensorboard_replaces_the_curves_of_a_retried_trial(tmp_path):
    """And leaves other people's files in the same folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = TensorBoardTracker(tmp_path)
    theirs = tmp_path / tmp_path.name / "0" / "theirs.txt"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    tracker.search_started(info_of(tmp_path))
    for attempt in range(2):
        tell(tracker, record("0", attempt=attempt, units=4, kind=None))
    found = EventAccumulator(str(theirs.parent / "split0" / "train"))
    assert len(found.Reload().Tensors("epoch_loss")) == 2
    assert theirs.exists()


# -- Weights & Biases ---


def wandb_runs(folder):
    """Read what wandb wrote, by the name of its run; a process of its own writes it."""
    until = time.monotonic() + 30
    while True:
        runs = read_wandb(folder)
        ended = all(hasattr(run, "exit_code") for run in runs)
        if ended or time.monotonic() > until:
            return {run.run.display_name or "mine": run for run in runs}
        time.sleep(0.1)


def read_wandb(folder):
    from wandb.proto import wandb_internal_pb2

    found = []
    for path in sorted(Path(folder).glob("wandb/offline-run-*/*.wandb")):
        run = SimpleNamespace(history=[], metrics={}, summary={}, artifacts=[])
        for data in wandb_records(path.read_bytes()):
            entry = wandb_internal_pb2.Record.FromString(data)
            add_entry(run, entry)
        found.append(run)
    return found


def add_entry(run, entry):
    kind = entry.WhichOneof("record_type")
    if kind == "run":
        run.run = entry.run
        run.tags = list(entry.run.tags)
        run.config = values_of(entry.run.config.update)
    elif kind == "config":
        run.config.update(values_of(entry.config.update))
    elif kind == "history":
        run.history.append(values_of(entry.history.item))
    elif kind == "metric":
        name = entry.metric.name or entry.metric.glob_name
        run.metrics[name] = entry.metric.step_metric
    elif kind == "summary":
        run.summary.update(values_of(entry.summary.update))
    elif kind == "artifact":
        run.artifacts.append(entry.artifact.type)
    elif kind == "exit":
        run.exit_code = entry.exit.exit_code


def values_of(items):
    return {
        item.key or "/".join(item.nested_key): json.loads(item.value_json)
        for item in items
    }


def wandb_records(data):
    """Split a file into its records: blocks of 32 KiB, records in parts, as LevelDB."""
    block, header, at, parts = 2**15, 7, 7, b""
    while at + header <= len(data):
        if block - at % block < header:
            at += block - at % block
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        parts += data[at + header : at + header + size]
        at += header + size
        if kind in {1, 4}:
            yield parts
            parts = b""


def test_wandb_has_a_run_for_each_trial(tracked):
    """Read back from the files that `wandb sync` would send."""
    runs = wandb_runs(tracked.directory / "trackers")
    assert sorted(runs) == ["p/0", "p/1", "p/2", "p/3"]
    for one in tracked.records:
        run = runs[f"p/{one.trial_id}"]
        assert (run.run.project, run.run.run_group) == ("kttoolkit", "p")
        assert run.run.job_type == "trial"
        assert run.config["units"] == one.values["units"]
        assert run.summary["status"] == one.status
        assert run.exit_code == (0 if one.status == "completed" else 1)
    assert "unlucky" in runs["p/1"].summary["reason"]
    run, one = runs["p/2"], tracked.records[2]
    assert run.metrics["split1/*"] == run.metrics["mean/*"] == "epoch"
    curve = [row["split1/val_loss"] for row in run.history if "split1/val_loss" in row]
    assert curve == pytest.approx(one.fits[1].history["val_loss"])
    means = [row["mean/val_loss"] for row in run.history if "mean/val_loss" in row]
    assert means == pytest.approx(np.mean([f.history["val_loss"] for f in one.fits], 0))
    assert run.summary["mean_val_accuracy"] == pytest.approx(one.score)
    assert run.summary["std_val_accuracy"] == pytest.approx(one.std)


def test_wandb_runs_alternate_and_have_tags(tmp_path):
    """With several trials at a time, each epoch goes to its own trial's run."""
    import wandb

    tracker = WandbTracker("project", group="g", tags=["mlp"], directory=tmp_path)
    tracker.search_started(info_of(tmp_path))
    both = [record("0", attempt=1, units=4), record("1", units=5)]
    for one in both:
        tracker.trial_started(one.trial_id, one.values)
        tracker.fold_started(one.trial_id, 0, 1)
    for epoch in (1, 2):
        for one in both:
            tracker.epoch_ended(one.trial_id, 0, epoch, {"loss": int(one.trial_id)})
    tracker.trial_ended(both[0])
    tracker.search_ended()
    assert wandb.run is None
    runs = wandb_runs(tmp_path)
    assert runs["g/0"].tags[:1] == ["mlp"]
    assert "attempt 1" in runs["g/0"].tags
    assert (runs["g/0"].exit_code, runs["g/1"].exit_code) == (0, 1)
    for name, run in runs.items():
        losses = {row["split0/loss"] for row in run.history if "split0/loss" in row}
        assert losses == {int(name[-1])}


# -- MLflow ---


def test_mlflow_has_nested_runs_and_the_model(tracked):
    """Read through MLflow's client from the SQLite store; the model predicts."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tracked.directory}/mlflow.db")
    experiment = client.get_experiment_by_name("p").experiment_id
    runs = client.search_runs([experiment], order_by=["attributes.start_time ASC"])
    parent, *children = sorted(runs, key=lambda run: "kttoolkit.trial" in run.data.tags)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["kttoolkit.best_trial"] == tracked.best_trial.trial_id
    assert len(children) == 4
    by_trial = {run.data.tags["kttoolkit.trial"]: run for run in children}
    for one in tracked.records:
        run = by_trial[one.trial_id]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.params == {k: str(v) for k, v in one.values.items()}
        state = "FINISHED" if one.status == "completed" else "FAILED"
        assert run.info.status == state
        for fit in one.fits:
            name = f"split{fit.split}/val_loss"
            history = client.get_metric_history(run.info.run_id, name)
            points = {point.step: point.value for point in history}
            assert points == dict(enumerate(fit.history["val_loss"], 1))
    assert "unlucky" in by_trial["1"].data.tags["mlflow.note.content"]
    best = by_trial[tracked.best_trial.trial_id]
    assert best.data.metrics["mean_val_accuracy"] == tracked.best_score
    [artifact] = client.list_artifacts(best.info.run_id)
    path = client.download_artifacts(best.info.run_id, artifact.path)
    model = keras.saving.load_model(path)
    assert model.predict(np.zeros((3, 4)), verbose=0).shape == (3, 1)


def test_mlflow_finds_its_runs_again(tmp_path, monkeypatch):
    """A search that was killed goes on in one run; a late tracker adds all trials."""
    from mlflow import MlflowClient

    # Where MLflow keeps artifacts of a database that the user names.
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/m.db"
    tracker = MLflowTracker(uri, experiment="e", tags={"team": "a"}, log_model=False)
    done = [record("0", units=4), record("1", units=5)]
    tracker.search_started(info_of(tmp_path, done[0]))
    tell(tracker, done[1])
    tracker.trial_started("2", {"units": 6})
    tracker = MLflowTracker(uri, experiment="e")
    tracker.search_started(info_of(tmp_path, *done))
    tracker.best_found(done[1], lambda path: path.write_text("model"))
    tracker.search_ended()
    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    states = {run.info.run_name: run.info.status for run in runs}
    assert states == {
        tmp_path.name: "FINISHED", "trial 0": "FINISHED", "trial 1": "FINISHED",
        "trial 2": "KILLED",
    }  # fmt: skip
    assert len(runs) == 4
    assert {run.data.tags["team"] for run in runs} == {"a"}


# -- Optuna ---


@pytest.mark.parametrize(
    ("name", "place"), [("p", "p/optuna.db"), ("other", "late_optuna.db")]
)
def test_optuna_has_the_trials_of_the_result(tracked, name, place):
    """The stored study is the one that `result.to_optuna()` makes."""
    import optuna

    storage = optuna.storages.RDBStorage(
        f"sqlite:///{tracked.directory.parent / place}"
    )
    study = optuna.load_study(study_name=name, storage=storage)
    expected = tracked.to_optuna()
    assert study.direction == expected.direction
    assert [t.state.name for t in study.trials] == [
        "COMPLETE", "FAIL", "COMPLETE", "COMPLETE",
    ]  # fmt: skip
    for mine, theirs in zip(study.trials, expected.trials, strict=True):
        assert mine.user_attrs == theirs.user_attrs
        assert mine.intermediate_values == pytest.approx(theirs.intermediate_values)
        assert (mine.value, mine.params) == (theirs.value, theirs.params)
    assert study.best_value == tracked.best_score
    storage.engine.dispose()


def test_optuna_takes_choices_that_a_later_round_lacks(tmp_path):
    """Optuna never changes the choices of a parameter, but coarse to fine does."""
    import optuna

    from kttoolkit.files import write_json

    storage = optuna.storages.InMemoryStorage()
    tracker = OptunaTracker(storage)
    tracker.search_started(info_of(tmp_path))
    rounds = [(["a", "b"], "a", 4), (["a"], "a", 9), (["c", "d"], "d", 3)]
    for number, (choices, kind, units) in enumerate(rounds):
        hp = kttoolkit.HyperParameters()
        hp.Choice("kind", choices)
        hp.Int("units", 4, 8, step=4)
        folder = tmp_path / f"trial_{number}"
        folder.mkdir()
        write_json(folder / "trial.json", {"hyperparameters": hp.get_config()})
        tracker.trial_ended(record(f"{number}", kind=kind, units=units))
    study = optuna.load_study(study_name=tmp_path.name, storage=storage)
    assert [t.params.get("kind") for t in study.trials] == ["a", "a", None]
    assert [t.params["units"] for t in study.trials] == [4, 9, 3]
    assert study.trials[2].user_attrs["param_kind"] == "d"
    with pytest.raises(SearchError, match=r"study of its own.*has 3 trials"):
        tracker.search_started(info_of(tmp_path))


# -- all of them ---


def test_names_and_objects_make_trackers(tmp_path):
    """One string, one object, or several of both."""
    mine = Tracker()
    assert as_trackers(mine) == [mine]
    assert [type(one) for one in as_trackers(["csv", mine])] == [CSVTracker, Tracker]
    with pytest.raises(SearchError, match=r"'optuna'.*got 'wandbb'.*mean 'wandb'"):
        as_trackers("wandbb")
    with pytest.raises(SearchError, match=r"Pass an object: CSVTracker\(\)"):
        as_trackers([CSVTracker])
    with pytest.raises(SearchError, match=r"trackers must be a name of .*got None"):
        as_trackers(None)


@pytest.mark.parametrize("name", ["mlflow", "optuna", "tensorboard", "wandb"])
def test_a_missing_library_is_told_before_training(tmp_path, blobs, monkeypatch, name):
    """With the line that installs it, and before a folder is made."""
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=rf"kttoolkit\[{name}\]"):
        search(tmp_path, blobs, trackers=name)
    assert not (tmp_path / "p" / "study.json").exists()


class Breaker(Tracker):
    """Takes away what all other trackers write to, when the first trial has ended."""

    def __init__(self, others):
        self.others = others
        self.directory = None

    def search_started(self, info):
        self.directory = Path(info.directory)

    def trial_ended(self, record):
        if record.trial_id != "0":
            return
        for place in (self.directory / "trackers", self.directory.parent / "here"):
            if place.is_dir():
                place.rename(place.with_name("gone"))
            place.write_text("a file where a folder was")
        for name in ("mlflow.db", "optuna.db"):
            database = self.directory / name
            for path in self.directory.glob(f"{name}*"):
                path.unlink()
            database.mkdir()


def test_what_breaks_while_a_search_runs_is_switched_off(tmp_path, blobs):
    """One warning for each tracker, no trial is lost, and nothing stays open."""
    trackers = as_trackers(list(TRACKERS))
    breaker = Breaker(trackers)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        result = search(tmp_path, blobs, trackers=[*trackers, breaker])
    told = [str(w.message) for w in caught if "is switched off" in str(w.message)]
    assert sorted(text.split()[0] for text in told) == sorted(
        cls.__name__ for cls in TRACKERS.values()
    )
    assert [r.status for r in result.records] == ["completed", "failed", "completed"]
    optuna, tensorboard, wandb = trackers[2:]
    assert not tensorboard._open
    assert not wandb._runs
    assert optuna._study is None


@pytest.mark.fault
def test_a_tracker_that_fails_is_closed_once(recwarn):
    """Even one that cannot be closed stops nothing."""
    calls = []

    class Broken(Tracker):
        def trial_started(self, trial_id, values):
            raise OSError("disk full")

        def close(self):
            calls.append("close")
            raise OSError("still full")

    trackers = Trackers([Broken()])
    trackers.trial_started("0", {})
    trackers.trial_started("1", {})
    trackers.search_ended()
    assert calls == ["close"]
    [warning] = recwarn
    assert "Broken failed in trial_started" in str(warning.message)


def test_a_tuner_of_keras_tuners_kind_takes_names(tmp_path, blobs):
    """Without `tune` the trackers are told of the search as a whole too."""

    class Listener(Tracker):
        def __init__(self):
            self.heard = []

        def search_started(self, info):
            self.heard.append((info.objective, info.n_trials, info.max_epochs))

        def best_found(self, record, save):
            self.heard.append(record.trial_id)

        def search_ended(self):
            self.heard.append("ended")

    listener = Listener()
    tuner = kttoolkit.RandomSearch(
        build_binary, "val_loss", max_trials=2, seed=0, cv=2, directory=tmp_path,
        project_name="p", trackers=["csv", listener],
    )  # fmt: skip
    tuner.search(*blobs, epochs=1, verbose=0)
    best = tuner.oracle.get_best_trials(1)[0].trial_id
    assert listener.heard == [("val_loss", 2, 1), best, "ended"]
    assert len(pd.read_csv(tmp_path / "p" / "trackers" / "trials.csv")) == 2


@pytest.mark.slow
def test_trackers_work_without_tensorflow(tmp_path):
    """A server that shows studies need not load it."""
    code = (
        "import sys; sys.path.insert(0, 'tests'); import os\n"
        "from kttoolkit.trackers import *\n"
        "from kttoolkit.results import TrialRecord\n"
        f"info = SearchInfo('R', 'val_loss', 'min', 1, {str(tmp_path)!r})\n"
        "one = Trackers(as_trackers(list(TRACKERS)))\n"
        "one.search_started(info); one.trial_started('0', {'a': 1})\n"
        "one.fold_started('0', 0, 1); one.epoch_ended('0', 0, 1, {'loss': 1.0})\n"
        "one.trial_ended(TrialRecord('0', {'a': 1}, 'failed', 'boom'))\n"
        "one.search_ended()\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", code]
    subprocess.run(command, check=True, timeout=120)


@pytest.mark.slow
def test_several_trials_at_a_time_are_kept_apart(tmp_path, blobs):
    """Events of trials in other processes alternate."""
    result = search(tmp_path, blobs, parallel=2, trackers=list(TRACKERS))
    folder = result.directory / "trackers"
    curves = pd.read_csv(folder / "curves.csv", dtype={"trial": str})
    for one in result.records:
        for fit in one.fits:
            rows = curves.query(f"trial == {one.trial_id!r} and split == {fit.split}")
            assert tuple(rows["val_loss"]) == fit.history["val_loss"]
    assert {run.exit_code for run in wandb_runs(folder).values()} == {0, 1}


def test_the_command_line_names_trackers(tmp_path, capsys):
    """An unknown one is an error that the user can mend."""
    arguments = ["tune", "pima_diabetes", "--out", str(tmp_path / "s")]
    assert main([*arguments, "--tracker", "csvv"]) == 2
    assert "Did you mean 'csv'?" in capsys.readouterr().err


# -- callbacks of Weights & Biases ---


class Boom(keras.callbacks.Callback):
    """Breaks off every training of the first trial, which asks for 3 units."""

    def on_epoch_end(self, epoch, logs=None):
        if self.model.layers[0].units == 3:
            raise OSError("boom")


@pytest.mark.filterwarnings("ignore:Trained with model.fit")
def test_callbacks_of_wandb_have_a_run_for_each_fold(tmp_path, blobs):
    """The user's own run stays the current one, and none gets another's epochs."""
    import wandb
    from wandb.integration.keras import WandbMetricsLogger, WandbModelCheckpoint

    mine = wandb.init(project="q", dir=tmp_path, mode="offline", tags=["t"])
    try:
        checkpoint = WandbModelCheckpoint(tmp_path / "m.keras")
        callbacks = [WandbMetricsLogger(), checkpoint, Boom()]
        result = search(tmp_path, blobs, callbacks=callbacks)
        assert wandb.run is mine
        assert wandb.log == mine.log
    finally:
        mine.finish()
    assert [r.status for r in result.records] == ["failed", "failed", "completed"]
    runs = wandb_runs(tmp_path)
    assert sorted(runs) == ["0/split0", "2/split0", "2/split1", "mine"]
    assert not runs["mine"].history
    assert runs["0/split0"].exit_code == 1
    for fit in result.records[2].fits:
        run = runs[f"2/split{fit.split}"]
        assert (run.run.project, run.run.run_group, run.tags) == ("q", "p", ["t"])
        assert run.config["units"] == result.records[2].values["units"]
        assert run.metrics["epoch/*"] == "epoch/epoch"
        losses = [row["epoch/val_loss"] for row in run.history]
        assert losses == pytest.approx(fit.history["val_loss"])
        assert run.artifacts == ["model", "model"]
        assert run.exit_code == 0
