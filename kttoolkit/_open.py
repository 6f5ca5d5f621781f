"""Open results from disk, with or without the means to make models from them."""

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
) -> TuneResult:
    """Open a study folder, finished or not.

    Without `build` this takes a fraction of a second and does not import
    TensorFlow: tables and scores are all there, models are not.

    Args:
        directory: a study folder, or what `TuneResult.save` wrote.
        build: the build function of the search, to make models.
        x: the rows of the search, for `fit_best()` without arguments.
        y: their targets.
        preprocessor: as `tune` was given it.

    Returns:
        The result of the trials that ended.

    Raises:
        StudyFolderError: if there is no study, or it is damaged.

    Example:
        >>> import kttoolkit
        >>> result = kttoolkit.load_result("studies/pima")  # doctest: +SKIP
        >>> result.best_score  # doctest: +SKIP
    """
    if build is None:
        return read_result(directory)
    from kttoolkit._problem import trainer_for  # noqa: PLC0415

    opened = read_result(directory)
    trainer = trainer_for(opened, build, x, y, preprocessor)
    return read_result(directory, trainer=trainer)
