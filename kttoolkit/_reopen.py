"""Bring an opened result together with the rows and the model of its search."""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from kttoolkit._problem import Request, as_data, as_factory, bound
from kttoolkit.builders import Builder
from kttoolkit.cv import Fold, Folds, prepare
from kttoolkit.data import CLASSIFICATION_TASKS, by_class_number
from kttoolkit.engine import ModelFactory
from kttoolkit.exceptions import ResultError
from kttoolkit.models import StudyTrainer
from kttoolkit.results import TuneResult


def trainer_for(
    result: TuneResult,
    request: Request,
    fit_kwargs: Mapping[str, Any] | None,
    callbacks: tuple[Any, ...],
) -> StudyTrainer:
    """Make what an opened result needs to make models.

    Args:
        result: from disk.
        request: the build function, rows and preprocessor of the search.
        fit_kwargs: other arguments of `fit`.
        callbacks: that the search trained with.

    Returns:
        A trainer.

    Raises:
        ResultError: if the search had other rows, or another build function.
    """
    study, preprocessor = result.study, request.preprocessor
    factory = as_factory(request)
    size = {} if study.batch_size is None else {"batch_size": study.batch_size}
    arguments = {**(fit_kwargs or {}), **size}
    if request.x is None:
        if not isinstance(factory.hypermodel, Builder):
            _check_build(factory, result)
        return StudyTrainer(
            factory, None, None, preprocessor, arguments, callbacks=callbacks
        )
    task = "regression" if study.task == "regression" else None
    if study.task in CLASSIFICATION_TASKS:
        task = "classification"
    rows = result.rows
    data = as_data(request, request.x, request.y, task)
    if study.fingerprints.get("data") not in {None, data.fingerprint()}:
        raise ResultError(
            "x, y, sample_weight and groups must be those of the search, all rows in "
            f"the same order, but {str(result.directory)!r} was made from others. "
            "Leave them out to look at scores alone."
        )
    data, folds = data.take(rows), _opened_folds(result, rows)
    arguments = by_class_number(arguments, data)
    if isinstance(factory.hypermodel, Builder):
        hp = result.best_hyperparameters
        # As the search did it: schedules and batches depend on the number of rows.
        first = Fold(folds.splits[0].train, np.arange(1))
        part = prepare(first, data, folds, preprocessor, hp)
        factory = bound(factory, part, study.max_epochs)
    _check_build(factory, result)
    # Rows from outside that scored a hold-out were not kept.
    known = folds if all(len(fold.test) for fold in folds) else None
    return StudyTrainer(factory, data, known, preprocessor, arguments, rows, callbacks)


def _check_build(factory: ModelFactory, result: TuneResult) -> None:
    """Refuse a build function that asks for what the search never gave it."""
    if all(record.status != "completed" for record in result.records):
        return
    hp = result.best_hyperparameters
    known = set(hp.values)
    with contextlib.suppress(Exception):
        # A failure is met again, and told, when a model is asked for.
        factory.build_unchecked(hp)
    unknown = sorted(set(hp.values) - known)
    if unknown:
        raise ResultError(
            "build must be the function that the search was given, but it asks for "
            f"{unknown[:5]}, and the search was over {sorted(known)[:10]}. Leave build "
            "out to look at scores alone."
        )


def _opened_folds(result: TuneResult, rows: np.ndarray) -> Folds:
    """Number the rows of a study's folds among those that its trials saw."""
    pairs = (map(rows.searchsorted, pair) for pair in result.splits)
    return Folds(tuple(Fold(*pair) for pair in pairs), result.study.cv)
