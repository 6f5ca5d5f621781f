"""What a tuner is made of, checked before a folder is emptied for it."""

from typing import Any

import keras_tuner

from kttoolkit.exceptions import SearchError
from kttoolkit.options import OF_A_TUNER, arguments_of, checked
from kttoolkit.plain import shown


def known_only(given: dict[str, Any], tuner: type) -> dict[str, Any]:
    """Refuse arguments that no tuner takes, and hold the others to their rules.

    Args:
        given: names to values.
        tuner: the class that all tuners come from.

    Returns:
        The same names to values of the types that are meant.

    Raises:
        SearchError: naming what is unknown or breaks its rule.
    """
    unknown = sorted(given.keys() - arguments_of(tuner))
    if unknown:
        raise SearchError(
            f"Arguments must be those of a tuner, but got {shown(unknown)}. Those of "
            "fit, such as callbacks, are given to search."
        )
    return checked(given, OF_A_TUNER)


def check_parts(oracle: Any, hypermodel: Any) -> None:
    """Refuse what proposes no settings, and what builds no models.

    Args:
        oracle: as a tuner is given it.
        hypermodel: as a tuner is given it, or None.

    Raises:
        SearchError: naming which of them.
    """
    if not isinstance(oracle, keras_tuner.Oracle):
        raise SearchError(
            f"oracle must be a keras_tuner.Oracle instance, but got {shown(oracle)}."
        )
    is_model = callable(hypermodel) or isinstance(hypermodel, keras_tuner.HyperModel)
    if hypermodel is not None and not is_model:
        raise SearchError(
            "hypermodel must be a build function or a HyperModel, but got "
            f"{shown(hypermodel)}."
        )
