"""What `fit` returned, as curves."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import keras
import keras_tuner

from kttoolkit.engine._callbacks import EpochRecorder
from kttoolkit.engine._plan import FitPlan
from kttoolkit.exceptions import ObjectiveError
from kttoolkit.scoring import ObjectiveLike, best_index, number_of


def curves_of(
    result: Any, recorder: EpochRecorder, plan: FitPlan
) -> dict[str, tuple[float, ...]]:
    """Bring whatever `HyperModel.fit` returned into one value an epoch.

    Args:
        result: a History, a dictionary, a number, or a list of them.
        recorder: that was among the callbacks.
        plan: says what is optimised.

    Returns:
        Metric names to values, of shape (epochs,); the means of a list.

    Raises:
        FatalTypeError: if it is something else.
        ObjectiveError: if the objective is not among the metrics, and has to be.
    """
    is_history = isinstance(result, keras.callbacks.History)
    if is_history and recorder.epochs == len(result.epoch) > 0:
        return _with_objective(recorder.history(), plan)
    if isinstance(result, list) and result:
        return _mean_of([_history_of(one, plan) for one in result], plan.objective)
    return _history_of(result, plan)


def _history_of(result: Any, plan: FitPlan) -> dict[str, tuple[float, ...]]:
    history: dict[str, tuple[float, ...]]
    if isinstance(result, keras.callbacks.History):
        history = {k: tuple(map(number_of, v)) for k, v in result.history.items()}
    elif isinstance(result, dict):
        history = {name: (number_of(value),) for name, value in result.items()}
    elif isinstance(result, bool) or not _is_number(result):
        raise keras_tuner.errors.FatalTypeError(
            "Expected what is returned by HyperModel.fit() to be one of History, "
            "dictionary or number, or a list of them, but got "
            f"{result!r} of type {type(result).__name__}."
        )
    else:
        history = {plan.objective.name: (float(result),)}
    return _with_objective(history, plan)


def _mean_of(
    histories: Sequence[Mapping[str, tuple[float, ...]]], objective: ObjectiveLike
) -> dict[str, tuple[float, ...]]:
    """Average several trainings at their best epochs, as Keras Tuner does."""
    best = []
    for history in histories:
        curve = history.get(objective.name)
        epoch = -1 if curve is None else best_index(curve, objective.direction)
        best.append({k: values[epoch] for k, values in history.items()})
    shared = [name for name in best[0] if all(name in one for one in best)]
    return {name: (fmean(one[name] for one in best),) for name in shared}


def _with_objective(
    history: dict[str, tuple[float, ...]], plan: FitPlan
) -> dict[str, tuple[float, ...]]:
    """Add the objective's own curve where it is made of several metrics."""
    objective = plan.objective
    if objective.name in history:
        return history
    n_epochs = max((len(values) for values in history.values()), default=0)
    epochs = [
        {name: values[i] for name, values in history.items() if i < len(values)}
        for i in range(n_epochs)
    ]
    if objective.name == "default_objective":
        raise keras_tuner.errors.FatalTypeError(
            "Expected what is returned by HyperModel.fit() to be a single float when "
            f"no objective is given, but got {sorted(history)}. Name the objective."
        )
    if not epochs or not objective.has_value(epochs[0]):  # type: ignore[attr-defined]
        if plan.scored_later:
            return history
        raise ObjectiveError(
            f"The objective must be among what the model reports, but "
            f"objective={objective.name!r} is not in {sorted(history)}."
        )
    curve = tuple(float(objective.get_value(logs)) for logs in epochs)
    return {**history, objective.name: curve}


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
