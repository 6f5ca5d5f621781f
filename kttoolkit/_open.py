"""Open results from disk, with or without the means to make models from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kttoolkit.results import TuneResult, read_result


def load_result(
    directory: str | Path,
    *,
    build: Any = None,
    x: Any = None,
    y: Any = None,
    preprocessor: Any = None,
    sample_weight: Any = None,
    groups: Any = None,
    fit_kwargs: Mapping[str, Any] | None = None,
    callbacks: Sequence[Any] | None = None,
    optimizer: Any = None,
    loss: Any = None,
    metrics: Any = None,
) -> TuneResult:
    """Open a study folder, finished or not.

    Without `build` this takes a fraction of a second and does not import
    TensorFlow: tables and scores are all there, models are not.

    Args:
        directory: a study folder, or what `TuneResult.save` wrote.
        build: the build function of the search, to make models.
        x: the rows of the search, for `fit_best()` without arguments.
        y: their targets.
        preprocessor: as `tune` was given it, like all that follow.
        sample_weight: array of shape (n_samples,), or None.
        groups: array of shape (n_samples,), or None.
        fit_kwargs: other arguments of `fit`, such as `class_weight`, whose keys are
            the classes of y.
        callbacks: Keras callbacks; the folder does not tell what they were.
        optimizer: that replaced the model's.
        loss: that replaced the model's.
        metrics: that replaced the model's.

    Returns:
        The result of the trials that ended.

    Raises:
        ResultError: if anything but the callbacks is not what the search was given.
        StudyFolderError: if there is no study, or it is damaged.

    Example:
        >>> import kttoolkit
        >>> result = kttoolkit.load_result("studies/pima")  # doctest: +SKIP
        >>> result.best_score  # doctest: +SKIP
    """
    if build is None:
        return read_result(directory)
    from kttoolkit._problem import Request  # noqa: PLC0415
    from kttoolkit._reopen import trainer_for  # noqa: PLC0415
    from kttoolkit._study import (  # noqa: PLC0415
        check_same_means,
        fingerprints_of_training,
    )

    opened = read_result(directory)
    compiled = {"optimizer": optimizer, "loss": loss, "metrics": metrics}
    compiled = {name: value for name, value in compiled.items() if value}
    given = fingerprints_of_training(preprocessor, fit_kwargs, compiled)
    check_same_means(opened.study, given, opened.directory)
    request = Request(
        build, x, y, preprocessor=preprocessor, sample_weight=sample_weight,
        groups=groups, tuner_options=compiled,
    )  # fmt: skip
    trainer = trainer_for(opened, request, fit_kwargs, tuple(callbacks or ()))
    return read_result(directory, trainer=trainer)
