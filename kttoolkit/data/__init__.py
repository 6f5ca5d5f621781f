"""x and y in every accepted form, checked and made ready to be indexed.

`as_training_data` is the one door. What comes out is frozen, knows its task,
can be cut by row numbers, and has a fingerprint by which a study folder
recognises its data.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from kttoolkit.data._arrays import as_float32
from kttoolkit.data._inputs import (
    as_inputs,
    categories_of,
    check_finite_inputs,
    check_names,
    frame_to_array,
    is_stream,
    n_rows,
    needs_rows,
    take,
)
from kttoolkit.data._targets import Task, as_known_array, as_targets, as_targets_like
from kttoolkit.exceptions import DataError
from kttoolkit.plain import meant, shown

__all__ = [
    "CLASSIFICATION_TASKS",
    "Task",
    "TrainingData",
    "as_training_data",
    "by_class_number",
    "check_finite_inputs",
    "frame_to_array",
    "is_stream",
    "n_rows",
    "needs_rows",
    "take",
]

CLASSIFICATION_TASKS: tuple[Task, ...] = ("binary", "multiclass")


@dataclass(frozen=True)
class TrainingData:
    """Rows that a model can be trained on.

    Attributes:
        x: array of shape (n_samples, ...), a DataFrame of shape (n_samples,
            n_features) that a preprocessor will turn into one, a dict or list of
            arrays (multi-input models), or a stream that cannot be indexed.
        y: array of shape (n_samples,) or (n_samples, n_outputs), a dict of
            arrays (multi-output models), or None.
        task: what is predicted.
        labels: class number of every row, of shape (n_samples,), where the task
            has classes; folds are stratified by it.
        classes: the names that the class numbers stand for, in order.
        sample_weight: of shape (n_samples,), a dict or list of such where y is one,
            or None.
        groups: of shape (n_samples,) or None; rows of a group stay together.
        feature_names: column names of a table, else empty.
        indexable: whether rows can be taken, or x is a stream.
        categories: column name to the values that its one-hot columns stand for,
            in order, where a table has categorical columns.
    """

    x: Any
    y: Any = None
    task: Task = "other"
    labels: np.ndarray | None = None
    classes: tuple[Any, ...] = ()
    sample_weight: Any = None
    groups: np.ndarray | None = None
    feature_names: tuple[str, ...] = ()
    indexable: bool = True
    categories: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return n_rows(self.x)

    @property
    def is_classification(self) -> bool:
        """Whether every row belongs to exactly one class."""
        return self.task in CLASSIFICATION_TASKS

    def take(self, rows: np.ndarray) -> "TrainingData":
        """Return the data of some rows only.

        Args:
            rows: row numbers of shape (n_rows,).

        Returns:
            Data of the same form with `n_rows` rows.
        """
        return replace(
            self,
            x=take(self.x, rows),
            y=take(self.y, rows),
            labels=take(self.labels, rows),
            sample_weight=take(self.sample_weight, rows),
            groups=take(self.groups, rows),
        )

    def decode(self, predictions: np.ndarray) -> np.ndarray:
        """Turn a model's output into the values that y had.

        Args:
            predictions: probabilities of shape (n_rows, n_classes) or, for a
                binary task, (n_rows, 1); for regression any shape.

        Returns:
            Class names of shape (n_rows,), or the predictions as they are.
        """
        if not self.is_classification:
            return predictions
        if predictions.ndim == 2 and predictions.shape[1] > 1:
            numbers = predictions.argmax(axis=1)
        else:
            numbers = (predictions.reshape(len(predictions)) > 0.5).astype(int)
        return np.asarray(self.classes, dtype=_class_dtype(self.classes))[numbers]

    def fingerprint(self) -> str:
        """Return a SHA-256 over every value of x, y, weights and groups."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for part in (self.x, self.y, self.sample_weight, self.groups):
            _update_digest(digest, part)
        return digest.hexdigest()


def as_training_data(
    x: Any,
    y: Any = None,
    *,
    task: str | None = None,
    sample_weight: Any = None,
    groups: Any = None,
    preprocessed_later: bool = False,
    like: "TrainingData | None" = None,
) -> TrainingData:
    """Check x and y and bring them into the form that training needs.

    Args:
        x: array-like of shape (n_samples, ...), a DataFrame (numeric, boolean
            and categorical columns), a dict or list of arrays, or a
            `tf.data.Dataset`/generator (kept as it is).
        y: vector of shape (n_samples,), one-hot of shape (n_samples,
            n_classes), whose columns name the classes in a DataFrame, strings or
            categories (encoded to 0 ... n_classes - 1), or a dict of arrays.
        task: "classification", "regression", or None to tell from y.
        sample_weight: array of shape (n_samples,), for all outputs of y alike, or a
            dict or list of such arrays, one for each output.
        groups: array of shape (n_samples,).
        preprocessed_later: whether a preprocessor will see x, so that text
            columns and missing values are its business.
        like: data that these rows are more of: columns come in its order,
            categories and classes are numbered as there, and one class alone is no
            error.

    Returns:
        The checked data.

    Raises:
        DataError: for sparse matrices, empty data, lengths that differ, NaN or
            infinity (with count and columns), one class only, text without a
            preprocessor.

    Example:
        >>> data = as_training_data([[0.0], [1.0], [2.0]], ["no", "yes", "no"])
        >>> data.task, data.classes, data.y.tolist()
        ('binary', ('no', 'yes'), [0, 1, 0])
    """
    if isinstance(x, TrainingData):
        return x
    if is_stream(x):
        if y is not None:
            raise DataError(
                "y must be None when x yields its own targets, but got "
                f"x of type {type(x).__name__} and y of type {type(y).__name__}. "
                "Leave y out."
            )
        return TrainingData(x=x, indexable=False)
    if like is not None:
        x = _like(x, like)
    is_table = isinstance(x, pd.DataFrame)
    feature_names = tuple(map(str, x.columns)) if is_table else ()
    categories = categories_of(x) if is_table and not preprocessed_later else {}
    x = as_inputs(x, preprocessed_later=preprocessed_later)
    n_samples = n_rows(x)
    if n_samples == 0:
        raise DataError("x must hold at least one row, but got n_samples=0.")
    _check_lengths(n_samples, x, y=y if getattr(y, "ndim", 0) else None)
    y, kind, labels, classes = (
        as_targets(y, task)
        if like is None
        else as_targets_like(y, like.y, like.task, like.classes)
    )
    sample_weight = _as_weights(sample_weight, y)
    groups = _as_groups(groups)
    _check_lengths(n_samples, x, y=y, sample_weight=sample_weight, groups=groups)
    return TrainingData(
        x=x,
        y=y,
        task=kind,
        labels=labels,
        classes=classes,
        sample_weight=sample_weight,
        groups=groups,
        feature_names=feature_names,
        categories=categories,
    )


def by_class_number(
    fit_kwargs: Mapping[str, Any] | None, data: TrainingData | None
) -> dict[str, Any]:
    """Write `class_weight` as Keras takes it: by the numbers that classes were given.

    Args:
        fit_kwargs: arguments of `fit`; the keys of `class_weight` are classes as they
            stand in y, or all of them numbers from 0 on.
        data: whose classes are numbered, if they are.

    Returns:
        The arguments.

    Raises:
        DataError: if a key is neither a class nor the number of one.
    """
    given = dict(fit_kwargs or {})
    weights = given.get("class_weight")
    classes = () if data is None else data.classes
    if not classes or not isinstance(weights, Mapping):
        return given
    numbers = {name: number for number, name in enumerate(classes)}
    if not all(name in numbers for name in weights):
        numbers = {number: number for number in range(len(classes))}
    unknown = [name for name in weights if name not in numbers]
    if unknown:
        raise DataError(
            f"class_weight must have classes of y as keys, {list(classes)[:10]}, or "
            f"their numbers from 0 to {len(classes) - 1}, but got {shown(unknown[0])}."
            f"{meant(unknown[0], map(str, classes))}"
        )
    return {**given, "class_weight": {numbers[k]: v for k, v in weights.items()}}


def _check_lengths(n_samples: int, x: Any = None, **parts: Any) -> None:
    for name, part in _named_arrays(parts):
        if n_rows(part) != n_samples:
            is_list = isinstance(x, list) and len(x) == n_rows(part)
            raise DataError(
                f"x and {name} must have the same number of rows, but got "
                f"x: {n_samples}, {name}: {n_rows(part)}."
                + (" A list counts as several inputs: use np.stack(x)." * is_list)
            )


def _named_arrays(parts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Go through arrays, alone or for several outputs, each with its name."""
    for name, part in parts.items():
        if isinstance(part, Mapping):
            yield from ((f"{name}[{key!r}]", value) for key, value in part.items())
        elif isinstance(part, list):
            yield from ((f"{name}[{place}]", value) for place, value in enumerate(part))
        elif part is not None:
            yield name, part


def _like(x: Any, like: TrainingData) -> Any:
    """Bring the columns and categories of a table into those trained on."""
    if not like.feature_names or not isinstance(x, pd.DataFrame):
        return x
    check_names(x)
    by_name = {str(column): column for column in x.columns}
    missing = [name for name in like.feature_names if name not in by_name]
    if missing:
        raise DataError(
            f"x must have the columns that were trained on, but {missing} are missing."
        )
    x = x[[by_name[name] for name in like.feature_names]]
    coded = {}
    for name, categories in like.categories.items():
        column = x[by_name[name]]
        unknown = column[column.notna() & ~column.isin(categories)]
        if len(unknown):
            raise DataError(
                f"Column {name!r} of x must hold categories that were trained on, "
                f"{list(categories)[:10]}, but got {list(unknown.unique())[:5]}."
            )
        # `astype` leaves a column alone that has the same categories in another order.
        values = pd.Categorical(column, list(categories))
        coded[by_name[name]] = pd.Series(values, index=x.index)
    return pd.DataFrame({column: coded.get(column, x[column]) for column in x})


def _as_weights(values: Any, y: Any) -> Any:
    """Check weights: one a row, or one a row for each output of y."""
    if values is None:
        return None
    if isinstance(values, Mapping):
        if not isinstance(y, Mapping) or values.keys() != y.keys():
            raise _other_outputs(sorted(map(str, values)), y)
        return {k: _weights_of(v, f"sample_weight[{k!r}]") for k, v in values.items()}
    if isinstance(y, list) and isinstance(values, list | tuple) and _are_rows(values):
        if len(values) != len(y):
            raise _other_outputs(len(values), y)
        return [_weights_of(v, f"sample_weight[{i}]") for i, v in enumerate(values)]
    return _weights_of(values, "sample_weight")


def _weights_of(values: Any, what: str) -> np.ndarray:
    weights = as_float32(as_known_array(values, what), what)
    if (weights < 0).any():
        raise DataError(
            f"{what} must not be negative, but got a minimum of {weights.min():g}."
        )
    return weights


def _are_rows(values: Any) -> bool:
    return bool(values) and all(getattr(part, "ndim", 0) for part in values)


def _other_outputs(got: Any, y: Any) -> DataError:
    kind = f"the keys {sorted(map(str, y))}" if isinstance(y, Mapping) else ""
    kind = kind or (f"{len(y)} outputs" if isinstance(y, list) else "one output")
    return DataError(
        "sample_weight must be one array for all outputs, or have one for each as y "
        f"has, but got {got} and y with {kind}. Weigh an output of no concern by 1 "
        "(np.ones)."
    )


def _as_groups(values: Any) -> np.ndarray | None:
    if values is None:
        return None
    groups = as_known_array(values, "groups")
    if groups.ndim != 1:
        raise DataError(
            "groups must be one name or number a row, of shape (n_samples,), but got "
            f"shape {groups.shape}. Pass one column of it."
        )
    try:
        np.unique(groups)
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in groups})
        raise DataError(
            f"groups must be all text or all numbers, but they hold {kinds}. Use "
            "groups.astype(str)."
        ) from error
    return groups


def _class_dtype(classes: tuple[Any, ...]) -> Any:
    return object if classes and isinstance(classes[0], str) else None


def _update_digest(digest: Any, part: Any) -> None:
    if isinstance(part, Mapping):
        for name, value in sorted(part.items(), key=lambda item: str(item[0])):
            digest.update(str(name).encode())
            _update_digest(digest, value)
    elif isinstance(part, list):
        for value in part:
            _update_digest(digest, value)
    else:
        digest.update(_as_bytes(part))


def _as_bytes(part: Any) -> bytes:
    if part is None:
        return b"none"
    if isinstance(part, pd.DataFrame):
        values = pd.util.hash_pandas_object(part, index=False).to_numpy()
        header = [(name, str(dtype)) for name, dtype in part.dtypes.items()]
        return repr(header).encode() + values.tobytes()
    if not isinstance(part, np.ndarray):
        return type(part).__name__.encode()
    if part.dtype.kind == "O":
        return repr(part.tolist()).encode()
    return f"{part.dtype}{part.shape}".encode() + part.tobytes()
