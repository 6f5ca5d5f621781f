"""Searches killed at any moment: is anything lost?

    python tests/faults/run.py --kills 200 --seed 0   # or: make faults

Real searches run as processes, each in a folder of its own. They are sent SIGKILL at
moments drawn from the seed: at the n-th change of a file, in the n-th build, at the end
of the n-th epoch, or after some time. After each kill every JSON file must parse, and
every trial that had ended must be there, byte for byte. The next process resumes. At
the end the table must be that of an uninterrupted search, and the folder must hold the
same files. Prints the figures, and ends with 1 if anything was lost.

Processes are forked from this one, which has imported TensorFlow and never run it.
"""

import argparse
import gc
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

# One thread, so that a fork copies all there is.
os.environ.update(
    TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", OPENBLAS_NUM_THREADS="1"
)

import searches

import kttoolkit.workers  # noqa: F401
from kttoolkit import tune  # noqa: F401
from kttoolkit.files import is_partial
from kttoolkit.results import read_records

LIMIT = 300


@dataclass
class Figures:
    """What came of it."""

    kills: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    trials_kept: int = 0
    bytes_kept: int = 0
    bytes_lost: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Whole:
    """An uninterrupted search, which the killed ones are compared with."""

    table: list[tuple]
    files: set[str]
    counts: dict[str, int]
    seconds: float


def main() -> int:
    options = parse()
    began = time.perf_counter()
    figures = Figures()
    rng = random.Random(options.seed)
    wanted = [s for s in searches.SEARCHES if options.only in s.name]
    whole: dict[str, Whole] = {}
    turn = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as room:
        while figures.kills < options.kills and not figures.faults:
            search = wanted[turn % len(wanted)]
            if search.name not in whole:
                whole[search.name] = uninterrupted(search, Path(room))
            kills = min(options.each, options.kills - figures.kills)
            study = Study(search, whole[search.name], Path(room) / f"{turn}" / "p")
            study.put_to_the_test(kills, rng, figures)
            turn += 1
            tell(f"{figures.kills} kills, {search.name}")
    report(figures, options, turn, time.perf_counter() - began)
    return 1 if figures.faults or figures.bytes_lost else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", type=int, default=4, help="kills of one search")
    parser.add_argument("--only", default="", help="part of a search's name")
    return parser.parse_args()


def uninterrupted(search: searches.Search, room: Path) -> Whole:
    folder = room / f"whole {search.name}" / "p"
    began = time.perf_counter()
    code, errors = launch(search, folder, ("none", 0))
    if code:
        raise RuntimeError(f"{search.name} fails without any kill:\n{errors}")
    counts = json.loads(told_of(folder).read_text())
    return Whole(
        table_of(folder), files_of(folder), counts, time.perf_counter() - began
    )


@dataclass
class Study:
    """A search that is killed, resumed and compared with a whole one."""

    search: searches.Search
    whole: Whole
    folder: Path
    ended: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def put_to_the_test(self, kills: int, rng: random.Random, figures: Figures) -> None:
        """Kill it so many times, or until it ends before; then let it end."""
        if "overwrite" in self.search.options:
            # There has to be something that is overwritten.
            launch(self.search, self.folder, ("none", 0))
        for number in range(kills):
            moment = self.draw(rng)
            where = f"{self.search.name}, kill {number} at {moment}"
            code, errors = launch(self.search, self.folder, moment)
            if code == 0:
                break
            if code != -signal.SIGKILL:
                figures.faults.append(f"{where}: ended with {code}\n{errors}")
                return
            figures.kills += 1
            figures.moments[moment[0]] += 1
            self.look(where, figures)
        self.end(figures)

    def draw(self, rng: random.Random) -> tuple[str, float]:
        """Draw a moment of what is left to do; about half of them are files'."""
        left = 1 - len(self.ended) / len(self.whole.table)
        kind = rng.choice(["file", "file", "timer", *self.search.moments])
        if kind == "timer":
            return kind, rng.uniform(0, self.whole.seconds * left)
        return kind, rng.randint(1, max(1, round(self.whole.counts[kind] * left)))

    def look(self, where: str, figures: Figures) -> None:
        """See that what was there is there; take note of what has come to it."""
        now = inspect(self.folder, where, figures)
        if "overwrite" not in self.search.options:
            compare(self.ended, now, where, figures)
            self.ended = now

    def end(self, figures: Figures) -> None:
        """Resume without a kill, and compare."""
        name = self.search.name
        code, errors = launch(self.search, self.folder, ("none", 0))
        if code:
            figures.faults.append(f"{name}: cannot be resumed\n{errors}")
            return
        self.look(name, figures)
        table, files = table_of(self.folder), files_of(self.folder)
        if table != self.whole.table:
            figures.faults.append(f"{name}: {table}\ninstead of {self.whole.table}")
        if files != self.whole.files:
            different = sorted(files ^ self.whole.files)
            figures.faults.append(f"{name}: files that differ: {different}")


def launch(search, folder: Path, moment: tuple[str, float]) -> tuple[int, str]:
    """Run a search in a process; return its exit code and what it wrote."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.parent / "log"
    sys.stdout.flush()
    gc.freeze()
    child = os.fork()
    if not child:
        in_child(search, folder, moment, log)
    limit = moment[1] if moment[0] == "timer" else LIMIT
    end = time.perf_counter() + limit
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), log.read_text()[-3000:]
        if time.perf_counter() > end:
            os.kill(child, signal.SIGKILL)
            if moment[0] != "timer":
                os.waitpid(child, 0)
                return 124, f"took longer than {LIMIT} s\n{log.read_text()[-3000:]}"
            end += LIMIT
        time.sleep(0.001)


def in_child(search, folder: Path, moment, log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    code = 0
    try:
        searches.run(search, folder, moment, told_of(folder))
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)


def told_of(folder: Path) -> Path:
    return folder.parent / "counts.json"


def inspect(folder: Path, where: str, figures: Figures) -> dict[str, dict[str, bytes]]:
    """Parse all JSON; return the files of every trial that the oracle calls ended."""
    for path in folder.rglob("*.json"):
        if not is_partial(path.name):
            try:
                json.loads(path.read_text("utf-8"))
            except ValueError as error:
                figures.faults.append(f"{where}: {path.name} is damaged: {error}")
    oracle = folder / "oracle.json"
    if not oracle.exists():
        return {}
    ended = {}
    for trial_id in json.loads(oracle.read_text())["end_order"]:
        files = (folder / f"trial_{trial_id}").glob("*")
        ended[trial_id] = {
            path.name: path.read_bytes()
            for path in files
            if path.name != "trial.json" and not is_partial(path.name)
        }
    return ended


def compare(before, now, where: str, figures: Figures) -> None:
    for trial_id, files in before.items():
        figures.trials_kept += 1
        for name, content in files.items():
            if now.get(trial_id, {}).get(name) == content:
                figures.bytes_kept += len(content)
            else:
                figures.bytes_lost += len(content)
                figures.faults.append(f"{where}: trial {trial_id} lost {name}")


def table_of(folder: Path) -> list[tuple]:
    return [
        (r.trial_id, dict(r.values), r.status, r.attempt, dict(r.metrics))
        for r in read_records(folder)
    ]


def files_of(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def report(figures: Figures, options, turns: int, seconds: float) -> None:
    moments = ", ".join(f"{n} {kind}" for kind, n in sorted(figures.moments.items()))
    lines = [
        f"seed: {options.seed}",
        f"kills survived: {figures.kills} ({moments}) in {turns} searches",
        f"ended trials found again: {figures.trials_kept}",
        f"bytes kept: {figures.bytes_kept}",
        f"bytes lost: {figures.bytes_lost}",
        f"faults: {len(figures.faults)}",
        f"seconds: {seconds:.0f}",
        *figures.faults,
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
