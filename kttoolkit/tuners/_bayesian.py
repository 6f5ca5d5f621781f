"""Bayesian optimisation with a Gaussian process."""

import warnings
from typing import Any

import keras_tuner
import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning

from kttoolkit.tuners._base import FoldTuner
from kttoolkit.tuners._compat import MendedOracle
from kttoolkit.tuners._trial import with_direction

_CANDIDATES = 2000
_REFINED = 5


class BayesianOptimizationOracle(  # type: ignore[misc]
    MendedOracle, keras_tuner.oracles.BayesianOptimizationOracle
):
    """Proposes where a Gaussian process expects a low bound.

    Failed and infinite trials count as the worst that was seen, so the search
    keeps away from them; no setting is proposed twice; every proposal draws from
    a random state of its own, made of the seed and the number of trials, so that a
    resumed search proposes what an uninterrupted one does.
    """

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Propose at random first, then by the lower confidence bound."""
        completed = [t for t in self.trials.values() if t.status == "COMPLETED"]
        dimensions = len(self._nonfixed_space())
        initial = self.num_initial_points or max(3 * dimensions, 3)
        if len(completed) < initial or not dimensions:
            return self._random_populate_space()
        x, y = self._vectorize_trials()
        self._fit(x, y)
        for vector in self._candidates(dimensions):
            values = self._vector_to_values(vector)
            if not self._duplicate(values):
                return {"status": "RUNNING", "values": values}
        return self._random_populate_space()

    def _candidates(self, dimensions: int) -> list[np.ndarray]:
        """Return points of the unit cube, the most promising first."""
        rng = np.random.default_rng([self.seed, len(self.trials)])
        points = rng.uniform(size=(_CANDIDATES, dimensions))
        order = np.argsort(self._lower_bound(points))
        bounds = [(0.0, 1.0)] * dimensions
        refined = [
            scipy.optimize.minimize(
                lambda v: float(self._lower_bound(v.reshape(1, -1))[0]),
                x0=points[index],
                bounds=bounds,
                method="L-BFGS-B",
            ).x
            for index in order[:_REFINED]
        ]
        refined.sort(key=lambda v: float(self._lower_bound(v.reshape(1, -1))[0]))
        return [*refined, *points[order]]

    def _lower_bound(self, points: np.ndarray) -> np.ndarray:
        mean, std = self.gpr.predict(points, return_std=True)
        return mean - self.beta * std

    def _fit(self, x: np.ndarray, y: np.ndarray) -> None:
        self.gpr = self._make_gpr()
        with warnings.catch_warnings():
            # A length scale at its bound is what a hyperparameter without
            # influence looks like; it is no fault.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.gpr.fit(x, y)

    def _vectorize_trials(self) -> tuple[np.ndarray, np.ndarray]:
        """Return settings of shape (n_trials, n_dimensions) and scores to minimise."""
        sign = -1.0 if self.objective.direction == "max" else 1.0
        running = {trial.trial_id for trial in self.ongoing_trials.values()}
        ended = [t for t in self.trials.values() if t.trial_id not in running]
        scores = np.array([self._signed(trial, sign) for trial in ended])
        worst = scores[np.isfinite(scores)].max()
        x = np.array([self._vector(trial) for trial in ended])
        y = np.where(np.isfinite(scores), scores, worst)
        if not running:
            return x, y
        # A running trial is taken to end badly, so that no other one is sent
        # to the same place meanwhile.
        self._fit(x, y)
        hidden = np.array([self._vector(self.trials[name]) for name in sorted(running)])
        mean, std = self.gpr.predict(hidden, return_std=True)
        return np.concatenate([x, hidden]), np.concatenate([y, mean + std])

    def _signed(self, trial: Any, sign: float) -> float:
        if trial.status != "COMPLETED" or trial.score is None:
            return float("nan")
        return sign * float(trial.score)

    def _vector(self, trial: Any) -> list[float]:
        hps = trial.hyperparameters
        return [
            hp.value_to_prob(
                hps.values[hp.name]
                if hps.is_active(hp) and hp.name in hps.values
                else hp.default
            )
            for hp in self._nonfixed_space()
        ]


class BayesianOptimization(keras_tuner.BayesianOptimization, FoldTuner):  # type: ignore[misc]
    """Bayesian optimisation, scored by cross-validation.

    Args:
        hypermodel: a build function or `keras_tuner.HyperModel`.
        objective: a Keras metric name or a `keras_tuner.Objective`.
        max_trials: the most settings to try.
        num_initial_points: random settings before the first informed one; three
            times the number of hyperparameters if left out.
        alpha: variance of the noise in the scores.
        beta: weight of exploration; larger explores more.
        seed: fixes proposals, folds, weights, shuffles and dropout.
        hyperparameters: search space to start from or to override with.
        tune_new_entries: whether hyperparameters not in it are searched.
        allow_new_entries: whether the build function may ask for others.
        max_retries_per_trial: how often a failed trial is run again.
        max_consecutive_failed_trials: failures in a row that end the search.
        **kwargs: `cv`, `engine`, `preprocessor` and others of
            `kttoolkit.tuners.FoldTuner`, and those of `keras_tuner.Tuner`.

    Example:
        >>> from kttoolkit import BayesianOptimization
        >>> tuner = BayesianOptimization(build, "val_loss", cv=5)  # doctest: +SKIP
        >>> tuner.search(x, y, epochs=20)  # doctest: +SKIP

    References:
        J. Snoek, H. Larochelle and R. P. Adams, "Practical Bayesian optimization
        of machine learning algorithms", NeurIPS 2012.
    """

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int = 10,
        num_initial_points: int | None = None,
        alpha: float = 1e-4,
        beta: float = 2.6,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = 3,
        **kwargs: Any,
    ) -> None:
        oracle = BayesianOptimizationOracle(
            objective=with_direction(objective),
            max_trials=max_trials,
            num_initial_points=num_initial_points,
            alpha=alpha,
            beta=beta,
            seed=seed,
            hyperparameters=hyperparameters,
            tune_new_entries=tune_new_entries,
            allow_new_entries=allow_new_entries,
            max_retries_per_trial=max_retries_per_trial,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        FoldTuner.__init__(self, oracle, hypermodel, **kwargs)
