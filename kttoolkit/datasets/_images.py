"""Images from a directory with a subdirectory for each class."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from PIL import Image, ImageOps

from kttoolkit.datasets._dataset import Array, Dataset, task_of
from kttoolkit.exceptions import DatasetError
from kttoolkit.plain import meant, shown

if TYPE_CHECKING:
    import os

# Those of `keras.utils.image_dataset_from_directory`, and WebP.
_FORMATS: Final = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
_CHANNELS: Final = {"grayscale": ("L", 1), "rgb": ("RGB", 3), "rgba": ("RGBA", 4)}
# Pillow's modes of more than 8 bits, which it cuts off at 255 when it converts them.
_DEEP: Final = ("I", "F")


def images_from_directory(
    directory: "str | os.PathLike[str]",
    *,
    image_size: int | tuple[int, int] = (64, 64),
    color_mode: Literal["grayscale", "rgb", "rgba"] = "rgb",
    class_names: Sequence[str] | None = None,
    crop_to_aspect_ratio: bool = False,
) -> Dataset:
    """Read the images of a directory that has a subdirectory for each class.

    Folds need rows that can be indexed, so all images are held in memory, one byte a
    pixel and channel: 10,000 of 128 x 128 x 3 take half a gigabyte. The arguments are
    those of `keras.utils.image_dataset_from_directory`. Reductions in size are
    averaged (bilinear, antialiased), as PyTorch's and Pillow's are, and Keras's are
    not: pixels differ from Keras's where a size changes.

    Args:
        directory: such as `photos`, with `photos/cat/1.jpg`, `photos/dog/old/2.png`.
            Files of other kinds than BMP, GIF (first frame), JPEG, PNG and WebP, and
            those whose names begin with a dot, are passed over.
        image_size: (height, width) in pixels that all are brought to, or the side of
            a square. A size that is tuned (`builders.cnn(tune=["image_size"])`) is
            at most this one.
        color_mode: "rgb" (3 channels), "grayscale" (1) or "rgba" (4).
        class_names: the subdirectories to read, in the order of their codes; all in
            alphabetical order by default.
        crop_to_aspect_ratio: whether edges are cut off and not squeezed, where an
            image has another ratio of height to width.

    Returns:
        The data set: x of shape (n_samples, height, width, channels) and dtype uint8,
        y of shape (n_samples,), class by class. `files` has the file of each image,
        of which `groups=` can be made where several show the same thing.

    Raises:
        DatasetError: if there is no such directory, it has less than two classes, one
            of them no images, or a file cannot be read.

    Example:
        >>> from kttoolkit import builders, datasets, tune  # doctest: +SKIP
        >>> photos = datasets.images_from_directory("photos", image_size=96)
        ... # doctest: +SKIP
        >>> result = tune(builders.cnn(), photos.x, photos.y)  # doctest: +SKIP
    """
    root = Path(directory)
    size = _checked_size(image_size)
    if color_mode not in _CHANNELS:
        names = ", ".join(map(repr, _CHANNELS))
        raise DatasetError(
            f"color_mode must be one of {names}, but got {shown(color_mode)}."
            f"{meant(color_mode, _CHANNELS)}"
        )
    classes = _classes(root, class_names)
    found = [_files(root / name) for name in classes]
    paths = [path for files in found for path in files]
    read = partial(_read, size=size, color_mode=color_mode, crops=crop_to_aspect_ratio)
    x = np.empty((len(paths), *size, _CHANNELS[color_mode][1]), np.uint8)
    # Pillow decodes outside of Python's lock.
    with ThreadPoolExecutor() as pool:
        for row, image in enumerate(pool.map(read, paths)):
            x[row] = image
    return Dataset(
        x=x,
        y=np.repeat(np.arange(len(classes)), list(map(len, found))),
        feature_names=(),
        target_names=classes,
        description=f"{len(paths)} images of {len(classes)} classes.",
        licence="",
        name=root.resolve().name,
        task=task_of(classes),
        source=str(root),
        files=tuple(path.relative_to(root).as_posix() for path in paths),
    )


def _checked_size(image_size: int | tuple[int, int]) -> tuple[int, int]:
    sides: Any = (image_size, image_size) if np.ndim(image_size) == 0 else image_size
    if len(sides) != 2 or not all(map(_is_side, sides)):
        raise DatasetError(
            "image_size must be (height, width) or one number, whole and above 0, "
            f"but got {shown(image_size)}."
        )
    return (int(sides[0]), int(sides[1]))


def _is_side(value: Any) -> bool:
    is_whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_whole and value > 0


def _classes(root: Path, class_names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the subdirectories, in the order of their codes."""
    if not root.is_dir():
        raise DatasetError(f"directory must be there, but {root} is none.")
    found = sorted(
        path.name
        for path in root.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )
    classes = tuple(found if class_names is None else class_names)
    for name in classes:
        if name not in found:
            raise DatasetError(
                f"class_names must be subdirectories of {root}, but got {shown(name)}."
                f"{meant(name, found)}"
            )
    if len(set(classes)) < max(2, len(classes)):
        raise DatasetError(
            f"{root} must have a subdirectory with images for each of two classes or "
            f"more, each once, but got {shown(classes)}."
        )
    return classes


def _files(folder: Path) -> list[Path]:
    """Return the images of a class, also those further down."""
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _FORMATS and not path.name.startswith(".")
    )
    if not found:
        raise DatasetError(
            f"Every class must have images ({', '.join(_FORMATS)}), but {folder} has "
            "none. Fix: name the others with class_names=."
        )
    return found


def _read(path: Path, *, size: tuple[int, int], color_mode: str, crops: bool) -> Array:
    try:
        with Image.open(path) as opened:
            if opened.mode.startswith(_DEEP):
                raise ValueError(f"it has more than 8 bits a channel ({opened.mode})")
            is_palette = opened.mode == "P"
            full = opened.convert("RGBA") if is_palette else opened
            image = full.convert(_CHANNELS[color_mode][0])
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(
            f"{path} must be an image that can be read, but: {error}. Fix: convert "
            "it, or move it away."
        ) from error
    wanted = (size[1], size[0])
    if image.size != wanted:
        resize = ImageOps.fit if crops else Image.Image.resize
        image = resize(image, wanted, Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]
