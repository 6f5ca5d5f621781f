"""Weights on disk: one file a training for its best epoch, one for its last."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import keras

from kttoolkit.engine._keras import find_what_saving_stored
from kttoolkit.engine._moulds import MOULDS
from kttoolkit.exceptions import TrialError
from kttoolkit.files import written_whole

# Keras Tuner's own names, so that it can open our project folders.
BUILD_CONFIG_FILE = "build_config.json"
CHECKPOINT_FILE = "checkpoint.weights.h5"


def best_file(directory: str | Path, split: int) -> Path:
    """Return where the weights of a training's best epoch are kept.

    Args:
        directory: the trial's folder.
        split: running number of the training.

    Returns:
        A path that ends in `.weights.h5`.
    """
    return Path(directory) / f"split{split}.best.weights.h5"


def last_file(directory: str | Path, split: int) -> Path:
    """Return where weights and optimizer state of the last epoch are kept.

    Args:
        directory: the trial's folder.
        split: running number of the training.

    Returns:
        A path that ends in `.weights.h5`.
    """
    return Path(directory) / f"split{split}.last.weights.h5"


def save(model: keras.Model, path: Path, *, optimizer: bool) -> None:
    """Write weights so that neither a kill nor a full disk leaves half of a file.

    Args:
        model: the model.
        path: where to; replaced if it exists.
        optimizer: whether to write the optimizer's state too, for going on.
    """
    with (
        nullcontext() if optimizer else _without_optimizer(model),
        written_whole(path) as partial,
    ):
        MOULDS.write(model, partial, _by_keras(model))


def _by_keras(model: keras.Model) -> Callable[[Path], None]:
    find_what_saving_stored()
    return model.save_weights


def restore(model: keras.Model, path: Path, sample: Any, *, optimizer: bool) -> None:
    """Load weights.

    Args:
        model: a freshly built model of the same shape.
        path: the file.
        sample: one row of input, to build a model without fixed input shape.
        optimizer: whether the file has the optimizer's state too.

    Raises:
        TrialError: if the file is not there.
    """
    if not path.exists():
        raise TrialError(
            f"The lower rung's checkpoint must be there to be continued, but {path} "
            "is missing. Was the study folder cleaned while the search ran?"
        )
    if not model.built:
        model(sample)
    if optimizer and model.optimizer is not None:
        model.optimizer.build(model.trainable_variables)
    with nullcontext() if optimizer else _without_optimizer(model):
        model.load_weights(path)


def publish(directory: str | Path, split: int) -> None:
    """Name one training's weights as Keras Tuner names a trial's checkpoint.

    Args:
        directory: the trial's folder.
        split: the training to publish.
    """
    source, target = best_file(directory, split), Path(directory) / CHECKPOINT_FILE
    if not source.exists():
        return
    with written_whole(target) as partial:
        try:
            partial.hardlink_to(source)
        except OSError:
            shutil.copy2(source, partial)


def discard(directory: str | Path, *, last: bool) -> None:
    """Delete a trial's weights.

    Args:
        directory: the trial's folder.
        last: whether to delete those that a higher rung goes on from too.
    """
    for path in Path(directory).glob("*.weights.h5"):
        if last or not path.name.endswith(".last.weights.h5"):
            path.unlink(missing_ok=True)


@contextmanager
def _without_optimizer(model: keras.Model) -> Iterator[None]:
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        yield
        return
    model.optimizer = None
    try:
        yield
    finally:
        model.optimizer = optimizer
