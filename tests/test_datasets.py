"""The room `datasets`: every set is what its name says, and damage is named."""

import gzip
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import kttoolkit
from kttoolkit import datasets
from kttoolkit.datasets import _named
from kttoolkit.exceptions import DatasetError, KttoolkitError

REPOSITORY = Path(__file__).resolve().parents[1]
EMBEDDED = next(f for f in _named._folders() if (f / "pima_diabetes.csv").is_file())

# name -> task, shape of x, dtype of x, sizes of the classes or mean of the target
EXPECTED = {
    "auto_mpg": ("regression", (392, 7), np.float32, 23.4459),
    "boston_housing": ("regression", (506, 13), np.float32, 22.5328),
    "breast_cancer": ("binary", (569, 30), np.float32, [212, 357]),
    "diabetes": ("regression", (442, 10), np.float32, 152.1335),
    "digits": (
        "multiclass",
        (1797, 64),
        np.float32,
        [178, 182, 177, 183, 181, 182, 181, 179, 174, 180],
    ),
    "fashion_mnist": ("multiclass", (4000, 28, 28), np.uint8, [400] * 10),
    "iris": ("multiclass", (150, 4), np.float32, [50, 50, 50]),
    "pima_diabetes": ("binary", (768, 8), np.float32, [500, 268]),
    "wine": ("multiclass", (178, 13), np.float32, [59, 71, 48]),
}


@pytest.fixture
def embedded_copy(tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in datasets.EMBEDDED_FILES:
        shutil.copy(EMBEDDED / file, folder)
    monkeypatch.setattr(_named, "_folders", lambda: (tmp_path / "absent", folder))
    return folder


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """Two empty folders, in which the full originals are searched, and no network."""

    def no_network():
        raise Exception("URL fetch failure")

    folders = (tmp_path / "cache", tmp_path / "debian")
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(_named, "_full_folders", lambda: folders)
    set_download(monkeypatch, no_network)
    return folders


def set_download(monkeypatch, load_data):
    fashion = SimpleNamespace(load_data=load_data)
    keras = SimpleNamespace(datasets=SimpleNamespace(fashion_mnist=fashion))
    monkeypatch.setitem(sys.modules, "keras", keras)


def write_idx(path, array):
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">i4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes()))


def write_originals(folder, first_pixel=0):
    """Write 6 + 4 images of 28 x 28 in the format of the originals."""
    written = {}
    for split, n in (("train", 6), ("t10k", 4)):
        images = np.zeros((n, 28, 28), np.uint8)
        images[:, 0, 0] = first_pixel + np.arange(n)
        labels = np.arange(n, dtype=np.uint8)
        write_idx(folder / f"{split}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{split}-labels-idx1-ubyte.gz", labels)
        written[split] = images, labels
    return written


def test_names_are_the_known_sets_in_order():
    assert datasets.names() == tuple(sorted(EXPECTED))


@pytest.mark.parametrize("name", EXPECTED)
def test_shape_dtype_and_statistics(name):
    task, shape, dtype, statistic = EXPECTED[name]
    dataset = datasets.load(name)
    assert dataset.name == name
    assert dataset.task == task
    assert dataset.x.shape == shape
    assert dataset.x.dtype == dtype
    assert dataset.y.shape == shape[:1]
    assert np.isfinite(dataset.x).all()
    if task == "regression":
        assert dataset.y.dtype == np.float32
        assert dataset.y.mean() == pytest.approx(statistic, abs=1e-3)
        assert len(dataset.target_names) == 1
    else:
        assert dataset.y.dtype == np.int64
        assert np.bincount(dataset.y).tolist() == statistic
        assert len(dataset.target_names) == len(statistic)


@pytest.mark.parametrize("name", EXPECTED)
def test_words_and_names_are_there(name):
    dataset = datasets.load(name)
    n_features = dataset.x.shape[1] if dataset.x.ndim == 2 else 0
    assert len(dataset.feature_names) == n_features
    strings = (*dataset.feature_names, *dataset.target_names)
    assert all(type(string) is str for string in strings)
    assert dataset.description
    assert dataset.licence
    assert dataset.source


def test_pima_keeps_the_zeros_and_says_what_they_mean():
    dataset = datasets.load("pima_diabetes")
    zeros = dict(
        zip(dataset.feature_names, (dataset.x == 0).sum(axis=0).tolist(), strict=True)
    )
    assert zeros == {
        "pregnant": 111,
        "glucose": 5,
        "pressure": 35,
        "triceps": 227,
        "insulin": 374,
        "mass": 11,
        "pedigree": 0,
        "age": 0,
    }
    assert dataset.target_names == ("neg", "pos")
    assert dataset.x[0].tolist() == pytest.approx([6, 148, 72, 35, 0, 33.6, 0.627, 50])
    assert dataset.y[:3].tolist() == [1, 0, 1]
    assert "zero in glucose, pressure, triceps, insulin or mass" in dataset.description
    assert "missing" in dataset.description


def test_boston_names_the_ethical_problem_and_an_alternative():
    texts = (datasets.load("boston_housing").description, datasets.__doc__)
    for text in texts:
        words = " ".join(text.split())
        assert "racial self-segregation raises house prices" in words
        assert "auto_mpg" in words
        assert "fetch_california_housing" in words


def test_diabetes_is_not_scaled_with_the_statistics_of_all_rows():
    dataset = datasets.load("diabetes")
    age = dataset.x[:, dataset.feature_names.index("age")]
    assert (age.min(), age.max()) == (19, 79)


def test_fashion_subset_is_balanced_with_its_own_test_split():
    dataset = datasets.load("fashion_mnist")
    assert dataset.x_test.shape == (1000, 28, 28)
    assert dataset.x_test.dtype == np.uint8
    assert dataset.y_test.dtype == np.int64
    assert np.bincount(dataset.y_test).tolist() == [100] * 10
    images = {image.tobytes() for image in dataset.x}
    assert len(images) == 4000
    assert not images & {image.tobytes() for image in dataset.x_test}
    assert len(set(dataset.y[:20].tolist())) > 5, "the classes must be mixed"


def test_tables_have_no_test_split():
    dataset = datasets.load("iris")
    assert dataset.x_test is None
    assert dataset.y_test is None


def test_every_load_gives_arrays_of_the_callers_own():
    first = datasets.load("wine")
    first.x[:] = 0
    assert datasets.load("wine").x.any()


def test_repr_is_one_short_line():
    text = repr(datasets.load("fashion_mnist"))
    assert text == (
        "Dataset('fashion_mnist', multiclass, x=(4000, 28, 28), y=(4000,), "
        "x_test=(1000, 28, 28))"
    )


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "fashion_mnist"])
def test_as_frame_holds_the_same_numbers(name):
    plain, frames = datasets.load(name), datasets.load(name, as_frame=True)
    assert isinstance(frames.x, pd.DataFrame)
    assert isinstance(frames.y, pd.Series)
    assert tuple(frames.x.columns) == plain.feature_names
    np.testing.assert_array_equal(frames.x.to_numpy(), plain.x)
    np.testing.assert_array_equal(frames.y.to_numpy(), plain.y)
    regression = plain.task == "regression"
    assert frames.y.name == (plain.target_names[0] if regression else "target")


@pytest.mark.parametrize("full", [False, True])
def test_as_frame_is_refused_for_images(full):
    rule = r"as_frame=True needs a table, but 'fashion_mnist' holds images"
    with pytest.raises(DatasetError, match=rule):
        datasets.load("fashion_mnist", as_frame=True, full=full)


@pytest.mark.parametrize(
    ("name", "close"),
    [("boston", "boston_housing"), ("Iris", "iris"), ("pima", "pima_diabetes")],
)
def test_unknown_name_gives_the_closest_one(name, close):
    rule = rf"name must be one of auto_mpg, .*, wine, but got name='{name}'\. "
    with pytest.raises(DatasetError, match=rule + rf"Did you mean '{close}'\?"):
        datasets.load(name)


@pytest.mark.parametrize("name", ["zzzzzz", "", 3])
def test_unknown_name_without_a_close_one(name):
    with pytest.raises(KttoolkitError, match=rf"but got name={name!r}\.$"):
        datasets.load(name)


@pytest.mark.parametrize("name", [None, ["iris"]])
def test_a_name_that_is_no_string(name):
    with pytest.raises(LookupError, match=r"name must be one of .*, but got name="):
        datasets.load(name)


@pytest.mark.parametrize("file", datasets.EMBEDDED_FILES)
def test_embedded_files_have_their_checksums(file):
    digest = hashlib.sha256((EMBEDDED / file).read_bytes()).hexdigest()
    assert digest == datasets.EMBEDDED_FILES[file]


def test_embedded_files_are_at_most_five_megabytes():
    sizes = [(EMBEDDED / file).stat().st_size for file in datasets.EMBEDDED_FILES]
    assert sum(sizes) <= 5_000_000


def test_readme_lists_every_file_with_its_checksum():
    readme = REPOSITORY / "datasets" / "README.md"
    if not readme.is_file():
        pytest.skip("the repository is not here")
    text = readme.read_text(encoding="utf-8")
    for file, digest in datasets.EMBEDDED_FILES.items():
        assert f"{digest}  {file}" in text


@pytest.mark.parametrize("file", datasets.EMBEDDED_FILES)
def test_a_damaged_file_is_named_with_the_fix(embedded_copy, file):
    path = embedded_copy / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    rule = rf"{file} is damaged: its SHA-256 must be [0-9a-f]{{64}}, but got .* Fix: "
    with pytest.raises(DatasetError, match=rule):
        datasets.load(path.stem)


def test_a_file_cut_short_is_named(embedded_copy):
    (embedded_copy / "auto_mpg.csv").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"auto_mpg\.csv is damaged"):
        datasets.load("auto_mpg")


@pytest.mark.parametrize("file", datasets.EMBEDDED_FILES)
def test_a_missing_file_is_named_with_the_fix(embedded_copy, file):
    (embedded_copy / file).unlink()
    rule = rf"{file} must be in .*absent or .*copy, but is missing\. Fix: reinstall"
    with pytest.raises(DatasetError, match=rule):
        datasets.load(Path(file).stem)


def test_the_folder_in_the_package_comes_before_the_one_beside_it(embedded_copy):
    wheel = embedded_copy.parent / "absent"
    wheel.mkdir()
    (wheel / "pima_diabetes.csv").write_bytes(b"other")
    with pytest.raises(DatasetError, match=r"absent.pima_diabetes\.csv is damaged"):
        datasets.load("pima_diabetes")


def test_the_search_folders():
    package = Path(kttoolkit.__file__).parent
    assert _named._folders() == (package / "_embedded", package.parent / "datasets")


def test_full_search_folders_honour_keras_home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    cache, debian = _named._full_folders()
    assert cache == tmp_path / "datasets" / "fashion-mnist"
    assert debian == Path("/usr/share/datasets/fashion-mnist")
    monkeypatch.delenv("KERAS_HOME")
    cache, _ = _named._full_folders()
    assert cache == Path.home() / ".keras" / "datasets" / "fashion-mnist"


def test_full_reads_the_originals(searched):
    written = write_originals(searched[1])
    dataset = datasets.load("fashion_mnist", full=True)
    np.testing.assert_array_equal(dataset.x, written["train"][0])
    np.testing.assert_array_equal(dataset.y, written["train"][1])
    np.testing.assert_array_equal(dataset.x_test, written["t10k"][0])
    np.testing.assert_array_equal(dataset.y_test, written["t10k"][1])
    assert dataset.x.dtype == np.uint8
    assert dataset.y.dtype == np.int64
    assert dataset.x.flags.writeable
    assert dataset.source == str(searched[1])
    assert "6 to train on" in dataset.description


def test_full_takes_kerass_cache_before_debians_folder(searched):
    cache, debian = searched
    write_originals(cache, first_pixel=100)
    write_originals(debian)
    assert datasets.load("fashion_mnist", full=True).x[0, 0, 0] == 100


def test_full_passes_over_an_incomplete_folder(searched):
    cache, debian = searched
    write_originals(cache, first_pixel=100)
    (cache / "t10k-labels-idx1-ubyte.gz").unlink()
    write_originals(debian)
    assert datasets.load("fashion_mnist", full=True).x[0, 0, 0] == 0


def test_full_downloads_when_no_folder_has_it(searched, monkeypatch):
    def load_data():
        images, labels = np.ones((3, 28, 28), np.uint8), np.zeros(3, np.uint8)
        images.flags.writeable = False
        return (images, labels), (images[:2], labels[:2])

    set_download(monkeypatch, load_data)
    dataset = datasets.load("fashion_mnist", full=True)
    assert (len(dataset.x), len(dataset.x_test)) == (3, 2)
    assert dataset.x.flags.writeable
    assert dataset.source == "keras.datasets.fashion_mnist.load_data"


def test_full_says_what_was_looked_for(searched):
    write_originals(searched[0])
    (searched[0] / "train-images-idx3-ubyte.gz").unlink()
    rule = (
        r"cache lacks train-images-idx3-ubyte\.gz; "
        r".*debian lacks train-images-idx3-ubyte\.gz, train-labels.*t10k-labels.*; "
        r"and the download failed: URL fetch failure\. Fix: .*dataset-fashion-mnist"
        r".*full=False"
    )
    with pytest.raises(DatasetError, match=rule):
        datasets.load("fashion_mnist", full=True)


def cut_short(content):
    return content[: len(content) // 2]


def not_gzip(content):
    return b"<html>not found</html>"


def other_magic(content):
    return gzip.compress(b"PNG!" + gzip.decompress(content)[4:])


def fewer_pixels(content):
    return gzip.compress(gzip.decompress(content)[:-1])


def without_header(content):
    return gzip.compress(gzip.decompress(content)[:6])


@pytest.mark.parametrize(
    "damage", [cut_short, not_gzip, other_magic, fewer_pixels, without_header]
)
@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
def test_full_names_a_damaged_original(searched, damage, kind):
    write_originals(searched[0])
    path = searched[0] / f"train-{kind}-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    rule = rf"train-{kind}-ubyte\.gz is damaged: .+\. Fix: delete it"
    with pytest.raises(DatasetError, match=rule):
        datasets.load("fashion_mnist", full=True)


def test_full_refuses_images_without_labels(searched):
    write_originals(searched[0])
    labels = searched[0] / "t10k-labels-idx1-ubyte.gz"
    write_idx(labels, np.zeros(3, np.uint8))
    with pytest.raises(DatasetError, match=r"test split .* n_images=4, n_labels=3"):
        datasets.load("fashion_mnist", full=True)


def test_importing_and_loading_needs_no_tensorflow():
    code = (
        "import sys; from kttoolkit import datasets; "
        "[datasets.load(name) for name in datasets.names()]; "
        "sys.exit(','.join({'tensorflow', 'keras'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def make_datasets():
    pytest.importorskip("mlxtend")
    pytest.importorskip("pyreadr")
    path = REPOSITORY / "datasets" / "make_datasets.py"
    if not path.is_file():
        pytest.skip("the repository is not here")
    spec = importlib.util.spec_from_file_location("make_datasets", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_mlxtend_are_rebuilt_byte_for_byte(make_datasets):
    assert make_datasets.auto_mpg() == (EMBEDDED / "auto_mpg.csv").read_bytes()
    boston = (EMBEDDED / "boston_housing.csv").read_bytes()
    assert make_datasets.boston_housing() == boston


def test_the_npz_does_not_depend_on_the_time_of_day(make_datasets, monkeypatch):
    arrays = {"x_train": np.arange(12, dtype=np.uint8).reshape(3, 4)}
    first = make_datasets.npz(arrays)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert make_datasets.npz(arrays) == first


def test_the_choice_is_balanced_and_stays_the_same(make_datasets):
    labels = np.tile(np.arange(4, dtype=np.uint8), 50)
    chosen = make_datasets.balanced_choice(labels, per_class=2)
    assert np.bincount(labels[chosen]).tolist() == [2, 2, 2, 2]
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    np.testing.assert_array_equal(chosen, make_datasets.balanced_choice(labels, 2))
