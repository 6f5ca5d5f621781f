"""What `import kttoolkit` promises: names, laziness, and one tree of errors."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kttoolkit
from kttoolkit import exceptions

ERRORS = {
    name: value
    for name, value in vars(exceptions).items()
    if inspect.isclass(value)
    and issubclass(value, Exception)
    and not issubclass(value, Warning)
}
PACKAGE = Path(kttoolkit.__file__).parent


def test_the_facade_is_sorted_and_without_doubles():
    assert kttoolkit.__all__ == sorted(set(kttoolkit.__all__))


@pytest.mark.parametrize("name", kttoolkit.__all__)
def test_every_name_of_the_facade_can_be_imported(name):
    """This one imports TensorFlow."""
    value = getattr(kttoolkit, name)
    assert inspect.getdoc(value)
    assert name in dir(kttoolkit)
    if not inspect.ismodule(value):
        ours = {"Oracle": "MendedOracle", "Tuner": "FoldTuner"}
        assert value.__name__ == ours.get(name, name)


def test_star_import_gives_the_facade():
    names = {}
    exec("from kttoolkit import *", names)
    assert set(kttoolkit.__all__) <= set(names)


@pytest.mark.parametrize("name", ["Tune", "hyperband", "_nothing", "numpy"])
def test_an_unknown_name_is_an_attribute_error(name):
    with pytest.raises(AttributeError, match=f"'kttoolkit' has no attribute '{name}'"):
        getattr(kttoolkit, name)
    with pytest.raises(ImportError, match=f"cannot import name '{name}'"):
        exec(f"from kttoolkit import {name}")


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("base_tuner", r"kttoolkit\.Tuner for its BaseTuner"),
        ("hypermodel", r"kttoolkit\.HyperModel"),
        ("hyperparameters", r"kttoolkit\.HyperParameters, whose methods"),
        ("metrics_tracking", r"keras_tuner\.engine\.metrics_tracking itself"),
        ("oracle", r"kttoolkit\.Oracle and kttoolkit\.Objective"),
        ("trial", r"keras_tuner\.engine\.trial itself"),
        ("tuner", r"kttoolkit\.Tuner"),
    ],
)
def test_engine_says_that_it_is_not_that_of_keras_tuner(name, instead):
    with pytest.raises(
        AttributeError,
        match=rf"'kttoolkit\.engine' has no attribute '{name}': it trains .*, and is "
        rf"not keras_tuner\.engine\. Use {instead}.*\.$",
    ) as caught:
        getattr(kttoolkit.engine, name)
    for used in re.findall(r"kttoolkit\.([A-Z]\w+)", str(caught.value)):
        assert used in kttoolkit.__all__


def test_every_module_of_keras_tuners_engine_is_known():
    theirs = importlib.import_module("keras_tuner.engine")
    modules = {module.name for module in pkgutil.iter_modules(theirs.__path__)}
    assert modules == set(kttoolkit.engine._OF_KERAS_TUNER)
    assert not modules & set(kttoolkit.engine.__all__)


def test_another_name_that_engine_has_not_is_told_as_usual():
    with pytest.raises(
        AttributeError, match=r"^module 'kttoolkit\.engine' has no attribute 'tune'$"
    ):
        _ = kttoolkit.engine.tune
    assert not hasattr(kttoolkit.engine, "tuner")


def rooms_with_all():
    modules = {"kttoolkit"}
    for path in PACKAGE.glob("*/__init__.py"):
        modules.add(f"kttoolkit.{path.parent.name}")
    return sorted(module for module in modules if "." in module)


@pytest.mark.parametrize("room", rooms_with_all())
def test_every_room_has_what_its_all_says(room):
    module = importlib.import_module(room)
    names = getattr(module, "__all__", ())
    assert len(set(names)) == len(names) > 0
    assert [name for name in names if not hasattr(module, name)] == []


def test_importing_is_instant():
    """TensorFlow is loaded when something that trains is first used, not before."""
    code = (
        "import sys, kttoolkit, kttoolkit.exceptions\n"
        "dir(kttoolkit), kttoolkit.__version__, kttoolkit.TuneResult\n"
        "kttoolkit.cv, kttoolkit.scoring, kttoolkit.datasets, kttoolkit.load_result\n"
        "assert not {'tensorflow', 'keras', 'keras_tuner'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# -- errors ------------------------------------------------------------------


def drawn_tree():
    """Read name -> parent off the docstring's drawing."""
    tree, path = {}, []
    for line in exceptions.__doc__.splitlines():
        match = re.match(r"^([│├└─ ]*)(\w+Error)\b", line)
        if match:
            depth = len(match.group(1)) // 4
            path[depth:] = [match.group(2)]
            tree[match.group(2)] = path[depth - 1] if depth else "Exception"
    return tree


def test_the_tree_of_errors_is_as_drawn():
    assert set(drawn_tree()) == set(ERRORS)
    for name, parent in drawn_tree().items():
        assert ERRORS[name].__bases__[0].__name__ == parent


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_one_of_ours_and_says_when(name):
    assert issubclass(ERRORS[name], exceptions.KttoolkitError)
    assert inspect.getdoc(ERRORS[name])


def test_the_first_five_are_value_errors_too():
    """As the docstring says: code written for Keras or scikit-learn catches them."""
    first = [name for name, up in drawn_tree().items() if up == "KttoolkitError"][:5]
    assert all(issubclass(ERRORS[name], ValueError) for name in first)


def test_every_error_is_raised_somewhere():
    raised = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        raised |= names & set(ERRORS) if path.name != "exceptions.py" else set()
    parents = {"KttoolkitError", "TrialError"}
    assert set(ERRORS) - parents <= raised
