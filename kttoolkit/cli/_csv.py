"""CSV files, whose columns are read as what they were in training."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kttoolkit.exceptions import DataError
from kttoolkit.plain import shown

_KOREAN = "cp949"
_OTHER_SEPARATORS = (";", "\t")
_TRUTH = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0}


@dataclass(frozen=True)
class CsvForm:
    r"""How a CSV file is written.

    Attributes:
        header: whether the first line names the columns; None to tell by it: a line
            with a number in it is taken for data.
        sep: what parts the columns: one character, or `\s+` for any blanks.
        encoding: name of the encoding.
    """

    header: bool | None = None
    sep: str = ","
    encoding: str = "utf-8"


def read_csv(
    file: str, form: CsvForm, kinds: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Read a CSV file.

    Args:
        file: its path.
        form: how it is written.
        kinds: column name to "number", "boolean" or "text", as it was in training; of
            other columns, and where it is None, what the cells look like.

    Returns:
        Numbers, truth values, and text as it stands in the file; unknown cells as
        NaN, which makes floats of truth values.

    Raises:
        DataError: if it cannot be read as CSV, or a cell is not of its column's kind.
    """
    first = 0 if has_header(file, form) else None
    guessed = load(file, form, header=first, na_values=["?"], low_memory=False)
    written = load(file, form, header=first, na_values=["?"], dtype=str)
    guessed.columns = [str(name).strip() for name in guessed.columns]
    for place, name in enumerate(guessed.columns):
        column = _Column(file, name, guessed.iloc[:, place], written.iloc[:, place])
        values = column.read((kinds or {}).get(name))
        if values is not column.guessed:
            guessed.isetitem(place, values.array)
    return guessed


def load(file: str, form: CsvForm, **options: Any) -> pd.DataFrame:
    """Let pandas read a file.

    Args:
        file: its path.
        form: how it is written.
        **options: of `pandas.read_csv`.

    Returns:
        What pandas makes of it.

    Raises:
        DataError: if it is in another encoding, or no CSV.
    """
    try:
        return pd.read_csv(file, sep=form.sep, encoding=form.encoding, **options)
    except UnicodeError as error:
        other = "utf-8" if form.encoding.lower() == _KOREAN else _KOREAN
        raise DataError(
            f"{file} must be text in {form.encoding}, but got: {error}. Name the "
            f"encoding that it was saved in, for example --encoding {other}."
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{file} must be a CSV file in {form.encoding.upper()}, but got: {reason}."
            f"{_hint_at_sep(file, form)}"
        ) from error


def has_header(file: str, form: CsvForm) -> bool:
    """Tell whether the first line of a file names its columns.

    Args:
        file: its path.
        form: how it is written.

    Returns:
        What was said, else whether no cell of that line is a number.
    """
    if form.header is not None:
        return form.header
    first = load(file, form, header=None, nrows=1, dtype=str)
    return not pd.to_numeric(first.iloc[0], errors="coerce").notna().any()


def check_columns(
    frame: pd.DataFrame, names: tuple[str, ...], file: str, form: CsvForm
) -> None:
    """Refuse a table without columns that were trained on.

    Args:
        frame: the table.
        names: of the columns that are needed.
        file: that it was read from.
        form: how the file is written.

    Raises:
        DataError: with what is missing, and what may be the cause.
    """
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise DataError(
            f"{file} must have the columns that were trained on, but {missing[:10]} "
            f"are missing; its columns are {list(frame.columns)[:20]}."
            f"{hint(file, form)}"
        )


def hint(file: str, form: CsvForm) -> str:
    """Say which option may be why columns are not found.

    Args:
        file: the path.
        form: by which it was read.

    Returns:
        A sentence to put behind another one, or nothing.
    """
    told = _hint_at_sep(file, form)
    if told or has_header(file, form):
        return told
    why = "holds a number and so " if form.header is None else ""
    return (
        f" The first line {why}was taken for data; pass --header if it names the "
        "columns."
    )


def _hint_at_sep(file: str, form: CsvForm) -> str:
    """Look for another separator in a first line that is one cell."""
    # What is wrong with the file is told already.
    with contextlib.suppress(ValueError):
        first = pd.read_csv(
            file, sep=form.sep, encoding=form.encoding, header=None, nrows=1, dtype=str,
            keep_default_na=False,
        )  # fmt: skip
        cells = list(first.iloc[0])
        found = [sep for sep in _OTHER_SEPARATORS if sep in cells[0]]
        if found and len(cells) == 1:
            return (
                f" The first line holds {found[0]!r}; pass --sep {found[0]!r} if that "
                "is what parts the columns."
            )
    return ""


@dataclass(frozen=True)
class _Column:
    """A column as pandas takes it, and as it is written."""

    file: str
    name: str
    guessed: "pd.Series[Any]"
    written: "pd.Series[Any]"

    def read(self, kind: str | None) -> "pd.Series[Any]":
        """Return the values, by their kind in training if it is known."""
        found = self._kind()
        kind = kind or found
        if kind == "text":
            return self.written
        if kind == found:
            return self.guessed
        return self._numbers() if kind == "number" else self._truth_values()

    def _kind(self) -> str:
        if pd.api.types.is_bool_dtype(self.guessed):
            return "boolean"
        # Truth values with gaps among them are text, as are all categories.
        is_number = pd.api.types.is_numeric_dtype(self.guessed)
        return "number" if is_number else "text"

    def _numbers(self) -> "pd.Series[Any]":
        numbers = pd.to_numeric(self.written, errors="coerce").astype("float64")
        self._refuse(numbers, "numbers")
        return numbers

    def _truth_values(self) -> "pd.Series[Any]":
        truth = self.written.str.strip().str.lower().map(_TRUTH).astype("float64")
        self._refuse(truth, "True or False")
        return truth if truth.isna().any() else truth.astype(bool)

    def _refuse(self, values: "pd.Series[Any]", rule: str) -> None:
        bad = (values.isna() & self.written.notna()).to_numpy()
        if bad.any():
            row = int(bad.argmax())
            raise DataError(
                f"Column {self.name!r} must hold {rule}, as in training, but got "
                f"{shown(self.written.iloc[row])} in row {row + 1} of {self.file} "
                "(the first row below the names is 1). Correct it, or leave the cell "
                "empty."
            )
