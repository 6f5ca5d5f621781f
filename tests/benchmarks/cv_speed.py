"""Whole cross-validated searches, ours and the peers', side by side.

    python tests/benchmarks/cv_speed.py --problem digits_mlp --trials 10

Every contender runs the same settings (drawn beforehand), the same folds, epochs
and batch size, each in a process of its own, in an order that turns with every
round. Printed are seconds from the start of the search to its end, how many times
faster than the Keras Tuner loop that is, the distance to the limit (the same steps by
hand, under XLA), peak memory, and the best score.

Needs: pip install -e ".[benchmarks]"
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FOLDS = 5
BATCH = 32
SETTINGS_SEED = 0


# -- problems: data, a model for a setting, and settings to try ---


@dataclass(frozen=True)
class Problem:
    """What is searched.

    Attributes:
        x: rows, of shape (n_samples, ...).
        y: targets, of shape (n_samples,).
        build: setting -> compiled model.
        space: name -> values to draw from.
        epochs: epochs of each training.
        task: "classification" or "regression".
    """

    x: Any
    y: Any
    build: Any
    space: dict[str, list[Any]]
    epochs: int = 10
    task: str = "classification"

    def settings(self, n: int) -> list[dict[str, Any]]:
        """Draw `n` settings, the same for every contender."""
        rng = np.random.default_rng(SETTINGS_SEED)
        return [
            {name: values[rng.integers(len(values))] for name, values in self.space.items()}
            for _ in range(n)
        ]  # fmt: skip


RATES = [float(rate) for rate in np.geomspace(1e-4, 1e-2, 20)]
NUMBERS = {
    "rate": RATES,
    "beta": [float(1 - rest) for rest in np.geomspace(0.01, 0.2, 20)],
    "dropout": [float(share) for share in np.linspace(0.05, 0.5, 20)],
    "l2": [float(factor) for factor in np.geomspace(1e-6, 1e-2, 20)],
}


def mlp(shape: tuple[int, ...], outputs: int, task: str) -> Any:
    """Return a build function for three equal hidden layers."""

    def build(units: int, rate: float) -> Any:
        import keras

        hidden = [keras.layers.Dense(units, activation="relu") for _ in range(3)]
        return compiled([keras.Input(shape), *hidden], outputs, task, rate)

    return build


def regularized(rate: float, beta: float, dropout: float, l2: float) -> Any:
    """Three equal hidden layers, whose settings differ in numbers alone."""
    import keras

    def hidden() -> list[Any]:
        penalty = keras.regularizers.L2(l2)
        dense = keras.layers.Dense(64, activation="relu", kernel_regularizer=penalty)
        return [dense, keras.layers.Dropout(dropout)]

    body = [keras.Input((8,)), *hidden(), *hidden(), *hidden()]
    return compiled(body, 1, "classification", rate, beta_1=beta)


def compiled(
    layers: list[Any], outputs: int, task: str, rate: float, **adam: float
) -> Any:
    """Add the output that a task needs, and compile."""
    import keras

    activation, loss, metrics = {
        ("classification", False): ("softmax", "sparse_categorical_crossentropy", ["accuracy"]),
        ("classification", True): ("sigmoid", "binary_crossentropy", ["accuracy"]),
        ("regression", True): (None, "mse", ["mae"]),
    }[task, outputs == 1]  # fmt: skip
    head = keras.layers.Dense(outputs, activation=activation)
    model = keras.Sequential([*layers, head])
    model.compile(keras.optimizers.Adam(rate, **adam), loss, metrics=metrics)
    return model


def cnn(units: int, rate: float) -> Any:
    """Two convolutions on 28 x 28 pixels."""
    import keras

    layers = keras.layers
    body = [
        keras.Input((28, 28, 1)),
        layers.Conv2D(units, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(2 * units, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
    ]
    return compiled(body, 10, "classification", rate)


def lstm(units: int, rate: float) -> Any:
    """One recurrent layer over the rows of an 8 x 8 digit."""
    import keras

    body = [keras.Input((8, 8)), keras.layers.LSTM(units)]
    return compiled(body, 10, "classification", rate)


def problem(name: str) -> Problem:
    """Load a problem by its name."""
    from sklearn.datasets import load_digits
    from sklearn.preprocessing import StandardScaler

    from kttoolkit import datasets

    space = {"units": [32, 64, 128], "rate": RATES}
    if name in {"digits_mlp", "lstm"}:
        x, y = load_digits(return_X_y=True)
        x = (x / 16).astype("float32")
        if name == "lstm":
            return Problem(
                x.reshape(-1, 8, 8), y, lstm, {"units": [16, 32], "rate": RATES}, 5
            )
        return Problem(x, y, mlp((64,), 10, "classification"), space)
    if name in {"pima_mlp", "pima_numbers"}:
        data = datasets.load("pima_diabetes")
        x = StandardScaler().fit_transform(data.x).astype("float32")
        y = (np.asarray(data.y) == data.y.max()).astype("int64")
        wide = (mlp((8,), 1, "classification"), space)
        return Problem(x, y, *((regularized, NUMBERS) if "numbers" in name else wide))
    if name == "boston_mlp":
        data = datasets.load("boston_housing")
        x = StandardScaler().fit_transform(data.x).astype("float32")
        y = np.asarray(data.y, "float32")
        return Problem(
            x, y, mlp((x.shape[1],), 1, "regression"), space, task="regression"
        )
    data = datasets.load("fashion_mnist")
    x = (np.asarray(data.x, "float32") / 255)[..., None]
    return Problem(x, np.asarray(data.y), cnn, {"units": [8, 16], "rate": RATES}, 3)


PROBLEMS = (
    "digits_mlp", "pima_mlp", "pima_numbers", "boston_mlp", "fashion_cnn", "lstm",
)  # fmt: skip


def folds(task: Problem) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut the folds that every contender scores on."""
    from sklearn.model_selection import KFold

    return list(KFold(FOLDS, shuffle=True, random_state=0).split(task.x))


# -- contenders: each returns the best mean validation loss ---


def fold_loss(task: Problem, setting: dict[str, Any], k: int, fold: Any) -> float:
    """Train one fold with `model.fit`, as people's loops do."""
    import keras

    train, test = fold
    keras.utils.set_random_seed(k)
    model = task.build(**setting)
    history = model.fit(
        task.x[train], task.y[train], epochs=task.epochs, batch_size=BATCH, verbose=0,
        validation_data=(task.x[test], task.y[test]),
    )  # fmt: skip
    return float(min(history.history["val_loss"]))


def keras_tuner_loop(task: Problem, settings: list[dict[str, Any]]) -> float:
    """A Keras Tuner subclass whose `run_trial` loops over the folds."""
    import keras_tuner

    class Loop(keras_tuner.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            setting = settings[trial.hyperparameters["number"]]
            cut = folds(task)
            losses = [fold_loss(task, setting, k, fold) for k, fold in enumerate(cut)]
            return float(np.mean(losses))

    hp = keras_tuner.HyperParameters()
    hp.Choice("number", list(range(len(settings))))
    with tempfile.TemporaryDirectory() as folder:
        tuner = Loop(
            hyperparameters=hp, objective=keras_tuner.Objective("default_objective", "min"),
            max_trials=len(settings), directory=folder, seed=0,
        )  # fmt: skip
        tuner.search()
        return float(tuner.oracle.get_best_trials()[0].score)


def scikeras(task: Problem, settings: list[dict[str, Any]]) -> float:
    """scikit-learn's RandomizedSearchCV over SciKeras."""
    from scikeras.wrappers import KerasClassifier, KerasRegressor
    from sklearn.model_selection import RandomizedSearchCV

    kind = KerasClassifier if task.task == "classification" else KerasRegressor
    model = kind(
        model=task.build, epochs=task.epochs, batch_size=BATCH, verbose=0, random_state=0,
        **dict.fromkeys(task.space),
    )  # fmt: skip
    search = RandomizedSearchCV(
        model, [{name: [value] for name, value in s.items()} for s in settings],
        n_iter=len(settings), cv=folds(task), refit=False, random_state=0,
        error_score="raise",
    )  # fmt: skip
    search.fit(task.x, task.y)
    return float(search.cv_results_["mean_test_score"].max())


def optuna(task: Problem, settings: list[dict[str, Any]]) -> float:
    """An Optuna study whose objective loops over the folds."""
    import optuna as package

    package.logging.set_verbosity(package.logging.WARNING)

    def objective(trial: Any) -> float:
        setting = settings[trial.number]
        cut = folds(task)
        losses = [fold_loss(task, setting, k, fold) for k, fold in enumerate(cut)]
        return float(np.mean(losses))

    study = package.create_study(sampler=package.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=len(settings))
    return float(study.best_value)


def ours(engine: str) -> Any:
    """Return a contender that searches with one of our engines."""

    def contender(task: Problem, settings: list[dict[str, Any]]) -> float:
        import kttoolkit

        def build(hp: Any) -> Any:
            return task.build(
                **settings[hp.Choice("number", list(range(len(settings))))]
            )

        with tempfile.TemporaryDirectory() as folder:
            tuner = kttoolkit.GridSearch(
                build, kttoolkit.Objective("val_loss", "min"), cv=folds(task),
                engine=engine, directory=folder, seed=0,
            )  # fmt: skip
            tuner.search(
                task.x, task.y, epochs=task.epochs, batch_size=BATCH, verbose=0
            )
            return float(tuner.oracle.get_best_trials()[0].score)

    return contender


def limit(task: Problem, settings: list[dict[str, Any]]) -> float:
    """The same steps by hand, under XLA, a network for each number of units."""
    import tensorflow as tf
    from by_hand import Network

    x = tf.constant(task.x)
    y = tf.constant(task.y)
    networks: dict[int, Network] = {}
    best = np.inf
    for setting in settings:
        units, rate = setting["units"], setting["rate"]
        n_outputs = 10 if len(np.unique(task.y)) == 10 else 1
        sizes = [task.x.shape[1], units, units, units, n_outputs]
        network = networks.setdefault(units, Network(sizes, task.task, BATCH))
        scores = []
        for k, (train, test) in enumerate(folds(task)):
            network.reset(k)
            order = np.random.default_rng(k).permutation(train).astype("int32")
            held_out = tf.gather(x, test), tf.gather(y, test)
            losses = []
            for _ in range(task.epochs):
                network.train(x, y, tf.constant(order), rate)
                losses.append(network.score(*held_out))
            scores.append(min(losses))
        best = min(best, float(np.mean(scores)))
    return best


CONTENDERS = {
    "keras_tuner_loop": keras_tuner_loop,
    "scikeras": scikeras,
    "optuna": optuna,
    "reference": ours("reference"),
    "compiled": ours("compiled"),
    "stacked": ours("stacked"),
    "limit": limit,
}
PERCEPTRONS = ("digits_mlp", "pima_mlp", "boston_mlp")


# -- measuring ---


def run_one(contender: str, name: str, trials: int) -> dict[str, float]:
    """Run one search in this process."""
    import keras  # noqa: F401

    task = problem(name)
    start = time.perf_counter()
    score = CONTENDERS[contender](task, task.settings(trials))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": peak, "score": score}


def run_apart(contender: str, name: str, trials: int) -> dict[str, float]:
    """Run one search in a process of its own."""
    command = [sys.executable, __file__, "--one", contender, "--problem", name,
               "--trials", str(trials)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{contender} on {name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(name: str, contenders: list[str], trials: int, rounds: int) -> None:
    """Print the table of one problem."""
    if name not in PERCEPTRONS:
        contenders = [who for who in contenders if who != "limit"]
    runs: dict[str, list[dict[str, float]]] = {who: [] for who in contenders}
    for turn in range(rounds):
        for who in contenders[turn:] + contenders[:turn]:
            runs[who].append(run_apart(who, name, trials))
    print(f"\n### {name}: {trials} trials x {FOLDS} folds, {rounds} rounds\n")
    print(
        "| | seconds | faster than the loop | times the limit | peak MB | best score |"
    )
    print("|---|---|---|---|---|---|")
    middle = {
        who: statistics.median(r["seconds"] for r in found)
        for who, found in runs.items()
    }
    base = middle.get("keras_tuner_loop", max(middle.values()))
    least = middle.get("limit")
    for who, found in runs.items():
        away = f"{middle[who] / least:.1f}" if least else ""
        peak = max(run["peak_mb"] for run in found)
        print(
            f"| {who} | {middle[who]:.1f} | {base / middle[who]:.1f} x | {away} | "
            f"{peak:.0f} | {found[0]['score']:.6g} |",
            flush=True,
        )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--problem", nargs="+", default=list(PROBLEMS), choices=PROBLEMS
    )
    parser.add_argument(
        "--contender", nargs="+", default=list(CONTENDERS), choices=CONTENDERS
    )
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(run_one(given.one, given.problem[0], given.trials)))
        return
    import keras
    import tensorflow as tf

    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{len(tf.config.list_physical_devices('GPU'))} GPU; Python "
        f"{platform.python_version()}, TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}"
    )
    for name in given.problem:
        compare(name, given.contender, given.trials, given.rounds)


if __name__ == "__main__":
    main()
