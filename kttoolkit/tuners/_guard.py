"""What guards the folder of a tuner: one writer, nothing half, nothing forgotten."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras_tuner

from kttoolkit.engine import only_search
from kttoolkit.exceptions import StudyFolderError
from kttoolkit.files import (
    read_json,
    remove_partials,
    told_if_unwritable,
    write_json,
)
from kttoolkit.locks import LOCK_FILE, check_in_place, has_chief, is_worker, owned

# Keras Tuner's own names.
_ORACLE = "oracle.json"
_TRIALS = "trial_"


class GuardedTuner(keras_tuner.Tuner):
    """A `keras_tuner.Tuner` that has its folder for itself while it searches.

    Args:
        oracle: proposes hyperparameters.
        hypermodel: a build function or `HyperModel`.
        directory: holds the folders of all projects.
        project_name: the folder's name.
        overwrite: whether to delete what is in it.
        **kwargs: other arguments of `keras_tuner.Tuner`.
    """

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: Any = None,
        *,
        directory: Any = None,
        project_name: str | None = None,
        overwrite: bool = False,
        **kwargs: Any,
    ) -> None:
        if overwrite and not is_worker():
            folder = Path(directory or ".") / (project_name or "untitled_project")
            with owned(folder):
                _empty(folder)
        super().__init__(
            oracle,
            hypermodel,
            directory=directory,
            project_name=project_name,
            **kwargs,
        )

    @property
    def project_dir(self) -> str:
        """The tuner's folder, which is made if it is not there."""
        return made(Path(self.directory) / self.project_name)

    def get_trial_dir(self, trial_id: str) -> str:
        """Return a trial's folder, which is made if it is not there."""
        return made(Path(self.project_dir) / f"{_TRIALS}{trial_id}")

    def save(self) -> None:
        """Write the tuner's and the oracle's state, whole or not at all."""
        if not self._is_worker():
            self.oracle.save()
        write_json(Path(self._get_tuner_fname()), self.get_state())

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Lock the folder, clean it of what a kill left, and go on where it stands.

        Yields:
            Nothing, while the search runs.

        Raises:
            SearchError: if another thread is searching, another search writes in the
                folder, or has done so since this tuner was made.
        """
        if is_worker():
            yield
            return
        folder = Path(self.project_dir)
        with only_search(), owned(folder):
            # The chief's workers may be writing; none takes an hour over one file.
            remove_partials(folder, idle_seconds=3600 if has_chief() else 0)
            self._take_up(folder / _ORACLE)
            # A kill in the first trial must not make the next start forget it.
            self.save()
            yield

    def _take_up(self, path: Path) -> None:
        oracle = self.oracle
        known = [set(oracle.start_order), set(oracle.end_order)]
        state = read_json(path) if path.exists() else {}
        found = [set(state.get(name, ())) for name in ("start_order", "end_order")]
        if any(here - mine for here, mine in zip(found, known, strict=True)):
            raise StudyFolderError(
                f"A tuner searches on from what its folder holds, but {path.parent} "
                "has been searched by another one since this one was made. Make it "
                "again."
            )
        if known[0] - found[0] and not state:
            raise StudyFolderError(
                f"A tuner searches on from what its folder holds, but {path} is gone. "
                "Make the tuner again to start anew."
            )
        if any(t.status != "RUNNING" for t in oracle.ongoing_trials.values()):
            # The end of a trial could not be written: the disk knows how far it came.
            self.reload()


def made(folder: Path) -> str:
    """Make a folder, unless the search has lost its place.

    Args:
        folder: of a project or a trial in it.

    Returns:
        Its path.
    """
    check_in_place(folder)
    with told_if_unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def _empty(folder: Path) -> None:
    """Delete a project so that, killed meanwhile, it still says what it was."""
    with told_if_unwritable(folder):
        for path in sorted(folder.iterdir(), key=_late):
            if path.name == LOCK_FILE:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _late(path: Path) -> int:
    """Order trials before what refers to them, and what names the study last."""
    if path.name.startswith(_TRIALS):
        return 0
    return 2 if path.name == "study.json" else 1
