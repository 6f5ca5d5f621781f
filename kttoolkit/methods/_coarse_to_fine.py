"""Coarse to fine, as one call."""

from typing import Any

from kttoolkit._tune import tune
from kttoolkit.exceptions import SearchError
from kttoolkit.plain import shown
from kttoolkit.results import TuneResult


def coarse_to_fine(
    build: Any,
    x: Any,
    y: Any = None,
    *,
    rounds: int = 3,
    keep: float = 0.2,
    max_trials: int = 30,
    **options: Any,
) -> TuneResult:
    """Search widely, then again and again around the best.

    The first round draws at random from the whole space. After each round every
    range is cut, on its own scale, to where the best trials of all rounds lie; the
    next round searches there. A best value at the edge of a range widens it there,
    choices that are clearly worse are dropped, and no range becomes a point.

    Args:
        build: as in `kttoolkit.tune`.
        x: as in `kttoolkit.tune`.
        y: as in `kttoolkit.tune`.
        rounds: how many.
        keep: share of the trials so far that the next ranges are cut around. Small
            ones converge faster and are fooled sooner.
        max_trials: of all rounds together.
        **options: other arguments of `kttoolkit.tune`, such as `cv` and `seed`.

    Returns:
        One result with the trials of all rounds; the column `param_tuner/round` says
        of which. `result.narrowed_space()` is where a further round would search.

    Raises:
        SearchError: if there are fewer than two trials a round, or an argument makes
            no sense.

    Example:
        >>> import kttoolkit
        >>> pima = kttoolkit.datasets.load("pima_diabetes")
        >>> builder = kttoolkit.builders.mlp(tune="standard")
        >>> result = kttoolkit.methods.coarse_to_fine(
        ...     builder, pima.x, pima.y, rounds=3, max_trials=30, seed=0
        ... )  # doctest: +SKIP
    """
    if "tuner" in options:
        raise SearchError(
            "coarse_to_fine is a tuner itself, but got "
            f"tuner={shown(options['tuner'])}. Leave it out, or call kttoolkit.tune."
        )
    return tune(
        build,
        x,
        y,
        tuner="coarse_to_fine",
        rounds=rounds,
        keep=keep,
        max_trials=max_trials,
        **options,
    )
