"""What is kept of a trial and of the study it belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kttoolkit.exceptions import StudyFolderError
from kttoolkit.files import read_json, write_json
from kttoolkit.plain import (
    Check,
    is_count,
    is_number,
    is_plain,
    is_scalar,
    is_seed,
    is_text,
    is_time,
    list_of,
    maybe,
    names_to,
    one_of,
    shown,
)
from kttoolkit.results._checks import check_fields, damaged, refuse_links
from kttoolkit.scoring import FoldFit, best_index

RECORD_FILE = "folds.json"
STUDY_FILE = "study.json"
SPLITS_FILE = "splits.npz"
FORMAT = 1
_JSON_TYPES = (str, int, float, np.generic)

Status = Literal["completed", "failed", "skipped"]

_IS_DIRECTION = one_of("min", "max")
# The first ones of each must be there.
_OF_A_TRIAL: dict[str, Check] = {
    "trial_id": is_text,
    "values": names_to(is_plain),
    "status": one_of("completed", "failed", "skipped"),
    "splits": names_to(list_of(is_number)),
    "epochs": list_of(is_count),
    "fits": lambda value: isinstance(value, list),
    "message": lambda value: isinstance(value, str),
    "attempt": is_count,
    "seconds": is_time,
    "ended": is_time,
    "objective": is_text,
    "direction": _IS_DIRECTION,
    "metrics": names_to(is_number),
}
_OF_A_FIT: dict[str, Check] = {
    "split": is_count,
    "fold": is_count,
    "execution": is_count,
    "seed": is_seed,
    "history": names_to(list_of(is_number)),
    "initial_epoch": is_count,
    "n_train": is_count,
    "n_test": is_count,
    "seconds": is_time,
    "n_parameters": is_count,
}
_OF_A_STUDY: dict[str, Check] = {
    "tuner": is_text,
    "objective": is_text,
    "direction": _IS_DIRECTION,
    "seed": is_seed,
    "cv": is_text,
    "n_splits": is_count,
    "task": is_text,
    "classes": list_of(is_scalar),
    "n_samples": is_count,
    "n_test": is_count,
    "epoch_selection": is_text,
    "batch_size": maybe(is_count),
    "max_epochs": maybe(is_count),
    "fingerprints": names_to(is_text),
    "versions": names_to(is_text),
}


@dataclass(frozen=True)
class TrialRecord:
    """A trial that ended: `trial_<id>/folds.json` in the study folder.

    Attributes:
        trial_id: as Keras Tuner numbers it.
        values: hyperparameter names to values.
        status: "completed", "failed", or "skipped" (larger than `max_model_size`).
        message: why it failed, in one line and a trace.
        attempt: how often it had failed before.
        seconds: wall time.
        ended: when, in seconds since 1970 (UTC); 0 if unknown.
        objective: name of what was optimised.
        direction: "min" or "max".
        metrics: metric to its mean over the splits at the chosen epochs.
        splits: metric to one value a split, of shape (n_splits,).
        epochs: the chosen epoch of each split, from 1.
        fits: every training with all its epochs.
    """

    trial_id: str
    values: Mapping[str, Any]
    status: str
    message: str = ""
    attempt: int = 0
    seconds: float = 0.0
    ended: float = 0.0
    objective: str = ""
    direction: str = "min"
    metrics: Mapping[str, float] = field(default_factory=dict)
    splits: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    epochs: tuple[int, ...] = ()
    fits: tuple[FoldFit, ...] = ()

    def __post_init__(self) -> None:
        # Errors may name files whose names are no text.
        text = self.message.encode("utf-8", "backslashreplace").decode()
        object.__setattr__(self, "message", text)

    @property
    def score(self) -> float:
        """Mean of the objective, NaN for a trial that did not complete."""
        if self.status != "completed":
            return float("nan")
        return float(self.metrics.get(self.objective, float("nan")))

    @property
    def std(self) -> float:
        """Standard deviation of the objective over the splits (as NumPy's)."""
        return spread(self.splits.get(self.objective, ()))

    @property
    def n_epochs(self) -> int:
        """Epochs trained, of all trainings together."""
        return sum(fit.epochs for fit in self.fits)

    @property
    def n_starts(self) -> int:
        """Trainings that began with fresh weights."""
        return sum(not fit.initial_epoch for fit in self.fits)

    @property
    def n_parameters(self) -> int:
        """Trainable numbers of the model, 0 if unknown."""
        return self.fits[0].n_parameters if self.fits else 0

    @property
    def test_share(self) -> float:
        """Rows of a fold that are scored, divided by those trained on."""
        shares = [fit.n_test / fit.n_train for fit in self.fits if fit.n_train]
        return float(np.mean(shares)) if shares else float("nan")

    @property
    def best_split(self) -> int:
        """The training with the best objective."""
        values = self.splits.get(self.objective, ())
        return best_index(values, self.direction) if values else 0

    @property
    def reason(self) -> str:
        """The first line of `message`."""
        return self.message.splitlines()[0] if self.message else ""

    def write(self, folder: Path) -> None:
        """Write the record, whole or not at all.

        Args:
            folder: the trial's own.
        """
        write_json(folder / RECORD_FILE, {"format": FORMAT, **asdict(self)})

    @classmethod
    def read(cls, folder: Path) -> "TrialRecord | None":
        """Read the record of a trial.

        Args:
            folder: the trial's own.

        Returns:
            The record, or None if the trial has not ended yet.

        Raises:
            StudyFolderError: if it is damaged or of a later format.
        """
        path = folder / RECORD_FILE
        if not path.exists():
            return None
        state = _read_state(path, "a trial")
        check_fields(state, _OF_A_TRIAL, 6, path, "a trial")
        for fit in state["fits"]:
            check_fields(fit, _OF_A_FIT, 5, path, "a trial")
        _check_trial(state, path)
        fits = tuple(FoldFit.from_json(fit) for fit in state["fits"])
        splits = {k: tuple(v) for k, v in state["splits"].items()}
        epochs = tuple(state["epochs"])
        return cls(**{**state, "fits": fits, "splits": splits, "epochs": epochs})


@dataclass(frozen=True)
class Study:
    """What a search was asked to do: `study.json` in the study folder.

    Attributes:
        tuner: its class.
        objective: name of what is optimised.
        direction: "min" or "max".
        seed: from which everything random is drawn.
        cv: the splitter as one would write it.
        n_splits: trainings of a trial.
        task: what is predicted.
        classes: the names of the classes, in the model's order.
        n_samples: rows that the folds are cut from.
        n_test: rows set aside before the search.
        epoch_selection: how epochs were chosen.
        batch_size: rows a step, or None for the default of `fit`.
        max_epochs: the most epochs of a trial, or None.
        fingerprints: SHA-256 of the data, the folds and the search space.
        versions: of the packages that ran.
    """

    tuner: str
    objective: str
    direction: str
    seed: int
    cv: str
    n_splits: int
    task: str = "other"
    classes: tuple[Any, ...] = ()
    n_samples: int = 0
    n_test: int = 0
    epoch_selection: str = "per_fold"
    batch_size: int | None = None
    max_epochs: int | None = None
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the study's description.

        Args:
            folder: the study folder.
        """
        # pandas.cut names classes by intervals, which JSON does not have.
        classes = [c if isinstance(c, _JSON_TYPES) else str(c) for c in self.classes]
        state = {"format": FORMAT, **asdict(self), "classes": classes}
        write_json(folder / STUDY_FILE, state)

    @classmethod
    def read(cls, folder: Path) -> "Study":
        """Read the study's description.

        Args:
            folder: the study folder.

        Returns:
            The study.

        Raises:
            StudyFolderError: if it is missing, damaged or of a later format.
        """
        path = folder / STUDY_FILE
        if folder.is_dir():
            refuse_links(folder)
        if not path.exists():
            raise StudyFolderError(
                f"A study folder must hold {STUDY_FILE}, which kttoolkit.tune writes, "
                f"but {path} is missing. The project of a tuner class is read by that "
                "tuner: make it again, with the same directory and project_name."
            )
        state = _read_state(path, "a study")
        check_fields(state, _OF_A_STUDY, 6, path, "a study")
        return cls(**{**state, "classes": tuple(state.get("classes", ()))})


def read_records(folder: Path) -> tuple[TrialRecord, ...]:
    """Read every trial that ended, in the order in which they were proposed.

    Args:
        folder: the study folder.

    Returns:
        The records.
    """
    found = (
        TrialRecord.read(path.parent) for path in folder.glob(f"trial_*/{RECORD_FILE}")
    )
    records = [record for record in found if record is not None]
    return tuple(sorted(records, key=lambda r: (len(r.trial_id), r.trial_id)))


def spread(values: Sequence[float]) -> float:
    """Return the standard deviation as NumPy's, NaN where a value is not finite.

    Args:
        values: one a split.

    Returns:
        A number, NaN of no values.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return float(np.std(values)) if values else float("nan")


def share_of_epochs_saved(
    n_starts: int, n_epochs: int, max_epochs: int | None
) -> float | None:
    """Return what stopping early saved, as a share of the epochs.

    Args:
        n_starts: trainings from the start; one that goes on from a lower rung of
            Hyperband is none.
        n_epochs: that were trained, of all trainings together.
        max_epochs: that each start could have been trained for.

    Returns:
        A number from 0 to 1, or None where nothing is known.

    Example:
        >>> share_of_epochs_saved(10, 75, 30)
        0.75
    """
    if not max_epochs or not n_starts:
        return None
    return max(0.0, 1 - n_epochs / (n_starts * max_epochs))


def _check_trial(state: Mapping[str, Any], path: Path) -> None:
    """Refuse a trial whose parts do not fit together, or that is called otherwise."""
    # The name becomes part of a path that is written to.
    name = path.parent.name.removeprefix("trial_")
    if state["trial_id"] != name:
        raise StudyFolderError(
            damaged(path, "a trial", f"its name is {shown(state['trial_id'])}")
        )
    n_fits = len(state["fits"])
    lengths = {key: len(values) for key, values in state["splits"].items()}
    lengths["epochs"] = len(state["epochs"]) or n_fits
    wrong = {key: n for key, n in lengths.items() if n_fits and n != n_fits}
    if wrong:
        told = f"it has {n_fits} trainings, but {shown(wrong)} values"
        raise StudyFolderError(damaged(path, "a trial", told))


def _read_state(path: Path, what: str) -> dict[str, Any]:
    state = read_json(path)
    if not isinstance(state, dict):
        raise StudyFolderError(
            f"{path} must hold {what}, but it holds {shown(state)}. Restore it from a "
            "copy."
        )
    found = state.pop("format", None)
    if found != FORMAT:
        raise StudyFolderError(
            f"{path} must be of format {FORMAT}, but it is of format {shown(found)}. "
            "Open it with the version of kttoolkit that wrote it."
        )
    return state
