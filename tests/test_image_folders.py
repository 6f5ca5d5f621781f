"""Images from a directory: what `keras.utils` reads, as rows to cut into folds."""

import re

import keras
import numpy as np
import pytest
from PIL import Image

from kttoolkit import builders, datasets, tune
from kttoolkit.exceptions import DatasetError

read = datasets.images_from_directory
DRAW = np.random.default_rng(0)


def write(path, *, mode="RGB", size=(12, 8), value=None):
    """Write an image of noise, or of one value; size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n_channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0], n_channels)
    pixels = DRAW.integers(0, 256, shape) if value is None else np.full(shape, value)
    pixels = pixels.astype("uint8").squeeze()
    Image.fromarray(pixels, mode if mode != "P" else None).save(path)
    return pixels


@pytest.fixture
def photos(tmp_path):
    """Three cats, one of them further down, and two dogs; and what is passed over."""
    root = tmp_path / "photos"
    for name in ("cat/1.png", "cat/old/2.PNG", "cat/3.png", "dog/1.png", "dog/2.png"):
        write(root / name)
    (root / "cat" / "notes.txt").write_text("none")
    (root / ".git").mkdir()
    (root / "readme.md").write_text("none")
    return root


@pytest.mark.parametrize("color_mode", ["rgb", "grayscale", "rgba"])
def test_rows_are_those_that_keras_reads(photos, color_mode):
    got = read(photos, image_size=(8, 12), color_mode=color_mode)
    keras_data = keras.utils.image_dataset_from_directory(
        photos, image_size=(8, 12), color_mode=color_mode, shuffle=False,
        batch_size=None, verbose=False,
    )  # fmt: skip
    x, y = map(np.stack, zip(*keras_data.as_numpy_iterator(), strict=True))
    # Keras rounds its grey otherwise.
    np.testing.assert_allclose(got.x, x, atol=1 if color_mode == "grayscale" else 0)
    np.testing.assert_array_equal(got.y, y)
    assert (got.x.dtype, got.y.dtype) == (np.uint8, np.int64)
    assert list(got.target_names) == keras_data.class_names == ["cat", "dog"]
    assert [str(photos / file) for file in got.files] == keras_data.file_paths
    assert (got.name, got.task, got.source) == ("photos", "binary", str(photos))


@pytest.mark.parametrize("kind", ["bmp", "webp", "jpeg"])
def test_other_formats_are_read(photos, kind):
    pixels = write(photos / "cat" / f"4.{kind}", value=130)
    got = read(photos, image_size=(8, 12))
    np.testing.assert_allclose(got.x[got.files.index(f"cat/4.{kind}")], pixels, atol=2)


def test_hidden_files_are_passed_over(photos):
    (photos / "cat" / "._1.png").write_text("of a Mac")
    assert len(read(photos).x) == 5


def test_sizes_and_shapes(photos):
    write(photos / "dog" / "3.png", size=(40, 20), value=7)
    assert read(photos).x.shape == (6, 64, 64, 3)
    assert read(str(photos), image_size=4, color_mode="grayscale").x.shape == (
        6,
        4,
        4,
        1,
    )
    got = read(photos, image_size=(np.int64(10), 5))
    assert got.x.shape == (6, 10, 5, 3)
    np.testing.assert_array_equal(got.x[-1], 7)


def test_reductions_average(tmp_path):
    """Where Keras's bilinear takes four pixels of very many, as Pillow's do not."""
    pixels = np.indices((64, 64)).sum(0) % 2 * 200
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(pixels.astype("uint8")).save(tmp_path / name / "1.png")
    got = read(tmp_path, image_size=8)
    np.testing.assert_allclose(got.x.astype(float), 100, atol=2)


def test_edges_are_squeezed_or_cut_off(tmp_path):
    wide = np.zeros((10, 30, 3), "uint8")
    wide[:, 10:20] = 240
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.fromarray(wide).save(tmp_path / name / "1.png")
    squeezed = read(tmp_path, image_size=9).x[0, 4, :, 0]
    cut = read(tmp_path, image_size=9, crop_to_aspect_ratio=True).x[0, 4, :, 0]
    assert squeezed[0] == 0 < squeezed[4]
    assert (cut >= 230).all()


def test_classes_may_be_chosen_and_ordered(photos):
    write(photos / "새" / "1.png")
    assert read(photos).target_names == ("cat", "dog", "새")
    got = read(photos, class_names=["새", "cat"])
    assert (got.target_names, got.task) == (("새", "cat"), "binary")
    assert got.y.tolist() == [0, 1, 1, 1]
    assert got.files[0] == "새/1.png"


def test_palettes_and_transparency_are_read(tmp_path):
    write(tmp_path / "a" / "1.png", mode="RGBA")
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    (tmp_path / "b").mkdir()
    image.save(tmp_path / "b" / "1.gif")
    image.save(tmp_path / "b" / "2.png", transparency=b"\0\x80")
    got = read(tmp_path, image_size=4)
    np.testing.assert_array_equal(got.x[1:], np.full((2, 4, 4, 3), [10, 20, 30]))


def test_a_search_over_them(photos):
    for i in range(10):
        for k, name in enumerate(("cat", "dog")):
            write(photos / name / f"more{i}.png", value=40 + 150 * k)
    got = read(photos, image_size=16)
    result = tune(
        builders.cnn(tune=["image_size", "learning_rate"], max_filters=8, depth=1),
        got.x, got.y, tuner="random", max_trials=2, max_epochs=1, cv=2, seed=0,
        directory=photos.parent, verbose=0,
    )  # fmt: skip
    assert set(result.trials["status"]) == {"completed"}


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"image_size": 0}, r"image_size must be .*, but got 0"),
        ({"image_size": (3, 4, 5)}, r"image_size must be .*, but got \(3, 4, 5\)"),
        ({"image_size": "64"}, r"image_size must be .*, but got '64'"),
        ({"image_size": True}, r"image_size must be .*, but got True"),
        ({"image_size": (8, 2.5)}, r"image_size must be .*, but got \(8, 2.5\)"),
        ({"color_mode": "gray"}, r"'rgba', but got 'gray'\. Did you mean 'grayscale'"),
        ({"class_names": ["cat", "dgo"]}, r"got 'dgo'\. Did you mean 'dog'"),
        ({"class_names": ["cat"]}, r"for each of two classes or more, .* \('cat',\)"),
        ({"class_names": ["cat", "cat"]}, "each once"),
    ],
)
def test_wrong_arguments_are_told(photos, options, rule):
    with pytest.raises(DatasetError, match=rule):
        read(photos, **options)


def test_directories_without_classes_or_images_are_told(tmp_path):
    with pytest.raises(DatasetError, match=r"must be there, but .*nowhere is none"):
        read(tmp_path / "nowhere")
    write(tmp_path / "1.png")
    with pytest.raises(DatasetError, match="must have a subdirectory with images"):
        read(tmp_path)
    write(tmp_path / "a" / "1.png")
    (tmp_path / "b").mkdir()
    with pytest.raises(DatasetError, match=r"b has none\. Fix: name the others"):
        read(tmp_path)


def test_a_file_that_is_no_image_is_named(photos):
    (photos / "dog" / "2.png").write_bytes(b"none")
    rule = (
        re.escape(str(photos / "dog" / "2.png")) + ".* cannot identify .*Fix: convert"
    )
    with pytest.raises(DatasetError, match=rule):
        read(photos)


def test_a_file_that_ends_early_is_named(photos):
    whole = (photos / "dog" / "1.png").read_bytes()
    (photos / "dog" / "1.png").write_bytes(whole[:100])
    with pytest.raises(DatasetError, match=r"dog.1\.png must be an image"):
        read(photos)


def test_more_than_8_bits_are_not_cut_off(photos):
    deep = np.full((4, 4), 60_000, "uint16")
    Image.fromarray(deep).save(photos / "cat" / "x.png")
    with pytest.raises(DatasetError, match=r"x\.png .* more than 8 bits .*\(I;16\)"):
        read(photos)
