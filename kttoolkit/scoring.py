"""From the epochs of every fold to the one number a tuner compares.

A trial is trained once for every fold and execution; each such training is a
`FoldFit`. `aggregate` picks one epoch of each and averages. Nothing here knows
Keras: an objective is anything with a `name` and a `direction`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from kttoolkit.exceptions import NonFiniteScoreError, ObjectiveError
from kttoolkit.plain import one_of, shown

EpochSelection = Literal["per_fold", "common"]
EPOCH_SELECTIONS: tuple[EpochSelection, ...] = ("per_fold", "common")

# The last word of a metric's name tells its direction. Keras Tuner's own table
# takes F1, F-beta, R2, IoU and the *AtRecall family for losses.
_HIGHER_IS_BETTER = (
    "accuracy", "acc", "auc", "precision", "recall", "sensitivity", "specificity",
    "f1", "f1_score", "fbeta_score", "f_beta_score", "f_beta", "r2", "r2_score",
    "iou", "io_u", "cosine_similarity", "pearson_correlation",
    "concordance_correlation", "true_positives", "true_negatives",
)  # fmt: skip
_LOWER_IS_BETTER = (
    "loss", "crossentropy", "cross_entropy", "ce", "bce", "circle", "ctc", "error",
    "mse", "rmse", "mae", "mape", "msle", "hinge", "poisson", "kl_divergence", "kld",
    "logcosh", "log_cosh", "huber", "focal", "tversky", "dice", "false_positives",
    "false_negatives", "deviance",
)  # fmt: skip


class ObjectiveLike(Protocol):
    """What scoring needs of a `keras_tuner.Objective`."""

    name: str
    direction: str

    def get_value(self, logs: Mapping[str, float]) -> float:
        """Return the objective's value among the metrics of one epoch."""


@dataclass(frozen=True)
class FoldFit:
    """One training: a fold of a trial, with one initialisation.

    Attributes:
        split: running number over folds and executions, from 0.
        fold: the fold's number, from 0.
        execution: which initialisation, from 0.
        seed: `keras.utils.set_random_seed(seed)` before build and fit repeats it.
        history: metric name to one value an epoch, of shape (epochs,).
        initial_epoch: epochs the weights had been trained before this training.
        n_train: rows trained on.
        n_test: rows scored on.
        seconds: wall time of build, fit and validation.
        n_parameters: trainable numbers of the model, 0 if unknown.
    """

    split: int
    fold: int
    execution: int
    seed: int
    history: Mapping[str, tuple[float, ...]]
    initial_epoch: int = 0
    n_train: int = 0
    n_test: int = 0
    seconds: float = 0.0
    n_parameters: int = 0

    @property
    def epochs(self) -> int:
        """Number of epochs in `history`."""
        return max((len(values) for values in self.history.values()), default=0)

    def at(self, index: int) -> dict[str, float]:
        """Return every metric at the epoch with this index into `history`."""
        return {k: v[index] for k, v in self.history.items() if index < len(v)}

    def to_json(self) -> dict[str, Any]:
        """Return plain types that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "FoldFit":
        """Rebuild what `to_json` gave."""
        history = {k: tuple(v) for k, v in state["history"].items()}
        return cls(**{**state, "history": history})


@dataclass(frozen=True)
class TrialScore:
    """The metrics of a trial at the chosen epochs.

    Attributes:
        splits: metric name to one value a split, of shape (n_splits,).
        epochs: the chosen epoch of each split, counted from 1 over the whole
            training (a continued trial counts the epochs before it).
    """

    splits: Mapping[str, tuple[float, ...]]
    epochs: tuple[int, ...]
    means: Mapping[str, float] = field(init=False)
    stds: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        # Metrics other than the objective may be infinite, or too large to square.
        with np.errstate(invalid="ignore", over="ignore"):
            means = {k: float(np.mean(v)) for k, v in self.splits.items()}
            stds = {k: float(np.std(v)) for k, v in self.splits.items()}
        object.__setattr__(self, "means", means)
        object.__setattr__(self, "stds", stds)


def numbers_of(logs: Mapping[str, Any]) -> dict[str, float]:
    """Bring what a model reports into one number for each metric.

    Args:
        logs: metric names to numbers, tensors or arrays.

    Returns:
        Names to numbers. A metric with several values, such as `F1Score` with one for
        each class, counts with their mean, as it does in Keras Tuner.

    Example:
        >>> numbers_of({"loss": 1, "f1_score": np.array([0.5, 1.0])})
        {'loss': 1.0, 'f1_score': 0.75}
    """
    return {name: number_of(value) for name, value in logs.items()}


def number_of(value: Any) -> float:
    """Bring what a metric reports into one number.

    Args:
        value: a number, or a tensor or array of any shape.

    Returns:
        The number, or the mean of several.
    """
    # Not every tensor becomes an array by itself.
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    return float(array.astype("float64").mean() if array.ndim else array)


def direction_of(metric: str) -> Literal["min", "max"]:
    """Tell whether a Keras metric is to be minimised or maximised, by its name.

    Args:
        metric: a name as `History.history` has it, with or without `val_`, an
            output's name in front, or Keras's running number behind (`auc_1`). A
            metric that was compiled by its class's name is reported by it
            (`val_F1Score`).

    Returns:
        "min" or "max".

    Raises:
        ObjectiveError: if the name ends in no word known to have a direction.

    Example:
        >>> direction_of("val_f1_score"), direction_of("val_mae")
        ('max', 'min')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", metric)
    name = re.sub(r"_\d+$", "", words.lower())
    core = re.sub(r"_at_(recall|precision|sensitivity|specificity)$", "", name)
    for direction, known in (("max", _HIGHER_IS_BETTER), ("min", _LOWER_IS_BETTER)):
        if any(core == word or core.endswith(f"_{word}") for word in known):
            return direction  # type: ignore[return-value]
    raise ObjectiveError(
        "Could not infer optimization direction (max or min) from the name of "
        f"objective={shown(metric)}. Pass keras_tuner.Objective({shown(metric)}, "
        'direction="max") or direction="min".'
    )


def best_index(values: Sequence[float], direction: str) -> int:
    """Return the index of the best finite value, the first among equals.

    Args:
        values: one value an epoch, of shape (epochs,); NaN and infinite ones
            are never best.
        direction: "min" or "max".

    Returns:
        An index into `values`.

    Raises:
        NonFiniteScoreError: if no value is finite.

    Example:
        >>> best_index([0.5, 0.9, float("nan"), 0.9], "max")
        1
    """
    array = np.asarray(values, dtype=float)
    if not np.isfinite(array).any():
        raise NonFiniteScoreError(
            "The objective must be finite in at least one epoch, but got "
            f"{_short(values)}. Lower the learning rate, clip the gradient "
            "(clipnorm=1.0), or scale the inputs."
        )
    signed = array if direction == "min" else -array
    return int(np.argmin(np.where(np.isfinite(array), signed, np.inf)))


def check_finite(fit: FoldFit) -> None:
    """Refuse a training whose loss turned NaN or infinite.

    Weights that have become NaN never recover, while an accuracy computed from
    them still looks like a number; so the training loss decides.

    Args:
        fit: the training to look at.

    Raises:
        NonFiniteScoreError: naming fold and epoch.
    """
    for index, loss in enumerate(fit.history.get("loss", ())):
        if not math.isfinite(loss):
            epoch = fit.initial_epoch + index + 1
            raise NonFiniteScoreError(
                f"The training loss must stay finite, but it is {loss} in epoch "
                f"{epoch} of fold {fit.fold} (execution {fit.execution}). Lower the "
                "learning rate, clip the gradient (clipnorm=1.0), or scale the "
                "inputs."
            )


def aggregate(
    fits: Sequence[FoldFit],
    objective: ObjectiveLike,
    *,
    epoch_selection: EpochSelection = "per_fold",
) -> TrialScore:
    """Choose an epoch of each training and collect the metrics there.

    `"per_fold"` takes each fold's own best epoch: the score then belongs to
    weights that exist (Keras Tuner's checkpoints, `EarlyStopping` with
    `restore_best_weights`). It is optimistic, because the epoch was chosen on
    the rows that score it, once a fold. `"common"` takes the one epoch that is
    best on average over the folds, among those that every fold reached: only
    one choice is made, so it is less optimistic, and it is what retraining on
    all rows for a fixed number of epochs can expect.

    Args:
        fits: the trainings of one trial.
        objective: its name and direction.
        epoch_selection: "per_fold" or "common".

    Returns:
        The metrics of each split at its chosen epoch.

    Raises:
        NonFiniteScoreError: if the objective of a fold is finite in no epoch.
        ObjectiveError: if a fold does not report the objective, or there is no fold.

    Example:
        >>> from types import SimpleNamespace
        >>> objective = SimpleNamespace(name="val_loss", direction="min")
        >>> fits = [
        ...     FoldFit(0, 0, 0, 1, {"val_loss": (3.0, 1.0, 2.0)}),
        ...     FoldFit(1, 1, 0, 2, {"val_loss": (3.0, 3.0, 1.0)}),
        ... ]
        >>> aggregate(fits, objective).means["val_loss"]
        1.0
        >>> aggregate(fits, objective, epoch_selection="common").means["val_loss"]
        1.5

    References:
        G. C. Cawley and N. L. C. Talbot, "On over-fitting in model selection
        and subsequent selection bias in performance evaluation", JMLR 11, 2010.
    """
    if not one_of(*EPOCH_SELECTIONS)(epoch_selection):
        raise ObjectiveError(
            f"epoch_selection must be one of {EPOCH_SELECTIONS}, but got "
            f"{shown(epoch_selection)}."
        )
    if not fits:
        raise ObjectiveError(
            "A trial is scored over one training or more, but got none. Cut at least "
            "one fold."
        )
    curves = [_curve(fit, objective.name) for fit in fits]
    if epoch_selection == "common":
        reached = min(len(curve) for curve in curves)
        with np.errstate(invalid="ignore"):
            mean = np.mean([curve[:reached] for curve in curves], axis=0)
        indices = [best_index(mean.tolist(), objective.direction)] * len(fits)
    else:
        indices = [best_index(curve, objective.direction) for curve in curves]
    rows = [fit.at(index) for fit, index in zip(fits, indices, strict=True)]
    names = [name for name in rows[0] if all(name in row for row in rows)]
    return TrialScore(
        splits={name: tuple(row[name] for row in rows) for name in names},
        epochs=tuple(
            fit.initial_epoch + index + 1
            for fit, index in zip(fits, indices, strict=True)
        ),
    )


def _curve(fit: FoldFit, name: str) -> tuple[float, ...]:
    if name not in fit.history:
        raise ObjectiveError(
            "The objective must be among what the model reports, but "
            f"objective={shown(name)} is not in {sorted(fit.history)}."
        )
    return fit.history[name]


def _short(values: Sequence[float]) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:5])
    return f"[{shown}{', ...' if len(values) > 5 else ''}]"
