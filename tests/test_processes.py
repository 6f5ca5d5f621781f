"""Real processes: killed at any moment, and searching together."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from searching import quick_tuner, table

from kttoolkit.results import read_records

PROGRAM = Path(__file__).with_name("searching.py")
KILLS = 2


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def wait_for_trials(folder, n, process):
    while len(list(folder.glob("p/trial_*"))) < n and process.poll() is None:
        time.sleep(0.002)


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hyperband", "bayesian"])
def test_a_killed_search_goes_on_as_if_nothing_had_happened(kind, tmp_path):
    """SIGKILL at random moments; the table is that of an uninterrupted search.

    Many trials, some of which fail; tests/faults/run.py trains, with other tuners too.
    """
    whole = quick_tuner(kind, tmp_path / "whole")
    whole.search(verbose=0)
    folder = tmp_path / "killed"
    rng = random.Random(f"{kind} 1")
    killed = 0
    finished = {}
    for attempt in range(KILLS):
        process = start("quick", kind, folder)
        wait_for_trials(folder, len(list(folder.glob("p/trial_*"))) + 2, process)
        time.sleep(rng.uniform(0, 0.06))
        process.send_signal(signal.SIGKILL)
        _, errors = process.communicate()
        assert process.returncode in {-signal.SIGKILL, 0}, errors.decode()[-2000:]
        killed += process.returncode == -signal.SIGKILL
        for path in folder.rglob("*.json"):
            if not path.name.startswith("."):
                json.loads(path.read_text())
        records = {record.trial_id: record for record in read_records(folder / "p")}
        for trial_id, record in finished.items():
            assert records[trial_id].metrics == record.metrics, attempt
        finished = records
    assert killed
    resumed = quick_tuner(kind, folder)
    resumed.search(verbose=0)
    assert table(resumed) == table(whole)
    assert len(table(whole)) > 10


@pytest.mark.slow
@pytest.mark.parametrize("tuner", ["RandomSearch", "GridSearch"])
def test_a_chief_and_two_workers_share_a_search_with_folds(tmp_path, tuner):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    names = ["chief", "tuner0", "tuner1"]
    processes = [
        start("worker", tmp_path, tuner, KERASTUNER_TUNER_ID=name, **shared)
        for name in names
    ]
    try:
        for process in processes:
            _, errors = process.communicate(timeout=240)
            assert process.returncode == 0, errors.decode()[-3000:]
    finally:
        for process in processes:
            process.kill()
    records = read_records(tmp_path / "p")
    assert [record.status for record in records] == ["completed"] * 4
    for record in records:
        assert [fit.fold for fit in record.fits] == [0, 1]
        assert len({fit.seed for fit in record.fits}) == 2
    assert len({tuple(fit.seed for fit in r.fits) for r in records}) == 1
    state = json.loads((tmp_path / "p" / "trial_0" / "trial.json").read_text())
    assert state["score"] == pytest.approx(records[0].score)


QUIET = """
from sklearn.preprocessing import StandardScaler
import kttoolkit
from kttoolkit import builders
pima = kttoolkit.datasets.load("pima_diabetes")
for seed in range(6):
    kttoolkit.tune(
        builders.mlp(units=4), pima.x, pima.y, tuner="random", max_trials=1, cv=2,
        max_epochs=1, seed=seed, verbose=0, directory={folder!r},
        preprocessor=StandardScaler(),
    )
"""


@pytest.mark.slow
@pytest.mark.parametrize("level", [None, "0"])
def test_nothing_of_tensorflow_s_start_reaches_the_user(level, tmp_path):
    """Neither what C++ writes nor a warning of too many graphs, unless it is wanted."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    code = QUIET.format(folder=str(tmp_path))
    if level is not None:
        code = "import kttoolkit; kttoolkit.engine"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout == ""
    assert (done.stderr == "") == (level is None)
