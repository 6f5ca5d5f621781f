"""The out-of-fold predictions: confusion, calibration, residuals."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from kttoolkit.exceptions import ResultError
from kttoolkit.plots._fonts import legible
from kttoolkit.plots._style import BLUE, GREY, ORANGE, axes_or_new
from kttoolkit.plots._words import breadth, shortened, told_apart
from kttoolkit.results import TuneResult

_BINS = 10
_MANY_CLASSES = 15
_WIDE = 12


def confusion_frame(predictions: "TuneResult | pd.DataFrame") -> pd.DataFrame:
    """Count how often each class was taken for each other.

    Args:
        predictions: what `TuneResult.out_of_fold` returned, or the result.

    Returns:
        One row a true class and one column a predicted one, in the classes' order;
        numbers of rows.

    Raises:
        ResultError: if they are no predictions of classes.
    """
    from sklearn.metrics import confusion_matrix  # noqa: PLC0415

    known = _predictions(predictions)
    classes = _classes(known)
    target, predicted = (known[c].astype(str) for c in ("target", "prediction"))
    counts = confusion_matrix(target, predicted, labels=classes)
    frame = pd.DataFrame(counts, index=classes, columns=classes)
    return frame.rename_axis(index="target", columns="prediction")


@legible
def plot_confusion(
    result: "TuneResult | pd.DataFrame", *, ax: Axes | None = None
) -> Axes:
    """Draw how often each class was taken for each other, as shares of the true class.

    Args:
        result: of a search on classes with its build function, or what its
            `out_of_fold` returned.
        ax: where to draw; a new figure if left out.

    Returns:
        The axes; every row sums to 1.

    Raises:
        ResultError: if they are no predictions of classes.

    Example:
        >>> result.plot.confusion()  # doctest: +SKIP
    """
    frame = confusion_frame(result)
    n = len(frame)
    side = min(2.4 + 0.45 * n, 9.0)
    ax = axes_or_new(ax, size=(side + 0.8, side))
    rows = frame.to_numpy(dtype=float)
    shares = rows / np.maximum(rows.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = told_apart(frame.index)
    turn = 60 if n > 5 or max(map(breadth, names)) > _WIDE else 0
    ax.set_xticks(range(n), names, rotation=turn, ha="right" if turn else "center",
                  rotation_mode="anchor")  # fmt: skip
    ax.set_yticks(range(n), names)
    if n <= _MANY_CLASSES:
        for row in range(n):
            for column in range(n):
                ax.text(
                    column, row, f"{shares[row, column]:.2f}", ha="center",
                    va="center", fontsize=8 if n > 5 else 10,
                    color="white" if shares[row, column] > 0.55 else "black",
                )  # fmt: skip
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.spines[:].set_visible(False)
    return ax


def calibration_frame(predictions: "TuneResult | pd.DataFrame") -> pd.DataFrame:
    """Compare predicted probabilities with how often they come true.

    Args:
        predictions: what `TuneResult.out_of_fold` returned, of two classes, or the
            result.

    Returns:
        One row a bin of the second class's probability: `predicted` (mean
        probability), `observed` (share of rows of that class) and `n`.

    Raises:
        ResultError: if they are not of two classes.
    """
    known = _predictions(predictions)
    classes = _classes(known)
    if len(classes) != 2:
        raise ResultError(
            f"Calibration is drawn for two classes, but got {len(classes)}. Look at "
            "the confusion of the classes."
        )
    probability = known[f"probability_{classes[1]}"].to_numpy(dtype=float)
    is_second = (known["target"].astype(str) == classes[1]).to_numpy(dtype=float)
    bins = np.clip((probability * _BINS).astype(int), 0, _BINS - 1)
    frame = pd.DataFrame({"bin": bins, "p": probability, "is": is_second})
    grouped = frame.groupby("bin")
    return pd.DataFrame(
        {
            "predicted": grouped["p"].mean(),
            "observed": grouped["is"].mean(),
            "n": grouped.size(),
        }
    ).reset_index(drop=True)


@legible
def plot_calibration(
    result: "TuneResult | pd.DataFrame", *, ax: Axes | None = None
) -> Axes:
    """Draw predicted probabilities against how often they come true.

    Args:
        result: of a search on two classes with its build function, or what its
            `out_of_fold` returned.
        ax: where to draw; a new figure if left out.

    Returns:
        The axes; points on the diagonal are honest, larger ones stand for more rows.

    Raises:
        ResultError: if they are not of two classes.

    Example:
        >>> result.plot.calibration()  # doctest: +SKIP
    """
    predictions = _predictions(result)
    frame = calibration_frame(predictions)
    ax = axes_or_new(ax, size=(4.6, 4.4))
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    sizes = 20 + 180 * frame["n"] / frame["n"].max()
    ax.plot(frame["predicted"], frame["observed"], color=BLUE, linewidth=1)
    ax.scatter(frame["predicted"], frame["observed"], sizes, color=BLUE, alpha=0.7)
    name = shortened(_classes(predictions)[1])
    ax.set_xlabel(f"predicted probability of {name}")
    ax.set_ylabel(f"share that is {name}")
    ax.set_aspect("equal")
    return ax


def residuals_frame(predictions: "TuneResult | pd.DataFrame") -> pd.DataFrame:
    """Return how far each prediction is off.

    Args:
        predictions: what `TuneResult.out_of_fold` returned, of a regression, or the
            result.

    Returns:
        Columns `row`, `split`, `target`, `prediction` and `residual` (target minus
        prediction).

    Raises:
        ResultError: if they are predictions of classes, or of several targets.
    """
    known = _predictions(predictions)
    if any(str(c).startswith("probability_") for c in known):
        raise ResultError(
            "Residuals are drawn for a regression, but got predictions of classes. "
            "Look at their confusion."
        )
    frame = known[["row", "split", "target", "prediction"]].copy()
    frame["residual"] = frame["target"] - frame["prediction"]
    return frame


@legible
def plot_residuals(
    result: "TuneResult | pd.DataFrame", *, ax: Axes | None = None
) -> Axes:
    """Draw how far predictions are off, against what was predicted.

    Args:
        result: of a regression with its build function, or what its `out_of_fold`
            returned.
        ax: where to draw; a new figure if left out.

    Returns:
        The axes, with the running mean: where it leaves 0, the model is biased.

    Raises:
        ResultError: if they are predictions of classes, or of several targets.

    Example:
        >>> result.plot.residuals()  # doctest: +SKIP
    """
    frame = residuals_frame(result).sort_values("prediction")
    ax = axes_or_new(ax)
    ax.axhline(0, color=GREY, linewidth=1)
    ax.scatter(frame["prediction"], frame["residual"], 12, color=BLUE, alpha=0.5,
               linewidth=0)  # fmt: skip
    window = max(len(frame) // _BINS, 2)
    running = frame.rolling(window, center=True, min_periods=2, on="prediction")
    means = running["residual"].mean()
    ax.plot(frame["prediction"], means, color=ORANGE, linewidth=2)
    ax.set_xlabel("out-of-fold prediction")
    ax.set_ylabel("target - prediction")
    return ax


def _predictions(result: "TuneResult | pd.DataFrame") -> pd.DataFrame:
    """Return predictions of one target."""
    found = result.out_of_fold() if isinstance(result, TuneResult) else result
    targets = [c for c in map(str, found) if c.startswith("target_")]
    if targets and "target" not in found:
        raise ResultError(
            f"This is drawn of one target, but got predictions of {len(targets)}, "
            f"{targets[0]} to {targets[-1]}. Pass one of them: predictions.rename("
            "columns={'target_0': 'target', 'prediction_0': 'prediction'})."
        )
    return found


def _classes(predictions: pd.DataFrame) -> list[str]:
    names = [str(c) for c in predictions if str(c).startswith("probability_")]
    if not names:
        raise ResultError(
            "This is drawn for classes, but got the predictions of a regression. Look "
            "at the residuals."
        )
    return [name.removeprefix("probability_") for name in names]
