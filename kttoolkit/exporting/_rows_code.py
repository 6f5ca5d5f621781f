"""Rows and targets brought into the form of training, as code."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kttoolkit.cv import takes_documents
from kttoolkit.data import TrainingData
from kttoolkit.exceptions import ResultError
from kttoolkit.exporting._layout import Call, lines, listed
from kttoolkit.exporting._objects import unwritable
from kttoolkit.results import as_code


def constants(data: TrainingData) -> list[str]:
    """Write what has to be known of rows: columns, categories, classes, shapes.

    Args:
        data: the rows of the search.

    Returns:
        Assignments.
    """
    found: list[str] = []
    if data.feature_names:
        found += _assigned("COLUMNS", list(data.feature_names))
    if data.categories:
        found += _assigned(
            "CATEGORIES", {k: list(v) for k, v in data.categories.items()}
        )
    if not data.feature_names and not _is_series(data):
        found += _assigned("INPUT_DTYPES", _described(data.x))
    if _is_coded(data):
        found += _assigned("CLASSES", list(data.classes))
    elif isinstance(data.y, Mapping | list):
        found += _assigned("OUTPUT_DTYPES", _described(data.y))
    return found


def inputs_code(data: TrainingData) -> list[str]:
    """Write the function that brings x into the form of training.

    Args:
        data: the rows of the search.

    Returns:
        Its lines.
    """
    head = ["def as_inputs(x):", '    """Bring rows into the form of training."""']
    if _is_series(data):
        return [*head, "    return pd.DataFrame(np.asarray(x).reshape(len(x), 1))"]
    if not data.feature_names:
        return [*head, *_structured("x", "INPUT_DTYPES", data.x)]
    table = [
        *head,
        "    if not isinstance(x, pd.DataFrame):",
        "        x = pd.DataFrame(x, columns=COLUMNS)",
    ]
    if isinstance(data.x, pd.DataFrame):
        return [*table, "    return x[COLUMNS]"]
    if data.categories:
        table += [
            "    x = x[COLUMNS].copy()",
            "    for name, values in CATEGORIES.items():",
            "        x[name] = pd.Categorical(x[name], values)",
        ]
    else:
        table += ["    x = x[COLUMNS]"]
    table += [
        "    if x.isna().any(axis=None):",
        '        raise ValueError("Values are missing, or categories unknown.")',
    ]
    if data.categories:
        table += ["    x = pd.get_dummies(x, columns=list(CATEGORIES))"]
    return [*table, '    return x.to_numpy("float32")']


def targets_code(data: TrainingData) -> list[str]:
    """Write the function that brings y into the form of training.

    Args:
        data: the rows of the search.

    Returns:
        Its lines.

    Raises:
        ResultError: if there are none.
    """
    if data.y is None:
        raise ResultError(unwritable("its training has no targets y"))
    head = ["def as_targets(y):", '    """Bring targets into the form of training."""']
    if _is_coded(data):
        shape = "" if data.y.ndim == 1 else ".reshape(-1, 1)"
        return [
            *head,
            "    numbers = {name: number for number, name in enumerate(CLASSES)}",
            "    values = np.asarray(y).ravel().tolist()",
            f"    return np.array([numbers[value] for value in values]){shape}",
        ]
    if isinstance(data.y, Mapping | list):
        return [*head, *_structured("y", "OUTPUT_DTYPES", data.y)]
    rows = ", ".join(map(str, (-1, *data.y.shape[1:])))
    return [
        *head, f'    return np.asarray(y, dtype="{data.y.dtype}").reshape({rows})'
    ]  # fmt: skip


def reading_code(data: TrainingData) -> list[str]:
    """Write the function that reads x and y from a file.

    Args:
        data: the rows of the search.

    Returns:
        Its lines.
    """
    x = 'file["x"]'
    if isinstance(data.x, Mapping):
        x = "{name: file[name] for name in INPUT_DTYPES}"
    elif isinstance(data.x, list):
        x = '[file[f"x{number}"] for number in range(len(INPUT_DTYPES))]'
    y = 'file["y"]'
    if isinstance(data.y, Mapping):
        y = "{name: file[name] for name in OUTPUT_DTYPES}"
    elif isinstance(data.y, list):
        y = '[file[f"y{number}"] for number in range(len(OUTPUT_DTYPES))]'
    is_table = not isinstance(data.x, Mapping | list) and not isinstance(
        data.y, Mapping | list
    )
    head = [
        "def read(path, target):",
        '    """Read rows and their targets from a CSV or an NPZ file."""',
    ]
    from_npz = ["with np.load(path) as file:", f"    return {x}, {y}"]
    if not is_table:
        return [*head, *(f"    {line}" for line in from_npz)]
    shape = () if data.feature_names else tuple(data.x.shape[1:])
    rows = "frame" if data.feature_names else f"frame.to_numpy(){_reshaped(shape)}"
    return [
        *head,
        '    if path.endswith(".npz"):',
        *(f"        {line}" for line in from_npz),
        "    frame = pd.read_csv(path)",
        "    y = frame.pop(target)",
        f"    return {rows}, y",
    ]


def weights_code(data: TrainingData) -> tuple[str, str, str]:
    """Write how the weights of rows are given to `fit`, and read from a file.

    Args:
        data: the rows of the search.

    Returns:
        An expression of `sample_weight`, one of `options.weights`, and what the
        file is.
    """
    if isinstance(data.sample_weight, Mapping):
        return (
            "{name: np.asarray(part) for name, part in sample_weight.items()}",
            "dict(np.load(options.weights))",
            "NPZ file with an array for each output",
        )
    if isinstance(data.sample_weight, list):
        return (
            "[np.asarray(part) for part in sample_weight]",
            "list(np.load(options.weights).values())",
            "NPZ file with an array for each output, in order",
        )
    return "np.asarray(sample_weight)", "np.load(options.weights)", "NPY file"


def fit_targets(data: TrainingData) -> str:
    """Write the target that a supervised preprocessor is fitted to.

    Args:
        data: the rows of the search.

    Returns:
        An expression of y.
    """
    if data.labels is None:
        return "y"
    return "y.ravel()" if _is_coded(data) else "y.argmax(axis=1)"


def fit_inputs(data: TrainingData, preprocessor: Any) -> str:
    """Write the rows that a preprocessor is fitted to.

    Args:
        data: the rows of the search.
        preprocessor: unfitted.

    Returns:
        An expression of x.
    """
    is_table = isinstance(data.x, pd.DataFrame)
    return "x.iloc[:, 0]" if is_table and takes_documents(preprocessor) else "x"


def _is_series(data: TrainingData) -> bool:
    """Tell a column without a name from a table, whose columns have one each."""
    return isinstance(data.x, pd.DataFrame) and not data.feature_names


def _is_coded(data: TrainingData) -> bool:
    """Tell classes that are numbered from those that are one-hot."""
    is_array = isinstance(data.y, np.ndarray)
    return bool(data.classes) and is_array and data.y.size == len(data.y)


def _described(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {str(name): str(part.dtype) for name, part in values.items()}
    if isinstance(values, list):
        return [str(part.dtype) for part in values]
    return str(values.dtype) if values.dtype.kind in "fiub" else None


def _structured(name: str, constant: str, values: Any) -> list[str]:
    if isinstance(values, Mapping):
        parts = f"k: np.asarray({name}[k], dtype) for k, dtype in {constant}.items()"
        return [f"    return {{{parts}}}"]
    if isinstance(values, list):
        pairs = f"zip({name}, {constant}, strict=True)"
        return [f"    return [np.asarray(part, dtype) for part, dtype in {pairs}]"]
    return [f"    return np.asarray({name}, dtype={constant})"]


def _reshaped(shape: tuple[int, ...]) -> str:
    return "" if len(shape) == 1 else f".reshape({', '.join(map(str, (-1, *shape)))})"


def _assigned(name: str, value: Any) -> list[str]:
    if isinstance(value, list):
        return lines(listed([as_code(part) for part in value]), f"{name} = ")
    if isinstance(value, dict):
        parts = tuple(
            (f"{as_code(k)}: ", listed([as_code(p) for p in v]))
            if isinstance(v, list)
            else (f"{as_code(k)}: ", as_code(v))
            for k, v in value.items()
        )
        return lines(Call("", parts, "{}"), f"{name} = ")
    return [f"{name} = {as_code(value)}"]
