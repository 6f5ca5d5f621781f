"""Random search."""

from typing import Any

import keras_tuner

from kttoolkit.tuners._base import FoldTuner
from kttoolkit.tuners._compat import MendedOracle
from kttoolkit.tuners._trial import with_direction


class RandomSearchOracle(MendedOracle, keras_tuner.oracles.RandomSearchOracle):  # type: ignore[misc]
    """Proposes settings drawn at random, none twice."""


class RandomSearch(keras_tuner.RandomSearch, FoldTuner):  # type: ignore[misc]
    """Random search, scored by cross-validation.

    Trials are drawn independently, so every one adds a new value of every
    hyperparameter; a grid of the same size tries few values of the one that
    matters.

    Args:
        hypermodel: a build function or `keras_tuner.HyperModel`.
        objective: a Keras metric name or a `keras_tuner.Objective`.
        max_trials: the most settings to try.
        seed: fixes proposals, folds, weights, shuffles and dropout.
        hyperparameters: search space to start from or to override with.
        tune_new_entries: whether hyperparameters not in it are searched.
        allow_new_entries: whether the build function may ask for others.
        max_retries_per_trial: how often a failed trial is run again.
        max_consecutive_failed_trials: failures in a row that end the search.
        **kwargs: `cv`, `engine`, `preprocessor` and others of
            `kttoolkit.tuners.FoldTuner`, and those of `keras_tuner.Tuner`.

    Example:
        >>> from kttoolkit import RandomSearch
        >>> tuner = RandomSearch(build, "val_loss", cv=5)  # doctest: +SKIP
        >>> tuner.search(x, y, epochs=20)  # doctest: +SKIP

    References:
        J. Bergstra and Y. Bengio, "Random search for hyper-parameter
        optimization", JMLR 13, 2012.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int = 10,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        oracle = RandomSearchOracle(
            objective=with_direction(objective),
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        FoldTuner.__init__(self, oracle, hypermodel, **kwargs)
