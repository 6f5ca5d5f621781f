"""`result.plot`: every picture as a method."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from kttoolkit.importance import Method
from kttoolkit.plots._contours import plot_contours
from kttoolkit.plots._curves import plot_curves
from kttoolkit.plots._folds import plot_folds
from kttoolkit.plots._gap import plot_gap
from kttoolkit.plots._history import plot_history
from kttoolkit.plots._importance import plot_importance
from kttoolkit.plots._parallel_coordinates import plot_parallel_coordinates
from kttoolkit.plots._predictions import (
    plot_calibration,
    plot_confusion,
    plot_residuals,
)
from kttoolkit.plots._rounds import plot_rounds
from kttoolkit.plots._rungs import plot_rungs
from kttoolkit.plots._slice import plot_slice
from kttoolkit.plots._timeline import plot_timeline
from kttoolkit.results import TuneResult


@dataclass(frozen=True)
class Plotter:
    """The pictures of a result.

    Attributes:
        result: what is drawn.

    Example:
        >>> result.plot.history()  # doctest: +SKIP
    """

    result: TuneResult

    def history(self, *, ax: Axes | None = None) -> Axes:
        """Draw every trial's score and the best so far; see `plot_history`."""
        return plot_history(self.result, ax=ax)

    def slice(
        self,
        *,
        names: Sequence[str] | None = None,
        axes: Sequence[Axes] | None = None,
    ) -> list[Axes]:
        """Draw the score against each hyperparameter; see `plot_slice`."""
        return plot_slice(self.result, names=names, axes=axes)

    def contours(
        self,
        *,
        names: Sequence[str] | None = None,
        axes: Sequence[Axes] | None = None,
    ) -> list[Axes]:
        """Draw the score over pairs of hyperparameters; see `plot_contours`."""
        return plot_contours(self.result, names=names, axes=axes)

    def curves(
        self, *, metric: str | None = None, top: int = 3, ax: Axes | None = None
    ) -> Axes:
        """Draw the learning curves of the best trials; see `plot_curves`."""
        return plot_curves(self.result, metric=metric, top=top, ax=ax)

    def folds(self, *, top: int = 5, ax: Axes | None = None) -> Axes:
        """Draw the fold scores of the best trials; see `plot_folds`."""
        return plot_folds(self.result, top=top, ax=ax)

    def gap(self, *, top: int = 8, ax: Axes | None = None) -> Axes:
        """Draw training against validation, with a verdict; see `plot_gap`."""
        return plot_gap(self.result, top=top, ax=ax)

    def parallel_coordinates(
        self, *, names: Sequence[str] | None = None, ax: Axes | None = None
    ) -> Axes:
        """Draw one line a trial; see `plot_parallel_coordinates`."""
        return plot_parallel_coordinates(self.result, names=names, ax=ax)

    def rounds(
        self,
        *,
        names: Sequence[str] | None = None,
        axes: Sequence[Axes] | None = None,
    ) -> list[Axes]:
        """Draw where each round looked, coarse to fine; see `plot_rounds`."""
        return plot_rounds(self.result, names=names, axes=axes)

    def rungs(self, *, axes: Sequence[Axes] | None = None) -> list[Axes]:
        """Draw the brackets of Hyperband; see `plot_rungs`."""
        return plot_rungs(self.result, axes=axes)

    def timeline(self, *, ax: Axes | None = None) -> Axes:
        """Draw when each trial ran; see `plot_timeline`."""
        return plot_timeline(self.result, ax=ax)

    def confusion(self, *, ax: Axes | None = None) -> Axes:
        """Draw how often classes were taken for others; see `plot_confusion`."""
        return plot_confusion(self.result, ax=ax)

    def calibration(self, *, ax: Axes | None = None) -> Axes:
        """Draw probabilities against what came true; see `plot_calibration`."""
        return plot_calibration(self.result, ax=ax)

    def residuals(self, *, ax: Axes | None = None) -> Axes:
        """Draw how far predictions are off; see `plot_residuals`."""
        return plot_residuals(self.result, ax=ax)

    def importance(
        self, *, method: Method = "permutation", seed: int = 0, ax: Axes | None = None
    ) -> Axes:
        """Draw which hyperparameters mattered; see `plot_importance`."""
        return plot_importance(self.result, method=method, seed=seed, ax=ax)
