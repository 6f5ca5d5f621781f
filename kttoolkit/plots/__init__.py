"""Pictures of a search; each has a data half, `*_frame`, and a drawing half.

`result.plot.history()` is `plot_history(result)`, and so on for the others.
"""

from kttoolkit.plots._contours import contours_frame, plot_contours
from kttoolkit.plots._curves import curves_frame, plot_curves
from kttoolkit.plots._folds import folds_frame, plot_folds
from kttoolkit.plots._gap import gap_frame, plot_gap
from kttoolkit.plots._history import history_frame, plot_history
from kttoolkit.plots._importance import importance_frame, plot_importance
from kttoolkit.plots._parallel_coordinates import (
    parallel_coordinates_frame,
    plot_parallel_coordinates,
)
from kttoolkit.plots._plotter import Plotter
from kttoolkit.plots._predictions import (
    calibration_frame,
    confusion_frame,
    plot_calibration,
    plot_confusion,
    plot_residuals,
    residuals_frame,
)
from kttoolkit.plots._rounds import plot_rounds, rounds_frame
from kttoolkit.plots._rungs import plot_rungs, rungs_frame
from kttoolkit.plots._slice import plot_slice, slice_frame
from kttoolkit.plots._timeline import plot_timeline, timeline_frame

__all__ = [
    "Plotter",
    "calibration_frame",
    "confusion_frame",
    "contours_frame",
    "curves_frame",
    "folds_frame",
    "gap_frame",
    "history_frame",
    "importance_frame",
    "parallel_coordinates_frame",
    "plot_calibration",
    "plot_confusion",
    "plot_contours",
    "plot_curves",
    "plot_folds",
    "plot_gap",
    "plot_history",
    "plot_importance",
    "plot_parallel_coordinates",
    "plot_residuals",
    "plot_rounds",
    "plot_rungs",
    "plot_slice",
    "plot_timeline",
    "residuals_frame",
    "rounds_frame",
    "rungs_frame",
    "slice_frame",
    "timeline_frame",
]
