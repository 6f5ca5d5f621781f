"""A run of Weights & Biases for each trial."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kttoolkit.results import TrialRecord, mean_curve
from kttoolkit.trackers._base import SearchInfo, Tracker
from kttoolkit.trackers._library import FOLDER, library, needs, scores_of, study_name

_PROJECT = "kttoolkit"
_EPOCH = "epoch"
_FAILED = 1


class WandbTracker(Tracker):
    """Logs each trial as a run, all runs of a study in one group.

    The config holds the hyperparameters; `split<k>/<metric>` are the curves of the
    folds over `epoch`, `mean/<metric>` their mean; the summary holds
    `mean_<metric>`, `std_<metric>`, `status` and, of a trial that failed, `reason` and
    `message`. Such a run is marked as failed. A trial that is retried is another run,
    with the tag `attempt <number>`. A resumed search logs new trials only.

    Args:
        project: where runs go; the environment's WANDB_PROJECT by default, or
            "kttoolkit".
        entity: user or team.
        group: name of all runs together; the study folder's name by default.
        tags: of every run.
        mode: "online", "offline" or "disabled"; as the environment says by default.
        directory: where wandb keeps its files; `trackers` in the study folder by
            default.

    Raises:
        MissingDependencyError: if wandb is not installed.

    Example:
        >>> import kttoolkit
        >>> from kttoolkit.trackers import WandbTracker
        >>> tracker = WandbTracker("diabetes", tags=["mlp"])  # doctest: +SKIP
        >>> kttoolkit.tune(build, x, y, trackers=tracker)  # doctest: +SKIP
    """

    def __init__(
        self,
        project: str | None = None,
        *,
        entity: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        mode: str | None = None,
        directory: str | Path | None = None,
    ) -> None:
        needs("WandbTracker", "wandb", "wandb")
        self.project = project
        self.entity = entity
        self.group = group
        self.tags = tuple(tags)
        self.mode = mode
        self.directory = directory
        self._group = ""
        self._folder = Path()
        self._runs: dict[str, Any] = {}

    def search_started(self, info: SearchInfo) -> None:
        """Name the group."""
        self._group = self.group or study_name(info)
        default = Path(info.directory).absolute() / FOLDER
        self._folder = Path(self.directory or default)

    def trial_started(self, trial_id: str, values: Mapping[str, Any]) -> None:
        """Open a run."""
        wandb = library("wandb")
        self._folder.mkdir(parents=True, exist_ok=True)
        run = wandb.init(
            project=self.project or os.environ.get("WANDB_PROJECT", _PROJECT),
            entity=self.entity,
            group=self._group,
            job_type="trial",
            name=f"{self._group}/{trial_id}",
            tags=self.tags,
            config=dict(values),
            mode=self.mode,
            dir=str(self._folder),
            # Several trials may be open, and none is the user's own `wandb.run`.
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )
        self._runs[trial_id] = run
        run.define_metric(_EPOCH)
        run.define_metric("mean/*", step_metric=_EPOCH)

    def fold_started(self, trial_id: str, split: int, n_splits: int) -> None:
        """Draw the fold's curves over epochs."""
        self._runs[trial_id].define_metric(f"split{split}/*", step_metric=_EPOCH)

    def epoch_ended(
        self, trial_id: str, split: int, epoch: int, logs: Mapping[str, float]
    ) -> None:
        """Log an epoch."""
        values = {f"split{split}/{name}": value for name, value in logs.items()}
        self._runs[trial_id].log({_EPOCH: epoch, **values})

    def trial_ended(self, record: TrialRecord) -> None:
        """Log mean curves and scores, and close the run."""
        run = self._runs[record.trial_id]
        # The build function may have asked for more than was proposed.
        run.config.update(dict(record.values), allow_val_change=True)
        for epoch, values in _mean_curves(record).items():
            run.log({_EPOCH: epoch, **values})
        run.summary.update({**scores_of(record), "status": record.status})
        if record.message:
            run.summary.update({"reason": record.reason, "message": record.message})
        if record.attempt:
            run.tags = (*run.tags, f"attempt {record.attempt}")
        self._finish(record.trial_id, 0 if record.status == "completed" else _FAILED)

    def search_ended(self) -> None:
        """Close what an interruption left open, as failed."""
        self.close()

    def close(self) -> None:
        """Close all runs, as failed."""
        for trial_id in list(self._runs):
            self._finish(trial_id, _FAILED)

    def _finish(self, trial_id: str, exit_code: int) -> None:
        self._runs.pop(trial_id).finish(exit_code=exit_code)


def _mean_curves(record: TrialRecord) -> dict[int, dict[str, float]]:
    """Return the mean of every metric over the folds, by epoch."""
    found: dict[int, dict[str, float]] = {}
    for name in record.fits[0].history if record.fits else ():
        for epoch, value in mean_curve(record, name).items():
            found.setdefault(epoch, {})[f"mean/{name}"] = value
    return found
