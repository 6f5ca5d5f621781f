"""Small graphs run in one thread: which ones, and that they cannot wait for ever."""

import subprocess
import sys

import keras
import pytest
import tensorflow as tf
from matrix import LAYERS, OPTIMIZERS, X, Y, dense

import kttoolkit
from kttoolkit.engine._executor import executor_for
from kttoolkit.engine._tensorflow import ONE_THREAD, POOL, trace

L = keras.layers


def images(*layers):
    model = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    model.compile("adam", "mse")
    return model


def executors_of(model):
    (program,) = vars(model)["_kttoolkit_programs"]._kept.values()
    return {shape.step: f.executor for shape, f in program._functions.items()}


def test_small_graphs_run_in_one_thread():
    small = images(L.Flatten(), L.Dense(2))
    assert executor_for(small, 32) == ONE_THREAD
    assert executor_for(small, 10_000) == POOL
    assert executor_for(images(L.Flatten(), L.Dense(800)), 32) == POOL
    assert executor_for(images(L.Reshape((8, 8)), L.LSTM(8)), 32) == ONE_THREAD


def test_what_makes_much_of_rounding_keeps_the_pool():
    assert executor_for(images(L.Conv2D(2, 3), L.Flatten()), 32) == POOL
    nested = images(keras.Sequential([L.Conv2D(2, 3), L.Flatten()]), L.Dense(2))
    assert executor_for(nested, 32) == POOL
    for name in ("batch_normalization", "bfloat16", "spectral"):
        assert executor_for(dense(*LAYERS[name])(), 32) == POOL


@pytest.mark.parametrize("name", ["ema", "accumulation", "loss_scale"])
def test_optimizers_with_conditions_keep_the_pool(name):
    assert executor_for(dense(optimizer=OPTIMIZERS[name])(), 32) == POOL


def test_gpus_keep_the_pool(monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    assert executor_for(dense()(), 32) == POOL


def test_a_batch_size_may_change_the_executor_of_a_model():
    model = dense()()
    kttoolkit.fit(model, X, Y, batch_size=8, verbose=0)
    assert executors_of(model) == {"train_step": ONE_THREAD}
    (program,) = vars(model)["_kttoolkit_programs"]._kept.values()
    kttoolkit.fit(model, X, Y, batch_size=8_000_000, verbose=0)
    assert executors_of(model) == {"train_step": POOL}
    assert program.traces == 2


def test_conditions_in_a_loss_keep_the_pool():
    def conditional(y_true, y_pred):
        loss = keras.losses.binary_crossentropy(y_true, y_pred)
        return tf.cond(tf.reduce_sum(loss) > 1, lambda: loss, lambda: 2 * loss)

    model = dense(loss=conditional)()
    assert executor_for(model, 8) == ONE_THREAD
    kttoolkit.fit(model, X, Y, batch_size=8, verbose=0, validation_data=(X, Y))
    assert executors_of(model) == {"train_step": POOL, "test_step": POOL}


class Counted(keras.Sequential):
    """Counts how often its step is traced."""

    traced = 0

    def train_step(self, data):
        type(self).traced += 1
        return super().train_step(data)


@pytest.mark.parametrize("n", [32, 50])
def test_a_step_of_ones_own_is_traced_once(n):
    traced = []
    images = tf.random.stateless_normal([n, 8, 8, 1], (0, 0)).numpy()
    for fit in (keras.Model.fit, kttoolkit.fit):
        keras.utils.set_random_seed(0)
        layers = [L.Conv2D(2, 3), L.Flatten(), L.Dense(1)]
        model = Counted([keras.Input((8, 8, 1)), *layers])
        model.compile("adam", "mse")
        Counted.traced = 0
        losses = fit(model, images, images[:, 0, 0], batch_size=16, verbose=0).history
        traced.append((losses, Counted.traced))
    (theirs, most), (ours, least) = traced
    assert ours == theirs
    assert least == 1 <= most


def test_a_graph_that_calls_functions_is_traced_for_the_pool():
    def branching(x):
        return tf.cond(x > 0, lambda: x, lambda: -x)

    def looping(x):
        return tf.while_loop(lambda i: i < 3.0, lambda i: i + 1, [x])

    number = tf.TensorSpec([], tf.float32)
    assert trace(branching, ONE_THREAD, number)[1] == POOL
    assert trace(looping, ONE_THREAD, number)[1] == ONE_THREAD
    assert trace(looping, POOL, number)[1] == POOL


def test_graphs_for_xla_note_no_lines_of_python():
    """TensorFlow would keep megabytes of them; other graphs tell where they failed."""

    def stacks(*, xla):
        concrete, _ = trace(tf.tanh, POOL, tf.TensorSpec([], tf.float32), xla=xla)
        nodes = concrete.graph.get_operations()
        return [node.traceback for node in nodes if node.type == "Tanh"]

    assert stacks(xla=True) == [None]
    (noted,) = stacks(xla=False)
    assert __file__ in {frame.filename for frame in noted}


LOOPS_IN_LOOPS = """
from concurrent.futures import ThreadPoolExecutor
import tensorflow as tf
from kttoolkit.engine._tensorflow import ONE_THREAD, call_with, trace

tf.config.threading.set_inter_op_parallelism_threads(1)

def within(n, body, x):
    step = lambda i, x: (i + 1, body(x))
    return tf.while_loop(lambda i, x: i < n, step, [0, x])[1]

def nested(x):
    return within(5, lambda x: within(5, lambda x: within(5, tf.tanh, x), x), x)

x = tf.ones([4, 4])
concrete, executor = trace(nested, ONE_THREAD, x)
assert executor == ONE_THREAD
with ThreadPoolExecutor(8) as pool:
    calls = [pool.submit(call_with, concrete, executor, [x], []) for _ in range(64)]
    assert len({float(tf.reduce_sum(call.result())) for call in calls}) == 1
"""


def test_loops_in_loops_need_no_second_thread():
    """Where they did, eight calls at once would wait for the only thread for ever."""
    command = [sys.executable, "-c", LOOPS_IN_LOOPS]
    done = subprocess.run(
        command, timeout=120, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
