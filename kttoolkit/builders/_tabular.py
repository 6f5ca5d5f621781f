"""Networks for tables of numbers and categories."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import keras_tuner
import numpy as np

from kttoolkit import space
from kttoolkit.builders._ask import Ask, Levels
from kttoolkit.builders._base import Builder
from kttoolkit.builders._fixed import doubled
from kttoolkit.builders._mlp import MLP
from kttoolkit.builders._shapes import Shapes
from kttoolkit.builders._style import Style, hidden_widths
from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import shown


def tabular(
    *,
    task: str = "auto",
    tune: str | Sequence[str] = "essential",
    categorical: Mapping[int, int] | None = None,
    max_units: int = 256,
    jit_compile: bool | str = "auto",
    **fixed: Any,
) -> Builder:
    """Return a builder for tables: numbers are scaled, categories are embedded.

    Of a DataFrame, columns of dtype "category" are categories and all others numbers;
    nothing has to be scaled or encoded before. Numbers are scaled by a batch
    normalisation at the entrance, which learns from the rows trained on, batch by
    batch, and every category becomes a vector that is learned. Tables of numbers alone
    do better with `mlp` and `preprocessor=StandardScaler()`, which scales exactly.

    Args:
        task: "auto", "classification" or "regression".
        tune: as in `mlp`, and with "wide" the width of embeddings, `embedding`.
        categorical: of an array instead of a DataFrame: column numbers to numbers of
            categories, which are counted from 0 (as scikit-learn's `OrdinalEncoder`
            does).
        max_units: the widest hidden layer, 16 doubled some times.
        jit_compile: as `keras.Model.compile` takes it. "auto" is Keras's choice: XLA on
            a GPU, where it pays for long searches over numbers; False is faster there
            in short ones, and where layers or units are searched.
        **fixed: values of hyperparameters that are not searched.

    Returns:
        A `keras_tuner.HyperModel`.

    Raises:
        SearchSpaceError: if a name is unknown, or max_units senseless.

    Example:
        >>> import kttoolkit
        >>> builder = kttoolkit.builders.tabular(tune="standard")
        >>> frame["origin"] = frame["origin"].astype("category")  # doctest: +SKIP
        >>> kttoolkit.tune(builder, frame, mpg)  # doctest: +SKIP

    References:
        C. Guo and F. Berkhahn, "Entity embeddings of categorical variables",
        arXiv:1604.06737.
    """
    return Tabular(
        task=task,
        tune=tune,
        fixed=fixed,
        jit_compile=jit_compile,
        categorical=dict(categorical or {}),
        max_units=doubled("max_units", max_units, 16),
    )


class Tabular(Builder):
    """Scaled numbers, embedded categories, dense layers; see `tabular`."""

    family: ClassVar[str] = "tabular"
    levels: ClassVar[Levels] = {
        **MLP.levels, "wide": (*MLP.levels["wide"], "embedding"),
    }  # fmt: skip
    example: ClassVar[Shapes] = Shapes((11,), 1, "binary", categories=(3,))

    def features(self, ask: Ask, inputs: Any) -> Any:
        """Scale, embed, and add dense layers."""
        if len(inputs.shape) != 2:
            raise SearchSpaceError(
                "A table has shape (n_samples, n_features), but got rows of shape "
                f"{tuple(inputs.shape[1:])}."
            )
        width = ask("embedding", _embedding)
        parts = [*self._one_hot_parts(inputs, width), *self._coded(inputs, width)]
        numbers = self._numbers(inputs)
        if numbers is not None:
            # Keras's 0.99 has forgotten its start only after hundreds of batches.
            scale = keras.layers.BatchNormalization(momentum=0.9, name="scale")
            parts.insert(0, scale(numbers))
        x = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
        widths = hidden_widths(ask, max_value=self.options["max_units"])
        style = Style.of(ask)
        for units in widths:
            x = style.dense(x, units)
        return x

    def check_rows(self, rows: np.ndarray) -> None:
        """Refuse codes that a column should not have."""
        table = rows if rows.ndim == 2 else rows[:, :0]
        for column, size in self.options["categorical"].items():
            if not 0 <= column < table.shape[1]:
                continue
            codes = np.unique(table[:, column])
            if not np.isin(codes, np.arange(size)).all():
                raise SearchSpaceError(
                    f"Codes of column {column} must be whole numbers from 0 to "
                    f"{size - 1}, since categorical={{{column}: {size}}}, but got "
                    f"{shown(codes.tolist())}. Say how many there are, or encode the "
                    "column with OrdinalEncoder."
                )

    def _numbers(self, inputs: Any) -> Any:
        """Return the columns that are no categories, or None."""
        n_columns = inputs.shape[1] - sum(self.bound_shapes.categories)
        coded = self._coded_columns(inputs)
        kept = [column for column in range(n_columns) if column not in coded]
        if not kept:
            return None
        return keras.ops.take(inputs, kept, axis=1) if coded else inputs[:, :n_columns]

    def _one_hot_parts(self, inputs: Any, width: int) -> list[Any]:
        """Embed one-hot columns: a matrix times a one-hot row is one of its rows."""
        sizes = self.bound_shapes.categories
        start = inputs.shape[1] - sum(sizes)
        parts = []
        for number, size in enumerate(sizes):
            layer = keras.layers.Dense(
                _width(width, size), use_bias=False, name=f"embedding_{number}"
            )
            parts.append(layer(inputs[:, start : start + size]))
            start += size
        return parts

    def _coded(self, inputs: Any, width: int) -> list[Any]:
        """Embed columns of category numbers."""
        return [
            keras.layers.Embedding(
                size, _width(width, size), name=f"embedding_of_column_{column}"
            )(keras.ops.cast(inputs[:, column], "int32"))
            for column, size in self._coded_columns(inputs).items()
        ]

    def _coded_columns(self, inputs: Any) -> dict[int, int]:
        n_columns = inputs.shape[1]
        for column in self.options["categorical"]:
            if not 0 <= column < n_columns:
                raise SearchSpaceError(
                    f"0 <= column < {n_columns} must hold for categorical columns, "
                    f"but got {column}."
                )
        return self.options["categorical"]


def _embedding(hp: keras_tuner.HyperParameters) -> int:
    return space.units(hp, name="embedding", min_value=2, max_value=16, default=8)


def _width(width: int, size: int) -> int:
    """Give a category no wider a vector than it has values."""
    return min(width, size)
