"""Data sets by their names: embedded files, scikit-learn's, Fashion-MNIST."""

import csv
import difflib
import gzip
import hashlib
import io
import os
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets as sklearn_datasets

from kttoolkit.datasets._dataset import Array, Dataset, task_of
from kttoolkit.exceptions import DatasetError

_SHA256SUMS: Final = """\
ada06c22fa8cb973c1c4073fe6f57d746db9d4409822a02afe6c34963ba91e81  auto_mpg.csv
24ec814c9b6c5bb1cae0f6d203636413195ade13a34b62920787599f63eefd7e  boston_housing.csv
e0ce99510c98560ead440f6d893e7f2d4adbf412e51244026c71df58efba275d  fashion_mnist.npz
d579e2243fd8bff59098eafc42ac88c80c1e90785d9f53f9285732c3d3d5e591  pima_diabetes.csv
"""
EMBEDDED_FILES: Final[dict[str, str]] = {
    file: digest for digest, file in map(str.split, _SHA256SUMS.splitlines())
}
"""The SHA-256 of every embedded file; `datasets/make_datasets.py` rebuilds them."""

_FULL_FILES: Final = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}
_FASHION_CLASSES: Final = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


class _Table(NamedTuple):
    """An embedded CSV whose last column is the target."""

    source: str
    licence: str
    description: str
    classes: tuple[str, ...] = ()


_TABLES: Final = {
    "auto_mpg": _Table(
        source="mlxtend, mlxtend.data.autompg_data",
        licence="BSD-3-Clause (mlxtend)",
        description=(
            "Fuel consumption of 392 cars of 1970 to 1982, in miles per gallon. "
            "The six cars of the original without horsepower are left out, and so is "
            "the column of car names. `origin` is a code: 1 USA, 2 Europe, 3 Japan."
        ),
    ),
    "boston_housing": _Table(
        source="mlxtend, mlxtend.data.boston_housing_data",
        licence="BSD-3-Clause (mlxtend)",
        description=(
            "Median house value in thousands of dollars (medv) of 506 census tracts "
            "around Boston, 1970; values above 50 were cut to 50. Ethical problem: "
            "column b is 1000(Bk - 0.63)^2, with Bk the share of Black residents, "
            "built on the untested assumption that racial self-segregation raises "
            "house prices. Use it to show that problem or to compare with old "
            "results; otherwise load auto_mpg, or scikit-learn's "
            "fetch_california_housing."
        ),
    ),
    "pima_diabetes": _Table(
        classes=("neg", "pos"),
        source="mlbench 2.1-3, PimaIndiansDiabetes",
        licence="GPL-2 (mlbench; it states nothing separate for the data)",
        description=(
            "Signs of diabetes in 768 women of at least 21 years and of Pima heritage "
            "near Phoenix, Arizona: 268 positive. This is the original with zeros: a "
            "zero in glucose, pressure, triceps, insulin or mass means a missing "
            "value (374 of them in insulin). A zero in pregnant is a real zero."
        ),
    ),
}


_BUNDLED_NOTES: Final = {
    "breast_cancer": "",
    "diabetes": (
        "The columns are raw, as measured: scikit-learn's default scales them with the "
        "statistics of all rows, and the note on that below does not apply.\n\n"
    ),
    "digits": "Images of 8 x 8 pixels, 0 to 16, as rows: x.reshape(-1, 8, 8).\n\n",
    "iris": "",
    "wine": "",
}


def names() -> tuple[str, ...]:
    """Name every data set that `load` knows.

    Returns:
        The names in alphabetical order.

    Example:
        >>> from kttoolkit import datasets
        >>> "iris" in datasets.names()
        True
    """
    return tuple(sorted([*_TABLES, *_BUNDLED_NOTES, "fashion_mnist"]))


def load(name: str, *, full: bool = False, as_frame: bool = False) -> Dataset:
    """Load a data set by its name.

    `boston_housing` has an ethical problem (see its description); prefer `auto_mpg`.

    Args:
        name: One of `names()`.
        full: Whether `fashion_mnist` is all 60000 + 10000 images, from Keras's cache,
            the folder of Debian's package dataset-fashion-mnist, or a download, and
            not the embedded subset of 400 + 100 a class. The others are always whole.
        as_frame: Whether `x` is a pandas frame and `y` a series; for tables only.

    Returns:
        The data set, in arrays that are the caller's own.

    Raises:
        DatasetError: If the name is unknown, a file is missing or damaged, or
            `as_frame` is asked of images.

    Example:
        >>> from kttoolkit import datasets
        >>> datasets.load("pima_diabetes")
        Dataset('pima_diabetes', binary, x=(768, 8), y=(768,))
        >>> datasets.load("iris", as_frame=True).y.name
        'target'
    """
    if name not in names():
        close = difflib.get_close_matches(str(name).lower(), names(), n=1, cutoff=0.4)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise DatasetError(
            f"name must be one of {', '.join(names())}, but got {name=}.{hint}"
        )
    if name in _TABLES:
        dataset = _load_table(name)
    elif name in _BUNDLED_NOTES:
        dataset = _load_bundled(name)
    elif as_frame:
        raise DatasetError(
            f"as_frame=True needs a table, but {name!r} holds images of shape "
            "(n_samples, 28, 28). Fix: load it without as_frame."
        )
    else:
        dataset = _load_fashion(full=full)
    return _with_frames(dataset) if as_frame else dataset


def _with_frames(dataset: Dataset) -> Dataset:
    name = dataset.target_names[0] if dataset.task == "regression" else "target"
    return replace(
        dataset,
        x=pd.DataFrame(dataset.x, columns=list(dataset.feature_names)),
        y=pd.Series(dataset.y, name=name),
    )


def _folders() -> tuple[Path, ...]:
    # A wheel carries the files inside the package, an editable install beside it.
    package = Path(__file__).resolve().parents[1]
    return (package / "_embedded", package.parent / "datasets")


def _read_embedded(file: str) -> bytes:
    fix = "Fix: reinstall kttoolkit, or rebuild it with datasets/make_datasets.py."
    path = next((f / file for f in _folders() if (f / file).is_file()), None)
    if path is None:
        looked = " or ".join(map(str, _folders()))
        raise DatasetError(f"{file} must be in {looked}, but is missing. {fix}")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != EMBEDDED_FILES[file]:
        raise DatasetError(
            f"{path} is damaged: its SHA-256 must be {EMBEDDED_FILES[file]}, "
            f"but got {digest}. {fix}"
        )
    return content


def _load_table(name: str) -> Dataset:
    table = _TABLES[name]
    text = _read_embedded(f"{name}.csv").decode("utf-8")
    header, *rows = csv.reader(io.StringIO(text))
    target: list[Any] = [row[-1] for row in rows]
    if table.classes:
        target = [table.classes.index(value) for value in target]
    return Dataset(
        x=np.array([row[:-1] for row in rows], dtype=np.float32),
        y=np.array(target, dtype=np.int64 if table.classes else np.float32),
        feature_names=tuple(header[:-1]),
        target_names=table.classes or (header[-1],),
        description=table.description,
        licence=table.licence,
        name=name,
        task=task_of(table.classes),
        source=table.source,
    )


def _load_bundled(name: str) -> Dataset:
    is_regression = name == "diabetes"
    options = {"scaled": False} if is_regression else {}
    bunch = getattr(sklearn_datasets, f"load_{name}")(**options)
    classes = () if is_regression else tuple(map(str, bunch.target_names))
    return Dataset(
        x=np.array(bunch.data, dtype=np.float32),
        y=np.array(bunch.target, dtype=np.int64 if classes else np.float32),
        feature_names=tuple(map(str, bunch.feature_names)),
        target_names=classes or ("disease_progression",),
        description=_BUNDLED_NOTES[name] + bunch.DESCR.strip(),
        licence="BSD-3-Clause (scikit-learn)",
        name=name,
        task=task_of(classes),
        source=f"scikit-learn, sklearn.datasets.load_{name}",
    )


def _load_fashion(*, full: bool) -> Dataset:
    if full:
        arrays, source = _read_full_fashion()
    else:
        content = _read_embedded("fashion_mnist.npz")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = dict(stored)
        source = "Debian dataset-fashion-mnist; embedded, class-balanced subset"
    n_train, n_test = len(arrays["y_train"]), len(arrays["y_test"])
    return Dataset(
        x=arrays["x_train"],
        y=arrays["y_train"].astype(np.int64),
        feature_names=(),
        target_names=_FASHION_CLASSES,
        description=(
            "Zalando's grey images of 28 x 28 pixels, 0 to 255, of clothes and shoes "
            f"of ten classes: {n_train} to train on (x, y) and {n_test} of the "
            "original test split (x_test, y_test)."
        ),
        licence="MIT (Zalando SE)",
        name="fashion_mnist",
        task="multiclass",
        source=source,
        x_test=arrays["x_test"],
        y_test=arrays["y_test"].astype(np.int64),
    )


def _full_folders() -> tuple[Path, ...]:
    keras_home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    return (
        keras_home / "datasets" / "fashion-mnist",
        Path("/usr/share/datasets/fashion-mnist"),
    )


def _read_full_fashion() -> tuple[dict[str, Array], str]:
    looked = []
    for folder in _full_folders():
        missing = [f for f in _FULL_FILES.values() if not (folder / f).is_file()]
        if not missing:
            return _read_folder(folder), str(folder)
        looked.append(f"{folder} lacks {', '.join(missing)}")
    try:
        return _download_fashion(), "keras.datasets.fashion_mnist.load_data"
    except Exception as error:  # Keras's downloader raises bare Exceptions
        raise DatasetError(
            "fashion_mnist with full=True must be on this machine or be downloaded, "
            f"but {'; '.join(looked)}; and the download failed: {error}. Fix: put the "
            "four files into one of these folders, install Debian's package "
            "dataset-fashion-mnist, connect to the network, or use full=False."
        ) from error


def _download_fashion() -> dict[str, Array]:
    import keras  # noqa: PLC0415 - only a download needs Keras

    train, test = keras.datasets.fashion_mnist.load_data()
    arrays = map(np.array, (*train, *test))  # Keras's own are read-only
    return dict(zip(_FULL_FILES, arrays, strict=True))


def _read_folder(folder: Path) -> dict[str, Array]:
    arrays = {key: _read_idx(folder / file) for key, file in _FULL_FILES.items()}
    for split in ("train", "test"):
        n_images, n_labels = len(arrays[f"x_{split}"]), len(arrays[f"y_{split}"])
        if n_images != n_labels:
            raise DatasetError(
                f"{folder} is damaged: the {split} split must have one label an "
                f"image, but got {n_images=}, {n_labels=}. Fix: delete its files."
            )
    return arrays


def _read_idx(path: Path) -> Array:
    n_axes = 3 if "idx3" in path.name else 1
    start = 4 + 4 * n_axes
    try:
        with gzip.open(path) as stream:
            content = stream.read()
        if content[:4] != bytes((0, 0, 8, n_axes)):
            raise ValueError(f"it begins with {content[:4]!r}, not as an idx file")
        shape = np.frombuffer(content[:start], ">i4", offset=4)
        return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DatasetError(
            f"{path} is damaged: {error}. Fix: delete it, so that the next source is "
            "used, or fetch it again."
        ) from error
