"""What a builder has to know of the data, and how large their numbers are."""

import warnings
from dataclasses import dataclass

import numpy as np

from kttoolkit.data import Task, TrainingData
from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import shown

# Of eight tables those with columns of at most 13 lost nothing by being left as they
# are; from 140 on accuracies were up to 0.18 lower, errors up to ten times as large.
_LARGE = 20
# Images would fill the memory, were all of them squared.
_SAMPLE = 2000


@dataclass(frozen=True)
class Shapes:
    """What a builder has to know of the data.

    Attributes:
        inputs: the shape of one row.
        outputs: numbers to predict a row: classes, or targets of a regression.
        task: what is predicted.
        one_hot: whether classes come as one-hot rows.
        n_samples: rows to train on; caps the batch size.
        epochs: of the whole training, over which schedules stretch.
        is_integer: whether the rows hold whole numbers: pixels, or words.
        largest: the highest of these numbers.
        categories: how many values each categorical column of a table has; their
            one-hot columns are the last ones.
    """

    inputs: tuple[int, ...]
    outputs: int
    task: Task
    one_hot: bool = False
    n_samples: int = 512
    epochs: int = 30
    is_integer: bool = False
    largest: int = 0
    categories: tuple[int, ...] = ()


def warn_of_large_numbers(data: TrainingData) -> None:
    """Tell why a network is about to learn badly, and what helps.

    Args:
        data: rows as one array.
    """
    sample = data.x[:: max(1, data.n_samples // _SAMPLE)]
    sizes = np.sqrt(np.mean(np.square(sample, dtype=float), axis=0))
    largest = sizes.max(initial=0.0)
    if largest <= _LARGE:
        return
    where, fix = "x has numbers", "Divide them first, pixels by 255."
    if sizes.ndim == 1:
        names = data.feature_names or range(len(sizes))
        where = f"column {shown(names[int(sizes.argmax())])} has numbers"
        fix = (
            "Pass preprocessor=StandardScaler(), which every fold fits to its own rows."
        )
    warnings.warn(
        "A network learns well from numbers that are about as large as 1, but "
        f"{where} around {largest:.3g} (root mean square). {fix}",
        UserWarning,
        stacklevel=3,
    )


def shapes_of(data: TrainingData) -> Shapes:
    """Read the shapes that a builder needs off the data.

    Args:
        data: preprocessed rows.

    Returns:
        The shapes.

    Raises:
        SearchSpaceError: if there are several inputs or outputs, or no y, or rows or
            targets have too few or too many axes.
    """
    x, y = data.x, data.y
    if not isinstance(x, np.ndarray) or not isinstance(y, np.ndarray):
        raise SearchSpaceError(
            "A builder needs x as one array and y as one vector or matrix, but got "
            f"x of type {type(x).__name__} and y of type {type(y).__name__}. "
            "Write a build function for several inputs or outputs."
        )
    if x.ndim < 2 or x.dtype.kind not in "fiub":
        raise SearchSpaceError(
            "A builder needs rows of numbers, of shape (n_samples, n_features) or with "
            f"more axes, but got x of shape {x.shape} and dtype {x.dtype}. Reshape a "
            "vector to (-1, 1); turn texts into numbers with "
            "preprocessor=CountVectorizer(binary=True)."
        )
    if y.ndim > 2:
        raise SearchSpaceError(
            "A builder needs y as one vector or matrix, of shape (n_samples,) or "
            f"(n_samples, n_outputs), but got y of shape {y.shape}. Flatten it: "
            "y.reshape(len(y), -1)."
        )
    width = 1 if y.ndim == 1 else int(y.shape[1])
    is_integer = x.dtype.kind in "iu"
    return Shapes(
        inputs=tuple(x.shape[1:]),
        outputs=len(data.classes) if data.task == "multiclass" else width,
        task=data.task,
        one_hot=data.task == "multiclass" and width > 1,
        n_samples=data.n_samples,
        is_integer=is_integer,
        largest=int(x.max()) if is_integer else 0,
        categories=tuple(map(len, data.categories.values())),
    )
