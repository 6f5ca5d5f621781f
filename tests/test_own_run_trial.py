"""A `run_trial` of one's own around the tuner's: what it returns is what counts."""

import keras
import keras_tuner
import numpy as np
import pytest
from sklearn.model_selection import KFold

import kttoolkit
from kttoolkit.exceptions import ObjectiveError
from kttoolkit.results import TrialRecord

X = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
Y = X.sum(axis=1)
GAP = keras_tuner.Objective("gap", "min")
LIBRARIES = pytest.mark.parametrize(
    "lib", [keras_tuner, kttoolkit], ids=["keras_tuner", "kttoolkit"]
)


def build(hp):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(hp.Choice("rate", [0.01, 0.02])), "mse")
    return model


def searched(cls, folder, objective="val_loss", rows=(X, Y), validated=True, **options):
    tuner = cls(build, objective, max_trials=1, directory=folder, seed=0, **options)
    fit = {"validation_split": 0.5} if validated else {}
    tuner.search(*rows, epochs=2, verbose=0, **fit)
    return tuner, tuner.oracle.trials["0"]


def lowest(histories, name="val_loss"):
    return [min(history.history[name]) for history in histories]


def overridden(lib, change):
    """Return a tuner whose `run_trial` hands on what `change` makes of histories."""

    class Tuner(lib.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            self.histories = super().run_trial(trial, *args, **kwargs)
            return change(self.histories)

    return Tuner


def with_gap(histories):
    for history in histories:
        curves = zip(history.history["val_loss"], history.history["loss"], strict=True)
        history.history["gap"] = [abs(one - other) for one, other in curves]
    return histories


def punished(histories):
    for history in histories:
        losses = history.history["val_loss"]
        history.history["val_loss"] = [loss + 1000 for loss in losses]
    return histories


@LIBRARIES
def test_folds_of_ones_own_count_with_their_mean(lib, tmp_path):
    class Folds(lib.RandomSearch):
        def run_trial(self, trial, x, y, **kwargs):
            self.histories = []
            for train, test in KFold(3).split(x):
                rows = (x[test], y[test])
                self.histories += super().run_trial(
                    trial, x[train], y[train], validation_data=rows, **kwargs
                )
            return self.histories

    tuner, trial = searched(Folds, tmp_path, validated=False)
    assert len(tuner.histories) == 3
    assert trial.score == pytest.approx(np.mean(lowest(tuner.histories)))


RETURNED = {
    "numbers": lambda histories: [loss + 1000 for loss in lowest(histories)],
    "dictionaries": lambda histories: [
        {"val_loss": loss + 1000} for loss in lowest(histories)
    ],
    "number": lambda histories: lowest(histories)[0] + 1000,
    "histories": punished,
}


@LIBRARIES
@pytest.mark.parametrize("kind", RETURNED)
def test_whatever_is_returned_counts(lib, kind, tmp_path):
    tuner, trial = searched(overridden(lib, RETURNED[kind]), tmp_path)
    # Histories were changed in their place.
    expected = lowest(tuner.histories)[0] + 1000 * (kind != "histories")
    assert trial.score == pytest.approx(expected)
    assert trial.score > 1000


@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_changed_histories_of_folds_are_what_is_on_record(engine, tmp_path):
    cls = overridden(kttoolkit, punished)
    options = {"validated": False, "cv": 3, "engine": engine}
    tuner, trial = searched(cls, tmp_path, **options)
    assert trial.score == pytest.approx(np.mean(lowest(tuner.histories)))
    record = TrialRecord.read(tmp_path / "untitled_project" / "trial_0")
    assert record.splits["val_loss"] == pytest.approx(lowest(tuner.histories))
    assert min(record.fits[0].history["val_loss"]) > 1000


def test_a_score_of_ones_own_is_what_is_on_record(tmp_path):
    cls = overridden(kttoolkit, RETURNED["number"])
    _, trial = searched(cls, tmp_path, validated=False, cv=3)
    record = TrialRecord.read(tmp_path / "untitled_project" / "trial_0")
    assert record.metrics["val_loss"] == trial.score > 1000
    assert (record.splits, record.fits) == ({}, ())


@LIBRARIES
@pytest.mark.parametrize("kind", ["histories", "dictionary"])
def test_an_objective_may_be_made_of_what_the_trainings_report(lib, kind, tmp_path):
    def change(histories):
        gaps = lowest(with_gap(histories), "gap")
        return histories if kind == "histories" else {"gap": gaps[0]}

    tuner, trial = searched(overridden(lib, change), tmp_path, GAP)
    assert trial.score == pytest.approx(lowest(tuner.histories, "gap")[0])
    assert tuner.get_best_models()[0].predict(X, verbose=0).shape == (24, 1)


def test_an_objective_that_nothing_makes_ends_the_search(tmp_path):
    with pytest.raises(
        ObjectiveError, match=r"objective='gap' is not in \['loss', 'va"
    ):
        searched(overridden(kttoolkit, list), tmp_path, GAP)
    with pytest.raises(
        ObjectiveError, match=r"objective='gap' is not in \['loss', 'va"
    ):
        searched(kttoolkit.RandomSearch, tmp_path / "plain", GAP)


@LIBRARIES
@pytest.mark.parametrize("returned", ["history", "model", "nothing"])
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_what_the_oracle_was_told_counts(lib, returned, tmp_path):
    class Telling(lib.RandomSearch):
        def run_trial(self, trial, x, y, **kwargs):
            model = self.hypermodel.build(trial.hyperparameters)
            history = model.fit(x, y, **kwargs)
            self.told = history.history["val_loss"][-1] + 1000
            self.oracle.update_trial(trial.trial_id, {"val_loss": self.told})
            return {"history": history, "model": model}.get(returned)

    tuner, trial = searched(Telling, tmp_path)
    assert (trial.status, trial.score) == ("COMPLETED", tuner.told)


@LIBRARIES
@pytest.mark.parametrize("when", ["before", "after"])
def test_attributes_of_ones_own_may_have_any_name(lib, when, tmp_path):
    class Own(lib.RandomSearch):
        def __init__(self, *args, **kwargs):
            if when == "before":
                self.cv, self.preprocessor = KFold(2), np.negative
            super().__init__(*args, **kwargs)
            if when == "after":
                self.cv, self.preprocessor = KFold(2), np.negative

        def run_trial(self, trial, x, y, **kwargs):
            scores = []
            for train, test in self.cv.split(x):
                rows = (self.preprocessor(x[test]), y[test])
                scores += lowest(
                    super().run_trial(
                        trial, self.preprocessor(x[train]), y[train],
                        validation_data=rows, **kwargs,
                    )
                )  # fmt: skip
            return float(np.mean(scores))

        def _report(self):
            return "mine"

        _search = _attempt = _report

    _, trial = searched(Own, tmp_path, validated=False)
    assert trial.status == "COMPLETED"
    assert np.isfinite(trial.score)


def test_folds_of_a_tuner_can_be_read(tmp_path):
    tuner, _ = searched(kttoolkit.RandomSearch, tmp_path, validated=False, cv=2)
    assert (tuner.cv, tuner.preprocessor) == (2, None)
