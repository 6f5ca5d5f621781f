"""Trackers are told what happens in a search."""

from kttoolkit.trackers._base import SearchInfo, Tracker, Trackers
from kttoolkit.trackers._csv import CSVTracker
from kttoolkit.trackers._mlflow import MLflowTracker
from kttoolkit.trackers._optuna import OptunaTracker
from kttoolkit.trackers._progress import ProgressTracker
from kttoolkit.trackers._registry import TRACKERS, TrackersLike, as_trackers
from kttoolkit.trackers._tensorboard import TensorBoardTracker
from kttoolkit.trackers._wandb import WandbTracker

__all__ = [
    "TRACKERS",
    "CSVTracker",
    "MLflowTracker",
    "OptunaTracker",
    "ProgressTracker",
    "SearchInfo",
    "TensorBoardTracker",
    "Tracker",
    "Trackers",
    "TrackersLike",
    "WandbTracker",
    "as_trackers",
]
