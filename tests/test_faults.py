"""Kills, disks and locks: whatever happens, nothing is lost and the reason is told."""

import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import keras_tuner
import pytest
from searching import quick_tuner, table

import kttoolkit
from kttoolkit import _study, files, locks
from kttoolkit.exceptions import SearchError, StudyFolderError, UnwritableError
from kttoolkit.locks import owned
from kttoolkit.tuners import _guard

pytestmark = pytest.mark.fault
HARNESS = Path(__file__).parent / "faults" / "run.py"
OWNER = """
import os, sys, time
from pathlib import Path
from kttoolkit.locks import owned
with owned(Path(sys.argv[1])):
    if len(sys.argv) == 2 or not os.fork():
        print("owned", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def tune(blobs, build, tmp_path):
    def call(**kwargs):
        options = {
            "tuner": "random", "max_trials": 2, "max_epochs": 1, "cv": 2, "seed": 0,
            "directory": tmp_path, "project_name": "p", "verbose": 0, **kwargs,
        }  # fmt: skip
        return kttoolkit.tune(build, *blobs, **options)

    return call


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The table of a search that nothing disturbs."""
    tuner = quick_tuner("random", tmp_path_factory.mktemp("whole"))
    tuner.search(verbose=0)
    return table(tuner)


@pytest.fixture
def disk(tmp_path):
    """A file system of 96 KB, and a function that mounts it anew."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs"]
        return subprocess.run([*command, folder], capture_output=True, check=False)

    if shutil.which("mount") is None or mount("size=96k").returncode:
        pytest.skip("file systems cannot be mounted here")
    yield folder, mount
    subprocess.run(["umount", "-l", folder], check=True)


@contextlib.contextmanager
def owner_of(folder, *arguments):
    """Another process that has a folder for itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder), *arguments], stdout=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == b"owned\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def assert_whole(folder):
    """Every JSON file parses, and no file is half."""
    for path in folder.rglob("*.json"):
        assert not files.is_partial(path.name)
        json.loads(path.read_text())


# -- one writer ---------------------


@pytest.mark.parametrize("arguments", [(), ("fork",)])
def test_a_dead_owner_keeps_no_lock_not_even_through_a_child(arguments, tmp_path):
    """The lock names its owner and ends with it, though a forked child lives on."""
    with owner_of(tmp_path, *arguments) as process:
        message = f"process {process.pid} on {socket.gethostname()} is writing"
        with pytest.raises(StudyFolderError, match=message), owned(tmp_path):
            pass
        process.kill()
        process.wait()
        with owned(tmp_path):
            assert json.loads((tmp_path / locks.LOCK_FILE).read_text()) == {
                "pid": os.getpid(), "host": socket.gethostname(),
            }  # fmt: skip


def test_a_thread_is_refused_and_the_owner_itself_is_not(tmp_path):
    """Two tuners at once in one process are two writers."""
    refused = []

    def other():
        with pytest.raises(StudyFolderError, match="one writer"), owned(tmp_path):
            pass
        refused.append(True)

    with owned(tmp_path), owned(tmp_path / ".." / tmp_path.name):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert refused
    with owned(tmp_path):
        pass


def test_a_lock_file_that_was_taken_away_is_no_lock(tmp_path):
    """Who waits at a file that its owner removes must not own the removed one."""
    with owned(tmp_path):
        locks.check_in_place(tmp_path)
        (tmp_path / locks.LOCK_FILE).unlink()
        with owner_of(tmp_path), pytest.raises(StudyFolderError, match="in place"):
            locks.check_in_place(tmp_path)


def test_where_there_are_no_locks_a_warning_says_so(tmp_path, monkeypatch):
    """Some network file systems have none; a search must be possible there."""
    fcntl = pytest.importorskip("fcntl")

    def flock(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.warns(UserWarning, match="has no locks"), owned(tmp_path):
        pass


def test_a_worker_of_keras_tuner_shares_the_folder_of_its_chief(tmp_path, monkeypatch):
    """Chief and workers write in one folder on purpose."""
    with owner_of(tmp_path):
        monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "tuner1")
        with owned(tmp_path):
            pass
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
        with pytest.raises(StudyFolderError, match="one writer"), owned(tmp_path):
            pass


def test_a_second_search_is_refused_while_results_can_be_read(tune, tmp_path):
    """Neither tune nor a tuner writes where another process does; reading is free."""
    result = tune()
    before = {p: p.read_bytes() for p in result.directory.glob("*.json")}
    with owner_of(result.directory) as process:
        for options in ({"resume": True, "seed": None}, {"overwrite": True}):
            with pytest.raises(StudyFolderError, match=f"process {process.pid}"):
                tune(**options)
        opened = kttoolkit.load_result(result.directory)
        assert opened.trials.equals(result.trials)
    assert {p: p.read_bytes() for p in result.directory.glob("*.json")} == before
    quick_tuner("random", tmp_path / "q").search(verbose=0)
    late = quick_tuner("random", tmp_path / "q")
    with owner_of(tmp_path / "q" / "p"):
        with pytest.raises(StudyFolderError, match="one writer"):
            late.search(verbose=0)
        with pytest.raises(StudyFolderError, match="one writer"):
            kttoolkit.RandomSearch(
                lambda hp: None, "loss", directory=tmp_path / "q", project_name="p",
                overwrite=True,
            )  # fmt: skip
    assert table(late) == table(quick_tuner("random", tmp_path / "q"))


def test_a_tuner_made_before_another_one_searched_is_refused(tmp_path):
    """It would write its own trial 0 over the other's."""
    early, other = (quick_tuner("random", tmp_path) for _ in range(2))
    other.search(verbose=0)
    with pytest.raises(StudyFolderError, match=r"another one since .* Make it again"):
        early.search(verbose=0)
    shutil.rmtree(tmp_path / "p")
    with pytest.raises(StudyFolderError, match="is gone"):
        other.search(verbose=0)


def test_searches_that_start_in_the_same_second_have_folders_of_their_own(tmp_path):
    """A folder's name made of the time is taken at once."""
    made = [_study._reserved(tmp_path / "studies" / "now") for _ in range(3)]
    assert [folder.name for folder in made] == ["now", "now-2", "now-3"]


# -- kills ---------------------


@pytest.mark.slow
def test_twenty_kills_lose_nothing():
    """The short form of `make faults`: real searches, real SIGKILL."""
    done = subprocess.run(
        [sys.executable, str(HARNESS), "--kills", "20", "--each", "5", "--seed", "1"],
        capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "kills survived: 20" in done.stdout
    assert "bytes lost: 0" in done.stdout


def test_the_first_trial_is_not_forgotten(tmp_path):
    """A kill before a tuner's first file is written, when its oracle knows a trial."""
    tuner = quick_tuner("random", tmp_path)
    tuner.on_trial_end = tuner.oracle.end_trial
    tuner.save_all, tuner.save = tuner.save, lambda: None
    tuner.save_all()
    tuner.oracle.max_trials = 1
    tuner.search(verbose=0)
    found = quick_tuner("random", tmp_path)
    assert table(found) == table(tuner)
    assert len(table(found)) == 1


def test_a_search_writes_its_state_before_its_first_trial(tmp_path):
    """What makes Keras Tuner go on with a folder is there from the beginning."""
    tuner = quick_tuner("random", tmp_path)
    seen = []
    tuner.on_search_begin = lambda: seen.extend(tuner_files(tmp_path))
    tuner.search(verbose=0)
    assert {"oracle.json", "tuner0.json"} <= set(seen)


def tuner_files(folder):
    return [path.name for path in (folder / "p").iterdir()]


def test_what_kills_leave_behind_is_cleared_away(tune, tmp_path):
    """A start that was killed blocks no name, and half files do not stay."""
    folder = tmp_path / "p"
    (folder / "trial_0").mkdir(parents=True)
    tune(max_trials=1, overwrite=False, project_name="q")
    for name in (".1.2.study.json", "study.lock", "splits.npz"):
        (folder / name).write_text("half")
    (folder / "trial_0").rmdir()
    tune(max_trials=1)
    (folder / "trial_0" / ".77.140.split0.best.weights.h5").write_text("half")
    (folder / ".77.140.oracle.json").write_text("half")
    tune(max_trials=2, resume=True, seed=None)
    assert not [p for p in folder.rglob("*") if files.is_partial(p.name)]


def test_overwriting_can_be_killed_too(tune, tmp_path, monkeypatch):
    """Half of a deleted study is told from a whole one, and can be deleted again."""
    first = tune()

    def killed(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        _guard._empty(first.directory)
    monkeypatch.undo()
    with pytest.raises(StudyFolderError, match="it names trials that are not there"):
        tune(resume=True, seed=None)
    assert (
        tune(overwrite=True)
        .trials["mean_val_loss"]
        .equals(first.trials["mean_val_loss"])
    )


def test_nothing_is_left_of_a_search_that_cannot_start(tune, tmp_path):
    """Neither a folder nor a lock file comes of arguments that make no sense."""
    for name in (None, "new"):
        with pytest.raises(SearchError, match="Arguments must be"):
            tune(project_name=name, directory=tmp_path / "a" / "b", max_epoch=3)
        assert not (tmp_path / "a").exists()


# -- disks ---------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 30, 31, 32, 33, 34, 35])
def test_a_disk_that_is_full_at_any_write_loses_nothing(
    n, tmp_path, whole, monkeypatch
):
    """The search ends with what to do; the same tuner or a new one goes on."""
    tuner = quick_tuner("random", tmp_path)
    sync, calls = os.fsync, []

    def full(file):
        calls.append(file)
        if len(calls) == n:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnwritableError, match=r"No space left.*Free.*resume=True"):
        tuner.search(verbose=0)
    assert_whole(tmp_path / "p")
    monkeypatch.undo()
    shutil.copytree(tmp_path / "p", tmp_path / "copy" / "p")
    tuner.search(verbose=0)
    assert table(tuner) == whole
    anew = quick_tuner("random", tmp_path / "copy")
    anew.search(verbose=0)
    assert table(anew) == whole


def test_a_really_full_disk(disk, whole):
    """A file system without room: an error, whole files, and on when there is room."""
    folder, mount = disk
    with pytest.raises(UnwritableError, match="No space left on device"):
        quick_tuner("random", folder).search(verbose=0)
    assert_whole(folder / "p")
    mount("remount", "size=16m")
    resumed = quick_tuner("random", folder)
    assert resumed.oracle.trials
    resumed.search(verbose=0)
    assert table(resumed) == whole


def test_weights_that_find_no_room_end_the_search(disk, tune, tmp_path):
    """HDF5 says so in its own way; a trial is not at fault, and none is lost."""
    folder, mount = disk
    mount("remount", "size=256k")
    with pytest.raises(UnwritableError, match="No space left on device"):
        tune(directory=folder, max_trials=12)
    assert_whole(folder / "p")
    ended = kttoolkit.load_result(folder / "p").trials
    assert 0 < len(ended) < 12
    assert set(ended["status"]) == {"completed"}
    mount("remount", "size=16m")
    resumed = tune(directory=folder, max_trials=12, resume=True, seed=None)
    other = tune(max_trials=12)
    assert resumed.trials["mean_val_loss"].equals(other.trials["mean_val_loss"])


def test_a_read_only_folder(disk, whole):
    """Refused before a trial runs; what was searched before can be read."""
    folder, mount = disk
    mount("remount", "size=16m")
    tuner = quick_tuner("random", folder)
    trials = []

    def started(trial):
        trials.append(trial)
        if len(trials) == 3:
            raise KeyboardInterrupt

    tuner.on_trial_begin = started
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    assert mount("remount", "ro").returncode == 0
    late = quick_tuner("random", folder)
    with pytest.raises(UnwritableError, match=r"study.lock .*Read-only.*writable"):
        late.search(verbose=0)
    assert len(table(late)) == 3
    mount("remount", "rw")
    resumed = quick_tuner("random", folder)
    resumed.search(verbose=0)
    assert table(resumed) == whole


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no such permissions here")
def test_a_folder_of_someone_else(tune, tmp_path):
    """A directory that may not be written is named, with what to do."""
    locked = tmp_path / "theirs"
    locked.mkdir(mode=0o555)
    everyone = Path(tmp_path.anchor)
    opened = [p for p in tmp_path.parents if p != everyone and p.owner() == "root"]
    before = os.geteuid(), {p: p.stat().st_mode for p in opened}
    if before[0] == 0:
        for path in before[1]:
            path.chmod(path.stat().st_mode | 0o055)
        tmp_path.chmod(0o755)
        os.seteuid(65534)
    try:
        with pytest.raises(UnwritableError, match=r"theirs.*denied.*another directory"):
            tune(directory=locked)
        with pytest.raises(UnwritableError, match=r"theirs.*denied.*another directory"):
            quick_tuner("random", locked)
    finally:
        os.seteuid(before[0])
        for path, mode in before[1].items():
            path.chmod(mode)


def test_a_folder_that_is_deleted_while_it_is_searched(tmp_path):
    """An error says so, and nothing of the search reappears in its place."""
    tuner = quick_tuner("random", tmp_path)
    trials = []

    def started(trial):
        trials.append(trial)
        if len(trials) == 3:
            shutil.rmtree(tmp_path / "p")

    tuner.on_trial_begin = started
    with pytest.raises(StudyFolderError, match="deleted, moved or replaced"):
        tuner.search(verbose=0)
    assert len(trials) == 3
    assert not (tmp_path / "p").exists()


def test_a_moved_folder_can_be_put_back(tmp_path, whole):
    """What was moved away in the middle of a search is whole."""
    tuner = quick_tuner("random", tmp_path)
    trials = []

    def started(trial):
        trials.append(trial)
        if len(trials) == 20:
            (tmp_path / "p").rename(tmp_path / "moved")

    tuner.on_trial_begin = started
    with pytest.raises(StudyFolderError, match="Put it back"):
        tuner.search(verbose=0)
    (tmp_path / "moved").rename(tmp_path / "p")
    resumed = quick_tuner("random", tmp_path)
    resumed.search(verbose=0)
    assert table(resumed) == whole


def test_deleted_while_a_model_is_trained(blobs, build, tmp_path):
    """No weights are written into a folder that is no more."""

    class Deletes(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            shutil.rmtree(tmp_path / "p", ignore_errors=True)

    with pytest.raises(StudyFolderError, match=r"in place while"):
        kttoolkit.tune(
            build, *blobs, tuner="random", max_trials=2, max_epochs=1, cv=2, seed=0,
            directory=tmp_path, project_name="p", verbose=0, callbacks=[Deletes()],
        )  # fmt: skip
    assert not (tmp_path / "p").exists()


def test_a_fit_that_cannot_read_is_the_trial_s_fault(blobs, build, tmp_path):
    """An OSError of the model's own fails the trial; the search goes on."""

    class Reads(keras_tuner.HyperModel):
        calls = 0

        def build(self, hp):
            return build(hp)

        def fit(self, hp, model, *args, **kwargs):
            Reads.calls += 1
            if Reads.calls == 1:
                raise OSError(errno.ENOSPC, "their own disk is full")
            return model.fit(*args, **kwargs)

    result = kttoolkit.tune(
        Reads(), *blobs, tuner="random", max_trials=2, max_epochs=1, cv=2, seed=0,
        directory=tmp_path, verbose=0,
    )  # fmt: skip
    assert list(result.trials["status"]) == ["failed", "completed"]
    assert "their own disk" in result.records[0].reason


def test_a_clock_that_is_set_back_changes_nothing(tmp_path, whole, monkeypatch):
    """An hour back at every look; trials and their order are the same."""
    now = [time.time()]

    def back():
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr(time, "time", back)
    tuner = quick_tuner("random", tmp_path)
    tuner.search(verbose=0)
    assert table(tuner) == whole
    assert table(quick_tuner("random", tmp_path)) == whole


def test_a_clock_that_is_set_back_does_not_lengthen_a_search(
    blobs, build, tmp_path, monkeypatch
):
    """Where other processes train, too: what is counted are seconds that passed."""
    monkeypatch.setattr(time, "time", lambda: 0.0)
    began = time.monotonic()
    result = kttoolkit.tune(
        build, *blobs, tuner="random", max_trials=1000, max_epochs=1000, cv=2, seed=0,
        directory=tmp_path, verbose=0, parallel=1, timeout=0.1,
    )  # fmt: skip
    assert not result.records
    assert time.monotonic() - began < 60


def test_a_name_is_flushed_after_its_file(tmp_path, monkeypatch):
    """When power is lost, the new file is there with its content, or the old one."""
    flushed, fsync = [], os.fsync

    def watched(file):
        flushed.append(Path(f"/proc/self/fd/{file}").readlink().name)
        fsync(file)

    monkeypatch.setattr(os, "fsync", watched)
    files.write_json(tmp_path / "a.json", {})
    partial, folder = flushed
    assert files.is_partial(partial)
    assert folder == tmp_path.name


def test_what_workers_write_now_is_left_alone(tmp_path):
    """A chief takes away only what nobody has written to for an hour."""
    old, new = tmp_path / "a" / ".1.2.x.json", tmp_path / ".1.2.y.json"
    old.parent.mkdir()
    for path in (old, new):
        path.write_text("{")
    os.utime(old, (0, 0))
    assert files.remove_partials(tmp_path, idle_seconds=3600) == 1
    assert list(tmp_path.rglob("*.json")) == [new]
    assert files.remove_partials(tmp_path) == 1


def test_a_trial_whose_file_is_missing_is_told(tmp_path):
    """A project that lost files is refused, and not begun anew over the rest."""
    quick_tuner("random", tmp_path).search(verbose=0)
    (tmp_path / "p" / "trial_03" / "trial.json").unlink()
    with pytest.raises(StudyFolderError, match=r"not there, .'03'"):
        quick_tuner("random", tmp_path)


def test_an_error_of_the_disk_is_an_oserror_too(tmp_path):
    """Code that catches OSError, as for any file, catches this one."""
    with pytest.raises(OSError, match="must be written") as caught:
        files.write_json(tmp_path / "no" / "such" / "folder.json", {})
    assert caught.value.errno == errno.ENOENT
    assert isinstance(caught.value, StudyFolderError)
