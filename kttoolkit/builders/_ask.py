"""Which hyperparameters a builder searches, and how it asks for one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras_tuner

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import meant, shown

Levels = Mapping[str, tuple[str, ...]]
LEVELS = ("essential", "standard", "wide", "all")
ON_REQUEST = "on request"
# Columns of a table of trials, and what they are searched by.
_COLUMNS = {
    "beta_1": "betas",
    "beta_2": "betas",
    "patience": "early_stopping",
    "units_shape": "widths",
}


@dataclass(frozen=True)
class Ask:
    """Asks for a hyperparameter that is searched, and knows those that are not.

    Attributes:
        hp: the trial's hyperparameters.
        tuned: names of those that are searched.
        fixed: names to values of those that the user fixed.
    """

    hp: keras_tuner.HyperParameters
    tuned: frozenset[str]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, name: str, piece: Callable[..., Any], **bounds: Any) -> Any:
        """Return a value: the fixed one, the trial's, or the default.

        Args:
            name: of the hyperparameter, as `tune=` knows it.
            piece: a function of `kttoolkit.space`.
            **bounds: its other arguments.

        Returns:
            The value.
        """
        if name in self.fixed:
            return self.fixed[name]
        return piece(self.of(name), **bounds)

    def of(self, *names: str) -> keras_tuner.HyperParameters:
        """Return the trial's hyperparameters, or empty ones that give defaults.

        Args:
            *names: of which one or more may be searched.

        Returns:
            What a function of `kttoolkit.space` takes.
        """
        is_tuned = not self.tuned.isdisjoint(names)
        return self.hp if is_tuned else keras_tuner.HyperParameters()


def tuned_names(
    tune: str | Sequence[str], levels: Levels, fixed: Mapping[str, Any]
) -> frozenset[str]:
    """Return the names that `tune=` stands for, those that are fixed apart.

    Args:
        tune: a level, or names.
        levels: what each level adds to the one before.
        fixed: names to values.

    Returns:
        Names of hyperparameters to search.

    Raises:
        SearchSpaceError: if a name is unknown, or both searched and fixed, or there
            are no names.
    """
    if not isinstance(tune, Iterable):
        raise SearchSpaceError(
            f"tune must be one of {list(LEVELS)}, or a list of hyperparameters, but "
            f"got {shown(tune)}. To search nothing pass []."
        )
    known = [name for names in levels.values() for name in names]
    for name in fixed:
        _check_name(name, known, f"{name}={shown(fixed[name])}")
    if isinstance(tune, str) and tune in LEVELS:
        wanted = LEVELS[: LEVELS.index(tune) + 1]
        names = [name for level in wanted for name in levels.get(level, ())]
        return frozenset(names) - frozenset(fixed)
    names = [tune] if isinstance(tune, str) else list(tune)
    for name in names:
        _check_name(name, [*known, *LEVELS], f"tune={shown(tune)}")
        if name in LEVELS:
            raise SearchSpaceError(
                f"tune is one of {list(LEVELS)}, or a list of hyperparameters, but got "
                f"tune={shown(tune)}, which mixes them. Pass tune={shown(name)} alone, "
                "or names."
            )
        if name in fixed:
            raise SearchSpaceError(
                f"A hyperparameter is searched or fixed, but {shown(name)} is in "
                f"tune={shown(tune)} and {name}={shown(fixed[name])} is given. Leave "
                "one out."
            )
    return frozenset(names)


def _check_name(name: str, known: Sequence[str], given: str) -> None:
    if name in known:
        return
    hint = _hint(str(name), known)
    names = sorted(set(known) - set(LEVELS))
    levels = f", levels of tune= are {list(LEVELS)}" if len(names) < len(known) else ""
    raise SearchSpaceError(
        f"Hyperparameters of this builder are {names}{levels}, but got {given}.{hint}"
    )


def _hint(name: str, known: Sequence[str]) -> str:
    """Hint at the hyperparameter that a column belongs to, or at a like name."""
    belongs = [one for one in known if name.startswith(f"{one}_")]
    owner = _COLUMNS.get(name, belongs[0] if belongs else "")
    return f" Did you mean {owner!r}?" if owner in known else meant(name, known)
