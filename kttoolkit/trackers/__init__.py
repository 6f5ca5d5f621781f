"""Trackers are told what happens in a search."""

from kttoolkit.trackers._base import SearchInfo, Tracker, Trackers
from kttoolkit.trackers._progress import ProgressTracker

__all__ = ["ProgressTracker", "SearchInfo", "Tracker", "Trackers"]
