"""Small real data and small real models, shared by the tests; how much is tried."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import gc

import numpy as np
import pytest
from hypothesis import settings

# Quick is the same every time; thorough takes its seed from --hypothesis-seed.
settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
_TRIED = [0]
# Tracing makes many objects: looking for garbage less often saves a tenth of the time.
gc.set_threshold(100_000, 20, 100)


def tried():
    """Count an input, for the sum at the end of a run."""
    _TRIED[0] += 1


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    _TRIED[0] = 0
    try:
        return (yield)
    finally:
        if _TRIED[0]:
            item.user_properties.append(("inputs", _TRIED[0]))


def pytest_terminal_summary(terminalreporter, config):
    """Say how many inputs were tried and faults injected; how to do the same again."""
    told = terminalreporter.stats
    reports = [*told.get("passed", ()), *told.get("failed", ())]
    calls = [report for report in reports if report.when == "call"]
    n_inputs = sum(dict(call.user_properties).get("inputs", 0) for call in calls)
    faults = [call.passed for call in calls if "fault" in call.keywords]
    seed = config.getoption("hypothesis_seed", None) or "always the same"
    if n_inputs:
        terminalreporter.write_line(f"inputs tried: {n_inputs:,} (seed: {seed})")
    if faults:
        terminalreporter.write_line(
            f"faults injected: {len(faults)}, survived: {sum(faults)}"
        )


@pytest.fixture(scope="session")
def blobs():
    """Two classes that a line tells apart: x of shape (60, 4), y of shape (60,)."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = rng.normal(size=(60, 4)).astype("float32") + y[:, None]
    return x, y


@pytest.fixture(scope="session")
def build():
    """A build function with one hidden layer and two hyperparameters."""
    return build_binary


def build_binary(hp):
    import keras

    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(hp.Int("units", 2, 8), activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="binary_crossentropy",
        metrics=["accuracy"],
    )
    return model
