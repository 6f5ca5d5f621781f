"""`tune`: tuner, data, folds, trackers and result put together."""

import dataclasses
import inspect
import secrets
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np

from kttoolkit._problem import Problem, Request, pose
from kttoolkit._study import (
    check_same_study,
    fingerprint,
    fingerprints_of_training,
    study_folder,
    write_study,
)
from kttoolkit._tuner import as_tuner, make_tuner
from kttoolkit.data import by_class_number
from kttoolkit.engine import only_search, prepare_devices
from kttoolkit.exceptions import SearchError, StudyFolderError
from kttoolkit.files import write_json
from kttoolkit.models import StudyTrainer
from kttoolkit.options import OF_A_SEARCH, checked
from kttoolkit.results import (
    STUDY_FILE,
    TEST_FILE,
    Study,
    TuneResult,
    read_result,
)
from kttoolkit.scoring import EpochSelection
from kttoolkit.trackers import ProgressTracker, Tracker, TrackersLike, as_trackers
from kttoolkit.tuners import FoldTuner

DEFAULT_EPOCHS = 30


def tune(
    build: Any,
    x: Any,
    y: Any = None,
    *,
    tuner: Any = "hyperband",
    cv: Any = 5,
    objective: Any = None,
    max_trials: int | None = None,
    max_epochs: int | None = None,
    batch_size: int | None = None,
    callbacks: Sequence[Any] | None = None,
    validation_data: Any = None,
    validation_split: float | None = None,
    test_size: float | None = None,
    preprocessor: Any = None,
    sample_weight: Any = None,
    groups: Any = None,
    task: str | None = None,
    timeout: float | None = None,
    parallel: Any = None,
    seed: int | None = None,
    directory: str | Path = "studies",
    project_name: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    engine: str = "auto",
    epoch_selection: EpochSelection = "per_fold",
    trackers: TrackersLike = (),
    fit_kwargs: Mapping[str, Any] | None = None,
    verbose: int = 1,
    **tuner_options: Any,
) -> TuneResult:
    """Search hyperparameters, every trial scored by cross-validation.

    Args:
        build: a function `hp -> compiled keras.Model`, a
            `keras_tuner.HyperModel`, or a builder of `kttoolkit.builders`.
        x: array of shape (n_samples, ...), DataFrame, dict or list of arrays;
            with `cv=None` also a `tf.data.Dataset` or generator.
        y: targets of shape (n_samples,) or (n_samples, n_outputs); strings and
            categories are encoded, and decoded in predictions.
        tuner: "hyperband", "random", "bayesian", "grid", "manual" (with
            `settings=[{...}, ...]`), a list of settings, a `keras_tuner.Tuner`
            subclass, or an `Oracle` instance.
        cv: number of folds (stratified for classification), "stratified",
            "kfold", a scikit-learn splitter, an iterable of index pairs, or None
            for a hold-out. Five, as in scikit-learn: more cost more trainings,
            fewer leave less to learn from.
        objective: a Keras metric name or a `keras_tuner.Objective`; by default the
            validation accuracy for classification and the validation loss otherwise.
            Without `val_` it is measured on the rows that are trained on, as in Keras
            Tuner, which a warning says. A metric with several
            values, such as an `F1Score` of each class, counts with their mean, as in
            Keras Tuner.
        max_trials: the most trials; 10 by default for random and Bayesian search,
            no limit for the others.
        max_epochs: the most epochs a setting is trained; 30 by default.
        batch_size: rows a step; Keras's 32 if neither this nor the build's `fit`
            says otherwise.
        callbacks: Keras callbacks, copied for each fold.
        validation_data: for `cv=None`, rows to score on.
        validation_split: for `cv=None`, the fraction of the rows, the last ones,
            to score on; 0.2 by default.
        test_size: fraction (or number) of the rows to set aside before the search, the
            last ones if `cv` is a `TimeSeriesSplit`; the best setting, retrained, is
            scored on them once at the end.
        preprocessor: a scikit-learn transformer or pipeline, or a function
            `hp -> transformer`; fitted on each fold's training part only.
        sample_weight: of shape (n_samples,), or a dict or list of such, one for each
            output of y.
        groups: of shape (n_samples,), for group splitters.
        task: "classification" or "regression", where neither loss nor y tell.
        timeout: seconds after which no further epoch is trained.
        parallel: trials at a time, each in a process with a share of the cores and, of
            several GPUs, one of its own; -1 for one a core; or an executor, such as
            `kttoolkit.workers.Workers` or Dask's. Grid, random and manual search find
            the same with any number. Each process takes some seconds to start.
        seed: fixes folds, proposals, weights, shuffles and dropout.
        directory: where study folders are.
        project_name: the study folder's name; made of the time if left out.
        resume: whether to continue the study of that name.
        overwrite: whether to delete the study of that name first.
        engine: "auto", "compiled" (whole epochs on the device, the numbers of
            `model.fit`), "stacked" (all folds in one program) or "reference"
            (`model.fit`). "auto" is whichever was measured to be faster on such a
            device, "compiled" on processors; what an engine cannot run is left to
            `model.fit`, and an `EngineWarning` says why.
        epoch_selection: "per_fold" (each fold's best epoch) or "common" (the one
            that is best on average, less optimistic); see
            `kttoolkit.scoring.aggregate`. It decides the score and the epochs to
            retrain for; the weights that are kept, of which `out_of_fold` and
            `ensemble` are made, are those of each fold's own best epoch either way.
        trackers: are told what happens: "csv", "tensorboard", "wandb", "mlflow" or
            "optuna", a `kttoolkit.trackers.Tracker`, or a list of both.
        fit_kwargs: other arguments of `fit`, such as `class_weight`, whose keys are
            the classes of y.
        verbose: 0 silent, 1 a live display, 2 a line a trial.
        **tuner_options: arguments of the tuner, such as `factor`,
            `executions_per_trial`, `hyperparameters`, `max_model_size`,
            `trial_timeout`, `max_total_epochs`, `keep_checkpoints`.

    Returns:
        The result. Ctrl-C ends the search and returns what is finished.

    Raises:
        DataError: if x or y cannot be trained on.
        CrossValidationError: if the folds cannot be cut.
        ObjectiveError: if the model never reports the objective.
        SearchError: if an argument makes no sense, every trial failed, or another
            thread of the process is searching.

    Example:
        >>> import keras, kttoolkit
        >>> pima = kttoolkit.datasets.load("pima_diabetes")
        >>> def build(hp):
        ...     model = keras.Sequential(
        ...         [
        ...             keras.Input((8,)),
        ...             keras.layers.Dense(hp.Int("units", 8, 64), activation="relu"),
        ...             keras.layers.Dense(1, activation="sigmoid"),
        ...         ]
        ...     )
        ...     model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        ...     return model
        >>> result = kttoolkit.tune(
        ...     build, pima.x, pima.y, tuner="random", cv=5, max_trials=10, seed=0
        ... )  # doctest: +SKIP
        >>> result.trials.sort_values("rank").head()  # doctest: +SKIP
    """
    prepare_devices()
    asked = checked(
        {
            "max_trials": max_trials, "max_epochs": max_epochs, "seed": seed,
            "batch_size": batch_size, "callbacks": callbacks, "timeout": timeout,
            "validation_split": validation_split, "task": task, "resume": resume,
            "overwrite": overwrite, "engine": engine, "fit_kwargs": fit_kwargs,
            "epoch_selection": epoch_selection, "verbose": verbose,
        },
        OF_A_SEARCH,
    )  # fmt: skip
    tuner, tuner_options = as_tuner(tuner, tuner_options, asked["max_trials"])
    seed, batch_size, fit_kwargs = map(asked.get, ("seed", "batch_size", "fit_kwargs"))
    budgets = {
        "max_trials": asked["max_trials"],
        "max_epochs": asked["max_epochs"] or DEFAULT_EPOCHS,
    }
    callbacks = asked["callbacks"] or ()
    with (
        only_search(),
        study_folder(
            directory, project_name, resume=resume, overwrite=overwrite
        ) as folder,
    ):
        earlier = _earlier_study(folder, seed, resume=resume)
        seed = (
            earlier.seed if earlier else secrets.randbits(31) if seed is None else seed
        )
        if isinstance(tuner, keras_tuner.Oracle):
            objective = tuner.objective if objective is None else objective
        problem = pose(
            Request(
                build, x, y, cv, objective, validation_data, validation_split,
                test_size, preprocessor, sample_weight, groups, task, seed,
                bool(callbacks), (fit_kwargs or {}).get("steps_per_epoch"),
                budgets["max_epochs"], tuner_options,
            )
        )  # fmt: skip
        # The tuner does so for its own; here, before a folder is written.
        numbered = by_class_number(fit_kwargs, problem.data)
        options = {
            **tuner_options,
            "cv": problem.folds,
            "preprocessor": preprocessor if problem.folds is not None else None,
            "engine": engine,
            "epoch_selection": epoch_selection,
            "timeout": asked["timeout"],
            "parallel": parallel,
            "trackers": _with_progress(trackers, verbose),
            "directory": str(folder.parent),
            "project_name": folder.name,
            "overwrite": overwrite,
        }
        study = _describe(problem, tuner, seed, epoch_selection, tuner_options)
        study = dataclasses.replace(
            study,
            batch_size=batch_size,
            max_epochs=budgets["max_epochs"],
            fingerprints={
                **study.fingerprints,
                **fingerprints_of_training(
                    preprocessor, fit_kwargs, problem.factory.compile_overrides
                ),
            },
        )  # fmt: skip
        if earlier is not None:
            check_same_study(earlier, study, folder)
        search = make_tuner(
            tuner, problem.factory.hypermodel, problem.objective, seed, budgets,
            options, known=inspect.signature(tune).parameters.keys(),
        )  # fmt: skip
        write_study(folder, study, problem.folds, problem.rows)
        arguments = {
            "epochs": budgets["max_epochs"], **_fit_arguments(fit_kwargs, batch_size)
        }  # fmt: skip
        trainer = StudyTrainer(
            problem.factory, problem.data if problem.folds else None, problem.folds,
            preprocessor, _fit_arguments(numbered, batch_size),
            problem.rows, callbacks,
        )  # fmt: skip
        _run(search, problem, {**arguments, "callbacks": list(callbacks)},
             validation_data)  # fmt: skip
        return _finish(folder, problem, trainer)


def _run(
    search: FoldTuner,
    problem: Problem,
    arguments: dict[str, Any],
    validation_data: Any,
) -> None:
    """Search until it ends, is interrupted, or its time is over."""
    if problem.folds is None:
        arguments["validation_data"] = validation_data
        if hasattr(problem.data.x, "element_spec"):
            # Keras warns that it cannot shuffle a dataset, which no one asked for.
            arguments.setdefault("shuffle", False)
    try:
        search.search(problem.data if problem.folds else problem.data.x,
                      **{"verbose": 0, **arguments})  # fmt: skip
    except KeyboardInterrupt:
        warnings.warn(
            "The search was interrupted; the result holds the trials that ended. "
            "Continue it with resume=True.",
            UserWarning,
            stacklevel=3,
        )


def _finish(folder: Path, problem: Problem, trainer: StudyTrainer) -> TuneResult:
    result = read_result(folder, trainer=trainer)
    ended = {record.status for record in result.records}
    if ended and "completed" not in ended:
        counts = result.failures
        raise SearchError(
            f"At least one trial must complete, but all {len(result.records)} ended "
            f"otherwise. The first reason: {result.records[0].reason}"
            + (f" ({len(counts)} different reasons)" if len(counts) > 1 else "")
        )
    if problem.test is None or not ended:
        return result
    metrics = trainer.evaluate(result, problem.test, None)
    write_json(folder / TEST_FILE, metrics)
    return read_result(folder, trainer=trainer)


def _describe(
    problem: Problem,
    tuner: Any,
    seed: int,
    epoch_selection: str,
    options: Mapping[str, Any],
) -> Study:
    data, folds = problem.data, problem.folds
    objective = problem.objective
    if isinstance(objective, list):
        name, direction = "multi_objective", "min"
    else:
        name, direction = objective.name, objective.direction
    kind = type(tuner) if isinstance(tuner, keras_tuner.Oracle) else tuner
    n_folds = 1 if folds is None else len(folds)
    return Study(
        tuner=kind.__name__,
        objective=name,
        direction=direction,
        seed=seed,
        cv="validation_data" if folds is None else folds.description,
        n_splits=n_folds * int(options.get("executions_per_trial", 1)),
        task=data.task,
        classes=tuple(_plain(value) for value in data.classes),
        n_samples=data.n_samples if folds is not None else 0,
        n_test=0 if problem.test is None else problem.test.n_samples,
        epoch_selection=epoch_selection,
        fingerprints={
            "data": problem.all_data,
            "folds": "" if folds is None else folds.fingerprint(),
            "space": fingerprint(problem.space),
        },
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _earlier_study(folder: Path, seed: int | None, *, resume: bool) -> Study | None:
    if not resume or not (folder / STUDY_FILE).exists():
        return None
    earlier = Study.read(folder)
    if seed is not None and seed != earlier.seed:
        raise StudyFolderError(
            f"A study is resumed with its own seed, but {folder} has seed="
            f"{earlier.seed} and got seed={seed}. Leave seed out."
        )
    return earlier


def _fit_arguments(
    fit_kwargs: Mapping[str, Any] | None, batch_size: int | None
) -> dict[str, Any]:
    size = {} if batch_size is None else {"batch_size": batch_size}
    return {**(fit_kwargs or {}), **size}


def _with_progress(trackers: TrackersLike, verbose: int) -> list[Tracker]:
    return [*as_trackers(trackers), *([ProgressTracker(verbose)] if verbose else [])]
