"""The best setting as lines of Python, without TensorFlow."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kttoolkit.plain import counted

if TYPE_CHECKING:
    from kttoolkit.results._result import TuneResult


def setting_as_code(result: "TuneResult") -> str:
    """Write the best setting as Python that scores and trains it again.

    Args:
        result: of a search, opened with a build function or without.

    Returns:
        Lines of code, in which `build`, `x` and `y` are those of the search, and what
        else `tune` was given has to be put in.

    Raises:
        ResultError: if no trial completed.
    """
    study, best = result.study, result.best_trial
    told = f"{study.objective} {best.score:.4f}"
    if len(best.fits) > 1:
        told += f" ± {best.std:.4f} over {counted(len(best.fits), 'training')}"
    limits = {
        "batch_size": study.batch_size,
        "max_epochs": study.max_epochs,
        "seed": study.seed,
    }
    arguments = ", ".join(
        f"{k}={as_code(v)}" for k, v in limits.items() if v is not None
    )
    folder = str(result.directory)
    lines = [
        "import kttoolkit",
        "",
        f"# Trial {_on_one_line(best.trial_id)}: {_on_one_line(told)}",
        f"# {_on_one_line(study.cv)}",
        *_assignment("setting", result.best_values),
        "",
        "# What else tune was given (preprocessor=, fit_kwargs=, ...) goes into both.",
        "# Score it anew; cv= as above.",
        "scored = kttoolkit.tune(",
        f"    build, x, y, tuner=[setting], cv=cv, {arguments}",
        ")",
        "",
        f"# Train it on all rows, for {counted(result.best_epochs, 'epoch')}.",
        "result = kttoolkit.load_result(",
        f"    {as_code(folder)}, build=build, x=x, y=y",
        ")",
        "model = result.fit_best()",
    ]
    return "\n".join(lines) + "\n"


def _assignment(name: str, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return [f"{name} = {{}}"]
    rows = [f"    {as_code(k)}: {as_code(v)}," for k, v in values.items()]
    return [f"{name} = {{", *rows, "}"]


def as_code(value: Any) -> str:
    """Write plain data as Python, texts in double quotes.

    Args:
        value: numbers, texts, booleans, None, and lists, tuples and dicts of them.

    Returns:
        An expression; for anything else its `repr`.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        text = repr(value)
        plain = text.startswith("'") and '"' not in text and "\\'" not in text
        return f'"{text[1:-1]}"' if plain else text
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, Mapping):
        rows = ", ".join(f"{as_code(k)}: {as_code(v)}" for k, v in value.items())
        return f"{{{rows}}}"
    if isinstance(value, list | tuple):
        parts = ", ".join(map(as_code, value))
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        return f"[{parts}]" if isinstance(value, list) else f"({parts}{comma})"
    return repr(value)


def _on_one_line(text: str) -> str:
    """Keep a comment a comment, whatever a user has named."""
    return " ".join(text.split())
