"""`tune` as a user calls it: real data, real models, every way in and out."""

import itertools
import json
import re
import time
import warnings

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from conftest import build_binary
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import kttoolkit
from kttoolkit.engine._keras import reset_names
from kttoolkit.exceptions import (
    CrossValidationError,
    DataError,
    MissingDependencyError,
    ObjectiveError,
    ResultError,
    SearchError,
    SearchSpaceError,
    StudyFolderError,
)
from kttoolkit.trackers import Tracker


@pytest.fixture
def tune(blobs, tmp_path):
    """`kttoolkit.tune` on two folds and two epochs, silent, in a folder of its own."""

    def call(build=build_binary, x=blobs[0], y=blobs[1], **kwargs):
        options = {
            "tuner": "random", "cv": 2, "max_epochs": 2, "seed": 0, "verbose": 0,
            "directory": tmp_path, "batch_size": 16,
        }  # fmt: skip
        return kttoolkit.tune(build, x, y, **{**options, **kwargs})

    return call


def takes_one_hot(hp):
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(hp.Choice("n", [2]), "softmax")]
    )
    model.compile("adam", "categorical_crossentropy")
    return model


# -- scores ---------------------


def test_the_table_equals_a_plain_loop(tune, blobs):
    result = tune(max_trials=2, preprocessor=StandardScaler(), max_epochs=3)
    x, y = blobs
    for trial in result.trials.to_dict("records"):
        scores = []
        for split, (train, test) in enumerate(result.splits):
            row = result.folds.query(
                f"trial == '{trial['trial']}' and split == {split}"
            )
            scaler = StandardScaler().fit(x[train])
            keras.utils.set_random_seed(int(row["seed"].iloc[0]))
            hp = keras_tuner.HyperParameters()
            hp.values = {k: trial[f"param_{k}"] for k in ("units", "learning_rate")}
            model = build_binary(hp)
            history = model.fit(
                scaler.transform(x[train]), y[train], epochs=3, batch_size=16,
                validation_data=(scaler.transform(x[test]), y[test]), verbose=0,
            ).history  # fmt: skip
            best = int(np.argmax(history["val_accuracy"]))
            scores.append(history["val_accuracy"][best])
            assert trial[f"split{split}_val_accuracy"] == pytest.approx(scores[-1])
            assert trial[f"split{split}_val_loss"] == pytest.approx(
                history["val_loss"][best], rel=1e-5
            )
            assert row["best_epoch"].iloc[0] == best + 1
        assert trial["mean_val_accuracy"] == pytest.approx(np.mean(scores))
        assert trial["std_val_accuracy"] == pytest.approx(np.std(scores))


def test_the_same_seed_gives_the_same_table_and_another_another(tune):
    columns = ["mean_val_loss", "param_units", "param_learning_rate"]
    tables = [tune(max_trials=2, seed=seed).trials[columns] for seed in (0, 0, 1)]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])


@pytest.mark.parametrize("tuner", ["random", "bayesian", "grid"])
def test_every_tuner_tries_as_many_as_it_was_told(tune, tuner):
    result = tune(tuner=tuner, max_trials=2, max_epochs=1)
    assert list(result.trials["status"]) == ["completed"] * 2
    assert result.study.objective == "val_accuracy"
    assert result.trials["param_units"].between(2, 8).all()


def test_hyperband_continues_folds_through_its_rungs(tune):
    result = tune(tuner="hyperband", max_epochs=4, factor=4)
    frame = result.trials
    promoted = frame[frame["param_tuner/initial_epoch"] == 1].iloc[0]
    curves = result.curves.query(f"trial == '{promoted['trial']}' and split == 1")
    assert list(curves["epoch"]) == [2, 3, 4]
    lower = result.curves.query(f"trial == '{promoted['param_tuner/trial_id']}'")
    assert set(lower["epoch"]) == {1}
    assert result.best_epochs <= 4


def test_manual_settings_are_all_scored_in_order(tune):
    settings = [{"units": 3}, {"units": 7, "learning_rate": 0.5}, {"units": 3}]
    result = tune(tuner=settings, max_epochs=1)
    assert list(result.trials["param_units"]) == [3, 7, 3]
    assert list(result.trials["param_learning_rate"]) == [1e-3, 0.5, 1e-3]
    assert result.trials["rank"].notna().all()


def test_a_foreign_tuner_class_and_an_oracle_are_given_folds(tune):
    class Mine(keras_tuner.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            kwargs["batch_size"] = trial.hyperparameters.Int("batch_size", 8, 16)
            return super().run_trial(trial, *args, **kwargs)

    result = tune(tuner=Mine, max_trials=1, max_epochs=1)
    assert result.trials["param_batch_size"].iloc[0] >= 8
    assert len(result.folds) == 2
    oracle = keras_tuner.oracles.RandomSearchOracle("val_loss", max_trials=1)
    result = tune(tuner=oracle, max_epochs=1)
    assert result.study.objective == "val_loss"
    assert len(result.folds) == 2


def test_executions_multiply_folds(tune):
    result = tune(max_trials=1, executions_per_trial=2, max_epochs=1)
    assert list(result.folds["execution"]) == [0, 0, 1, 1]
    assert result.folds["seed"].nunique() == 4
    assert "split3_val_accuracy" in result.trials


class TrainsByHand(keras_tuner.HyperModel):
    """Returns an uncompiled model and a score, as custom training loops do."""

    def build(self, hp):
        hp.Int("units", 1, 3)
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])

    def fit(self, hp, model, x, y, validation_data, **kwargs):
        return {"val_loss": float(hp.get("units")), "val_rows": len(validation_data[0])}


def test_a_custom_training_loop_needs_no_compiled_model(tune):
    result = tune(TrainsByHand(), objective="val_loss", max_trials=2)
    assert list(result.trials["mean_val_loss"]) == list(result.trials["param_units"])
    assert result.trials["split0_val_rows"].iloc[0] == 30


# -- objectives ---------------------


def test_the_objective_follows_the_model(tune, blobs):
    def build(hp):
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile(hp.Choice("optimizer", ["sgd", "adam"]), "mse", metrics=["mae"])
        return model

    result = tune(build, y=blobs[0][:, 0], max_trials=1, max_epochs=1)
    assert (result.study.objective, result.study.direction) == ("val_loss", "min")
    assert result.study.task == "regression"
    assert result.study.cv.startswith("KFold")
    given = {"y": blobs[0][:, 0], "max_trials": 1, "max_epochs": 1}
    with pytest.warns(UserWarning, match="rows that are trained on.*Pass 'val_mae'"):
        result = tune(build, objective="mae", **given)
    assert result.study.objective == "mae"


def test_an_unreported_objective_lists_what_is_reported(tune, tmp_path):
    with pytest.raises(ObjectiveError, match=r"'val_auc' is not in \['accuracy'"):
        tune(objective="val_auc")
    with pytest.raises(ObjectiveError, match="Could not infer optimization direction"):
        tune(objective="val_wishes")
    assert not list(tmp_path.iterdir())


def reporting(metrics):
    """Three classes, and metrics that every model makes anew."""

    def build(hp):
        head = keras.layers.Dense(3, activation="softmax")
        model = keras.Sequential([keras.Input((4,)), head])
        rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
        optimizer = keras.optimizers.Adam(rate)
        model.compile(optimizer, "categorical_crossentropy", metrics=metrics())
        return model

    return build


def one_hot(blobs):
    return np.eye(3)[(blobs[0][:, 0] > 0).astype(int) + (blobs[0][:, 1] > 0)]


def test_a_metric_is_named_alike_however_many_models_there_were(tune, blobs):
    keras.metrics.AUC(), keras.metrics.AUC()
    build = reporting(lambda: [keras.metrics.AUC()])
    result = tune(build, y=one_hot(blobs), objective="val_auc", max_trials=1)
    assert set(result.records[0].metrics) == {"auc", "loss", "val_auc", "val_loss"}
    assert set(result.evaluate(blobs[0], one_hot(blobs))) == {"auc", "loss"}


@pytest.mark.parametrize("engine", ["reference", "compiled", "stacked"])
def test_a_metric_with_a_value_for_each_class_counts_with_their_mean(
    tune, blobs, engine
):
    def search(average):
        metrics = lambda: [keras.metrics.F1Score(average=average)]  # noqa: E731
        options = {"objective": "val_f1_score", "engine": engine, "max_trials": 2}
        return tune(reporting(metrics), y=one_hot(blobs), **options)

    each, macro = search(None), search("macro")
    for one, other in zip(each.records, macro.records, strict=True):
        assert one.metrics == pytest.approx(other.metrics)
    scores = each.evaluate(blobs[0], one_hot(blobs))
    assert scores == pytest.approx(macro.evaluate(blobs[0], one_hot(blobs)))


# -- data ---------------------


def test_string_labels_are_decoded_and_test_rows_never_seen(tune, blobs):
    names = np.array(["no", "yes"])[blobs[1]]
    result = tune(y=names, max_trials=2, test_size=0.2)
    assert result.study.classes == ("no", "yes")
    assert set(result.test_metrics) == {"accuracy", "loss"}
    rows = result.out_of_fold()
    assert sorted(rows["row"]) == sorted(np.concatenate([t for _, t in result.splits]))
    assert len(rows) == 48
    assert set(rows["prediction"]) <= {"no", "yes"}
    np.testing.assert_array_equal(rows["target"], names[rows["row"]])
    total = rows["probability_no"] + rows["probability_yes"]
    np.testing.assert_allclose(total, 1, rtol=1e-5)
    assert result.evaluate(blobs[0][:5], names[:5])["accuracy"] >= 0


def several_outputs(hp):
    left = keras.Input((3,), name="left")
    right = keras.Input((1,), name="right")
    joined = keras.layers.concatenate([left, right])
    outputs = {
        "a": keras.layers.Dense(1, name="a")(joined),
        "b": keras.layers.Dense(1, hp.Choice("f", ["relu"]), name="b")(joined),
    }
    model = keras.Model({"left": left, "right": right}, outputs)
    model.compile("adam", {"a": "mse", "b": "mse"}, weighted_metrics={"a": ["mae"]})
    return model


def two_targets(blobs):
    x = {"left": blobs[0][:, :3], "right": pd.DataFrame(blobs[0][:, 3:])}
    return x, {"a": blobs[1], "b": blobs[0][:, 0]}


def test_frames_dictionaries_and_several_outputs(tune, blobs):
    result = tune(several_outputs, *two_targets(blobs), max_trials=1, max_epochs=1)
    assert result.study.objective == "val_loss"
    assert result.best_score > 0


@pytest.mark.parametrize("engine", ["reference", "compiled", "stacked"])
def test_each_output_may_weigh_rows_in_its_own_way(tune, blobs, engine):
    x, y = two_targets(blobs)
    weights = {"a": np.linspace(0, 1, 60), "b": np.linspace(2, 0, 60)}
    given = {"sample_weight": weights, "max_trials": 1, "max_epochs": 2}
    result = tune(several_outputs, x, y, engine=engine, **given)
    (train, test), fit = result.splits[0], result.best_trial.fits[0]
    keras.utils.set_random_seed(fit.seed)
    rows = [
        [{name: np.asarray(v)[part] for name, v in table.items()}
         for table in (x, y, weights)]
        for part in (train, test)
    ]  # fmt: skip
    inputs, targets, weights_ = rows[0]
    expected = several_outputs(result.best_hyperparameters).fit(
        inputs, targets, sample_weight=weights_, validation_data=tuple(rows[1]),
        batch_size=result.study.batch_size, epochs=2, verbose=0,
    )  # fmt: skip
    assert list(fit.history) == list(expected.history)
    for name, values in expected.history.items():
        np.testing.assert_allclose(fit.history[name], values, rtol=1e-5)
    opened = kttoolkit.load_result(
        result.directory, build=several_outputs, x=x, y=y, sample_weight=weights
    )
    assert set(opened.fit_best().predict(x, verbose=0)) == {"a", "b"}


def test_groups_stay_together(tune):
    groups = np.repeat(np.arange(6), 10)
    result = tune(cv=GroupKFold(3), groups=groups, max_trials=1, max_epochs=1)
    for train, test in result.splits:
        assert not set(groups[train]) & set(groups[test])


def test_a_preprocessor_can_be_tuned(tune):
    def scaler(hp):
        kind = hp.Choice("scaler", ["standard", "minmax"])
        return StandardScaler() if kind == "standard" else MinMaxScaler()

    result = tune(tuner="grid", preprocessor=scaler, max_trials=2, max_epochs=1)
    assert "param_scaler" in result.trials
    model, fitted = result.fit_best(return_preprocessor=True)
    kind = {"standard": StandardScaler, "minmax": MinMaxScaler}
    assert isinstance(fitted, kind[result.best_values["scaler"]])
    assert model.count_params() > 0


def test_the_arrays_of_a_stream_can_be_cut(tune, blobs):
    """As the error says that folds need."""
    stream = tf.data.Dataset.from_tensor_slices(blobs).batch(16)
    with pytest.raises(CrossValidationError, match="Make arrays of it") as told:
        tune(x=stream, y=None)
    code = re.search(r"next\(iter\(.*?\)\)\)", str(told.value))[0]
    x, y = eval(code, {"x": stream})
    result = tune(x=x, y=y, max_trials=1, max_epochs=1)
    assert result.study.n_samples == len(blobs[0])


@pytest.mark.filterwarnings("ignore:.*Dataset, and not only arrays:UserWarning")
def test_streams_are_searched_on_a_hold_out(tune, blobs):
    stream = tf.data.Dataset.from_tensor_slices(blobs).batch(16)
    kwargs = {"max_trials": 1, "max_epochs": 1, "batch_size": None}
    result = tune(x=stream, y=None, cv=None, validation_data=stream, **kwargs)
    assert result.study.objective == "val_accuracy"
    assert result.study.cv == "validation_data"
    assert len(result.folds) == 1
    with pytest.raises(CrossValidationError, match="cv=None with validation_data"):
        tune(x=stream, y=None, **kwargs)
    with pytest.raises(CrossValidationError, match="needs validation_data="):
        tune(x=stream, y=None, cv=None, **kwargs)


@pytest.mark.filterwarnings("ignore:.*shuffle=True:UserWarning")
@pytest.mark.filterwarnings("ignore:.*generator, and not only arrays:UserWarning")
def test_a_generator_must_be_endless(tune, blobs):
    def batches():
        while True:
            yield blobs[0][:16], blobs[1][:16]

    options = {
        "x": batches(), "y": None, "cv": None, "validation_data": blobs,
        "max_trials": 2, "max_epochs": 1, "batch_size": None, "objective": "val_loss",
    }  # fmt: skip
    result = tune(**options, fit_kwargs={"steps_per_epoch": 2})
    assert list(result.trials["status"]) == ["completed"] * 2
    with pytest.raises(DataError, match="used up by the first"):
        tune(**options)


def test_a_hold_out_is_the_one_of_keras(tune, blobs):
    result = tune(cv=None, validation_split=0.25, max_trials=1, max_epochs=1)
    ((train, test),) = result.splits
    assert (len(train), list(test)) == (45, list(range(45, 60)))
    result = tune(cv=None, validation_data=blobs, max_trials=1, max_epochs=1)
    assert result.folds["n_test"].iloc[0] == 60


# -- models ---------------------


def test_an_ensemble_averages_the_fold_models(tune, blobs):
    result = tune(max_trials=2)
    mean = result.ensemble().predict(blobs[0], verbose=0)[:, 0]
    column = result.out_of_fold()
    trainer = result.trainer
    members = [
        trainer._fold_model(result, result.best_trial, split).predict(
            blobs[0], verbose=0
        )
        for split in (0, 1)
    ]
    np.testing.assert_allclose(mean, np.mean(members, axis=0)[:, 0], rtol=1e-5)
    assert result.evaluate(*blobs, model="ensemble")["accuracy"] > 0
    for split, member in enumerate(members):
        part = column[column["split"] == split]
        np.testing.assert_allclose(
            part["probability_1"], member[part["row"], 0], rtol=1e-4
        )


@pytest.mark.parametrize("names", [(0, 1), (1.0, 2.0), (False, True), ("no", "yes")])
def test_classes_out_of_fold_are_fit_for_the_metrics_of_scikit_learn(
    tune, blobs, names
):
    """Targets of dtype object are of an unknown kind to them."""
    from sklearn.metrics import accuracy_score

    y = np.array(names)[blobs[1]]
    rows = tune(y=y, task="classification", max_trials=1).out_of_fold()
    assert rows["target"].dtype == rows["prediction"].dtype == pd.Series(y).dtype
    np.testing.assert_array_equal(rows["target"], y[rows["row"]])
    expected = np.mean(rows["target"] == rows["prediction"])
    assert accuracy_score(rows["target"], rows["prediction"]) == expected


@pytest.mark.parametrize("kind", ["regression", "multilabel"])
def test_every_target_is_predicted_out_of_fold(tune, blobs, kind):
    """The first one alone was in the table once, and nothing told so."""
    x = blobs[0].astype("float32")
    y = x[:, :3] if kind == "regression" else (x[:, :3] > 0.5).astype("float32")

    def build(hp):
        layers = [keras.Input((4,)), keras.layers.Dense(hp.Choice("n", [3]))]
        model = keras.Sequential(layers)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        model.compile("adam", "mse" if kind == "regression" else loss)
        return model

    result = tune(build, y=y, max_trials=1)
    assert result.study.task == kind
    rows = result.out_of_fold()
    targets = [f"target_{k}" for k in range(3)]
    predictions = [f"prediction_{k}" for k in range(3)]
    assert list(rows) == ["row", "split", *targets, *predictions]
    np.testing.assert_array_equal(rows[targets], y[rows["row"]])
    for split, part in rows.groupby("split"):
        model = result.trainer._fold_model(result, result.best_trial, split)
        found = model.predict(x[part["row"]], verbose=0)
        if kind == "multilabel":
            found = 1 / (1 + np.exp(-found))
        np.testing.assert_allclose(part[predictions], found, rtol=1e-4, atol=1e-5)
    with pytest.raises(ResultError, match=r"of 3, target_0 to target_2\. Pass one"):
        result.plot.residuals()


def test_out_of_fold_without_targets_is_refused(tune, blobs):
    class Reconstructing(keras.Model):
        def __init__(self, units):
            super().__init__()
            self.dense = keras.layers.Dense(units)

        def call(self, x):
            predicted = self.dense(x)
            self.add_loss(keras.ops.mean((predicted - x) ** 2))
            return predicted

    def build(hp):
        model = Reconstructing(hp.Choice("units", [4]))
        model.compile("adam")
        return model

    result = tune(build, y=None, max_trials=1, engine="reference")
    with pytest.raises(ResultError, match=r"stand beside the targets.*y=None"):
        result.out_of_fold()
    # Its rows need no targets, for the search had none.
    assert set(result.evaluate(blobs[0], None)) == {"loss"}


def test_an_ensemble_of_models_without_inputs_is_refused(tune, blobs):
    class Own(keras.Model):
        def __init__(self, units):
            super().__init__()
            self.dense = keras.layers.Dense(units, activation="sigmoid")

        def call(self, x):
            return self.dense(x)

    def build(hp):
        model = Own(hp.Choice("units", [1]))
        model.compile("adam", "binary_crossentropy")
        return model

    result = tune(build, max_trials=1, engine="reference")
    message = r"Own has none. Build it as keras.Model\(inputs, outputs\)"
    with pytest.raises(ResultError, match=message):
        result.ensemble()
    with pytest.raises(ResultError, match=message):
        result.evaluate(*blobs, model="ensemble")
    assert result.evaluate(*blobs)["loss"] > 0


def test_rows_without_their_targets_are_refused(tune, blobs):
    """Keras speaks of None values, and does not say whose."""
    x, y = blobs
    result = tune(max_trials=1)
    opened = kttoolkit.load_result(result.directory, build=build_binary)
    for one in (result, opened):
        with pytest.raises(ResultError, match=r"in the search \(binary\).*y=None"):
            one.fit_best(x)
        with pytest.raises(ResultError, match="Pass x and y together"):
            one.evaluate(x, None)
    assert opened.fit_best(x, y, epochs=1).predict(x, verbose=0).shape == (60, 1)


def test_a_saved_result_opens_with_and_without_the_build_function(
    tune, blobs, tmp_path
):
    result = tune(max_trials=2, max_epochs=1, test_size=0.2)
    copy = kttoolkit.load_result(result.save(tmp_path / "copy"))
    pd.testing.assert_frame_equal(copy.trials, result.trials)
    pd.testing.assert_frame_equal(copy.curves, result.curves)
    assert copy.best_hyperparameters.values == result.best_values
    with pytest.raises(ResultError, match="build=build"):
        copy.fit_best(*blobs)
    opened = kttoolkit.load_result(
        copy.directory, build=build_binary, x=blobs[0], y=blobs[1]
    )
    pd.testing.assert_frame_equal(opened.out_of_fold(), result.out_of_fold())
    assert opened.trainer.data.n_samples == 48
    weights = [r.fit_best(epochs=1).get_weights() for r in (opened, result)]
    for mine, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


# -- failures ---------------------


@pytest.mark.fault
def test_failing_trials_are_recorded_and_the_search_goes_on(tune):
    def build(hp):
        kind = hp.Choice("kind", ["good", "raises", "nan", "large"])
        model = build_binary(hp)
        if kind == "raises":
            raise MemoryError("no room left")
        if kind == "nan":
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
            model.compile(keras.optimizers.SGD(1e30), "mse", metrics=["accuracy"])
        if kind == "large":
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(900)])
            model.compile("adam", "mse")
        return model

    kinds = ["raises", "nan", "good", "large", "raises"]
    result = tune(
        build, tuner=[{"kind": k} for k in kinds], max_epochs=9, max_model_size=500
    )
    expected = ["failed", "failed", "completed", "skipped", "failed"]
    assert list(result.trials["status"]) == expected
    assert result.failures.to_dict()["MemoryError: no room left"] == 2
    assert result.trials["reason"].iloc[1].startswith("NonFiniteScoreError")
    assert result.best_values["kind"] == "good"
    assert list(result.trials["rank"].isna()) == [True, True, False, True, True]


@pytest.mark.fault
def test_when_all_fail_the_first_reason_is_the_error(tune):
    calls = itertools.count()

    def build(hp):
        if next(calls) > 1:
            raise OSError(f"disk {hp.get('units')}")
        return build_binary(hp)

    with pytest.raises(SearchError, match=r"all 3 ended.*OSError: disk 5"):
        tune(build, tuner=[{"units": u} for u in (5, 6, 7)])


class StopAtThird(Tracker):
    def fold_started(self, trial_id, split, n_splits):
        if trial_id == "2":
            raise KeyboardInterrupt


def test_ctrl_c_returns_what_is_finished_and_can_be_continued(tune):
    options = {"max_trials": 4, "max_epochs": 1, "project_name": "p"}
    with pytest.warns(UserWarning, match="was interrupted"):
        result = tune(trackers=[StopAtThird()], **options)
    assert len(result.trials) == 2
    assert result.best_score > 0
    whole = tune(max_trials=4, max_epochs=1)
    resumed = tune(resume=True, **options)
    columns = ["trial", "mean_val_loss", "param_units", "param_learning_rate"]
    pd.testing.assert_frame_equal(resumed.trials[columns], whole.trials[columns])


class Slow(Tracker):
    def epoch_ended(self, trial_id, split, epoch, logs):
        time.sleep(0.3)


def test_the_time_limit_is_kept_to_within_an_epoch(tune):
    start = time.monotonic()
    result = tune(max_trials=50, max_epochs=50, timeout=4, trackers=[Slow()])
    assert time.monotonic() - start < 10
    assert len(result.trials) < 50


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [None, 2])
def test_the_epochs_of_all_trials_together_are_limited(tune, parallel):
    """Ten trials of two folds and four epochs would be 80; 24 are three trials.

    Processes are looked after ten times a second; such small trials end in between.
    """
    options = {"max_trials": 10, "max_epochs": 4, "project_name": "p",
               "parallel": parallel}  # fmt: skip
    result = tune(max_total_epochs=24, **options)
    late = 0 if parallel is None else 3
    assert 3 <= len(result.trials) <= 3 + late
    assert sum(record.n_epochs for record in result.records) == 8 * len(result.trials)
    again = tune(max_total_epochs=24, resume=True, **options)
    assert len(again.trials) == len(result.trials)
    more = tune(max_total_epochs=45, resume=True, **options)
    assert 5 <= len(more.trials) <= 5 + late


class SlowWhenLarge(keras_tuner.HyperModel):
    def build(self, hp):
        hp.Choice("size", ["small", "large"])
        return build_binary(hp)

    def fit(self, hp, model, *args, **kwargs):
        if hp.get("size") == "large":
            wait = keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: time.sleep(0.4)
            )
            kwargs["callbacks"] = [*kwargs.get("callbacks", ()), wait]
        return model.fit(*args, **kwargs)


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("parallel", [None, 2])
def test_a_trial_past_its_time_fails_once_and_the_search_goes_on(tune, parallel):
    """The limit is kept to within an epoch, counted as one reason, and not retried."""
    result = tune(
        SlowWhenLarge(), tuner=[{"size": "large"}, {"size": "small"}], max_epochs=80,
        trial_timeout=10, max_retries_per_trial=2, parallel=parallel,
    )  # fmt: skip
    assert list(result.trials["status"]) == ["failed", "completed"]
    assert 10 <= result.trials["seconds"][0] < 14
    (reason,) = result.failures.index
    assert reason.startswith("TrialTimeoutError: A trial must end within trial_timeout")


@pytest.mark.fault
def test_a_failing_tracker_is_switched_off_with_one_warning(tune):
    class Broken(Tracker):
        def fold_ended(self, trial_id, fit):
            raise ConnectionError("gone")

    with pytest.warns(RuntimeWarning, match="Broken failed in fold_ended") as caught:
        result = tune(max_trials=2, max_epochs=1, trackers=[Broken()])
    assert len([w for w in caught if "Broken" in str(w.message)]) == 1
    assert len(result.trials) == 2


WAYS_TO_TRAIN = {
    "weights_of_classes": {"fit_kwargs": {"class_weight": {0: 1.0, 1: 9.0}}},
    "weights_of_rows": {"sample_weight": np.linspace(0.1, 2.0, 60)},
    "optimizer": {"optimizer": keras.optimizers.SGD(0.3)},
    "loss": {"loss": "mse"},
    "preprocessor": {"preprocessor": StandardScaler()},
    "callbacks": {"callbacks": [keras.callbacks.EarlyStopping("loss", patience=0)]},
}


@pytest.mark.parametrize("name", WAYS_TO_TRAIN)
def test_an_opened_result_trains_as_the_search_did(tune, blobs, name):
    given, (x, y) = WAYS_TO_TRAIN[name], blobs
    result = tune(max_trials=1, max_epochs=4, **given)
    opened = kttoolkit.load_result(
        result.directory, build=build_binary, x=x, y=y, **given
    )
    setting = {"units": 3, "learning_rate": 0.05}
    # Neither knows what the other adds, and nothing is lost.
    added = (result.add(setting), opened.add(setting))
    assert [len(one.records) for one in added] == [2, 3]
    _, mine, theirs = added[1].records
    assert mine.metrics == theirs.metrics
    assert [fit.history for fit in mine.fits] == [fit.history for fit in theirs.fits]
    with pytest.raises(ResultError, match=r"settings\[0\]=\[\{'units': 3"):
        result.add([setting])
    if name != "callbacks":
        with pytest.raises(ResultError, match=r"of the search|what tune was given"):
            kttoolkit.load_result(result.directory, build=build_binary, x=x, y=y)


def test_an_opened_result_takes_no_other_build_function(tune, blobs):
    """It would make other models, and say nothing of it."""

    def other(hp):
        hp.Int("width", 1, 4)
        return build_binary(kttoolkit.HyperParameters())

    result, (x, y) = tune(max_trials=1), blobs
    for rows in ({}, {"x": x, "y": y}):
        with pytest.raises(ResultError, match=r"asks for \['width'\], .*'units'"):
            kttoolkit.load_result(result.directory, build=other, **rows)


def test_an_opened_result_takes_no_other_rows(tune, blobs):
    result, (x, y) = tune(max_trials=1), blobs
    for rows in (slice(30), slice(None, None, -1)):
        with pytest.raises(ResultError, match="all rows in the same order"):
            kttoolkit.load_result(
                result.directory, build=build_binary, x=x[rows], y=y[rows]
            )


# -- resuming and refusing ---------------------


def test_a_study_is_not_resumed_with_anything_else(tune, blobs, tmp_path):
    first = tune(max_trials=1, max_epochs=1, project_name="p")
    before = {p: p.read_bytes() for p in first.directory.rglob("*") if p.is_file()}
    again = {"max_trials": 2, "project_name": "p", "resume": True}

    def wider(hp):
        hp.Int("more", 1, 2)
        return build_binary(hp)

    changed = [
        ({"x": blobs[0] + 1}, "the data"),
        ({"cv": 3}, r"the folds"),
        ({"build": wider}, "the search space"),
        ({"seed": 5}, "seed=0 and got seed=5"),
        ({"tuner": "grid"}, "'RandomSearch' then, 'GridSearch' now"),
        ({"objective": "val_loss"}, "objective"),
        ({"max_epochs": 9}, "max_epochs .1 then, 9 now"),
        ({"batch_size": 8}, "batch_size .16 then, 8 now"),
        ({"preprocessor": StandardScaler()}, "the preprocessor"),
        ({"fit_kwargs": {"class_weight": {0: 1.0, 1: 2.0}}}, "fit_kwargs"),
        ({"optimizer": "sgd"}, "optimizer, loss or metrics"),
    ]
    for kwargs, message in changed:
        with pytest.raises(StudyFolderError, match=message):
            tune(**{**again, **kwargs})
    with pytest.raises(StudyFolderError, match="exists already"):
        tune(project_name="p")
    after = {p: p.read_bytes() for p in first.directory.rglob("*") if p.is_file()}
    assert after == before
    more = tune(**again, max_epochs=1)
    assert len(more.trials) == 2
    assert tune(project_name="p", overwrite=True, max_trials=1).best_score >= 0


def test_a_foreign_folder_is_never_touched(tune, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(StudyFolderError, match="holds other files"):
            tune(project_name="mine", **options)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"
    with pytest.raises(StudyFolderError, match="without separators"):
        tune(project_name="../out")


@pytest.mark.fault
def test_a_damaged_study_is_refused_and_left_alone(tune):
    result = tune(max_trials=1, max_epochs=1, project_name="p")
    oracle = result.directory / "oracle.json"
    oracle.write_text(oracle.read_text()[:40])
    with pytest.raises(StudyFolderError, match=r"must be JSON|must hold"):
        tune(project_name="p", resume=True, max_epochs=1)
    assert len(oracle.read_text()) == 40


@pytest.mark.parametrize(
    ("kwargs", "error", "message"),
    [
        ({"tuner": "hyperbend"}, SearchError, "Did you mean 'hyperband'"),
        ({"tuner": 3}, SearchError, "must be one of"),
        ({"tuner": []}, SearchSpaceError, "list of dictionaries"),
        ({"tuner": [{"unit": 3}]}, SearchSpaceError, "Did you mean 'units'"),
        ({"max_epoch": 3}, SearchError, "Did you mean 'max_epochs'"),
        ({"max_epochs": 0}, SearchError, "max_epochs must be .* >= 1, but got 0"),
        ({"max_trials": -1}, SearchError, "max_trials must be .* but got -1"),
        ({"batch_size": 1.5}, SearchError, "batch_size must be .* but got 1.5"),
        ({"timeout": -2}, SearchError, "timeout > 0 must hold"),
        (
            {"max_total_epochs": 0},
            SearchError,
            r"max_total_epochs > 0 must hold.*got 0",
        ),
        ({"trial_timeout": 0}, SearchError, r"trial_timeout > 0 must hold.*got 0"),
        ({"cv": 1}, CrossValidationError, "at least 2 folds, but got cv=1"),
        ({"cv": 31}, CrossValidationError, "The largest that works is 30"),
        ({"test_size": 1.5}, CrossValidationError, "test_size=1.5"),
        ({"engine": "warp"}, SearchError, "engine must be one of"),
        ({"epoch_selection": "last"}, SearchError, "epoch_selection must be one of"),
        ({"verbose": 7}, SearchError, "verbose must be 0, 1 or 2"),
        ({"build": "mlp"}, SearchSpaceError, "build must be a function"),
        ({"build": keras.Sequential()}, SearchSpaceError, "build must be a function"),
        ({"build": lambda hp: None}, SearchSpaceError, "return a keras.Model"),
        ({"y": np.zeros(60)}, DataError, "at least two classes"),
        ({"y": np.zeros(59)}, DataError, "x: 60, y: 59"),
        ({"y": None}, DataError, "y must be given to train with loss="),
        ({"fit_kwargs": {"epochs": 5}}, SearchError, "epochs as max_epochs"),
        ({"fit_kwargs": {"batch_size": 5}}, SearchError, r"got \['batch_size'\]"),
        ({"x": np.full((60, 4), np.nan)}, DataError, "240 NaN"),
        ({"resume": True}, StudyFolderError, "must say which study"),
        (
            {"resume": True, "overwrite": True, "project_name": "p"},
            StudyFolderError,
            "got resume=True and overwrite=True. Leave one out",
        ),
        ({"build": takes_one_hot}, DataError, "need sparse_categorical_crossentropy"),
        ({"x": np.zeros((60, 3))}, DataError, r"first batch failed with \('n', 3\)"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    tune, tmp_path, kwargs, error, message
):
    with pytest.raises(error, match=message):
        tune(**kwargs)
    assert not list(tmp_path.iterdir())


def test_tensorboard_without_its_package_names_the_pip_line(
    tune, tmp_path, monkeypatch
):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *a: None if name == "tensorboard" else found(name, *a),
    )
    board = keras.callbacks.TensorBoard(str(tmp_path / "logs"))
    with pytest.raises(MissingDependencyError, match="pip install tensorboard"):
        tune(callbacks=[board], max_trials=1)


# -- what is on disk ---------------------


def test_the_study_folder_is_plain_and_opens_in_keras_tuner(tune):
    result = tune(max_trials=2, max_epochs=1, project_name="p")
    study = json.loads((result.directory / "study.json").read_text())
    assert study["format"] == 1
    assert set(study["fingerprints"]) == {
        "data", "folds", "preprocessor", "space", "fit", "compile",
    }  # fmt: skip
    assert not [p for p in result.directory.rglob(".*") if p.is_file()]
    tuner = keras_tuner.RandomSearch(
        build_binary, "val_accuracy", max_trials=2,
        directory=result.directory.parent, project_name="p",
    )  # fmt: skip
    best = tuner.oracle.get_best_trials()[0]
    assert best.score == pytest.approx(result.best_score)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert tuner.get_best_models()[0].count_params() > 0


@pytest.mark.filterwarnings("ignore:.*is a weight of an earlier model too")
@pytest.mark.parametrize("kind", ["sequential", "functional"])
def test_a_layer_from_outside_may_have_any_name(tune, kind):
    """In a new notebook the first layer is "dense", and so is that of every model."""
    reset_names()
    shared = [keras.layers.Dense(5, activation="relu") for _ in range(3)]

    def build(hp):
        own = [keras.layers.Dense(hp.Int("units", 2, 4)), keras.layers.Dense(1)]
        rows = keras.Input((4,))
        if kind == "sequential":
            model = keras.Sequential([rows, *shared, *own])
        else:
            values = rows
            for layer in (*shared, *own):
                values = layer(values)
            model = keras.Model(rows, values)
        model.compile("sgd", "mse", metrics=[keras.metrics.MeanAbsoluteError()])
        return model

    result = tune(build, max_trials=2, max_epochs=1, task="regression")
    assert list(result.trials.status) == ["completed"] * 2
    assert "mean_val_mean_absolute_error" in result.trials


def test_a_name_given_twice_is_kerass_error(tune):
    def build(hp):
        layers = [keras.layers.Dense(1, name="same") for _ in range(2)]
        return keras.Sequential([keras.Input((4,)), *layers])

    with pytest.raises(ValueError, match=r"unique names\. Name 'same'"):
        tune(build)
