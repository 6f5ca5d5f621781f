"""What the README shows runs, and what it says of the repository is so."""

import re
import tomllib
from pathlib import Path

import kttoolkit

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
# The example does not have to search for long to be seen to run.
SHORTER = {
    "max_trials=8": "max_trials=1", "max_epochs=20": "max_epochs=1",
    "max_trials=24": "max_trials=6", "max_epochs=10": "max_epochs=1",
    "repeats=2": "repeats=1",
}  # fmt: skip


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for example in re.findall(r"```python\n(.*?)```", README, flags=re.S):
        for long, short in SHORTER.items():
            example = example.replace(long, short)
        exec(example, names)
    printed = capsys.readouterr().out
    assert "best val_accuracy" in printed
    assert "untouched test rows (154)" in printed
    assert "log of 1 - value" in printed
    assert "The old winner" in printed or "is ahead of the old winner" in printed


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_versions_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == kttoolkit.__version__


def test_the_number_of_mended_faults_is_the_one_told():
    text = (ROOT / "tests" / "test_keras_tuner_faults.py").read_text("utf-8")
    assert text.count("\n@fault\n") == 27
    assert "Twenty-seven faults" in README
