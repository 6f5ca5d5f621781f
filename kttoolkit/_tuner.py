"""The tuner of `tune`: chosen, its options held to their rules, made."""

import contextlib
import io
from collections.abc import Mapping, Set
from typing import Any

import keras_tuner

from kttoolkit.exceptions import SearchError
from kttoolkit.options import (
    OF_A_SEARCH,
    OF_OUR_TUNERS,
    arguments_of,
    checked,
    checked_together,
)
from kttoolkit.plain import meant, shown
from kttoolkit.tuners import TUNERS, FoldTuner, ManualSearch, get


def as_tuner(
    tuner: Any, options: dict[str, Any], max_trials: int | None
) -> tuple[Any, dict[str, Any]]:
    """Find the class, or the oracle, that is meant.

    Args:
        tuner: a name, a class, an oracle, or a list of settings.
        options: of the tuner.
        max_trials: as `tune` was given it.

    Returns:
        A subclass of `FoldTuner` or an oracle, and options that follow their rules.

    Raises:
        SearchError: if an option breaks its rule, or max_trials counts for nothing.
    """
    if isinstance(tuner, list | tuple):
        tuner, options = ManualSearch, {"settings": list(tuner), **options}
    if not isinstance(tuner, keras_tuner.Oracle):
        tuner = get(tuner)
    rules = OF_OUR_TUNERS if tuner in TUNERS.values() else {}
    options = checked_together(checked(options, {**OF_A_SEARCH, **rules}))
    if max_trials is not None:
        _check_max_trials(tuner, max_trials)
    return tuner, options


def make_tuner(
    tuner: Any,
    build: Any,
    objective: Any,
    seed: int,
    budgets: Mapping[str, int | None],
    options: dict[str, Any],
    *,
    known: Set[str],
) -> FoldTuner:
    """Make the tuner.

    Args:
        tuner: as `as_tuner` gave it.
        build: a HyperModel.
        objective: what it optimises.
        seed: of its proposals.
        budgets: limits, for tuners that take them.
        options: of the tuner.
        known: arguments of `tune`, for hints.

    Returns:
        The tuner.

    Raises:
        SearchError: if it does not take an option.
    """
    # A resumed project is announced by Keras Tuner's print; the display tells it.
    with contextlib.redirect_stdout(io.StringIO()):
        if isinstance(tuner, keras_tuner.Oracle):
            _check_options(FoldTuner, options, arguments_of(FoldTuner), known)
            search = FoldTuner(tuner, build, **options)
            search.search_seed = seed
            return search
        takes = arguments_of(tuner)
        limits: dict[str, int | None]
        limits = {k: v for k, v in budgets.items() if k in takes and v is not None}
        _check_options(tuner, options, takes, known)
        limits["max_consecutive_failed_trials"] = None
        defaults = getattr(tuner, "tune_options", {})
        options = {**defaults, **limits, **options}
        return tuner(build, objective, seed=seed, **options)  # type: ignore[no-any-return]


def _check_max_trials(tuner: Any, given: int) -> None:
    """Refuse a number of trials that would count for nothing."""
    if isinstance(tuner, keras_tuner.Oracle):
        raise SearchError(
            f"An Oracle has its own max_trials, but got max_trials={given} beside a "
            f"{type(tuner).__name__} with max_trials={shown(tuner.max_trials)}. Pass "
            "it to the Oracle."
        )
    if "max_trials" not in arguments_of(tuner):
        raise SearchError(
            f"{tuner.__name__} tries a fixed number of trials, but got "
            f"max_trials={given}. Leave it out."
        )


def _check_options(
    tuner: type, options: Mapping[str, Any], takes: Set[str], known: Set[str]
) -> None:
    for name in options:
        if name not in takes:
            hint = meant(name, sorted(takes | known))
            raise SearchError(
                f"Arguments must be those of tune or of {tuner.__name__}, but got "
                f"{name}={shown(options[name])}.{hint}"
            )
