"""`engine="auto"` goes by the table of measurements, and by nothing else."""

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
    """Short trainings are faster stacked, long ones are not."""
    rows = (Measured("CPU", "short", 10, 2.0, 1.0), Measured("CPU", "long", 999, 1, 2))
    monkeypatch.setattr(_measured, "MEASURED", rows)


def test_the_nearest_measurement_decides(table):
    assert fastest("CPU", 0) == fastest("CPU", 1) == fastest("CPU", 99) == "stacked"
    assert fastest("CPU", 101) == fastest("CPU", 10**9) == "compiled"
    assert fastest("GPU", 10) == "compiled"


def test_auto_counts_the_steps_of_a_training(table, used):
    # 44 or 43 rows of 58 in batches of 8: 6 steps an epoch.
    outcome_of("auto", dense(), cv=4, fit={"epochs": 2})
    outcome_of("auto", dense(), cv=4, fit={"epochs": 20})
    assert used == ["stacked", "compiled"]


def test_auto_stacks_nothing_that_cannot_be_stacked_and_does_not_say_so(table, used):
    build = dense(*LAYERS["spectral"])
    outcome_of("auto", build, cv=4, fit={"epochs": 2})
    assert used == ["compiled"]


def test_a_gpu_has_rows_of_its_own(table, used, monkeypatch):
    device = tf.config.list_physical_devices("CPU")
    monkeypatch.setattr("kttoolkit.evaluate.prepare_devices", lambda: None)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: device)
    outcome_of("auto", dense(), cv=4, fit={"epochs": 1})
    assert used == ["compiled"]


def test_every_measurement_is_of_both_engines():
    assert {row.device for row in _measured.MEASURED} >= {"CPU"}
    for row in _measured.MEASURED:
        assert min(row.n_steps, row.compiled, row.stacked) > 0
        assert choose(fastest(row.device, row.n_steps)).name in {"compiled", "stacked"}
