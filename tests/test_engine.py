"""The reference engine computes what a plain loop of `model.fit` computes."""

import gc
import pickle

import keras
import keras_tuner
import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from kttoolkit.cv import as_folds
from kttoolkit.data import as_training_data
from kttoolkit.engine import FitPlan, ModelFactory, best_file, choose, restore
from kttoolkit.evaluate import evaluate
from kttoolkit.exceptions import (
    NonFiniteScoreError,
    ObjectiveError,
    OversizedModelError,
    SearchError,
    SearchSpaceError,
)

OBJECTIVE = keras_tuner.Objective("val_loss", "min")


class Model(keras_tuner.HyperModel):
    """Dropout, batch normalisation and a partial last batch."""

    def build(self, hp):
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(hp.Int("units", 2, 8, default=5), "relu"),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.3),
                keras.layers.Dense(1, "sigmoid"),
            ]
        )
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        return model


class TunesTheFit(Model):
    def fit(self, hp, model, x, y, **kwargs):
        return model.fit(x, y, batch_size=hp.Choice("batch_size", [8, 16]), **kwargs)


class ReturnsANumber(Model):
    def fit(self, hp, model, x, y, validation_data, **kwargs):
        return float(len(x) + len(validation_data[0]) / 100)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    y = np.arange(50) % 2
    x = rng.normal(size=(50, 4)).astype("float32") + y[:, None]
    data = as_training_data(x, y)
    return data, as_folds(StratifiedKFold(2), data)


def plan_of(**kwargs):
    arguments = {"verbose": 0, "epochs": 2, **kwargs.pop("fit_kwargs", {})}
    return FitPlan(
        **{"objective": OBJECTIVE, "seed": 7, "fit_kwargs": arguments, **kwargs}
    )


def run(problem, hypermodel=None, hp=None, **kwargs):
    factory = kwargs.pop("factory", None) or ModelFactory(hypermodel or Model())
    hp = hp or keras_tuner.HyperParameters()
    return evaluate(factory, hp, *problem, plan_of(**kwargs), engine="reference")


def test_every_epoch_equals_a_plain_loop(problem):
    data, folds = problem
    outcome = run(
        problem,
        preprocessor=StandardScaler(),
        executions=2,
        fit_kwargs={"batch_size": 8, "class_weight": {0: 1.0, 1: 2.0}},
    )
    assert [fit.split for fit in outcome.fits] == [0, 1, 2, 3]
    for fit in outcome.fits:
        fold = folds.splits[fit.fold]
        scaler = StandardScaler().fit(data.x[fold.train])
        keras.utils.set_random_seed(fit.seed)
        model = Model().build(keras_tuner.HyperParameters())
        history = model.fit(
            scaler.transform(data.x[fold.train]),
            data.y[fold.train],
            validation_data=(scaler.transform(data.x[fold.test]), data.y[fold.test]),
            epochs=2,
            batch_size=8,
            class_weight={0: 1.0, 1: 2.0},
            verbose=0,
        )
        assert list(fit.history) == list(history.history)
        for name, values in history.history.items():
            np.testing.assert_allclose(fit.history[name], values, rtol=1e-5)
        assert (fit.n_train, fit.n_test) == (25, 25)


def test_sample_weights_reach_training_and_validation(problem):
    data, _ = problem
    weights = np.linspace(0, 2, 50)
    weighted = as_training_data(data.x, data.y, sample_weight=weights)
    folds = as_folds(StratifiedKFold(2), weighted)
    fit = run((weighted, folds)).fits[0]
    fold = folds.splits[0]
    keras.utils.set_random_seed(fit.seed)
    model = Model().build(keras_tuner.HyperParameters())
    history = model.fit(
        data.x[fold.train],
        data.y[fold.train],
        sample_weight=weights[fold.train],
        validation_data=(data.x[fold.test], data.y[fold.test], weights[fold.test]),
        epochs=2,
        verbose=0,
    )
    np.testing.assert_allclose(fit.history["val_loss"], history.history["val_loss"])


@pytest.mark.parametrize("engine", ["compiled", "stacked"])
@pytest.mark.parametrize("monitor", ["val_accuracy", "accuracy", "val_loss"])
def test_callbacks_find_out_whether_greater_is_better(problem, engine, monitor):
    callbacks = (
        keras.callbacks.EarlyStopping(monitor, patience=1),
        keras.callbacks.ReduceLROnPlateau(monitor, patience=0, min_delta=0.1),
    )
    plan = plan_of(callbacks=callbacks, fit_kwargs={"epochs": 8})
    got, expected = (
        evaluate(
            ModelFactory(Model()),
            keras_tuner.HyperParameters(),
            *problem,
            plan,
            engine=name,
        ).fits
        for name in (engine, "reference")
    )
    assert {fit.epochs for fit in expected} != {8}
    for one, other in zip(got, expected, strict=True):
        assert (one.epochs, list(one.history)) == (other.epochs, list(other.history))
        for name, values in other.history.items():
            np.testing.assert_allclose(one.history[name], values, rtol=1e-5)


def test_a_metric_with_one_value_in_an_array_is_a_number(problem):
    class Scored(Model):
        def build(self, hp):
            model = super().build(hp)
            score = keras.metrics.F1Score(threshold=0.5)
            model.compile("adam", "binary_crossentropy", metrics=[score])
            return model

    data, folds = problem
    columns = as_training_data(data.x, data.y[:, None])
    got, expected = (
        evaluate(
            ModelFactory(Scored()),
            keras_tuner.HyperParameters(),
            columns,
            folds,
            plan_of(),
            engine=engine,
        ).fits
        for engine in ("compiled", "reference")
    )
    for one, other in zip(got, expected, strict=True):
        assert one.history == other.history


@pytest.mark.parametrize("engine", ["reference", "compiled", "stacked"])
def test_metrics_that_models_share_begin_anew_in_every_fold(problem, engine):
    shared = [keras.metrics.AUC(name="auc"), keras.metrics.MeanSquaredError("brier")]

    class Shares(Model):
        def build(self, hp):
            model = super().build(hp)
            model.compile("adam", "binary_crossentropy", metrics=shared)
            return model

    class Owns(Model):
        def build(self, hp):
            model = super().build(hp)
            own = [type(metric).from_config(metric.get_config()) for metric in shared]
            model.compile("adam", "binary_crossentropy", metrics=own)
            return model

    factories = (ModelFactory(kind()) for kind in (Shares, Owns))
    hp = keras_tuner.HyperParameters()
    got, expected = (
        evaluate(factory, hp, *problem, plan_of(), engine=engine).fits
        for factory in factories
    )
    for one, other in zip(got, expected, strict=True):
        assert one.history == other.history


def test_seeds_differ_by_fold_execution_attempt_and_continuation():
    plan = plan_of()
    seeds = {plan.fold_seed(fold, run) for fold in range(3) for run in range(2)}
    seeds.add(plan_of(attempt=1).fold_seed(0, 0))
    seeds.add(plan_of(fit_kwargs={"initial_epoch": 2}).fold_seed(0, 0))
    assert len(seeds) == 8


def test_the_callers_random_numbers_are_left_alone(problem):
    np.random.seed(3)
    expected = np.random.random(2)
    np.random.seed(3)
    first = np.random.random()
    run(problem)
    assert [first, np.random.random()] == expected.tolist()


def test_a_trial_can_be_pickled_and_gives_the_same(problem):
    call = (ModelFactory(Model()), keras_tuner.HyperParameters(), *problem, plan_of())
    sent = pickle.loads(pickle.dumps(call))
    assert evaluate(*sent).fits[1].history == evaluate(*call).fits[1].history


def test_an_own_fit_tunes_the_batch_size(problem):
    outcome = run(problem, TunesTheFit())
    assert outcome.hyperparameters.values["batch_size"] == 8
    assert [hp.name for hp in outcome.hyperparameters.space] == ["units", "batch_size"]
    plain = run(problem, fit_kwargs={"batch_size": 8})
    assert outcome.fits[0].history == plain.fits[0].history


def test_an_own_fit_may_return_a_number(problem):
    outcome = run(problem, ReturnsANumber())
    assert outcome.fits[0].history == {"val_loss": (25.25,)}


def test_callbacks_are_copied_and_stop_each_fold(problem):
    stopper = keras.callbacks.EarlyStopping("val_loss", min_delta=100)
    fits = run(problem, callbacks=(stopper,), fit_kwargs={"epochs": 9}).fits
    assert [fit.epochs for fit in fits] == [2, 2]
    assert stopper.stopped_epoch == 0


def test_files_of_callbacks_are_kept_apart(problem, tmp_path):
    logger = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    run(problem, callbacks=(logger,), label="0003")
    written = sorted(
        p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.csv")
    )
    assert written == ["0003/split0/log.csv", "0003/split1/log.csv"]


def test_weights_of_the_best_epoch_are_kept(problem, tmp_path):
    data, folds = problem
    fits = run(problem, directory=str(tmp_path), fit_kwargs={"epochs": 3}).fits
    for fit in fits:
        model = Model().build(keras_tuner.HyperParameters())
        restore(model, best_file(tmp_path, fit.split), None, optimizer=False)
        fold = folds.splits[fit.fold]
        scores = model.evaluate(
            data.x[fold.test], data.y[fold.test], verbose=0, return_dict=True
        )
        assert scores["loss"] == pytest.approx(min(fit.history["val_loss"]), rel=1e-5)


def test_a_training_continues_with_its_optimizer(problem, tmp_path):
    """Without shuffling and dropout, 1 + 2 epochs are 3 epochs."""

    def build(hp):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("adam", "mse")
        return model

    factory = ModelFactory(keras_tuner.engine.hypermodel.HyperModel())
    factory.hypermodel.build = build
    plain = {"shuffle": False, "batch_size": 8}
    low, high = tmp_path / "low", tmp_path / "high"
    one = run(
        problem, factory=factory, directory=str(low), keep_last=True,
        fit_kwargs={**plain, "epochs": 1},
    )  # fmt: skip
    rest = run(
        problem, factory=factory, directory=str(high), continue_from=str(low),
        fit_kwargs={**plain, "epochs": 3, "initial_epoch": 1},
    )  # fmt: skip
    for split in (0, 1):
        fold = problem[1].splits[split]
        keras.utils.set_random_seed(one.fits[split].seed)
        model = build(None)
        whole = model.fit(
            problem[0].x[fold.train], problem[0].y[fold.train], epochs=3, verbose=0,
            validation_data=(problem[0].x[fold.test], problem[0].y[fold.test]), **plain,
        )  # fmt: skip
        joined = one.fits[split].history["loss"] + rest.fits[split].history["loss"]
        np.testing.assert_allclose(joined, whole.history["loss"], rtol=1e-5)
        assert rest.fits[split].initial_epoch == 1


@pytest.mark.fault
def test_a_loss_that_turns_nan_fails_the_trial_at_once(problem):
    def build(hp):
        model = Model().build(hp)
        model.compile(keras.optimizers.SGD(1e30), "mse", metrics=["accuracy"])
        return model

    hypermodel = Model()
    hypermodel.build = build
    with pytest.raises(NonFiniteScoreError, match=r"in epoch \d of fold 0"):
        run(problem, hypermodel, fit_kwargs={"epochs": 50})


def test_an_objective_never_reported_names_those_that_are(problem):
    objective = keras_tuner.Objective("val_auc", "max")
    with pytest.raises(ObjectiveError, match=r"'val_auc' is not in .*'val_loss'"):
        run(problem, objective=objective)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda: None, "return a keras.Model, but got None"),
        (lambda: keras.Sequential([keras.Input((4,))]), "is not compiled"),
    ],
)
def test_a_build_function_must_return_a_compiled_model(problem, returned, message):
    hypermodel = Model()
    hypermodel.build = lambda hp: returned()
    with pytest.raises(SearchSpaceError, match=message):
        run(problem, hypermodel)


def test_a_model_over_the_limit_is_named_with_its_size(problem):
    factory = ModelFactory(Model(), max_model_size=10)
    with pytest.raises(OversizedModelError, match=r"max_model_size=10 .* has 41"):
        run(problem, factory=factory)


def test_compile_arguments_of_the_tuner_replace_those_of_the_model():
    optimizer = keras.optimizers.SGD(0.5)
    factory = ModelFactory(Model(), {"optimizer": optimizer})
    first, second = (factory.build(keras_tuner.HyperParameters()) for _ in range(2))
    assert first.optimizer is not second.optimizer
    assert float(first.optimizer.learning_rate) == 0.5
    assert first.loss == "binary_crossentropy"


def test_unknown_engine_lists_the_known():
    with pytest.raises(SearchError, match="'reference', 'stacked', but got 'warp'"):
        choose("warp")


def test_keras_lists_what_saving_skips_once(tmp_path):
    """It takes as long as the rest of saving, and Keras 3.15 does it every time."""
    from keras.src.saving.saving_lib import get_attr_skipset

    from kttoolkit.engine import save

    model = Model().build(keras_tuner.HyperParameters())
    for name in ("one", "two"):
        save(model, tmp_path / f"{name}.weights.h5", optimizer=False)
    assert get_attr_skipset("Layer") is get_attr_skipset("Layer")


@pytest.mark.parametrize(("mine", "meanwhile"), [(700, 50_000), (0, 0), (10**6, 10**6)])
def test_garbage_is_looked_for_rarely_while_a_trial_trains(problem, mine, meanwhile):
    """What Python is told is put back; who looks never, or more rarely, is left to."""
    seen, held = [], gc.get_threshold()

    class Watching(Model):
        def build(self, hp):
            seen.append(gc.get_threshold()[0])
            return super().build(hp)

    try:
        gc.set_threshold(mine, 10, 10)
        run(problem, Watching(), fit_kwargs={"epochs": 1})
        assert gc.get_threshold() == (mine, 10, 10)
    finally:
        gc.set_threshold(*held)
    assert set(seen) == {meanwhile}
