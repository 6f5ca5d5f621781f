"""What a tuner builds, and how it loads what it has trained."""

from pathlib import Path
from typing import Any

import keras

from kttoolkit.engine import CHECKPOINT_FILE, ModelFactory, restore
from kttoolkit.files import read_json
from kttoolkit.hyperparameters import as_hyperparameters
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
        if not model.built:
            path = Path(self._get_build_config_fname(trial.trial_id))
            model.build_from_config(read_json(path))
        with factory.scope():
            checkpoint = Path(folder) / CHECKPOINT_FILE
            restore(model, checkpoint, None, optimizer=False)
        return model

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
