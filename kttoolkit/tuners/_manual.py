"""Manual search: one's own list of settings."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.hyperparameters import check_names, completed
from kttoolkit.plain import shown
from kttoolkit.tuners._base import FoldTuner
from kttoolkit.tuners._compat import MendedOracle
from kttoolkit.tuners._trial import with_direction


class ManualSearchOracle(MendedOracle):
    """Proposes the settings of a list, in its order.

    Args:
        settings: dictionaries of hyperparameter names to values.
        objective: a Keras metric name or a `keras_tuner.Objective`.
        **kwargs: arguments of `keras_tuner.Oracle`.
    """

    def __init__(
        self,
        settings: Sequence[Mapping[str, Any]],
        objective: Any = None,
        **kwargs: Any,
    ) -> None:
        _check_settings(settings)
        self.settings = [dict(setting) for setting in settings]
        super().__init__(objective, max_trials=len(self.settings), **kwargs)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Propose the next setting, completed by defaults."""
        number = len(self.start_order)
        if number >= len(self.settings):
            return {"status": "STOPPED", "values": None}
        values = completed(self.hyperparameters, self.settings[number])
        return {"status": "RUNNING", "values": values}


class ManualSearch(FoldTuner):
    """Score one's own list of settings by cross-validation.

    Args:
        hypermodel: a build function or `keras_tuner.HyperModel`.
        objective: a Keras metric name or a `keras_tuner.Objective`.
        settings: dictionaries of hyperparameter names to values; what a setting
            leaves out has its default. Values outside a range's bounds are taken
            as they are: they are the user's own.
        seed: fixes folds, weights, shuffles and dropout.
        hyperparameters: search space to start from or to override with.
        max_retries_per_trial: how often a failed trial is run again.
        max_consecutive_failed_trials: failures in a row that end the search.
        **kwargs: `cv`, `engine`, `preprocessor` and others of
            `kttoolkit.tuners.FoldTuner`, and those of `keras_tuner.Tuner`.

    Raises:
        SearchSpaceError: if a setting names a hyperparameter that the build
            function never asks for.

    Example:
        >>> from kttoolkit import ManualSearch
        >>> settings = [{"units": 32}, {"units": 64, "learning_rate": 1e-3}]
        >>> tuner = ManualSearch(build, "val_loss", settings, cv=5)  # doctest: +SKIP
        >>> tuner.search(x, y, epochs=20)  # doctest: +SKIP
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        settings: Sequence[Mapping[str, Any]] = (),
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        oracle = ManualSearchOracle(
            settings,
            with_direction(objective),
            seed=seed,
            hyperparameters=hyperparameters,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        FoldTuner.__init__(self, oracle, hypermodel, **kwargs)
        if self.hypermodel is not None and not self._factory().has_own_fit:
            known = [hp.name for hp in oracle.get_space().space]
            for number, setting in enumerate(settings):
                check_names(setting, known, f"settings[{number}]")


def _check_settings(settings: Any) -> None:
    is_list = isinstance(settings, Sequence) and not isinstance(settings, str)
    if is_list and settings and all(isinstance(s, Mapping) for s in settings):
        return
    raise SearchSpaceError(
        "A manual search needs a list of dictionaries of hyperparameter names to "
        f"values, but got {shown(settings)}. Pass e.g. settings=[{{'units': 64}}]."
    )
