"""The searches that are killed, and how one kills itself at a given moment.

The moment is the n-th change of a file in the study folder (seen by an audit hook, just
before it happens), the n-th call of the build function, or the n-th end of an epoch.
"""

import json
import os
import signal
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

import kttoolkit

EPOCHS = 2
FOLDS = 2
N_ROWS = 24
# Audit events that change a folder, all but "open", which may only read.
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass(frozen=True)
class Search:
    """A call of `tune` that takes a second or two.

    Attributes:
        tuner: its name.
        engine: its name.
        options: further arguments.
    """

    tuner: str
    engine: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What to call it."""
        extra = "".join(f" {key}={value}" for key, value in self.options.items()
                        if key in {"parallel", "overwrite"})  # fmt: skip
        return f"{self.tuner} {self.engine}{extra}"

    @property
    def moments(self) -> tuple[str, ...]:
        """The kinds of moments at which this one can be killed."""
        return ("file",) if "parallel" in self.options else ("file", "build", "epoch")


_SETTINGS = [{"units": 2}, {"units": 5}, {"units": 3}]
_OPTIONS: dict[str, dict[str, Any]] = {
    "random": {"max_trials": 4},
    "grid": {"max_trials": 4},
    "bayesian": {"max_trials": 4, "num_initial_points": 2},
    "hyperband": {"factor": 2},
    "manual": {"settings": _SETTINGS},
    "coarse_to_fine": {"max_trials": 4, "rounds": 2},
}
SEARCHES = (
    *(Search(name, "compiled", options) for name, options in _OPTIONS.items()),
    *(Search(name, "reference", options) for name, options in _OPTIONS.items()),
    Search("random", "compiled", {"max_trials": 4, "parallel": 2}),
    Search("random", "compiled", {"max_trials": 3, "overwrite": True}),
)

_counts: Counter[str] = Counter()
_moment: tuple[str, int] = ("none", 0)


def build(hp):
    _strike("build")
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(hp.Int("units", 2, 6), activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    rate = hp.Choice("learning_rate", [0.01, 0.1])
    model.compile(keras.optimizers.Adam(rate), "binary_crossentropy")
    return model


class AtEpoch(keras.callbacks.Callback):
    """Counts epochs."""

    def on_epoch_end(self, epoch, logs=None):
        _strike("epoch")


def run(search: Search, folder: Path, moment: tuple[str, int], told: Path) -> None:
    """Search until the end or the moment; write down how many moments there were."""
    global _moment
    _moment = moment
    inside = str(folder)
    sys.addaudithook(lambda event, args: _watch(inside, event, args))
    rng = np.random.default_rng(0)
    y = np.arange(N_ROWS) % 2
    x = rng.normal(size=(N_ROWS, 4)).astype("float32") + y[:, None]
    options = dict(search.options)
    if not options.get("overwrite"):
        options["resume"] = True
    kttoolkit.tune(
        build, x, y, tuner=search.tuner, engine=search.engine, cv=FOLDS,
        max_epochs=EPOCHS, seed=5, callbacks=[AtEpoch()], verbose=0,
        directory=folder.parent, project_name=folder.name, **options,
    )  # fmt: skip
    told.write_text(json.dumps(_counts))


def _watch(inside: str, event: str, args: tuple[Any, ...]) -> None:
    if event == "open":
        path, mode, flags = args
        changes = any(c in (mode or "") for c in "wax+") or bool(flags & _WRITING)
    else:
        path, changes = (args or ("",))[0], event in _CHANGES
    is_path = changes and isinstance(path, str | os.PathLike)
    if is_path and os.fspath(path).startswith(inside):
        _strike("file")


def _strike(what: str) -> None:
    _counts[what] += 1
    if _moment == (what, _counts[what]):
        os.kill(os.getpid(), signal.SIGKILL)
