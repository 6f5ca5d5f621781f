"""`result.plot`: every picture as a method."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from kttoolkit.importance import Method
from kttoolkit.plots._curves import plot_curves
from kttoolkit.plots._folds import plot_folds
from kttoolkit.plots._history import plot_history
from kttoolkit.plots._importance import plot_importance
from kttoolkit.plots._slice import plot_slice
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

    def curves(
        self, *, metric: str | None = None, top: int = 3, ax: Axes | None = None
    ) -> Axes:
        """Draw the learning curves of the best trials; see `plot_curves`."""
        return plot_curves(self.result, metric=metric, top=top, ax=ax)

    def folds(self, *, top: int = 5, ax: Axes | None = None) -> Axes:
        """Draw the fold scores of the best trials; see `plot_folds`."""
        return plot_folds(self.result, top=top, ax=ax)

    def importance(
        self, *, method: Method = "permutation", seed: int = 0, ax: Axes | None = None
    ) -> Axes:
        """Draw which hyperparameters mattered; see `plot_importance`."""
        return plot_importance(self.result, method=method, seed=seed, ax=ax)
