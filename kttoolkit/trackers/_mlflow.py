"""A run of MLflow for each search, and one inside it for each trial."""

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kttoolkit.files import read_json, write_json
from kttoolkit.results import TrialRecord
from kttoolkit.trackers._base import SearchInfo, Tracker
from kttoolkit.trackers._library import (
    FOLDER,
    library,
    needs,
    scores_of,
    study_name,
    tell_again,
)

DATABASE = "mlflow.db"
ARTIFACTS = "mlartifacts"
MODEL_FILE = "model.keras"
_RUN_FILE = "mlflow.json"
_PARENT = "mlflow.parentRunId"
_TRIAL, _ATTEMPT, _STATUS = (f"kttoolkit.{n}" for n in ("trial", "attempt", "status"))
_STATES = {"completed": "FINISHED", "failed": "FAILED", "skipped": "FAILED"}
_LOUD = ("mlflow.store.db.utils", "alembic.runtime.migration")
# The longest tag that every server takes.
_LONGEST = 5000


class MLflowTracker(Tracker):
    """Logs a search as a run, with a nested run for each trial.

    A trial's run has the hyperparameters as parameters, `split<k>/<metric>` by epoch,
    `mean_<metric>` and `std_<metric>`, and the reason of a failure as its description.
    The best trial's run gets an artifact `model.keras`, the model of its best fold. A
    trial that is retried is another run, told by the tag `kttoolkit.attempt`. A resumed
    search goes on in the run of the search, and adds trials that it does not have yet.

    Args:
        tracking_uri: of a server or store; the environment's MLFLOW_TRACKING_URI by
            default, or `mlflow.db` in the study folder.
        experiment: name of the experiment; the environment's MLFLOW_EXPERIMENT_NAME by
            default, or the study folder's name.
        tags: of every run.
        log_model: whether to log the best trial's model.

    Raises:
        MissingDependencyError: if mlflow, or what its stores need, is not installed.

    Example:
        >>> import kttoolkit
        >>> kttoolkit.tune(build, x, y, trackers="mlflow")  # doctest: +SKIP

        Then `mlflow ui --backend-store-uri sqlite:///studies/mine/mlflow.db`.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        experiment: str | None = None,
        tags: Mapping[str, str] | None = None,
        log_model: bool = True,
    ) -> None:
        is_elsewhere = bool(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"))
        store = () if is_elsewhere else ("sqlalchemy", "alembic")
        needs("MLflowTracker", "mlflow", "mlflow", *store)
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.tags = dict(tags or {})
        self.log_model = log_model
        self._client: Any = None
        self._experiment = ""
        self._parent = ""
        self._runs: dict[str, str] = {}
        self._ended: dict[str, str] = {}

    def search_started(self, info: SearchInfo) -> None:
        """Open the search's run, and add trials that ended without this tracker."""
        folder = Path(info.directory).absolute()
        own = f"sqlite:///{(folder / DATABASE).as_posix()}"
        uri = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or own
        with _quiet():
            self._client = library("mlflow").MlflowClient(tracking_uri=uri)
            self._experiment = self._find_experiment(
                self.experiment
                or os.environ.get("MLFLOW_EXPERIMENT_NAME")
                or study_name(info),
                (folder / ARTIFACTS).as_uri() if uri == own else None,
            )
        self._runs, self._ended = {}, {}
        self._open_parent(info, uri)
        for record in info.ended:
            if record.trial_id not in self._ended:
                self.trial_started(record.trial_id, record.values)
                tell_again(self, record)
                self.trial_ended(record)

    def trial_started(self, trial_id: str, values: Mapping[str, Any]) -> None:
        """Open a run in the search's."""
        tags = {**self.tags, _PARENT: self._parent, _TRIAL: trial_id}
        run = self._client.create_run(
            self._experiment, run_name=f"trial {trial_id}", tags=tags
        )
        self._runs[trial_id] = run.info.run_id
        self._log(trial_id, params=values)

    def epoch_ended(
        self, trial_id: str, split: int, epoch: int, logs: Mapping[str, float]
    ) -> None:
        """Log an epoch."""
        values = {f"split{split}/{name}": value for name, value in logs.items()}
        self._log(trial_id, values, step=epoch)

    def trial_ended(self, record: TrialRecord) -> None:
        """Log the scores and close the run."""
        run_id = self._runs[record.trial_id]
        tags = {_ATTEMPT: record.attempt, _STATUS: record.status}
        if record.message:
            tags["mlflow.note.content"] = record.message[:_LONGEST]
        known = self._client.get_run(run_id).data.params
        # The build function may have asked for more than was proposed.
        new = {k: v for k, v in record.values.items() if k not in known}
        self._log(record.trial_id, scores_of(record), params=new, tags=tags)
        self._client.set_terminated(run_id, _STATES[record.status])
        self._ended[record.trial_id] = self._runs.pop(record.trial_id)

    def best_found(self, record: TrialRecord, save: Callable[[Path], None]) -> None:
        """Log the best score, and the model as an artifact."""
        run_id = self._ended[record.trial_id]
        for name, value in scores_of(record).items():
            self._client.log_metric(self._parent, f"best_{name}", value)
        self._client.set_tag(self._parent, "kttoolkit.best_trial", record.trial_id)
        if not self.log_model:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / MODEL_FILE
            save(path)
            with _quiet():
                self._client.log_artifact(run_id, str(path))

    def search_ended(self) -> None:
        """Close the search's run."""
        self._close_runs()
        self._client.set_terminated(self._parent, "FINISHED")
        self._parent = ""

    def close(self) -> None:
        """Close runs that a failure left open."""
        if self._client is not None and self._parent:
            self._close_runs()
            self._client.set_terminated(self._parent, "FAILED")
            self._parent = ""

    def _close_runs(self) -> None:
        for trial_id in list(self._runs):
            self._client.set_terminated(self._runs.pop(trial_id), "KILLED")

    def _find_experiment(self, name: str, artifacts: str | None) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(name, artifact_location=artifacts))

    def _open_parent(self, info: SearchInfo, uri: str) -> None:
        """Open the run of the search, which the study folder knows of."""
        path = Path(info.directory) / FOLDER / _RUN_FILE
        known = read_json(path) if path.exists() else {}
        if known.get("tracking_uri") == uri:
            self._parent = known["run_id"]
            self._client.update_run(self._parent, status="RUNNING")
            self._read_runs()
            return
        tags = {
            **self.tags,
            "kttoolkit.tuner": info.tuner,
            "kttoolkit.objective": info.objective,
            "kttoolkit.direction": info.direction,
            "kttoolkit.study": info.directory,
        }
        run = self._client.create_run(
            self._experiment, run_name=study_name(info), tags=tags
        )
        self._parent = run.info.run_id
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"tracking_uri": uri, "run_id": self._parent})

    def _read_runs(self) -> None:
        """Find the trials of an earlier run of the search."""
        token = None
        while True:
            runs = self._client.search_runs(
                [self._experiment],
                f"tags.`{_PARENT}` = '{self._parent}'",
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            for run in runs:
                if _STATUS in run.data.tags:
                    self._ended[run.data.tags[_TRIAL]] = run.info.run_id
                elif run.info.status == "RUNNING":
                    self._client.set_terminated(run.info.run_id, "KILLED")
            token = runs.token
            if not token:
                return

    def _log(
        self,
        trial_id: str,
        metrics: Mapping[str, float] | None = None,
        *,
        step: int = 0,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        entities = library("mlflow.entities")
        now = int(time.time() * 1000)
        self._client.log_batch(
            self._runs[trial_id],
            [
                entities.Metric(k, float(v), now, step)
                for k, v in (metrics or {}).items()
            ],
            [entities.Param(k, str(v)) for k, v in (params or {}).items()],
            [entities.RunTag(k, str(v)) for k, v in (tags or {}).items()],
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow from telling of every table that it makes."""
    levels = {name: logging.getLogger(name).level for name in _LOUD}
    for name in levels:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
