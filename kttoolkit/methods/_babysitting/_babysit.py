"""Panda: one model, babysat through its training, as when computing is scarce."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kttoolkit.data import TrainingData
from kttoolkit.exceptions import SearchError
from kttoolkit.methods._babysitting._data import FitData
from kttoolkit.methods._babysitting._log import (
    Intervention,
    SessionLog,
    Start,
    Training,
    Undo,
)
from kttoolkit.methods._babysitting._session import Session
from kttoolkit.methods._babysitting._settings import check_batch_size, settings_of
from kttoolkit.methods._babysitting._state import State, plain_optimizer, prepare
from kttoolkit.probe import reported_metrics

__all__ = [
    "Intervention",
    "Session",
    "SessionLog",
    "Start",
    "Training",
    "Undo",
    "babysit",
    "replay",
]


def babysit(
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    validation_data: Any = None,
    validation_split: float = 0.2,
    batch_size: int = 32,
    seed: int | None = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    verbose: int | str = 0,
) -> "Session":
    """Babysit one model: train a little, look, change a setting, go on or go back.

    Where computing is scarce a model is not searched for but tended: its learning
    rate is nudged while it trains, and a day that went wrong is taken back. Every
    step is an ordinary `model.fit`, so what the session reaches, a hand-written
    sequence of `fit` and changed attributes reaches to the bit; the log says which.

    Args:
        model: compiled; it is trained in place.
        x: arrays as `model.fit` takes them, of shape (n_samples, ...).
        y: targets of shape (n_samples, ...).
        validation_data: (x, y) to score on after every epoch.
        validation_split: without it, the share of the rows that is scored on. As in
            Keras it is the *last* rows: shuffle rows that are sorted.
        batch_size: rows a step, to begin with.
        seed: of shuffles; drawn and remembered if left out. Each training's own seed
            follows from it and the epochs so far, so that branches of one epoch see
            the same batches.
        sample_weight: of shape (n_samples,).
        class_weight: class number to weight.
        verbose: as `model.fit` takes it.

    Returns:
        The session.

    Raises:
        SearchError: if the model is not compiled.
        DataError: if x and y are no arrays with as many finite rows.
        SearchSpaceError: if the batch size is larger than the data.

    Example:
        >>> import keras
        >>> import kttoolkit
        >>> x, y = keras.random.normal((64, 3)), keras.random.normal((64, 1))
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(0.1), "mse")
        >>> panda = kttoolkit.methods.babysit(model, x, y, seed=0)
        >>> panda.train(epochs=2).set(learning_rate=0.01, momentum=0.9).train().epoch
        3
        >>> panda.undo().epoch
        2
        >>> [str(step) for step in panda.log.steps]
        ['training of epochs 1 to 2', 'learning_rate 0.1 → 0.01, momentum 0 → 0.9']
    """
    given = (validation_data, validation_split, sample_weight, class_weight, verbose)
    data = FitData(x, y, *given).checked()
    check_batch_size(batch_size, data.n_train)
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    prepare(model, x, seed)
    rows = keras.tree.map_structure(keras.ops.convert_to_numpy, (x, y))
    reported_metrics(model, TrainingData(*rows))
    state = State.of(model, batch_size)
    start = Start(
        seed=seed,
        optimizer=type(plain_optimizer(model)).__name__,
        settings=settings_of(model, state.setup),
        random_states=tuple(tuple(map(int, v)) for v in state.random_states),
        weights=state.fingerprint,
        data=data.fingerprint(),
        validation_split=data.validation_split,
    )
    return Session(model, data, SessionLog("main", start), [state], ["main"])


def replay(
    log: SessionLog | str | Path,
    model: keras.Model,
    x: Any,
    y: Any,
    *,
    validation_data: Any = None,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    verbose: int | str = 0,
    strict: bool = True,
) -> "Session":
    """Do again what a log holds; steps that were taken back are left out.

    Args:
        log: a session's, or the file it was saved to.
        model: compiled as the first one was, with its initial weights: made by the
            same code after the same `keras.utils.set_random_seed`, or with weights
            loaded that were saved before the session began.
        x: the same rows.
        y: the same targets.
        validation_data: (x, y) to score on; it decides no weights.
        sample_weight: the same weights.
        class_weight: the same weights.
        verbose: as `model.fit` takes it.
        strict: whether model, settings and rows must be those of the log. Without
            it the same steps are done on whatever is given.

    Returns:
        A session with the same weights. A warning says so if they are not the same
        to the bit, as on other hardware or versions.

    Raises:
        SearchError: if the log cannot be read, or model, settings or rows differ.

    Example:
        >>> panda.save_log("panda.json")  # doctest: +SKIP
        >>> again = kttoolkit.methods.replay(  # doctest: +SKIP
        ...     "panda.json", build(), x, y
        ... )
    """
    if not isinstance(log, SessionLog):
        log = SessionLog.read(log)
    session = babysit(
        model,
        x,
        y,
        validation_data=validation_data,
        validation_split=log.start.validation_split,
        batch_size=log.start.settings["batch_size"],
        seed=log.start.seed,
        sample_weight=sample_weight,
        class_weight=class_weight,
        verbose=verbose,
    )
    if strict:
        _check_same_start(log.start, session.log.start)
        session._restart(log)  # noqa: SLF001
    for step in log.steps:
        if isinstance(step, Intervention):
            session.set(**step.new)
        else:
            session.train(step.epochs)
    if strict and session.log.weights != log.weights:
        warnings.warn(
            "The same steps led to weights that are not the same to the bit. Other "
            "hardware, other versions of TensorFlow, or operations that are not "
            "deterministic round otherwise "
            "(tf.config.experimental.enable_op_determinism() on a GPU).",
            RuntimeWarning,
            stacklevel=2,
        )
    return session


def _check_same_start(theirs: Start, ours: Start) -> None:
    """Say what keeps a replay from leading to the same weights."""
    settings = [
        f"{name}={ours.settings.get(name)!r} (log: {value!r})"
        for name, value in theirs.settings.items()
        if ours.settings.get(name) != value
    ]
    if theirs.optimizer != ours.optimizer:
        wrong = f"the optimizer is {ours.optimizer} (log: {theirs.optimizer})"
        fix = "Compile the model as it was."
    elif settings:
        wrong, fix = f"got {', '.join(settings)}", "Compile the model as it was."
    elif theirs.weights != ours.weights or len(theirs.random_states) != len(
        ours.random_states
    ):
        wrong = f"weights or optimizer state have {ours.weights[:12]} (log: "
        wrong += f"{theirs.weights[:12]})"
        fix = (
            "Build the model by the same code after keras.utils.set_random_seed, or "
            "load the weights that were saved before the session began."
        )
    elif theirs.data != ours.data:
        wrong, fix = "x, y or their weights are other ones", "Pass the same rows."
    else:
        return
    raise SearchError(
        f"A replay must begin where the log began, but {wrong}. {fix} Or do the same "
        "steps on these: replay(..., strict=False)."
    )
