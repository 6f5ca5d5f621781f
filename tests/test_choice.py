"""`engine="auto"` goes by the table of measurements, and by nothing else."""

from dataclasses import replace

import pytest
import tensorflow as tf
from matrix import LAYERS, dense
from trials import outcome_of

from kttoolkit.engine import CompiledEngine, StackedEngine, _measured, choose
from kttoolkit.engine._measured import Measured, fastest


@pytest.fixture
def used(monkeypatch):
    """Note which engine trained, at last."""
    noted = []
    for engine in (CompiledEngine, StackedEngine):
        fit_folds = engine.fit_folds

        def noting(self, assignment, fit_folds=fit_folds):
            fits = fit_folds(self, assignment)
            noted.append(self.name)
            return fits

        monkeypatch.setattr(engine, "fit_folds", noting)
    return noted


@pytest.fixture
def table(monkeypatch):
    """Short trainings are faster stacked, long ones and those with XLA are not."""
    fast, slow = (1.0, 1.0), (2.0, 2.0)
    rows = (
        Measured("CPU", False, "short", 10, compiled=slow, stacked=fast),
        Measured("CPU", False, "long", 999, compiled=fast, stacked=slow),
        Measured("CPU", True, "short", 10, compiled=fast, stacked=slow),
    )
    monkeypatch.setattr(_measured, "MEASURED", rows)


def test_the_nearest_measurement_decides(table):
    for n_steps in (0, 1, 99):
        assert fastest("CPU", n_steps, xla=False) == "stacked"
    for n_steps in (101, 10**9):
        assert fastest("CPU", n_steps, xla=False) == "compiled"
    assert fastest("CPU", 10, xla=True) == "compiled"
    assert fastest("GPU", 10, xla=False) == "compiled"


def test_ten_trials_with_one_graph_are_compared():
    """A graph that takes longer to make is worth it, if the rest is fast enough."""
    search = Measured("CPU", False, "", 1, compiled=(2.0, 1.0), stacked=(10.0, 0.1))
    assert search.fastest == "stacked"
    assert replace(search, stacked=(10.0, 0.2)).fastest == "compiled"


def test_auto_counts_the_steps_of_a_training(table, used):
    # 44 or 43 rows of 58 in batches of 8: 6 steps an epoch.
    outcome_of("auto", dense(), cv=4, fit={"epochs": 2})
    outcome_of("auto", dense(), cv=4, fit={"epochs": 20})
    assert used == ["stacked", "compiled"]


def test_auto_asks_the_model_whether_it_uses_xla(table, used):
    def build():
        model = dense()()
        model.jit_compile = True
        built.append(model)
        return model

    built = []
    outcome_of("auto", build, cv=2, fit={"epochs": 1})
    assert used == ["compiled"]
    # One to ask, one for the graph, one a fold.
    assert len(built) == 1 + 1 + 2


def test_auto_stacks_nothing_that_cannot_be_stacked_and_does_not_say_so(table, used):
    build = dense(*LAYERS["spectral"])
    outcome_of("auto", build, cv=4, fit={"epochs": 2})
    assert used == ["compiled"]


def test_a_gpu_has_rows_of_its_own(table, used, monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    outcome_of("auto", dense(), cv=4, fit={"epochs": 1})
    assert used == ["compiled"]


def test_every_measurement_is_of_both_engines():
    measured = {(row.device, row.xla) for row in _measured.MEASURED}
    assert measured == {(device, xla) for device in ("CPU", "GPU") for xla in (0, 1)}
    for row in _measured.MEASURED:
        assert min(row.n_steps, *row.compiled, *row.stacked) > 0
        engine = choose(fastest(row.device, row.n_steps, xla=row.xla))
        assert engine.name == row.fastest


def test_stacks_pay_where_launching_takes_longer_than_computing():
    """On a GPU without XLA, as the docstring of `choose` says."""
    found = {
        (device, xla): fastest(device, 450, xla=xla)
        for device in ("CPU", "GPU")
        for xla in (False, True)
    }
    assert found.pop(("GPU", False)) == "stacked"
    assert set(found.values()) == {"compiled"}
