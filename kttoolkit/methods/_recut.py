"""Folds of the kind that a search had, cut anew."""

import ast
from typing import Any

from sklearn import model_selection

from kttoolkit.cv import Folds, as_folds
from kttoolkit.data import TrainingData
from kttoolkit.exceptions import CrossValidationError
from kttoolkit.models import StudyTrainer
from kttoolkit.plain import shown

_SEED = "random_state"


def cut_again(
    trainer: StudyTrainer, data: TrainingData, cv: str, *, seed: int
) -> Folds:
    """Cut rows as the search cut its own, with another seed.

    Args:
        trainer: knows the rows and the folds of the search.
        data: the rows to cut, those of the search or others.
        cv: the splitter of the search as one would write it.
        seed: of a splitter that draws at random.

    Returns:
        Folds of the same splitter, drawn with the seed. One that draws nothing cuts
        the rows of the search as before, and so do index pairs and a hold-out.

    Raises:
        CrossValidationError: if the rows are others, and the splitter is not one of
            scikit-learn's or cannot cut them.
    """
    name, options = _read(cv)
    is_random = _SEED in options and options.get("shuffle", True)
    if data is trainer.data and trainer.folds is not None and not is_random:
        return trainer.folds
    if is_random:
        options[_SEED] = seed
    try:
        return as_folds(_made(name, options), data)
    except CrossValidationError as error:
        raise CrossValidationError(
            "Without cv=, rows are cut as the search cut its own, but it had "
            f"cv={shown(cv)}, which does not cut these {data.n_samples}. Pass cv=, a "
            f"number of folds or a splitter. {error}"
        ) from error


def _read(cv: str) -> tuple[str, dict[str, Any]]:
    """Return the class and the arguments of a splitter of scikit-learn's.

    The name is empty where it is none, or its arguments are more than plain data.
    """
    try:
        call: Any = ast.parse(cv, mode="eval").body
        name = call.func.id
        options = {one.arg: ast.literal_eval(one.value) for one in call.keywords}
    except (SyntaxError, ValueError, AttributeError):
        return "", {}
    is_known = name in model_selection.__all__ and not call.args
    return (name, options) if is_known else ("", {})


def _made(name: str, options: dict[str, Any]) -> Any:
    if not name:
        raise CrossValidationError("It is none of scikit-learn's splitters.")
    try:
        return getattr(model_selection, name)(**options)
    except TypeError as error:
        # Written by another version of scikit-learn.
        raise CrossValidationError(f"It cannot be made here: {error}.") from error
