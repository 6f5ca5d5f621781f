"""The call that evaluates a trial: made ready, and what it came to."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

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
from kttoolkit.scoring import TrialScore
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


def told_by_results(
    results: Any, oracle: keras_tuner.Oracle, trial_id: str
) -> tuple[dict[str, float], int] | None:
    """Return what the oracle is told of what a `run_trial` of one's own returned.

    Args:
        results: a number, a dictionary, histories, or None.
        oracle: may have been told already.
        trial_id: which trial.

    Returns:
        Metrics, and the step that they are of; None if the oracle knows.
    """
    objective = oracle.objective
    if results is None and oracle.get_trial(trial_id).metrics.exists(objective.name):
        warnings.warn(
            "run_trial should return the metrics; reporting them to "
            "oracle.update_trial is Keras Tuner's deprecated way.",
            DeprecationWarning,
            stacklevel=4,
        )
        return None
    _compat.validate_trial_results(results, objective, "Tuner.run_trial()")
    metrics = _compat.convert_to_metrics_dict(results, objective)
    return metrics, _compat.get_best_step(results, objective)
