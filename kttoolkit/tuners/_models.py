"""What a tuner builds, and how it loads what it has trained."""

import sys
from pathlib import Path
from typing import Any

import keras

from kttoolkit.engine import CHECKPOINT_FILE, ModelFactory, restore
from kttoolkit.hyperparameters import as_hyperparameters
from kttoolkit.plain import counted, visible_lines
from kttoolkit.tuners._compat import NOT_SCORED
from kttoolkit.tuners._guard import GuardedTuner

_LIBRARIES = ("keras_tuner.", "kttoolkit.")


class ModelTuner(GuardedTuner):
    """A tuner whose models are those that its folds trained."""

    def load_model(self, trial: Any) -> keras.Model:
        """Load a model that was really trained: the trial's best fold.

        It has the weights of its best epoch. Of several folds, the one with the
        best objective is loaded; `TuneResult.ensemble()` averages them all.

        Args:
            trial: a completed trial.

        Returns:
            A compiled model.
        """
        folder = self.get_trial_dir(trial.trial_id)
        hp = as_hyperparameters(trial.hyperparameters)
        factory = self._factory()
        model = factory.build(hp)
        with factory.scope():
            checkpoint = Path(folder) / CHECKPOINT_FILE
            restore(model, checkpoint, None, optimizer=False)
        return model

    def results_summary(self, num_trials: int = 10) -> None:
        """Print the best trials, then those that failed, with the reason.

        Args:
            num_trials: how many trials to print at most.
        """
        super().results_summary(num_trials)
        # A worker has no more than a line to the chief, which has the trials.
        trials = list(getattr(self.oracle, "trials", {}).values())
        failed = [trial for trial in trials if trial.status in NOT_SCORED]
        n_scored = sum(trial.status == "COMPLETED" for trial in trials)
        room = max(0, num_trials - n_scored)
        for trial in failed[:room]:
            sys.stdout.write(f"\nTrial {trial.trial_id} summary\nHyperparameters:\n")
            trial.display_hyperparameters()
            sys.stdout.write(f"{visible_lines(trial.message or 'Failed.')}\n")
        if failed[room:]:
            more = counted(len(failed[room:]), "more trial")
            sys.stdout.write(f"\n{more} failed.\n")

    def _factory(self) -> ModelFactory:
        given = {
            "optimizer": self.optimizer,
            "loss": self.loss,
            "metrics": self.metrics,
        }
        return ModelFactory(
            self.hypermodel,
            {name: value for name, value in given.items() if value},
            self.max_model_size,
            self.distribution_strategy,
            # By a loop of its own, maybe.
            may_be_uncompiled=not self.run_trial.__module__.startswith(_LIBRARIES),
        )
