"""The call that evaluates a trial: made ready, and what it came to."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import keras_tuner

from kttoolkit.cv import Folds
from kttoolkit.data import TrainingData
from kttoolkit.engine import FitPlan, ModelFactory, own_random_state
from kttoolkit.exceptions import (
    KttoolkitError,
    OversizedModelError,
    TrialError,
    TrialTimeoutError,
)
from kttoolkit.hyperparameters import HyperParameters, as_hyperparameters
from kttoolkit.scoring import FoldFit, TrialScore
from kttoolkit.tuners import _compat
from kttoolkit.tuners._trial import reason, rung_epochs


@dataclass(frozen=True)
class Call:
    """What the calls of all trials of a search share.

    Attributes:
        factory: builds the models.
        data: the rows, or None.
        folds: how to cut them, or None.
        plan: how to train, as far as all trials have it in common.
    """

    factory: ModelFactory
    data: TrainingData | None
    folds: Folds | None
    plan: FitPlan

    def asked_for(self, hp: keras_tuner.HyperParameters) -> HyperParameters:
        """Build once to see which hyperparameters a setting leads to.

        What is first asked for in a branch that only some settings take is known
        then, whatever becomes of the trial; Keras Tuner keeps it for failed ones too.

        Args:
            hp: the setting.

        Returns:
            A copy with those that are new, at their defaults.
        """
        # On the processor, for the memory of a GPU belongs to the trials.
        import tensorflow as tf  # noqa: PLC0415

        found = as_hyperparameters(hp)
        preprocessor = self.plan.preprocessor
        try:
            with own_random_state(), tf.device("cpu"):
                self.factory.planned(self.plan, found)
                if callable(preprocessor) and not hasattr(preprocessor, "fit"):
                    preprocessor(found)
                self.factory.build(found)
        except Exception:
            # The trial itself fails of it, and says so.
            return found
        return found


def plan_of(
    plan: FitPlan,
    trial_id: str,
    values: Mapping[str, Any],
    *,
    attempt: int,
    folder_of: Callable[[str], str],
) -> FitPlan:
    """Complete the common plan by what is a trial's own.

    Args:
        plan: the common one.
        trial_id: which trial.
        values: its hyperparameters.
        attempt: how often it has failed before.
        folder_of: where a trial's files are.

    Returns:
        The trial's plan.
    """
    parent = values.get("tuner/trial_id")
    return replace(
        plan,
        attempt=attempt,
        fit_kwargs={**plan.fit_kwargs, **rung_epochs(values)},
        label=str(trial_id),
        directory=folder_of(trial_id),
        continue_from=None if parent is None else folder_of(parent),
        keep_last="tuner/epochs" in values,
    )


def verdict(work: Callable[[], None]) -> tuple[str, str, str]:
    """Do what may fail with a trial, and tell what it means for it.

    Args:
        work: what to do.

    Returns:
        Keras Tuner's status, ours, and the reason of a failure.

    Raises:
        KttoolkitError: if the search is at fault, not the trial.
        FatalError: likewise, Keras Tuner's.
    """
    try:
        work()
    except keras_tuner.errors.FatalError:
        raise
    except OversizedModelError as error:
        return "FAILED", "skipped", reason(error)
    except (keras_tuner.errors.FailedTrialError, TrialTimeoutError) as error:
        return "FAILED", "failed", reason(error)
    except KttoolkitError as error:
        if not isinstance(error, TrialError):
            raise
        return "INVALID", "failed", reason(error)
    except Exception as error:
        return "INVALID", "failed", reason(error)
    return "COMPLETED", "completed", ""


def told_by_score(score: TrialScore, objective: str) -> tuple[dict[str, float], int]:
    """Return what the oracle is told of a score.

    Args:
        score: made of a trial's folds.
        objective: is told even if it is not finite.

    Returns:
        Metrics, and the step that they are of.
    """
    metrics = {
        name: value
        for name, value in score.means.items()
        if name == objective or math.isfinite(value)
    }
    return metrics, round(sum(score.epochs) / len(score.epochs)) - 1


def as_returned(fits: Sequence[FoldFit] | None, results: Any) -> tuple[FoldFit, ...]:
    """Return the trainings of a trial with the histories that `run_trial` returned.

    Args:
        fits: of the last time that the trial was trained, None if it was not.
        results: what `run_trial` returned, which may be a method of the user's.

    Returns:
        The trainings; none where anything but a history of each was returned, from
        which the trial's score is to be read then.
    """
    if fits is None or not isinstance(results, list) or len(results) != len(fits):
        return ()
    if not all(isinstance(result, keras.callbacks.History) for result in results):
        return ()
    return tuple(
        replace(fit, history={k: tuple(map(float, v)) for k, v in told.history.items()})
        for fit, told in zip(fits, results, strict=True)
    )


def knows_already(oracle: keras_tuner.Oracle, trial_id: str) -> bool:
    """Tell whether a `run_trial` of one's own has told the oracle itself.

    Args:
        oracle: may have been told.
        trial_id: which trial.

    Returns:
        Whether it knows; then what `run_trial` returned counts for nothing.
    """
    known = bool(oracle.get_trial(trial_id).metrics.exists(oracle.objective.name))
    if known:
        warnings.warn(
            "run_trial should return the metrics; reporting them to "
            "oracle.update_trial is Keras Tuner's deprecated way.",
            DeprecationWarning,
            stacklevel=4,
        )
    return known


def told_by_results(results: Any, objective: Any) -> tuple[dict[str, float], int]:
    """Return what the oracle is told of what a `run_trial` of one's own returned.

    Args:
        results: a number, a dictionary, a history, or a list of such.
        objective: with name and direction.

    Returns:
        Metrics, and the step that they are of.
    """
    _compat.validate_trial_results(results, objective, "Tuner.run_trial()")
    metrics = _compat.convert_to_metrics_dict(results, objective)
    return metrics, _compat.get_best_step(results, objective)
