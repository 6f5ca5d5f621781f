"""The tables of a report as plain data."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from kttoolkit.ranges import Range
from kttoolkit.results import TuneResult

_DIGITS = 5


def trials_table(result: TuneResult) -> dict[str, Any]:
    """Return the trials, best first, as a table for the page's script.

    Args:
        result: of a search.

    Returns:
        "columns", each with "name", "title" and "numeric", and "rows", lists of
        numbers, texts and None.
    """
    objective = result.study.objective
    names = _parameters(result)
    columns = [
        ("rank", "rank"), ("trial", "trial"), ("status", "status"),
        (f"mean_{objective}", objective), (f"std_{objective}", "± std"),
        *((f"param_{name}", name) for name in names),
        ("best_epoch", "epoch"), ("n_parameters", "parameters"), ("seconds", "seconds"),
        ("reason", "reason"),
    ]  # fmt: skip
    frame = result.trials
    held = [(key, title) for key, title in columns if key in frame]
    if not (frame["reason"] != "").any():
        held = held[:-1]
    ordered = frame.sort_values("rank", na_position="last")[[key for key, _ in held]]
    rows = [[_plain(value) for value in row] for row in ordered.itertuples(index=False)]
    return {
        "columns": [
            {"name": title, "numeric": _is_numeric([row[k] for row in rows])}
            for k, (_, title) in enumerate(held)
        ],
        "rows": rows,
    }


def as_json(data: Any) -> str:
    """Write data so that no HTML begins or ends in it.

    Args:
        data: plain types.

    Returns:
        JSON, the text of a script element.
    """
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def space_table(result: TuneResult) -> list[dict[str, str]]:
    """Return the search space in words.

    Args:
        result: of a search.

    Returns:
        One row a hyperparameter: "name", "kind", "scale", "values", "best" and
        "condition".
    """
    has_best = any(record.status == "completed" for record in result.records)
    best: Mapping[str, Any] = result.best_trial.values if has_best else {}
    return [
        {
            "name": one.name,
            "kind": one.kind,
            "scale": one.scale.replace("one_minus_log", "log(1 - value)"),
            "values": _values(one),
            "best": in_words(best.get(one.name, "")),
            "condition": " and ".join(
                f"{name} in {', '.join(map(in_words, allowed))}"
                for name, allowed in one.conditions
            ),
        }
        for one in result.ranges
    ]


def in_words(value: Any) -> str:
    """Write a value as people do.

    Args:
        value: any.

    Returns:
        Text; numbers with four digits that count.
    """
    if isinstance(value, float | np.floating) and math.isfinite(value):
        return f"{value:.4g}"
    return str(value)


def duration(seconds: float) -> str:
    """Write a time as people do.

    Args:
        seconds: 0 or more.

    Returns:
        Text.

    Example:
        >>> duration(42.3), duration(3725)
        ('42 s', '1 h 2 min')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _parameters(result: TuneResult) -> list[str]:
    columns = (str(column) for column in result.trials)
    names = (c.removeprefix("param_") for c in columns if c.startswith("param_"))
    return [name for name in names if name == "tuner/epochs" or "tuner/" not in name]


def _values(one: Range) -> str:
    if one.is_laid_out or not one.values:
        step = f", step {in_words(one.step)}" if one.step > 1 else ""
        return f"{in_words(one.low)} to {in_words(one.high)}{step}"
    return ", ".join(map(in_words, one.values))


def _is_numeric(values: list[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, int | float) for value in known)


def _plain(value: Any) -> Any:
    """Return what JSON can hold; nothing for what is missing or not finite."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | str):
        return value
    return None if str(value) == "<NA>" else str(value)
