"""The pictures of a report, and how to read them."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kttoolkit import plots
from kttoolkit.exceptions import ResultError
from kttoolkit.importance import Importance
from kttoolkit.report._svg import as_svg
from kttoolkit.results import TuneResult


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: of the plot, as in `result.plot.<name>()`.
        title: above it.
        words: below it: how to read it.
        svg: the picture, or "" if it does not apply.
        reason: why it does not apply.
    """

    name: str
    title: str
    words: str
    svg: str = ""
    reason: str = ""


_OF_SEARCH = (
    ("history", "How the search went", "Each point is a trial, its bar the standard "
     "deviation over the folds. Where the line has long been level, more trials of the "
     "same kind will not help much."),
    ("rungs", "The rungs of Hyperband", "A line follows a setting from rung to rung. "
     "Where lines cross, a setting that looked worse early was better in the end."),
    ("rounds", "Coarse to fine", "Where each round drew its trials."),
    ("slice", "Score by hyperparameter", "Later trials are darker, the star is the "
     "best. A trend says where to look next; a level cloud says that it does not "
     "matter."),
    ("contours", "Score by pairs", "Each colour stands for as many trials, dark is "
     "good. Between the points the score is interpolated."),
    ("parallel_coordinates", "All hyperparameters at once", "One line a trial, dark is "
     "good. Where dark lines meet, good trials agree."),
    ("curves", "Learning curves", "Means over the folds with one standard deviation."),
    ("folds", "Scores of the folds", "Grey lines join the same fold. A bar that "
     "reaches the dashed line: the folds cannot tell that trial from the best."),
    ("gap", "Training and validation", "Far apart: the model learns its rows by heart. "
     "Still improving in the last epoch: it could train on."),
    ("timeline", "When trials ran", "One bar a trial."),
)  # fmt: skip
_OF_PREDICTIONS = (
    ("confusion", "Confusion of classes", "Out-of-fold predictions of the best trial, "
     "as shares of the true class."),
    ("calibration", "Calibration", "Above the line the model promises too little, "
     "below it too much."),
    ("residuals", "Residuals", "Out-of-fold predictions of the best trial. Where the "
     "running mean leaves 0, the model is biased."),
)  # fmt: skip


def pictures(
    result: TuneResult,
    importance: "Importance | str",
    predictions: "pd.DataFrame | str",
) -> list[Picture]:
    """Draw every picture that applies.

    Args:
        result: of a search.
        importance: found before, or why there is none.
        predictions: out-of-fold ones of the best trial, or why there are none.

    Returns:
        All pictures; those that do not apply hold the reason.
    """
    drawn = [
        _drawn(name, title, words, getattr(result.plot, name))
        for name, title, words in _OF_SEARCH
    ]
    mattered = (
        "importance", "What mattered", "Shares of what a random forest can explain of "
        "the score, with their spread over resampled trials.",
    )  # fmt: skip
    drawn.insert(3, _drawn_from(importance, *mattered, plots.plot_importance))
    for name, title, words in _OF_PREDICTIONS:
        draw = getattr(plots, f"plot_{name}")
        drawn.append(_drawn_from(predictions, name, title, words, draw))
    return drawn


def _drawn_from(
    given: Any, name: str, title: str, words: str, draw: Callable[[Any], Any]
) -> Picture:
    if isinstance(given, str):
        return Picture(name, title, words, reason=given)
    return _drawn(name, title, words, lambda: draw(given))


def _drawn(name: str, title: str, words: str, draw: Callable[[], Any]) -> Picture:
    try:
        svg = as_svg(draw, name=name)
    except ResultError as error:
        return Picture(name, title, words, reason=str(error))
    label = html.escape(title, quote=True)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
    return Picture(name, title, words, svg)
