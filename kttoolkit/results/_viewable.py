"""How a result is looked at: pictures, the report, what mattered, what is real."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from kttoolkit.ranges import Range
from kttoolkit.results._asked import how_many
from kttoolkit.results._compare import comparison_frame, within_one_standard_error
from kttoolkit.results._frames import ranks
from kttoolkit.results._optuna import optuna_study
from kttoolkit.results._record import Study, TrialRecord

if TYPE_CHECKING:
    import optuna

    from kttoolkit.importance import Importance
    from kttoolkit.plots import Plotter


class Viewable:
    """The methods of a result that show what is in it.

    Attributes:
        study: what was asked.
        records: the trials that ended.
    """

    study: Study
    records: tuple[TrialRecord, ...]

    if TYPE_CHECKING:

        @property
        def ranges(self) -> tuple[Range, ...]:
            """The search space."""

        @property
        def best_trial(self) -> TrialRecord:
            """The best trial; raises where there is none."""

    # -- pictures ---

    @property
    def plot(self) -> "Plotter":
        """The pictures: `.history()`, `.slice()`, `.curves()`, `.folds()` and others.

        Example:
            >>> result.plot.history()  # doctest: +SKIP
        """
        return _above("plots").Plotter(self)

    def report(
        self, path: str | Path, *, predictions: pd.DataFrame | None = None
    ) -> Path:
        """Write one page that tells the whole search, for any browser.

        It holds what to make of the search, the best setting as code, every picture
        that applies, and all trials in a table that sorts and filters; it needs no
        network, is light or dark as its reader likes, and can be printed.

        Args:
            path: of the page, `.html`. One that is there is replaced.
            predictions: what `out_of_fold` returned, for confusion, calibration or
                residuals; asked for if left out and the result can make models.

        Returns:
            The path.

        Raises:
            ResultError: if the path does not end in `.html`.

        Example:
            >>> result.report("report.html")  # doctest: +SKIP
        """
        return _above("report").write_report(self, path, predictions=predictions)

    # -- what mattered ---

    def importance(
        self,
        *,
        method: Literal["permutation", "fanova", "ped_anova"] = "permutation",
        seed: int = 0,
    ) -> "Importance":
        """Find out which hyperparameters the score depends on.

        Args:
            method: "permutation", "fanova" or "ped_anova"; see
                `kttoolkit.importance.importance`.
            seed: of the forests and the resampling.

        Returns:
            Shares that sum to 1, with their spread, and a note on what to mind.

        Raises:
            ResultError: if fewer than four trials completed.
            MissingDependencyError: if Optuna is needed and missing.

        Example:
            >>> result.importance().frame  # doctest: +SKIP
        """
        return _above("importance").importance(self, method=method, seed=seed)

    def interactions(self, *, top: int = 4, seed: int = 0) -> pd.DataFrame:
        """Find pairs of hyperparameters that matter together; see `importance`.

        Args:
            top: how many of the most important ones to pair.
            seed: of the forests and the resampling.

        Returns:
            One row a pair; see `kttoolkit.importance.interactions`.

        Raises:
            ResultError: if fewer than four trials completed, or fewer than two
                hyperparameters differ.

        Example:
            >>> result.interactions(top=3)  # doctest: +SKIP
        """
        return _above("importance").interactions(self, top=top, seed=seed)

    def to_optuna(self) -> "optuna.study.Study":
        """Return the trials as an Optuna study, for its plots and its dashboard.

        Returns:
            A study in memory, with epochs as intermediate values.

        Raises:
            MissingDependencyError: if Optuna is missing.

        Example:
            >>> import optuna  # doctest: +SKIP
            >>> optuna.visualization.matplotlib.plot_slice(
            ...     result.to_optuna()
            ... )  # doctest: +SKIP
        """
        return optuna_study(self.records, self.ranges)

    # -- is the winner real? ---

    def compare(self, *, top: int = 5, confidence: float = 0.95) -> pd.DataFrame:
        """Compare the best trials with the very best, fold by fold.

        Folds share training rows; the corrected resampled t-test of Nadeau and Bengio
        allows for it, where a plain t-test finds differences that are none.

        Args:
            top: how many of the best trials.
            confidence: of the intervals, between 0 and 1.

        Returns:
            One row a trial: `trial`, `mean_<objective>`, `std_<objective>`,
            `difference` to the best (above 0 where the best is better), `low` and
            `high` of its interval, `p_value`, `p_wilcoxon` and `is_clear`.

        Raises:
            ResultError: if there are fewer than two folds, no trial completed, or top
                is no whole number >= 1.

        Example:
            >>> result.compare(top=5)  # doctest: +SKIP

        References:
            C. Nadeau and Y. Bengio, "Inference for the generalization error",
            Machine Learning 52, 2003.
        """
        return comparison_frame(
            self._ranked()[: how_many("top", top)], confidence=confidence
        )

    def one_standard_error(self) -> TrialRecord:
        """Return the simplest trial within one standard error of the best.

        Simple is what has few trainable parameters. Where the folds cannot tell two
        trials apart, the smaller model is the safer one.

        Returns:
            The trial.

        Raises:
            ResultError: if there are fewer than two folds, sizes are unknown, or no
                trial completed.

        Example:
            >>> result.one_standard_error().values  # doctest: +SKIP

        References:
            L. Breiman et al., "Classification and regression trees", 1984, for the
            rule.
        """
        return within_one_standard_error(self._ranked())[0]

    def _ranked(self) -> list[TrialRecord]:
        """Return the completed trials, best first."""
        self.best_trial  # noqa: B018
        order = ranks(self.records)
        numbered = zip(order, self.records, strict=True)
        done = [(rank, record) for rank, record in numbered if not pd.isna(rank)]
        return [record for _, record in sorted(done, key=lambda pair: pair[0])]


def _above(room: str) -> Any:
    """Import a room that stands above this one, when it is asked for.

    A result offers what is built on it, as pandas offers `.plot`; opening one loads
    none of it.

    Args:
        room: of kttoolkit.

    Returns:
        The module.
    """
    return importlib.import_module(f"kttoolkit.{room}")
