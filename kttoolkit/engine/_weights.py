"""Weights on disk: one file a training for its best epoch, one for its last."""

import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import keras

from kttoolkit.engine._keras import find_what_saving_stored, is_own
from kttoolkit.engine._moulds import MOULDS
from kttoolkit.exceptions import TrialError
from kttoolkit.files import read_json, written_whole
from kttoolkit.plain import shown

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


def file_to_continue(directory: str | Path, split: int, *, has_folds: bool) -> Path:
    """Return where the weights are that a training goes on from.

    Args:
        directory: the folder of the trial that is continued.
        split: running number of the training.
        has_folds: whether it is trained on a part of its rows.

    Returns:
        Weights and optimizer state of the same training's last epoch; of a trial that
        Keras Tuner has trained, those that it would go on from itself.

    Raises:
        TrialError: if there are none.
    """
    last, theirs = last_file(directory, split), Path(directory) / CHECKPOINT_FILE
    if last.exists():
        return last
    # Of a trial of ours it is the best epoch, which is no place to go on from.
    is_theirs = not any(Path(directory).glob("split*.weights.h5"))
    if not is_theirs or not theirs.exists():
        both = f", and so is the {CHECKPOINT_FILE} of keras_tuner's own Hyperband"
        raise TrialError(
            f"The lower rung's checkpoint must be there to be continued, but {last} is "
            f"missing{both if is_theirs else ''}. Was the study folder cleaned while "
            "the search ran?"
        )
    if has_folds:
        raise TrialError(
            "Folds are continued from their own weights, but all that the lower rung "
            f"left is {theirs}, trained without folds, as by keras_tuner's own "
            "Hyperband. Search on without cv=, or begin anew: another project_name, or "
            "overwrite=True."
        )
    return theirs


def save(model: keras.Model, path: Path, *, optimizer: bool) -> None:
    """Write weights so that neither a kill nor a full disk leaves half of a file.

    Args:
        model: the model.
        path: where to; replaced if it exists.
        optimizer: whether to write the optimizer's state too, for going on.
    """
    with (
        nullcontext() if optimizer else _without_optimizer(model),
        _as_built(model),
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
        sample: one row of input, to build a model without fixed input shape; if left
            out, it is built as the one that was trained, which is told beside the file.
        optimizer: whether the file has the optimizer's state too.

    Raises:
        TrialError: if the file is not there, or the model cannot be built.
    """
    if not path.exists():
        raise TrialError(
            f"The weights of a trial must have been kept to be loaded, but {path} is "
            "missing. Was the study folder cleaned, or keep_checkpoints= given?"
        )
    if not model.built and (sample is None or not is_own(model, "call")):
        _build_as_trained(model, path.with_name(BUILD_CONFIG_FILE))
    elif not model.built:
        model(sample)
    if optimizer and model.optimizer is not None:
        model.optimizer.build(model.trainable_variables)
    with nullcontext() if optimizer else _without_optimizer(model):
        model.load_weights(path)


def _build_as_trained(model: keras.Model, path: Path) -> None:
    """Make a model's weights from the shapes that the trained one took."""
    read = read_json(path) if path.exists() else None
    config = read if isinstance(read, dict) else None
    with warnings.catch_warnings():
        # That it cannot be done is said below.
        warnings.simplefilter("ignore")
        model.build_from_config(_with_tuples(config))
    if not model.built and not model.weights:
        raise TrialError(
            "A model must have weights before a trial's can be loaded into it, but "
            f"{type(model).__name__} {model.name!r} has none until it is called, and "
            f"{path.name} of the trial does not tell its inputs: {shown(read)}. Call "
            "it once in the build function, or give it keras.Input."
        )
    # As Keras says of a model that it has loaded: the weights are there.
    model.built = True


def _with_tuples(config: Any) -> Any:
    """Give back shapes as Keras knows them, of which JSON has made lists."""
    if isinstance(config, dict):
        return {name: _with_tuples(part) for name, part in config.items()}
    if not isinstance(config, list):
        return config
    is_shape = all(size is None or isinstance(size, int) for size in config)
    return tuple(config) if is_shape else list(map(_with_tuples, config))


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


@contextmanager
def _as_built(model: keras.Model) -> Iterator[None]:
    """Have Keras save what it never says is built: a model without a `call`."""
    built = model.built
    model.built = True
    try:
        yield
    finally:
        model.built = built
