"""Row numbers of a study, read without trust in what the file says of its size."""

import math
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np

from kttoolkit.exceptions import StudyFolderError

# Row numbers are packed to a fifth; zeros, with which a small file could fill the
# memory, to a thousandth.
_MOST_PACKED = 50
_ALWAYS_READ = 2**20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Whatever a file that anyone may have written can be: no zip, cut short, encrypted,
# another checksum, another header.
_DAMAGES = (
    OSError, EOFError, ValueError, TypeError, KeyError, RuntimeError, MemoryError,
    OverflowError, zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip


def read_row_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read arrays of row numbers from what `numpy.savez_compressed` wrote.

    Args:
        path: of the file.

    Returns:
        Names to arrays of shape (n_rows,).

    Raises:
        StudyFolderError: if it is damaged, holds anything else, or would unpack to
            far more than row numbers do; nothing is unpacked then.
    """
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
            _check_size(members, path.stat().st_size)
            return {m.filename.removesuffix(".npy"): _array(file, m) for m in members}
    except _DAMAGES as error:
        raise StudyFolderError(
            f"{path} must hold row numbers, but it is damaged: {error}. Restore it "
            "from a copy."
        ) from error


def _check_size(members: list[zipfile.ZipInfo], n_bytes: int) -> None:
    unpacked = sum(member.file_size for member in members)
    if unpacked > max(_ALWAYS_READ, _MOST_PACKED * n_bytes):
        raise ValueError(f"{n_bytes:,} bytes would unpack to {unpacked:,}")
    for member in members:
        if member.compress_type not in _METHODS:
            raise ValueError(f"{member.filename!r} is packed in another way than by us")


def _array(file: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Read one array whose header tells no more than there is."""
    # No more than the directory's size is unpacked, whatever the data would give.
    content = file.read(member)
    stream = BytesIO(content)
    shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    start = stream.tell()
    if dtype.kind not in "iu" or len(shape) != 1:
        raise ValueError(f"{member.filename!r} has dtype {dtype} and shape {shape}")
    if math.prod(shape) * dtype.itemsize != len(content) - start:
        raise ValueError(f"{member.filename!r} says that it has {shape[0]} numbers")
    return np.frombuffer(content, dtype, offset=start).astype(int)
