"""Cross-validation of one setting, in the shape of scikit-learn's."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from kttoolkit._problem import Problem, Request, pose
from kttoolkit.data import by_class_number
from kttoolkit.engine import FitPlan
from kttoolkit.evaluate import evaluate
from kttoolkit.exceptions import CrossValidationError, SearchError
from kttoolkit.hyperparameters import (
    HyperParameters,
    as_hyperparameters,
    check_names,
    completed,
)
from kttoolkit.options import whole
from kttoolkit.plain import one_of, shown
from kttoolkit.scoring import FoldFit, aggregate


def cross_validate(
    build: Any,
    x: Any,
    y: Any = None,
    *,
    hp: Mapping[str, Any] | keras_tuner.HyperParameters | None = None,
    cv: Any = 5,
    epochs: int = 30,
    epoch: str = "last",
    objective: Any = None,
    batch_size: int | None = None,
    callbacks: Sequence[Any] | None = None,
    preprocessor: Any = None,
    sample_weight: Any = None,
    groups: Any = None,
    task: str | None = None,
    seed: int = 0,
    engine: str = "auto",
    return_train_score: bool = False,
    return_indices: bool = False,
    fit_kwargs: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Score one setting of the hyperparameters by cross-validation.

    Args:
        build: a function `hp -> compiled keras.Model`, a `keras_tuner.HyperModel`, or
            a builder of `kttoolkit.builders`.
        x: as in `kttoolkit.tune`, rows that can be indexed.
        y: their targets.
        hp: names to values, what is left out having its default, or a
            `keras_tuner.HyperParameters`; all defaults if left out.
        cv: as in `kttoolkit.tune`.
        epochs: how long each fold is trained.
        epoch: "last", as scikit-learn would score the trained model, or "best", each
            fold's best epoch, as a search scores it, which is optimistic.
        objective: names the metric that "best" goes by; as in `kttoolkit.tune`.
        batch_size: rows a step; Keras's 32 if left out.
        callbacks: Keras callbacks, copied for each fold.
        preprocessor: as in `kttoolkit.tune`.
        sample_weight: of shape (n_samples,), or a dict or list of such, one for each
            output of y.
        groups: of shape (n_samples,), for group splitters.
        task: "classification" or "regression", where neither loss nor y tell.
        seed: fixes folds, weights, shuffles and dropout.
        engine: as in `kttoolkit.tune`.
        return_train_score: whether to return metrics of the training rows, as Keras
            reports them: averages over the epoch.
        return_indices: whether to return the row numbers of the folds.
        fit_kwargs: other arguments of `fit`, such as `class_weight`, whose keys are
            the classes of y.

    Returns:
        Arrays of shape (n_folds,): `fit_time` in seconds, `epochs`,
        `test_<metric>` for every metric and the loss, `train_<metric>` if asked for;
        and `indices`, a dict of lists `train` and `test`, if asked for.
        `pandas.DataFrame(...)` makes a table of it.

    Raises:
        SearchSpaceError: if `hp` names a hyperparameter that is never asked for.
        SearchError: if an argument makes no sense.
        CrossValidationError: if the rows cannot be cut into folds.

    Example:
        >>> import kttoolkit
        >>> pima = kttoolkit.datasets.load("pima_diabetes")
        >>> scores = kttoolkit.methods.cross_validate(
        ...     kttoolkit.builders.mlp(tune="standard"),
        ...     pima.x,
        ...     pima.y,
        ...     hp={"units": 32},
        ...     cv=5,
        ... )  # doctest: +SKIP
        >>> scores["test_accuracy"].mean()  # doctest: +SKIP
    """
    if not one_of("last", "best")(epoch):
        raise SearchError(f"epoch must be 'last' or 'best', but got {shown(epoch)}.")
    epochs = whole()("epochs", epochs)
    problem = pose(
        Request(
            build, x, y, cv, objective, preprocessor=preprocessor,
            sample_weight=sample_weight, groups=groups, task=task, seed=seed,
            has_callbacks=bool(callbacks), epochs=epochs,
        )
    )  # fmt: skip
    if problem.folds is None:
        raise CrossValidationError(
            f"Folds need rows that can be indexed, but got x of type "
            f"{type(x).__name__} and cv={shown(cv)}. Pass arrays and a number of folds."
        )
    fit_kwargs = by_class_number(fit_kwargs, problem.data)
    if batch_size is not None:
        fit_kwargs["batch_size"] = batch_size
    plan = FitPlan(
        objective=problem.objective,
        seed=seed,
        preprocessor=preprocessor,
        fit_kwargs={"verbose": 0, "epochs": epochs, **fit_kwargs},
        callbacks=tuple(callbacks or ()),
    )
    setting = as_setting(problem, hp)
    outcome = evaluate(
        problem.factory, setting, problem.data, problem.folds, plan, engine=engine
    )
    chosen = chosen_epochs(outcome.fits, problem.objective, epoch)
    scores = _scores(outcome.fits, chosen, return_train_score=return_train_score)
    if return_indices:
        scores["indices"] = {
            "train": [problem.rows[fold.train] for fold in problem.folds],
            "test": [problem.rows[fold.test] for fold in problem.folds],
        }
    return scores


def as_setting(
    problem: Problem, hp: Mapping[str, Any] | keras_tuner.HyperParameters | None
) -> HyperParameters:
    """Complete what was given as hyperparameters.

    Args:
        problem: knows the search space.
        hp: values by name, a `keras_tuner.HyperParameters`, or None.

    Returns:
        Hyperparameters with a value for everything active.
    """
    if isinstance(hp, keras_tuner.HyperParameters):
        return as_hyperparameters(hp)
    space = HyperParameters.from_config({"space": problem.space, "values": {}})
    given = dict(hp or {})
    if not problem.factory.has_own_fit:
        check_names(given, (entry.name for entry in space.space), "hp")
    space.values = completed(space, given)
    return space


def chosen_epochs(fits: Sequence[FoldFit], objective: Any, epoch: str) -> list[int]:
    """Choose the epoch that each training is scored at.

    Args:
        fits: the trainings.
        objective: with name and direction.
        epoch: "last" or "best".

    Returns:
        One epoch a training, from 0.
    """
    if epoch == "last":
        return [fit.epochs - 1 for fit in fits]
    score = aggregate(tuple(fits), objective)
    return [number - 1 for number in score.epochs]


def _scores(
    fits: Sequence[FoldFit], chosen: Sequence[int], *, return_train_score: bool
) -> dict[str, Any]:
    scores = {
        "fit_time": np.array([fit.seconds for fit in fits]),
        "epochs": np.array([index + 1 for index in chosen]),
    }
    rows = [fit.at(index) for fit, index in zip(fits, chosen, strict=True)]
    for name in rows[0]:
        if name.startswith("val_"):
            column = f"test_{name.removeprefix('val_')}"
        elif return_train_score and f"val_{name}" in rows[0]:
            column = f"train_{name}"
        else:
            continue
        scores[column] = np.array([row[name] for row in rows])
    return scores
