"""Tables of a result as files for other programs, and for papers."""

import importlib
import json
import math
import numbers
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kttoolkit.exceptions import MissingDependencyError, ResultError
from kttoolkit.files import written_whole
from kttoolkit.plain import one_of, shown, visible

if TYPE_CHECKING:
    from kttoolkit.results._result import TuneResult

TABLES = ("trials", "folds", "curves")
JSON_COLUMNS = "json_columns"
_DIGITS = 4
# What a spreadsheet takes for the start of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Above it, whole numbers are easier to read with an exponent.
_LONGEST_WHOLE = 1e6


def export_table(
    result: "TuneResult",
    path: Path,
    *,
    table: str,
    top: int | None,
    columns: Sequence[str] | None,
) -> Path:
    """Write a table of a result in the format that the path's suffix names.

    Args:
        result: of a search.
        path: ends in .csv, .parquet, .tex or .md.
        table: "trials", "folds" or "curves".
        top: how many of the best trials; None for all.
        columns: names of columns; None for all, or for those that fit on a page.

    Returns:
        The path.

    Raises:
        ResultError: if an argument names nothing that is there.
    """
    if path.suffix not in _WRITERS:
        raise ResultError(
            f"A table is written as one of {list(_WRITERS)}, by the suffix of its "
            f"path, but got {str(path)!r}. Choose one of these."
        )
    write = _WRITERS[path.suffix]
    is_exact = path.suffix in _EXACT
    frame = _rows(result, table, top)
    if columns is None:
        columns = [*map(str, frame)] if is_exact else _on_a_page(result, frame)
    frame = frame[_known(columns, frame)]
    with written_whole(path) as partial:
        write(frame, partial)
    return path


# -- which rows and columns ---


def _rows(result: "TuneResult", table: str, top: int | None) -> pd.DataFrame:
    """Return a table with the rows of the best trials first."""
    if not one_of(*TABLES)(table):
        raise ResultError(
            f"table must be one of {list(TABLES)}, but got {shown(table)}."
        )
    trials = result.trials
    ranked = trials.sort_values("rank", na_position="last", kind="stable")
    if top is not None:
        if not _is_count(top):
            raise ResultError(f"top must be a whole number >= 1, but got {shown(top)}.")
        ranked = ranked[ranked["rank"].notna()].head(int(top))
    if table == "trials":
        return ranked.reset_index(drop=True)
    frame: pd.DataFrame = getattr(result, table)
    place = {trial: number for number, trial in enumerate(ranked["trial"])}
    frame = frame[frame["trial"].isin(list(place))]
    order = frame["trial"].map(place).argsort(kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def _is_count(value: Any) -> bool:
    return _kind(value) is int and value >= 1


def _known(columns: Sequence[str], frame: pd.DataFrame) -> list[str]:
    names = [columns] if isinstance(columns, str) else list(columns)
    unknown = [name for name in names if name not in frame]
    if unknown or not names:
        raise ResultError(
            "columns must be names of the table's columns, but got "
            f"{unknown or names}. It has {list(frame)}."
        )
    return names


def _on_a_page(result: "TuneResult", frame: pd.DataFrame) -> list[str]:
    """Leave out the splits, other metrics and Hyperband's own notes."""
    objective = result.study.objective
    if "rank" not in frame:
        return [*map(str, frame)]
    wanted = {"rank", "trial", f"mean_{objective}", f"std_{objective}", "best_epoch"}
    return [
        name
        for name in map(str, frame)
        if name in wanted
        or (name.startswith("param_") and not name.startswith("param_tuner/"))
    ]


# -- exact formats ---


def _write_csv(frame: pd.DataFrame, path: Path) -> None:
    safe = frame.copy()
    for name in safe.select_dtypes(["object", "string"]):
        safe[name] = safe[name].astype(object).map(_for_spreadsheet)
    safe.columns = pd.Index([_for_spreadsheet(name) for name in safe])
    safe.to_csv(path, index=False)


def _for_spreadsheet(value: Any) -> Any:
    """Keep a text from being a formula, which a spreadsheet would run."""
    if not isinstance(value, str):
        return value
    # A return alone would end the line, for no quotes are written around it.
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if value.startswith(_FORMULA) else text


def _write_parquet(frame: pd.DataFrame, path: Path) -> None:
    try:
        importlib.import_module("pyarrow")
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet needs pyarrow, which is not installed. Run: "
            'pip install "kttoolkit[parquet]"'
        ) from error
    plain = {str(name): _of_one_kind(frame[name]) for name in frame}
    mixed = [name for name, column in plain.items() if column is None]
    for name in mixed:
        plain[name] = frame[name].map(_as_json).astype("string")
    table = pd.DataFrame(plain)
    table.attrs[JSON_COLUMNS] = mixed
    table.to_parquet(path, engine="pyarrow", index=False)


def _of_one_kind(column: "pd.Series[Any]") -> "pd.Series[Any] | None":
    """Return a column as the type of its values, or None where they differ."""
    if column.dtype != object:
        return column
    kinds = {_kind(value) for value in column if not _is_missing(value)}
    if not kinds:
        return column.astype("string")
    dtype = _DTYPES.get(kinds.pop()) if len(kinds) == 1 else None
    return None if dtype is None else column.astype(pd.api.types.pandas_dtype(dtype))


def _kind(value: Any) -> type:
    if isinstance(value, bool | np.bool_):
        return bool
    if isinstance(value, numbers.Integral):
        return int
    if isinstance(value, numbers.Real):
        return float
    return str if isinstance(value, str) else object


_DTYPES = {bool: "boolean", int: "Int64", float: "Float64", str: "string"}


def _as_json(value: Any) -> str | None:
    if _is_missing(value):
        return None
    return json.dumps(value.item() if isinstance(value, np.generic) else value)


def _is_missing(value: Any) -> bool:
    return (
        value is None or value is pd.NA or (isinstance(value, float) and value != value)
    )


# -- formats for a page ---


def _write_latex(frame: pd.DataFrame, path: Path) -> None:
    sides = "".join("r" if _is_numeric(frame[name]) else "l" for name in frame)
    page = _page(frame)
    text = page.to_latex(index=False, escape=True, column_format=sides)
    path.write_text(text, "utf-8")


def _write_markdown(frame: pd.DataFrame, path: Path) -> None:
    page = _page(frame)
    sides = ["---:" if _is_numeric(frame[name]) else "---" for name in frame]
    rows = [[*map(str, page)], sides, *page.to_numpy().tolist()]
    escaped = [[_for_markdown(cell) for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in escaped]
    path.write_text("\n".join(lines) + "\n", "utf-8")


def _page(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn cells into short text and names of columns into headers."""
    text = {number: frame[name].map(_cell) for number, name in enumerate(frame)}
    page = pd.DataFrame(text, dtype=object)
    page.columns = pd.Index(_headers([str(name) for name in frame]))
    return page


def _headers(names: Sequence[str]) -> list[str]:
    """Say `units` for `param_units`, unless two columns would be called so."""
    short = [_header(name) for name in names]
    counts = Counter(short)
    return [s if counts[s] == 1 else n for s, n in zip(short, names, strict=True)]


def _header(name: str) -> str:
    name = visible(name)
    name = re.sub(r"^split(\d+)_", r"split \1 ", name)
    for prefix, said in (("param_", ""), ("mean_", "mean "), ("std_", "std ")):
        if name.startswith(prefix):
            return said + name.removeprefix(prefix)
    return {"best_epoch": "best epoch", "n_parameters": "parameters"}.get(name, name)


def _cell(value: Any) -> str:
    if _is_missing(value):
        return ""
    if _kind(value) is not float:
        return visible(" ".join(str(value).split()))
    if math.isfinite(value) and value == round(value) and abs(value) < _LONGEST_WHOLE:
        return f"{value:.0f}"
    return f"{value:.{_DIGITS}g}"


def _for_markdown(cell: str) -> str:
    return re.sub(r"([\\|`*_<\[\]])", r"\\\1", cell)


def _is_numeric(column: "pd.Series[Any]") -> bool:
    kinds = {_kind(value) for value in column if not _is_missing(value)}
    return bool(kinds) and kinds <= {int, float}


_EXACT = (".csv", ".parquet")
_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
    ".tex": _write_latex,
    ".md": _write_markdown,
}
