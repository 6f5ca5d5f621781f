"""What came of an initialisation check: tables, pictures and words."""

import html
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kttoolkit import space
from kttoolkit.methods._initializing._frames import FACTOR, overview_frame
from kttoolkit.methods._initializing._plot import plot_histograms, plot_variance
from kttoolkit.plain import counted, visible, visible_lines
from kttoolkit.tuners import HyperParameters

_IN_WORDS = {
    "keeps": f"keep it within {FACTOR:g}x",
    "shrinks": "let it shrink",
    "grows": "let it grow",
    "saturated": "saturate the units",
    "zero": "leave nothing of it, the variance is zero",
    "overflows": "overflow",
}


@dataclass(frozen=True, eq=False, repr=False)
class InitializationReport:
    """What became of the signal under each initializer.

    Attributes:
        frame: one row for each initializer and layer, in the order of the calls.
            `mean`, `std` and `variance` are of the activations, over rows and units.
            `ratio_to_first` is the variance in proportion to the first layer's, and
            `gradient_ratio` that of the gradients to the last hidden layer's.
            `dead_share` counts units that are 0 for every row, `zero_share` values
            that are 0, `saturated_share` values closer to a bound of the activation
            than 2.5 % of its range (|tanh| > 0.95), NaN where there are no bounds.
            `distinct_units` counts units that do not all give the same.
            `forward_ratio` is the variance of the pre-activations in proportion to
            the layer before, `backward_ratio` that of the gradients with respect to
            them, from this layer to the one before; `forward_theory` and
            `backward_theory` are what Glorot and He say of both for the weights that
            were drawn, NaN where there is no straight way between the two layers.
            `verdict` is "keeps", "shrinks", "grows", "saturated", "zero",
            "overflows" or, for what the model returns, "output".
        histograms: counts in bins, for each initializer and layer, `of` "activation"
            and of "gradient"; zeros are not counted.
        gradients_of: "loss", the sum of the rows' losses, or "random signal", drawn
            from N(0, 1) at the outputs because there was no y.
        n_rows: rows that were sent through.
        seed: with which the same comes out again.

    Example:
        >>> report = kttoolkit.methods.initialization_check(build, x)  # doctest: +SKIP
        >>> report.plot()  # doctest: +SKIP
    """

    frame: pd.DataFrame
    histograms: pd.DataFrame
    gradients_of: Literal["loss", "random signal"]
    n_rows: int
    seed: int

    @cached_property
    def overview(self) -> pd.DataFrame:
        """One row for each initializer: its verdict over all hidden layers."""
        return overview_frame(self.frame)

    def plot(
        self, axes: Any = None, *, of: Literal["activation", "gradient"] = "activation"
    ) -> np.ndarray:
        """Draw histograms, a row for each initializer and a column for each layer.

        Args:
            axes: of shape (n_initializers, n_columns); a new figure with up to six
                of the hidden layers if left out.
            of: "activation" or "gradient".

        Returns:
            The axes.

        Raises:
            ResultError: if `of` is neither.
        """
        return plot_histograms(self.frame, self.histograms, axes=axes, of=of)

    def plot_variance(
        self,
        ax: Axes | None = None,
        *,
        of: Literal["activation", "gradient"] = "activation",
    ) -> Axes:
        """Draw the variance over depth on a log scale, beside what theory wants.

        Args:
            ax: where to draw; a new figure if left out.
            of: "activation", in proportion to the first layer's, or "gradient", to
                the last hidden layer's.

        Returns:
            The axes.

        Raises:
            ResultError: if `of` is neither.
        """
        return plot_variance(self.frame, ax=ax, of=of)

    def summary(self) -> str:
        """Say which initializers keep the signal, and which one is recommended.

        Returns:
            A few lines of text.
        """
        hidden = self.frame[~self.frame["is_output"]]
        source = "the loss" if self.gradients_of == "loss" else "a random signal"
        lines = [
            f"{counted(hidden['layer'].nunique(), 'hidden layer')}, "
            f"{counted(self.n_rows, 'row')}, gradients of {source}, seed {self.seed}"
        ]
        if hidden.empty:
            return f"{lines[0]}\nno hidden layer: nothing to keep"
        for verdict, words in _IN_WORDS.items():
            found = self.overview[self.overview["verdict"] == verdict]
            names = [_told(row, verdict) for row in found.to_dict("records")]
            if names:
                lines.append(f"{words}: {', '.join(names)}")
        lines += [self._recommended(str(a)) for a in hidden["activation"].unique()]
        return "\n".join(map(visible, lines))

    def __repr__(self) -> str:
        return f"<InitializationReport {self.summary()}>"

    def _repr_html_(self) -> str:
        table = self.overview.to_html(
            index=False, float_format=lambda v: f"{v:.3g}", border=0, na_rep=""
        )
        return f"<pre>{html.escape(self.summary())}</pre>{visible_lines(table)}"

    def _recommended(self, activation: str) -> str:
        name = space.initializer(HyperParameters(), activation=activation)
        found = self.overview[self.overview["initializer"] == name]
        told = "not among those checked"
        if len(found):
            row = found.iloc[0]
            told = (
                f"here {row['lowest_ratio']:.2g} to {row['highest_ratio']:.2g} of the "
                "first layer's variance"
            )
        return f"recommended for {activation}: {name} ({told})"


def _told(row: Any, verdict: str) -> str:
    if verdict == "saturated":
        return f"{row['initializer']} ({row['saturated_share']:.0%} in a layer)"
    if verdict in {"zero", "overflows"}:
        return str(row["initializer"])
    if verdict == "keeps":
        low, high = row["lowest_ratio"], row["highest_ratio"]
        return f"{row['initializer']} ({low:.2g} to {high:.2g})"
    return f"{row['initializer']} ({row['last_ratio']:.2g}x at the last layer)"
