"""Pictures of a search; each has a data half, `*_frame`, and a drawing half.

`result.plot.history()` is `plot_history(result)`, and so on for the others.
"""

from kttoolkit.plots._curves import curves_frame, plot_curves
from kttoolkit.plots._folds import folds_frame, plot_folds
from kttoolkit.plots._history import history_frame, plot_history
from kttoolkit.plots._importance import importance_frame, plot_importance
from kttoolkit.plots._plotter import Plotter
from kttoolkit.plots._slice import plot_slice, slice_frame

__all__ = [
    "Plotter",
    "curves_frame",
    "folds_frame",
    "history_frame",
    "importance_frame",
    "plot_curves",
    "plot_folds",
    "plot_history",
    "plot_importance",
    "plot_slice",
    "slice_frame",
]
