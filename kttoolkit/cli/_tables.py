"""Tables from files."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from kttoolkit import datasets
from kttoolkit.cli._csv import CsvForm, has_header, hint, load, read_csv
from kttoolkit.exceptions import DataError

_MISSING = "missing"
# Of a target; "None" is the name of a class more often than not.
_UNKNOWN = ["", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "<NA>", "#N/A"]


def read_table(
    file: str,
    target: str | None,
    *,
    header: bool | None = None,
    sep: str = ",",
    encoding: str = "utf-8",
) -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    r"""Read a CSV file, or an embedded data set, and take the target out.

    Args:
        file: path of a CSV file, or a name of `kttoolkit.datasets.names()` that
            stands for a table.
        target: name or number of the column to predict; a data set has its own.
        header: whether the first line names the columns; None to tell by it: a
            line with a number in it is taken for data.
        sep: what parts the columns: one character, or `\s+` for any blanks.
        encoding: of the file.

    Returns:
        The table without the target, and the target.

    Raises:
        DataError: if there is no such file or column, it is not written so, the rows
            are images, or a data set is given a target.
    """
    if not Path(file).exists() and file in datasets.names():
        return _embedded(file, target)
    if not Path(file).is_file():
        raise DataError(
            f"FILE must be a CSV file or one of {', '.join(_tables())}, but got "
            f"{file!r}."
        )
    form = CsvForm(header, sep, encoding)
    frame = read_csv(file, form)
    name = _target_name(frame, target)
    if name is None:
        raise DataError(f"{_no_target(frame, target)}.{hint(file, form)}")
    if len(frame.columns) == 1:
        raise DataError(
            f"{file} must have a column besides the target, but got {name!r} alone."
            f"{hint(file, form)}"
        )
    written = _as_written(file, list(frame.columns).index(name), form)
    return frame.drop(columns=name), _names_kept(frame[name], written)


def _target_name(frame: pd.DataFrame, target: str | None) -> str | None:
    """Find the column that a name or a number stands for, if there is one."""
    if target in frame.columns:
        return target
    if target and re.fullmatch("-?[0-9]{1,9}", target):
        number = int(target)
        if -len(frame.columns) <= number < len(frame.columns):
            return str(frame.columns[number])
    return None


def _no_target(frame: pd.DataFrame, target: str | None) -> str:
    names = list(frame.columns)
    if target is None:
        return f"--target must name the column to predict, one of {names}"
    return (
        f"--target must be a column of the table, but got {target!r}; columns are "
        f"{names}"
    )


def _tables() -> list[str]:
    """Name the data sets that are tables."""
    return [name for name in datasets.names() if datasets.load(name).x.ndim == 2]


def _embedded(name: str, target: str | None) -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    shape = datasets.load(name).x.shape[1:]
    if len(shape) > 1:
        raise DataError(
            f"FILE must be a table, but the rows of {name!r} are images of shape "
            f"{shape}. Take one of {', '.join(_tables())}; images are tuned in Python, "
            "with kttoolkit.builders.cnn()."
        )
    if target is not None:
        raise DataError(
            f"--target is for CSV files, but got {target!r} and the data set {name!r}, "
            "whose target is fixed. Leave it out."
        )
    data = datasets.load(name, as_frame=True)
    return pd.DataFrame(data.x), pd.Series(data.y)


def table_preprocessor(frame: pd.DataFrame) -> Any:
    """Make what turns a raw table into numbers, for each fold anew.

    Args:
        frame: of shape (n_samples, n_features).

    Returns:
        Numbers: missing ones filled with the median, then standardised. Text:
        missing ones a category of their own, then one-hot.
    """
    from sklearn.compose import make_column_transformer  # noqa: PLC0415
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

    numbers = list(frame.select_dtypes(["number", "bool"]).columns)
    texts = [name for name in frame.columns if name not in numbers]
    # The names of the categories, known beforehand as a dtype would know them: every
    # fold then has the same columns, whichever of them its training rows hold.
    known = [sorted({_MISSING, *frame[name].dropna().astype(str)}) for name in texts]
    return make_column_transformer(
        (
            make_pipeline(
                SimpleImputer(strategy="median", keep_empty_features=True),
                StandardScaler(),
            ),
            numbers,
        ),
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value=_MISSING),
                OneHotEncoder(
                    categories=known, handle_unknown="ignore", sparse_output=False
                ),
            ),
            texts,
        ),
    )


def _as_written(file: str, place: int, form: CsvForm) -> "pd.Series[Any]":
    """Read one column as text, its empty cells alone as unknown."""
    first = 0 if has_header(file, form) else None
    table = load(
        file, form, header=first, usecols=[place], dtype=str, keep_default_na=False,
        na_values=_UNKNOWN,
    )  # fmt: skip
    return table.iloc[:, 0]


def _names_kept(
    target: "pd.Series[Any]", written: "pd.Series[Any]"
) -> "pd.Series[Any]":
    """Leave the names of classes as they are: None is one, and 01 is not 1."""
    is_number = pd.api.types.is_numeric_dtype(target)
    if is_number and not written.str.fullmatch(r"\s*0\d+\s*").any():
        return target
    written.name = target.name
    return written
