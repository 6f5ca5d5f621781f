"""Rebuild the embedded data files, byte for byte, from the packages they come from.

Needs the extra `datasets` (mlxtend, pyreadr) and the files of two Debian packages,
r-cran-mlbench and dataset-fashion-mnist:

    python datasets/make_datasets.py
    python datasets/make_datasets.py --mlbench DIR --fashion-mnist DIR --out DIR

The exit status is 1 when a file is not the one that `kttoolkit.datasets` expects.
"""

import argparse
import gzip
import hashlib
import io
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyreadr
from mlxtend.data import autompg_data, boston_housing_data

from kttoolkit.datasets import EMBEDDED_FILES

AUTO_MPG_COLUMNS = (
    "cylinders,displacement,horsepower,weight,acceleration,model_year,origin,mpg"
)
BOSTON_COLUMNS = "crim,zn,indus,chas,nox,rm,age,dis,rad,tax,ptratio,b,lstat,medv"
SEED = 0
PER_CLASS = {"train": 400, "t10k": 100}


def table(columns: str, rows: Iterable[Iterable[float | str]]) -> bytes:
    """Write a CSV with the shortest decimals that read back as the same numbers.

    Args:
        columns: The header line.
        rows: The values, row by row.

    Returns:
        The file's content.
    """
    lines = [columns, *(",".join(map(_cell, row)) for row in rows)]
    return ("\n".join(lines) + "\n").encode("ascii")


def _cell(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return np.format_float_positional(value, trim="-")


def pima_diabetes(mlbench: Path) -> bytes:
    """Make pima_diabetes.csv from mlbench's original, in which zeros mean missing.

    Args:
        mlbench: The installed R package's folder.

    Returns:
        The file's content.
    """
    path = mlbench / "data" / "PimaIndiansDiabetes.rda"
    frame = pyreadr.read_r(str(path))["PimaIndiansDiabetes"]
    return table(",".join(frame.columns), frame.itertuples(index=False))


def auto_mpg() -> bytes:
    """Make auto_mpg.csv; mlxtend's last column, the car's name, reads as NaN.

    Returns:
        The file's content.
    """
    x, y = autompg_data()
    return table(AUTO_MPG_COLUMNS, np.column_stack([x[:, :-1], y]))


def boston_housing() -> bytes:
    """Make boston_housing.csv.

    Returns:
        The file's content.
    """
    x, y = boston_housing_data()
    return table(BOSTON_COLUMNS, np.column_stack([x, y]))


def fashion_mnist(folder: Path) -> bytes:
    """Make fashion_mnist.npz: the same number of images of every class.

    Args:
        folder: Where the four idx files are.

    Returns:
        The file's content.
    """
    arrays = {}
    for prefix, split in (("train", "train"), ("t10k", "test")):
        labels = _idx(folder / f"{prefix}-labels-idx1-ubyte.gz", 1)
        images = _idx(folder / f"{prefix}-images-idx3-ubyte.gz", 3)
        chosen = balanced_choice(labels, PER_CLASS[prefix])
        arrays[f"x_{split}"] = images[chosen]
        arrays[f"y_{split}"] = labels[chosen]
    return npz(arrays)


def _idx(path: Path, n_axes: int) -> npt.NDArray[np.uint8]:
    content = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(content, ">i4", count=n_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def balanced_choice(
    labels: npt.NDArray[np.uint8], per_class: int
) -> npt.NDArray[np.int64]:
    """Choose the rows whose hashes are the smallest of their class.

    NumPy does not promise that a generator draws the same numbers in its next
    release; a hash of the seed and the row stays the same.

    Args:
        labels: The class of every row, of shape (n_samples,).
        per_class: How many rows of each class.

    Returns:
        The rows in ascending order, of shape (n_classes * per_class,).
    """

    def order(row: int) -> bytes:
        return hashlib.sha256(f"{SEED}:{row}".encode()).digest()

    chosen = [
        sorted(np.flatnonzero(labels == label).tolist(), key=order)[:per_class]
        for label in np.unique(labels)
    ]
    return np.sort(np.concatenate(chosen))


def npz(arrays: dict[str, npt.NDArray[np.uint8]]) -> bytes:
    """Write arrays as `numpy.savez_compressed` does, without the time of day.

    Args:
        arrays: The arrays by name.

    Returns:
        The file's content.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # else it differs on Windows
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(entry, content.getvalue(), compresslevel=9)
    return buffer.getvalue()


def main() -> int:
    """Rebuild every file and compare it with the checksum in `kttoolkit.datasets`.

    Returns:
        The exit status: 0 when every file has the expected checksum, else 1.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--mlbench", type=Path, default="/usr/lib/R/site-library/mlbench"
    )
    parser.add_argument(
        "--fashion-mnist", type=Path, default="/usr/share/datasets/fashion-mnist"
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    options = parser.parse_args()
    for folder in (options.mlbench, options.fashion_mnist):
        if not folder.is_dir():
            parser.error(f"{folder} must be a folder of the Debian package")
    contents = {
        "auto_mpg.csv": auto_mpg(),
        "boston_housing.csv": boston_housing(),
        "fashion_mnist.npz": fashion_mnist(options.fashion_mnist),
        "pima_diabetes.csv": pima_diabetes(options.mlbench),
    }
    options.out.mkdir(parents=True, exist_ok=True)
    n_different = 0
    for name, content in contents.items():
        (options.out / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        same = digest == EMBEDDED_FILES[name]
        n_different += not same
        verdict = "as expected" if same else "DIFFERS from kttoolkit.datasets"
        sys.stdout.write(f"{digest}  {len(content):>8}  {name}: {verdict}\n")
    return 1 if n_different else 0


if __name__ == "__main__":
    sys.exit(main())
