"""Folders that someone damaged or made to harm: refused in our words, nothing done."""

import ast
import dataclasses
import hashlib
import io
import json
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import tried
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

import kttoolkit
from kttoolkit import builders
from kttoolkit.exceptions import KttoolkitError, ModelFolderError, StudyFolderError
from kttoolkit.exporting._folder import INFO_FILE, MODEL_FILE, PREPROCESSOR_FILE
from kttoolkit.results import (
    SPLITS_FILE,
    STUDY_FILE,
    TEST_FILE,
    Study,
    TrialRecord,
    _record,
    read_records,
)
from kttoolkit.scoring import FoldFit

X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = np.where(X[:, 0] > 0, "한", "no")
ROOT = Path(kttoolkit.__file__).parent
FROM_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def searched(directory, **options):
    given = {"tuner": "random", "max_trials": 2, "max_epochs": 1, "cv": 2, "seed": 0,
             "verbose": 0, "project_name": "p", **options}  # fmt: skip
    build = builders.mlp(
        units=2, depth=1, optimizer="sgd", tune=["learning_rate", "momentum"]
    )
    return kttoolkit.tune(
        build, X, Y, directory=directory, test_size=0.25, preprocessor=StandardScaler(),
        **given,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study and a saved model, as they were written."""
    root = tmp_path_factory.mktemp("whole")
    result = searched(root / "studies")
    result.save_model(root / "model")
    return root


@pytest.fixture
def root(whole, tmp_path):
    """A copy of both that a test may damage, in a folder of its own."""
    shutil.copytree(whole, tmp_path / "in")
    return tmp_path / "in"


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


class Spoilt:
    """Puts a file in the place of another, and the old one back."""

    def __init__(self, path, content):
        self.path, self.content, self.old = path, content, path.read_bytes()

    def __enter__(self):
        self.path.write_bytes(self.content)

    def __exit__(self, *exc):
        self.path.write_bytes(self.old)


# -- ways to damage a file ---

DEEP = "[" * 5000 + "]" * 5000
VALUES = [
    "null", "true", "false", "0", "1", "-1", "2.5", "-0.0", "1e999", "NaN", "9" * 40,
    "9" * 5000, '""', '"x"', '"../../out"', '"/out"', '"\\u0000"', '"\\ud800"',
    '"\\u001b[31m"', '"<script>"', "[]", "{}", "[[]]", "[1]", '[["a"]]', '{"a": 1}',
    '{"a": {"b": []}}', '{"class_name": "Int", "config": {}}', DEEP,
]  # fmt: skip
MARK = "a place that is replaced"


def places(state, path=()):
    """Yield the place of every value in plain data."""
    yield path
    parts = state.items() if isinstance(state, dict) else (
        enumerate(state) if isinstance(state, list) else ())  # fmt: skip
    for key, part in parts:
        yield from places(part, (*path, key))


def replaced(text, place, value):
    """Write JSON with another value in one place; None leaves the place out."""
    state = json.loads(text)
    if not place:
        return value or ""
    parent = state
    for key in place[:-1]:
        parent = parent[key]
    if value is None:
        del parent[place[-1]]
        return json.dumps(state)
    parent[place[-1]] = MARK
    return json.dumps(state).replace(f'"{MARK}"', value)


@st.composite
def damage(draw, content, *, is_json):
    """Cut a file short, flip bits in it, or put other values into it."""
    how = draw(st.sampled_from(["cut", "flip", "value", "value", "value"]))
    if how == "cut":
        return content[: draw(st.integers(0, len(content) - 1))]
    if how == "flip" or not is_json:
        spoilt = bytearray(content)
        for _ in range(draw(st.integers(1, 4))):
            spoilt[draw(st.integers(0, len(spoilt) - 1))] ^= 1 << draw(
                st.integers(0, 7)
            )
        return bytes(spoilt)
    place = draw(st.sampled_from(list(places(json.loads(content)))))
    value = draw(st.sampled_from([None, *VALUES]))
    return replaced(content, place, value).encode("utf-8", "replace")


def ours(function):
    """Call; what is wrong is told by an error of ours, not by one of Python's."""
    try:
        with warnings.catch_warnings():
            # A version is any text.
            warnings.filterwarnings("ignore", "The preprocessor was fitted with")
            return function()
    except KttoolkitError as error:
        str(error).encode()
        return None


def look_at(folder, out):
    """Ask a result for all that it can tell without a model."""
    result = ours(lambda: kttoolkit.load_result(folder))
    if result is None:
        return None
    ours(lambda: read_records(folder))
    for ask in (
        lambda: result.trials, lambda: result.folds, lambda: result.curves,
        lambda: result.splits, lambda: result.rows, lambda: result.ranges,
        lambda: result.summary().encode(), lambda: result._repr_html_().encode(),
        lambda: result.setting_as_code(), lambda: result.best_hyperparameters,
        lambda: result.compare(), lambda: result.one_standard_error(),
        lambda: result.narrowed_space(), lambda: result.failures,
        lambda: result.export(out / "t.csv"), lambda: result.export(out / "t.md"),
        lambda: result.export(out / "t.tex", table="folds"),
    ):  # fmt: skip
        ours(ask)
    return result


IN_A_STUDY = [STUDY_FILE, TEST_FILE, SPLITS_FILE, "trial_0/folds.json",
              "trial_0/trial.json", "trial_1/folds.json"]  # fmt: skip


@pytest.mark.parametrize("name", IN_A_STUDY)
@FROM_FOLDER
@given(data=st.data())
def test_a_damaged_study_is_opened_or_refused(root, name, data):
    """Whatever a file of a study is made to hold, no error of Python comes out."""
    tried()
    study, out = root / "studies" / "p", root / "out"
    content = (study / name).read_bytes()
    spoilt = data.draw(damage(content, is_json=name.endswith(".json")))
    before = files_of(study)
    with Spoilt(study / name, spoilt):
        look_at(study, out)
    assert files_of(study) == before
    assert {path.name for path in root.iterdir()} <= {"studies", "model", "out"}


@pytest.mark.parametrize(
    ("kind", "rules"),
    [
        (TrialRecord, _record._OF_A_TRIAL),
        (FoldFit, _record._OF_A_FIT),
        (Study, _record._OF_A_STUDY),
    ],
)
def test_every_field_on_disk_has_a_rule(kind, rules):
    """A field without a rule could not be read back."""
    assert {field.name for field in dataclasses.fields(kind)} == set(rules)


def test_a_trial_is_called_as_its_folder(root):
    """The name in a record becomes part of a path; it may not lead elsewhere."""
    path = root / "studies" / "p" / "trial_0" / "folds.json"
    for name in ('"../../../out"', '"/tmp/out"', '"1"', '""'):
        spoilt = replaced(path.read_text("utf-8"), ("trial_id",), name).encode()
        with Spoilt(path, spoilt), pytest.raises(
            StudyFolderError, match=r"must hold a trial, but it does not: its name is"
        ):  # fmt: skip
            kttoolkit.load_result(root / "studies" / "p")


@pytest.mark.parametrize("what", ["trial_0", "study.json", "trial_0/folds.json"])
def test_links_out_of_a_study_are_refused(root, what):
    """What is written through a link would be written outside of the folder."""
    path = root / "studies" / "p" / what
    shutil.move(path, root / "elsewhere")
    path.symlink_to(root / "elsewhere")
    with pytest.raises(StudyFolderError, match=r"is a link to .*elsewhere"):
        kttoolkit.load_result(root / "studies" / "p")
    before = files_of(root / "studies"), (root / "elsewhere").stat().st_mtime
    with pytest.raises(StudyFolderError, match=r"is a link to .*elsewhere"):
        searched(root / "studies", resume=True, max_trials=3)
    assert (files_of(root / "studies"), (root / "elsewhere").stat().st_mtime) == before


# -- archives ---


def npz(header, n_bytes=0, **arguments):
    """An archive with one array, whose header may say anything."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, **arguments) as file:
        text = header.encode().ljust(117) + b"\n"
        content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
        file.writestr("rows.npy", content + bytes(n_bytes))
    return stream.getvalue()


def inflate(path, mode, n_megabytes):
    """Write zeros to an archive, of which a megabyte takes a kilobyte."""
    with (
        zipfile.ZipFile(path, mode, zipfile.ZIP_DEFLATED) as file,
        file.open("rows.npy", "w", force_zip64=True) as stream,
    ):
        for _ in range(n_megabytes):
            stream.write(bytes(2**20))


def pickled():
    stream = io.BytesIO()
    np.savez(stream, rows=np.array([print, "x"], dtype=object))
    return stream.getvalue()


HEADER = "{{'descr': '{0}', 'fortran_order': False, 'shape': {1}, }}"
ARCHIVES = {
    "claims an exabyte": npz(HEADER.format("<i8", f"({2**57},)")),
    "claims more than there is": npz(HEADER.format("<i8", "(3,)"), 16),
    "claims less than there is": npz(HEADER.format("<i8", "(1,)"), 16),
    "claims a negative number": npz(HEADER.format("<i8", "(-2,)"), 16),
    "a bomb": npz(HEADER.format("<i8", f"({2**24},)"), 2**27),
    "objects": npz(HEADER.format("|O", "(2,)"), 16),
    "a pickle": pickled(),
    "floats": npz(HEADER.format("<f8", "(2,)"), 16),
    "a table": npz(HEADER.format("<i8", "(2, 1)"), 16),
    "code in the header": npz("__import__('os').abort()"),
    "deep nesting": npz("(" * 100 + ")" * 100),
    "no zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("what", ARCHIVES)
def test_archives_made_to_harm_are_refused(root, what):
    """Neither pickles nor sizes that a header merely claims are believed."""
    study = root / "studies" / "p"
    (study / SPLITS_FILE).write_bytes(ARCHIVES[what])
    result = kttoolkit.load_result(study)
    for ask in (lambda: result.rows, lambda: result.splits):
        with pytest.raises(StudyFolderError, match=r"must hold row numbers, but"):
            ask()


def test_a_bomb_is_refused_before_it_is_unpacked(root):
    """A megabyte that unpacks to a gigabyte costs neither time nor memory."""
    import tracemalloc

    study = root / "studies" / "p"
    inflate(study / SPLITS_FILE, "w", 2**8)
    result = kttoolkit.load_result(study)
    tracemalloc.start()
    with pytest.raises(StudyFolderError, match=r"would unpack to 268,435,456"):
        _ = result.rows
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


# -- saved models ---


def told_of(folder):
    """Let the folder's checksums be those of its files, as a forger would."""
    info = json.loads((folder / INFO_FILE).read_text("utf-8"))
    for name in info["files"]:
        info["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / INFO_FILE).write_text(json.dumps(info))


@pytest.mark.parametrize("name", [INFO_FILE, MODEL_FILE, PREPROCESSOR_FILE])
@FROM_FOLDER
@given(data=st.data())
def test_a_damaged_model_is_opened_or_refused(root, name, data):
    """With forged checksums too, no error of Python, Keras or skops comes out."""
    tried()
    folder = root / "model"
    content, info = (folder / name).read_bytes(), (folder / INFO_FILE).read_bytes()
    before = files_of(folder)
    spoilt = data.draw(damage(content, is_json=name == INFO_FILE))
    with Spoilt(folder / INFO_FILE, info), Spoilt(folder / name, spoilt):
        if name != INFO_FILE and data.draw(st.booleans()):
            told_of(folder)
        served = ours(lambda: kttoolkit.load_model(folder))
        if served is not None:
            repr(served).encode()
    assert files_of(folder) == before


@pytest.mark.parametrize("name", [MODEL_FILE, PREPROCESSOR_FILE])
def test_a_model_that_unpacks_to_gigabytes_is_refused(root, name):
    """A small archive may not fill memory or disk."""
    folder = root / "model"
    inflate(folder / name, "a", 2**7)
    told_of(folder)
    with pytest.raises(ModelFolderError, match=r"bytes would unpack to 13"):
        kttoolkit.load_model(folder)


# -- nothing that is loaded executes code ---

# Files of the package to what they may call, and why.
MAY_CALL = {
    # Messages and trials between processes of one search, never kept nor loaded later.
    "workers/_events.py": {"pickle.loads"},
    "workers/training.py": {"cloudpickle.load", "pickle.loads"},
    # Code that was just written here, run once to compare what it builds.
    "exporting/_python.py": {"exec"},
}
RUNS_CODE = {
    "eval", "exec", "pickle.load", "pickle.loads", "cloudpickle.load",
    "cloudpickle.loads", "joblib.load", "dill.load", "dill.loads", "marshal.loads",
    "shelve.open", "yaml.load", "pd.read_pickle", "pandas.read_pickle", "os.system",
    "keras.config.enable_unsafe_deserialization", "runpy.run_path",
}  # fmt: skip


def calls_of(path):
    """Yield every call in a file with the name that is called."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_nothing_that_is_loaded_runs_code():
    """No pickle, no eval, no unsafe mode, but in the places named with a reason."""
    found = {}
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        for called, call in calls_of(path):
            given = {k.arg: ast.unparse(k.value) for k in call.keywords}
            is_load = called in {"np.load", "numpy.load"}
            is_unsafe = is_load and given.get("allow_pickle", "False") != "False"
            is_unsafe |= called.endswith("load_model") and "safe_mode" in given and (
                given["safe_mode"] != "True"
            )  # fmt: skip
            if called in RUNS_CODE or is_unsafe:
                found.setdefault(name, set()).add(called)
    assert found == MAY_CALL


def test_keras_files_are_opened_in_safe_mode():
    """The one place that opens a network says so itself, whatever Keras's default."""
    text = (ROOT / "exporting" / "_folder.py").read_text("utf-8")
    assert text.count("saving.load_model(") == 1
    assert "safe_mode=True" in text


# -- resuming ---

KEPT = ["oracle.json", "tuner0.json", "trial_0/trial.json", "trial_1/trial.json",
        "trial_0/folds.json", STUDY_FILE]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", KEPT)
@settings(FROM_FOLDER, max_examples=max(6, settings().max_examples // 20))
@given(data=st.data())
def test_a_damaged_study_is_resumed_or_refused(root, name, data):
    """Keras Tuner's files too; and nothing is written outside of the folder."""
    tried()
    study, kept = root / "studies" / "p", root.parent / "kept"
    if not kept.exists():
        shutil.copytree(study, kept)
    shutil.rmtree(study)
    shutil.copytree(kept, study)
    spoilt = data.draw(damage((kept / name).read_bytes(), is_json=True))
    (study / name).write_bytes(spoilt)
    ours(lambda: searched(root / "studies", resume=True))
    assert {path.name for path in root.iterdir()} == {"studies", "model"}
    assert {path.name for path in (root / "studies").iterdir()} == {"p"}
    assert {path.name for path in root.parent.iterdir()} == {"in", "kept"}


@pytest.mark.parametrize(
    "values",
    [{}, {"learning_rate": ""}, {"learning_rate": True, "momentum": 0.9}],
    ids=["none", "text", "bool"],
)
def test_a_trial_has_a_value_for_all_that_it_was_asked(root, values):
    """What no model can be built of is refused before anything is trained."""
    path = root / "studies" / "p" / "trial_0" / "trial.json"
    spoilt = json.loads(path.read_text("utf-8"))
    spoilt["hyperparameters"]["values"] = values
    path.write_text(json.dumps(spoilt))
    with pytest.raises(StudyFolderError, match=r"must hold .*its values are"):
        searched(root / "studies", resume=True)


@pytest.mark.parametrize("file", ["trial_0/trial.json", "oracle.json"])
def test_a_trial_to_run_again_may_not_lead_elsewhere(root, file):
    """Keras Tuner makes a folder of every name that it finds."""
    study = root / "studies" / "p"
    oracle = json.loads((study / "oracle.json").read_text("utf-8"))
    trial = json.loads((study / "trial_0" / "trial.json").read_text("utf-8"))
    name = "x/../../../out"
    oracle["start_order"][0], oracle["retry_queue"] = name, [name]
    (study / "oracle.json").write_text(json.dumps(oracle))
    if file != "oracle.json":
        changed = {**trial, "trial_id": name, "status": "RUNNING"}
        (study / file).write_text(json.dumps(changed))
    with pytest.raises(StudyFolderError, match=r"must hold what Keras Tuner wrote"):
        searched(root / "studies", resume=True)
    assert {path.name for path in root.iterdir()} == {"studies", "model"}


@pytest.mark.parametrize(
    "name",
    ["../x", "/tmp/x", "a/b", "..", ".", "", "a\0b", "x" * 300],
    ids=["up", "absolute", "two", "parent", "here", "empty", "nul", "long"],
)
def test_a_project_is_a_folder_of_its_directory(name, tmp_path):
    """A name with separators, dots alone, NUL or too many letters is refused."""
    with pytest.raises(
        StudyFolderError, match=r"project_name must be the name of one folder"
    ):
        searched(tmp_path / "studies", project_name=name)
    assert not list(tmp_path.iterdir())
