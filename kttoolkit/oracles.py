"""Oracles, under the name by which Keras Tuner has them."""

from kttoolkit.tuners import (
    BayesianOptimizationOracle,
    GridSearchOracle,
    HyperbandOracle,
    ManualSearchOracle,
    RandomSearchOracle,
)

__all__ = [
    "BayesianOptimizationOracle",
    "GridSearchOracle",
    "HyperbandOracle",
    "ManualSearchOracle",
    "RandomSearchOracle",
]
