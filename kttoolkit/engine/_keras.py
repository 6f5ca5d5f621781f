"""What the engines need of Keras that no public name gives (checked on 3.15)."""

from typing import Any

import keras
from keras.src.utils import naming


def reset_names() -> None:
    """Count the automatic names of layers from the start again.

    `keras.utils.clear_session` does this too, but it also throws away the kernels
    of every traced function (0.1 s each to make again) and a global dtype policy.
    """
    naming.reset_uids()


def first_epoch(model: keras.Model, initial_epoch: int) -> int:
    """Return where training starts, which `BackupAndRestore` may have moved.

    Args:
        model: the model.
        initial_epoch: as `fit` was given it.

    Returns:
        An epoch, counted from 0.
    """
    return getattr(model, "_initial_epoch", None) or initial_epoch


def logs_of_epoch(model: keras.Model, logs: Any) -> Any:
    """Choose between a model's metrics and what its last step returned.

    Args:
        model: the model.
        logs: what the last step returned.

    Returns:
        Its metrics, where they have the same names.
    """
    return model._get_metrics_result_or_logs(logs)  # noqa: SLF001
