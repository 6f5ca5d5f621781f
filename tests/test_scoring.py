"""The room `scoring`: directions, the best epoch, and folds to one number."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kttoolkit.exceptions import NonFiniteScoreError, ObjectiveError
from kttoolkit.scoring import (
    FoldFit,
    TrialScore,
    aggregate,
    best_index,
    check_finite,
    direction_of,
)

NAN, INF = float("nan"), float("inf")
LOSS = SimpleNamespace(name="val_loss", direction="min")
ACCURACY = SimpleNamespace(name="val_accuracy", direction="max")

# What Keras 3 reports for each metric and loss: the object's own name, the alias
# or the class's name, whichever a model was compiled with.
MAXIMISED = """
accuracy acc binary_accuracy categorical_accuracy sparse_categorical_accuracy
top_k_categorical_accuracy sparse_top_k_categorical_accuracy auc precision recall
precision_at_recall recall_at_precision sensitivity_at_specificity
specificity_at_sensitivity true_positives true_negatives f1_score fbeta_score
f_beta_score r2_score cosine_similarity io_u binary_io_u mean_io_u one_hot_io_u
one_hot_mean_io_u concordance_correlation pearson_correlation
Accuracy BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy
TopKCategoricalAccuracy SparseTopKCategoricalAccuracy AUC Precision Recall
PrecisionAtRecall RecallAtPrecision SensitivityAtSpecificity SpecificityAtSensitivity
TruePositives TrueNegatives F1Score FBetaScore R2Score CosineSimilarity IoU BinaryIoU
MeanIoU OneHotIoU OneHotMeanIoU ConcordanceCorrelation PearsonCorrelation
"""
MINIMISED = """
loss binary_crossentropy categorical_crossentropy sparse_categorical_crossentropy
binary_focal_crossentropy categorical_focal_crossentropy bce
categorical_generalized_cross_entropy hinge squared_hinge categorical_hinge
mean_squared_error mean_absolute_error mean_absolute_percentage_error
mean_squared_logarithmic_error root_mean_squared_error mse mae mape msle rmse huber
huber_loss logcosh log_cosh log_cosh_error kl_divergence kld poisson dice tversky
circle ctc false_positives false_negatives
BinaryCrossentropy CategoricalCrossentropy SparseCategoricalCrossentropy
BinaryFocalCrossentropy CategoricalFocalCrossentropy BCE
CategoricalGeneralizedCrossEntropy Hinge SquaredHinge CategoricalHinge
MeanSquaredError MeanAbsoluteError MeanAbsolutePercentageError
MeanSquaredLogarithmicError RootMeanSquaredError MSE MAE MAPE MSLE Huber LogCosh
LogCoshError KLDivergence KLD Poisson Dice Tversky Circle CTC FalsePositives
FalseNegatives
"""
DIRECTIONS = {
    **dict.fromkeys(MAXIMISED.split(), "max"),
    **dict.fromkeys(MINIMISED.split(), "min"),
}


@pytest.mark.parametrize("name", DIRECTIONS)
def test_every_metric_and_loss_of_keras_has_a_direction(name):
    for form in ("{}", "val_{}", "out1_{}", "val_out1_{}", "{}_2", "val_{}_13"):
        assert direction_of(form.format(name)) == DIRECTIONS[name]


@pytest.mark.parametrize("name", ["f1", "val_r2", "roc_auc", "val_mean_f_beta"])
def test_common_names_of_ones_own_metrics_have_a_direction(name):
    assert direction_of(name) == "max"


@pytest.mark.parametrize(
    "name", ["", "val_", "mean", "sum", "learning_rate", "floss", "val_quality", "_1"]
)
def test_an_unknown_direction_is_asked_for(name):
    with pytest.raises(ObjectiveError, match=f"objective={name!r}. Pass keras_tuner"):
        direction_of(name)


# -- the best epoch ----------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "direction", "index"),
    [
        ([3.0, 1.0, 2.0], "min", 1),
        ([3.0, 1.0, 2.0], "max", 0),
        ([0.5, 0.9, 0.9], "max", 1),
        ([0.5, 0.5], "min", 0),
        ([NAN, 2.0, 1.0], "min", 2),
        ([NAN, 2.0, 1.0], "max", 1),
        ([INF, 2.0, -INF], "min", 1),
        ([INF, 2.0, -INF], "max", 1),
        ((7.0,), "max", 0),
    ],
)
def test_best_is_the_first_of_the_best_finite_values(values, direction, index):
    assert best_index(values, direction) == index


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([], r"\[\]"),
        ([NAN], r"\[nan\]"),
        ([INF, -INF], r"\[inf, -inf\]"),
        ([NAN] * 9, r"\[nan, nan, nan, nan, nan, \.\.\.\]"),
    ],
)
def test_without_a_finite_value_there_is_no_best(values, shown):
    with pytest.raises(NonFiniteScoreError, match=f"one epoch, but got {shown}"):
        best_index(values, "min")


# -- one training ------------------------------------------------------------


def fit_of(*losses, split=0, start=0, **curves):
    return FoldFit(split, split, 0, 1, {"val_loss": losses, **curves}, start)


def test_a_training_survives_json():
    """NaN and infinity too: Python writes and reads them as JavaScript does."""
    fit = FoldFit(
        split=3,
        fold=1,
        execution=1,
        seed=2**63,
        history={"loss": (1.0, INF, 0.1), "val_loss": (0.5, NAN, -INF)},
        initial_epoch=4,
        n_train=10,
        n_test=5,
        seconds=0.25,
    )
    back = FoldFit.from_json(json.loads(json.dumps(fit.to_json())))
    assert repr(back) == repr(fit)
    assert isinstance(back.history["loss"], tuple)


def test_a_training_knows_its_epochs():
    fit = FoldFit(0, 0, 0, 1, {"loss": (3.0, 2.0, 1.0), "val_loss": (5.0,)})
    assert fit.epochs == 3
    assert fit.at(0) == {"loss": 3.0, "val_loss": 5.0}
    assert fit.at(2) == {"loss": 1.0}
    assert FoldFit(0, 0, 0, 1, {}).epochs == 0


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_loss_that_is_not_finite_names_fold_and_epoch(value):
    history = {"loss": (1.0, value), "accuracy": (0.5, 0.9)}
    fit = FoldFit(5, 2, 1, 1, history, initial_epoch=10)
    found = rf"is {value} in epoch 12 of fold 2 \(execution 1\)"
    with pytest.raises(NonFiniteScoreError, match=found):
        check_finite(fit)


def test_finite_losses_pass():
    """What decides is the training loss; a validation metric may be undefined."""
    assert check_finite(fit_of(NAN, loss=(1.0,))) is None
    assert check_finite(fit_of(1.0)) is None


# -- folds to one number -----------------------------------------------------


def test_per_fold_takes_each_folds_own_best_epoch():
    fits = [
        fit_of(3.0, 1.0, 2.0, accuracy=(0.1, 0.2, 0.3)),
        fit_of(3.0, 3.0, 0.0, accuracy=(0.4, 0.5, 0.6), split=1),
    ]
    score = aggregate(fits, LOSS)
    assert score.epochs == (2, 3)
    assert score.splits == {"val_loss": (1.0, 0.0), "accuracy": (0.2, 0.6)}
    assert score.means == {"val_loss": 0.5, "accuracy": pytest.approx(0.4)}
    assert score.stds == {"val_loss": 0.5, "accuracy": pytest.approx(0.2)}


def test_common_takes_the_epoch_that_is_best_on_average():
    fits = [
        fit_of(3.0, 1.0, 2.0, accuracy=(0.1, 0.2, 0.3)),
        fit_of(3.0, 3.0, 0.0, accuracy=(0.4, 0.5, 0.6), split=1),
    ]
    score = aggregate(fits, LOSS, epoch_selection="common")
    assert score.epochs == (3, 3)
    assert score.splits == {"val_loss": (2.0, 0.0), "accuracy": (0.3, 0.6)}
    assert score.means["val_loss"] == 1.0


def test_a_score_is_maximised_where_more_is_better():
    fits = [
        FoldFit(k, k, 0, 1, {"val_accuracy": curve})
        for k, curve in enumerate([(0.5, 0.9), (0.8, 0.6)])
    ]
    assert aggregate(fits, ACCURACY).epochs == (2, 1)
    assert aggregate(fits, ACCURACY).means["val_accuracy"] == pytest.approx(0.85)
    common = aggregate(fits, ACCURACY, epoch_selection="common")
    assert common.epochs == (2, 2)
    assert common.means["val_accuracy"] == pytest.approx(0.75)


@pytest.mark.parametrize("selection", ["per_fold", "common"])
def test_a_continued_trial_counts_the_epochs_before_it(selection):
    fits = [fit_of(2.0, 1.0, start=4), fit_of(2.0, 1.0, start=4, split=1)]
    assert aggregate(fits, LOSS, epoch_selection=selection).epochs == (6, 6)


def test_common_looks_at_epochs_that_every_fold_reached():
    """A fold that stopped early has no third epoch to average."""
    fits = [fit_of(3.0, 2.0), fit_of(3.0, 2.5, 0.0, split=1)]
    assert aggregate(fits, LOSS, epoch_selection="common").epochs == (2, 2)
    assert aggregate(fits, LOSS).epochs == (2, 3)


def test_common_skips_epochs_that_are_not_finite_in_some_fold():
    fits = [fit_of(NAN, INF, 2.0), fit_of(1.0, -INF, 2.0, split=1)]
    assert aggregate(fits, LOSS, epoch_selection="common").epochs == (3, 3)


def test_a_metric_that_some_fold_lacks_is_left_out():
    fits = [fit_of(1.0, auc=(0.5,)), fit_of(2.0, split=1)]
    assert set(aggregate(fits, LOSS).means) == {"val_loss"}


@pytest.mark.fault
@pytest.mark.parametrize("selection", ["per_fold", "common"])
def test_one_fold_without_a_finite_epoch_fails_the_trial(selection):
    fits = [fit_of(1.0, 2.0), fit_of(NAN, NAN, split=1)]
    with pytest.raises(NonFiniteScoreError, match="finite in at least one epoch"):
        aggregate(fits, LOSS, epoch_selection=selection)


def test_an_objective_that_is_not_reported_is_named():
    found = r"objective='val_accuracy' is not in \['val_loss'\]"
    with pytest.raises(ObjectiveError, match=found):
        aggregate([fit_of(1.0)], ACCURACY)


def test_an_unknown_selection_is_refused():
    with pytest.raises(ObjectiveError, match=r"'common'\), but got 'usual'"):
        aggregate([fit_of(1.0)], LOSS, epoch_selection="usual")


def test_spread_is_numpys_standard_deviation():
    score = TrialScore({"m": (1.0, 2.0, 4.0)}, (1, 1, 1))
    assert score.means["m"] == pytest.approx(7 / 3)
    assert score.stds["m"] == pytest.approx(np.std([1, 2, 4]))


VALUES = st.floats(-1e6, 1e6)
CURVES = st.lists(st.lists(VALUES, min_size=1, max_size=6), min_size=1, max_size=5)


@given(CURVES, st.sampled_from(["min", "max"]))
def test_per_fold_is_never_worse_than_common(curves, direction):
    fits = [fit_of(*curve, split=k) for k, curve in enumerate(curves)]
    objective = SimpleNamespace(name="val_loss", direction=direction)
    own = aggregate(fits, objective).means["val_loss"]
    common = aggregate(fits, objective, epoch_selection="common").means["val_loss"]
    assert own <= common if direction == "min" else own >= common


@given(st.lists(st.floats(), max_size=6), st.sampled_from(["min", "max"]))
def test_no_finite_value_beats_the_best(values, direction):
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        with pytest.raises(NonFiniteScoreError, match="finite"):
            best_index(values, direction)
        return
    best = min(finite) if direction == "min" else max(finite)
    assert best_index(values, direction) == values.index(best)
