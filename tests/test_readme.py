"""What the README shows runs, and what it says of the repository is so."""

import re
import tomllib
from pathlib import Path

import kttoolkit

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    example = example.replace("max_trials=8", "max_trials=1")
    exec(example.replace("max_epochs=20", "max_epochs=1"), {})
    printed = capsys.readouterr().out
    assert "best val_accuracy" in printed
    assert "untouched test rows (154)" in printed


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == kttoolkit.__version__


def test_the_number_of_mended_faults_is_the_one_told():
    text = (ROOT / "tests" / "test_keras_tuner_faults.py").read_text("utf-8")
    assert text.count("\n@fault\n") == 23
    assert "Twenty-three faults" in README
