"""The rows of a search: checked, and cut into folds."""

from collections.abc import Mapping
from typing import Any

from kttoolkit.cv import Folds, as_folds
from kttoolkit.data import TrainingData, as_training_data
from kttoolkit.engine import ModelFactory
from kttoolkit.exceptions import CrossValidationError
from kttoolkit.hyperparameters import HyperParameters
from kttoolkit.plain import shown
from kttoolkit.probe import check_given, check_targets, task_of


def cut_rows(
    inputs: Mapping[str, Any],
    groups: Any,
    *,
    cv: Any,
    seed: int,
    preprocessor: Any,
    factory: ModelFactory,
) -> tuple[TrainingData, Folds]:
    """Check the rows that `search` was given and cut them into folds.

    Args:
        inputs: x, y, sample_weight, validation_data and validation_split.
        groups: of shape (n_samples,), or None.
        cv: how to cut.
        seed: fixes the shuffling.
        preprocessor: whether text and missing values are its business.
        factory: its model tells classification from regression.

    Returns:
        The rows and their folds.

    Raises:
        CrossValidationError: if the rows cannot be cut.
    """
    if "validation_split" in inputs and cv is not None:
        raise CrossValidationError(
            f"validation_split needs cv=None, but got cv={shown(cv)}: with folds, "
            "each fold scores its own rows."
        )
    data = inputs.get("x")
    if not isinstance(data, TrainingData):
        model = factory.build_unchecked(HyperParameters())
        data = as_training_data(
            data,
            inputs.get("y"),
            task=task_of(model),
            sample_weight=inputs.get("sample_weight"),
            groups=groups,
            preprocessed_later=preprocessor is not None,
        )
        check_given(model, data)
        check_targets(model, data)
    folds = as_folds(
        cv,
        data,
        seed=seed,
        validation_split=inputs.get("validation_split"),
        validation=_validation(inputs, data, preprocessor),
    )
    return data, folds


def _validation(
    inputs: Mapping[str, Any], data: TrainingData, preprocessor: Any
) -> TrainingData | None:
    given = inputs.get("validation_data")
    if given is None:
        return None
    x, y, *weights = given
    return as_training_data(
        x,
        y,
        sample_weight=weights[0] if weights else None,
        preprocessed_later=preprocessor is not None,
        like=data,
    )
