"""The loss, for the task at hand."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import keras_tuner

from kttoolkit.exceptions import SearchSpaceError
from kttoolkit.plain import one_of, shown
from kttoolkit.space._conditions import ask_kind, when
from kttoolkit.space._scales import linear_float, log_float

CLASSIFICATION_LOSSES = ("crossentropy", "label_smoothing", "focal")
REGRESSION_LOSSES = ("mse", "mae", "huber", "log_cosh")
LossTask = Literal["binary", "multilabel", "multiclass", "regression"]


def loss(
    hp: keras_tuner.HyperParameters,
    *,
    task: LossTask,
    one_hot: bool = False,
    kinds: Sequence[str] | None = None,
    default: str | None = None,
    name: str = "loss",
) -> str | keras.losses.Loss:
    """Ask for the loss among those that fit the task.

    Losses of different kinds are not comparable: let the objective of such a search
    be a metric (accuracy, mean absolute error), not `val_loss`.

    Label smoothing (`<name>_smoothing`) keeps a network from being too sure of its
    classes, the focal loss (`<name>_gamma`) looks at the rows that are hard, Huber's
    (`<name>_delta`) and log-cosh forgive outliers.

    Args:
        hp: the trial's hyperparameters.
        task: what is predicted; "multiclass" expects probabilities of shape
            (n_samples, n_classes).
        one_hot: whether the classes of "multiclass" come as one-hot rows, and not as
            numbers.
        kinds: of "crossentropy", "label_smoothing", "focal" for classification, of
            "mse", "mae", "huber", "log_cosh" for regression; all if left out.
        default: before any search; the first kind if left out.
        name: what it is called in tables.

    Returns:
        What `compile` takes as `loss`.

    Raises:
        SearchSpaceError: if the task or a kind is unknown.

    Example:
        >>> from kttoolkit import HyperParameters
        >>> loss(HyperParameters(), task="binary")
        'binary_crossentropy'
        >>> loss(HyperParameters(), task="regression", kinds=["huber"]).name
        'huber_loss'

    References:
        T.-Y. Lin et al., "Focal loss for dense object detection", arXiv:1708.02002;
        C. Szegedy et al., "Rethinking the inception architecture",
        arXiv:1512.00567, for label smoothing.
    """
    if not one_of("binary", "multilabel", "multiclass", "regression")(task):
        raise SearchSpaceError(
            "task must be 'binary', 'multilabel', 'multiclass' or 'regression', but "
            f"got {shown(task)}."
        )
    known = REGRESSION_LOSSES if task == "regression" else CLASSIFICATION_LOSSES
    kinds = known if kinds is None else kinds
    chosen = ask_kind(hp, name=name, kinds=kinds, known=known, default=default or "")
    extra = _asked_with(hp, name, kinds)
    if task == "regression":
        is_huber = chosen == "huber" and extra["huber"] is not None
        return keras.losses.Huber(extra["huber"]) if is_huber else chosen
    return _classification_loss(chosen, extra, task, one_hot=one_hot)


def _asked_with(
    hp: keras_tuner.HyperParameters, name: str, kinds: Sequence[str]
) -> dict[str, float | None]:
    """Ask for the numbers that belong to some kinds alone."""
    numbers: dict[str, float | None] = {}
    with when(hp, name, ("label_smoothing",), kinds) as is_possible:
        if is_possible:
            numbers["label_smoothing"] = linear_float(
                hp, name=f"{name}_smoothing", min_value=0.02, max_value=0.2,
                default=0.1,
            )  # fmt: skip
    with when(hp, name, ("focal",), kinds) as is_possible:
        if is_possible:
            numbers["focal"] = linear_float(
                hp, name=f"{name}_gamma", min_value=0.5, max_value=5.0, default=2.0
            )
    with when(hp, name, ("huber",), kinds) as is_possible:
        if is_possible:
            numbers["huber"] = log_float(
                hp, name=f"{name}_delta", min_value=0.1, max_value=10.0
            )
    return numbers


def _classification_loss(
    kind: str | None, extra: dict[str, float | None], task: str, *, one_hot: bool
) -> Any:
    number = extra.get(kind or "")
    plain = "categorical" if one_hot else "sparse_categorical"
    name = "binary" if task in {"binary", "multilabel"} else plain
    if kind is None or kind == "crossentropy" or number is None:
        return f"{name}_crossentropy"
    if name == "binary":
        if kind == "focal":
            return keras.losses.BinaryFocalCrossentropy(gamma=number)
        return keras.losses.BinaryCrossentropy(label_smoothing=number)
    if kind == "focal":
        made: keras.losses.Loss = keras.losses.CategoricalFocalCrossentropy(
            alpha=1.0, gamma=number
        )
    else:
        made = keras.losses.CategoricalCrossentropy(label_smoothing=number)
    return made if one_hot else SparseLoss(made)


@keras.saving.register_keras_serializable(package="kttoolkit")
class SparseLoss(keras.losses.Loss):  # type: ignore[misc]
    """A loss for one-hot rows, on classes that come as numbers.

    Keras has neither label smoothing nor a focal loss for those.

    Args:
        loss: a loss of one-hot rows and probabilities.
        **kwargs: arguments of `keras.losses.Loss`.
    """

    def __init__(self, loss: keras.losses.Loss, **kwargs: Any) -> None:
        super().__init__(**{"name": f"sparse_{loss.name}", **kwargs})
        self.loss = loss

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each row.

        Args:
            y_true: class numbers of shape (n_samples,) or (n_samples, 1).
            y_pred: probabilities of shape (n_samples, n_classes).

        Returns:
            Tensor of shape (n_samples,).
        """
        labels = keras.ops.reshape(y_true, (-1,))
        rows = keras.ops.one_hot(
            keras.ops.cast(labels, "int32"), y_pred.shape[-1], dtype=y_pred.dtype
        )
        return self.loss.call(rows, y_pred)

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` takes."""
        inner = keras.losses.serialize(self.loss)
        return {**super().get_config(), "loss": inner}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "SparseLoss":
        """Rebuild what `get_config` gave."""
        inner = keras.losses.deserialize(config["loss"])
        return cls(**{**config, "loss": inner})
