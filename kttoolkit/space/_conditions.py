"""Kinds, and conditional scopes for what belongs to some kinds alone."""

import contextlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import keras_tuner

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import meant, one_of, shown
from kttoolkit.space._scales import choice


@contextlib.contextmanager
def when(
    hp: keras_tuner.HyperParameters,
    name: str,
    values: Collection[Any],
    possible: Collection[Any],
) -> Iterator[bool]:
    """Ask for hyperparameters that belong to some values of another.

    Args:
        hp: the trial's hyperparameters.
        name: of the other one.
        values: those that the hyperparameters inside belong to.
        possible: all that it can have.

    Yields:
        Whether it can have one of `values` at all.
    """
    shared = [value for value in possible if value in values]
    if not shared or len(shared) == len(possible):
        yield bool(shared)
        return
    with contextlib.ExitStack() as stack:
        # Keras Tuner's own hp knows no parent from outside the present scope, ours
        # does. With the former, what is asked for in such a scope is always active.
        with contextlib.suppress(ValueError):
            stack.enter_context(hp.conditional_scope(name, shared))
        yield True


def searched_values(hp: keras_tuner.HyperParameters, name: str) -> list[Any]:
    """Return all values that a hyperparameter which was asked for can have.

    Args:
        hp: the trial's hyperparameters.
        name: as it was asked for.

    Returns:
        Its values in order; none if it was not asked for.
    """
    found = [entry for entry in hp.space if entry.name.split("/")[-1] == name]
    return list(found[-1].values) if found else []


def ask_kind(
    hp: keras_tuner.HyperParameters,
    *,
    name: str,
    kinds: Sequence[str],
    known: Collection[str],
    default: str,
) -> str:
    """Ask for one of several kinds; of a single one nothing is asked.

    Args:
        hp: the trial's hyperparameters.
        name: what it is called in tables.
        kinds: those to choose from.
        known: all there are.
        default: before any search; the first kind if it is none of them.

    Returns:
        The kind of this trial; None in a conditional scope that is not active.
    """
    check_kinds(name, kinds, known)
    if len(kinds) == 1:
        return kinds[0]
    default = default if default in kinds else kinds[0]
    return choice(hp, name=name, values=kinds, default=default)


def check_kinds(name: str, kinds: Sequence[str], known: Collection[str]) -> None:
    """Refuse kinds that a function does not know.

    Args:
        name: of the hyperparameter.
        kinds: as they were given.
        known: all there are.

    Raises:
        SearchSpaceError: if there are none, or one is unknown.
    """
    given: Any = kinds
    if isinstance(given, str) or not isinstance(given, Collection) or not len(given):
        raise SearchSpaceError(
            f"{name} needs a list of kinds, one or more of {sorted(known)}, but got "
            f"{shown(kinds)}."
        )
    for kind in kinds:
        if not one_of(*known)(kind):
            raise SearchSpaceError(
                f"The kinds of {name} must be of {sorted(known)}, but got "
                f"{shown(kind)}.{meant(kind, sorted(known))}"
            )
