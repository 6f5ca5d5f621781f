"""Raw rows brought into the form a model was trained on, without its rows."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from kttoolkit.cv import transformed
from kttoolkit.data import TrainingData, as_training_data, check_finite_inputs
from kttoolkit.exceptions import DataError, ResultError

_JSON_TYPES = (str, bool, int, float)


@dataclass(frozen=True)
class RowForm:
    """What rows of a search look like, as far as predicting has to know.

    Attributes:
        task: what is predicted.
        classes: the names that the class numbers stand for, in order.
        feature_names: column names of a table, else empty.
        categories: values of each categorical column, in the order of its one-hot
            columns.
        shapes: of one row, by name for a dict, by place for a list, and under ""
            for a single array.
        is_preprocessed: whether a preprocessor was given, which then sees raw rows.
        kinds: column name to "number", "boolean" or "text", by which a file of raw rows
            is read, where that is known; None of a model saved before it was kept.
        header: whether the first line of a file names its columns, where that was
            said.
    """

    # Of a table's `attrs`: what was said of the first line of the file it came from.
    HEADER: ClassVar[str] = "kttoolkit.header"

    task: str
    classes: tuple[Any, ...] = ()
    feature_names: tuple[str, ...] = ()
    categories: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] | tuple[tuple[int, ...], ...] = ()
    is_preprocessed: bool = False
    kinds: Mapping[str, str] | None = None
    header: bool | None = None

    @classmethod
    def of(cls, data: TrainingData, *, is_preprocessed: bool) -> "RowForm":
        """Describe the rows of a search.

        Args:
            data: those rows.
            is_preprocessed: whether a preprocessor sees them before the model.

        Returns:
            Their form.

        Raises:
            ResultError: if classes or categories are neither text nor numbers.
        """
        return cls(
            data.task,
            _as_plain(data.classes, "Classes", "y"),
            data.feature_names,
            {
                name: _as_plain(values, f"Categories of {name!r}", f"x[{name!r}]")
                for name, values in data.categories.items()
            },
            _shapes(data.x),
            is_preprocessed,
            _kinds(data),
            data.x.attrs.get(cls.HEADER) if _is_table(data.x) else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the form as plain types."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "RowForm":
        """Read what `to_json` returned.

        Args:
            state: after it went through JSON.

        Returns:
            The form.
        """
        shapes = state["shapes"]
        return cls(
            state["task"],
            tuple(state["classes"]),
            tuple(state["feature_names"]),
            {name: tuple(values) for name, values in state["categories"].items()},
            {name: tuple(shape) for name, shape in shapes.items()}
            if isinstance(shapes, Mapping)
            else tuple(map(tuple, shapes)),
            state["is_preprocessed"],
            state.get("kinds"),
            state.get("header"),
        )

    @property
    def like(self) -> TrainingData:
        """Rows of this form, of which there are none here."""
        task: Any = self.task
        return TrainingData(
            x=None,
            task=task,
            classes=self.classes,
            feature_names=self.feature_names,
            categories=self.categories,
        )

    def prepare(self, x: Any, preprocessor: Any) -> Any:
        """Check raw rows and turn them into what the model takes.

        Args:
            x: rows in the form that `tune` took.
            preprocessor: fitted, or None.

        Returns:
            Array, or a dict or list of them.

        Raises:
            DataError: if columns or inputs are missing, categories or shapes are not
                those trained on, the preprocessor refuses them, or a value is not
                finite.
        """
        x = self._inputs(x)
        rows = as_training_data(
            x, preprocessed_later=self.is_preprocessed, like=self.like
        )
        self._check_shapes(_shapes(rows.x))
        if preprocessor is None:
            return rows.x
        try:
            inputs = transformed(preprocessor, rows.x)
        except DataError:
            raise
        except (ValueError, TypeError) as error:
            raise DataError(
                "x must be rows that the preprocessor of the model takes, but it "
                f"refuses them: {' '.join(str(error).split())[:500]}. Compare the "
                "types of columns (x.dtypes) with those trained on."
            ) from error
        check_finite_inputs(inputs, what="The preprocessor's output")
        return inputs

    def _inputs(self, x: Any) -> Any:
        """Pick the inputs of a dict by name, as columns are picked."""
        if self.feature_names and self.is_preprocessed and not _is_table(x):
            raise DataError(
                "x must be a DataFrame as in training, with the columns "
                f"{list(self.feature_names)[:10]}, but got {type(x).__name__}. Use "
                "pandas.DataFrame(x, columns=...)."
            )
        if not isinstance(self.shapes, Mapping) or "" in self.shapes:
            return x
        if not isinstance(x, Mapping):
            raise DataError(
                f"x must be a dict of the inputs {list(self.shapes)}, as in training, "
                f"but got {type(x).__name__}."
            )
        missing = [name for name in self.shapes if name not in x]
        if missing:
            raise DataError(
                f"x must have the inputs that were trained on, but {missing} are "
                "missing."
            )
        return {name: x[name] for name in self.shapes}

    def _check_shapes(self, got: Any) -> None:
        if got != self.shapes:
            raise DataError(
                "Rows of x must have the shape that was trained on, "
                f"{_shown(self.shapes)}, but got {_shown(got)}. One row alone is "
                "passed as x[None] or x.iloc[[0]]."
            )


def _is_table(x: Any) -> bool:
    return isinstance(x, pd.DataFrame)


def _kinds(data: TrainingData) -> dict[str, str]:
    """Tell what the cells of a file stand for, column by column, where it is sure."""
    if not data.feature_names:
        return {}
    if _is_table(data.x):
        found = {str(name): _kind(column) for name, column in data.x.items()}
    else:
        # Numbers and truth values are both numbers to the model.
        found = {n: _kind_of_values(values) for n, values in data.categories.items()}
    return {name: kind for name, kind in found.items() if kind}


def _kind(column: "pd.Series[Any]") -> str:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _kind_of_values(column.dtype.categories)
    if pd.api.types.is_bool_dtype(column):
        return "boolean"
    if pd.api.types.is_numeric_dtype(column):
        return "number"
    return _kind_of_values(column.dropna())


def _kind_of_values(values: Iterable[Any]) -> str:
    """Numbers and truth values among categories are left to be guessed."""
    return "text" if all(isinstance(value, str) for value in values) else ""


def _shapes(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {str(name): tuple(part.shape[1:]) for name, part in x.items()}
    if isinstance(x, list | tuple):
        return tuple(tuple(part.shape[1:]) for part in x)
    return {"": tuple(x.shape[1:])}


def _shown(shapes: Any) -> Any:
    if isinstance(shapes, Mapping):
        return shapes[""] if list(shapes) == [""] else shapes
    return shapes


def _as_plain(values: tuple[Any, ...], what: str, where: str) -> tuple[Any, ...]:
    plain = [v.item() if isinstance(v, np.generic) else v for v in values]
    for value in plain:
        if not isinstance(value, _JSON_TYPES):
            raise ResultError(
                f"{what} must be text, numbers or booleans to be saved, but got "
                f"{value!r} of type {type(value).__name__}. Search with "
                f"{where}.astype(str)."
            )
    return tuple(plain)
