"""The optimizer and the last activation of a builder's networks."""

from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner

from kttoolkit import space
from kttoolkit.builders._ask import Ask
from kttoolkit.data import Task

_ADAPTIVE_MAX = 0.1
# Keras's own, where it is neither searched nor fixed.
_ADAMW_DECAY = 4e-3


def output_activation(task: Task) -> str | None:
    """Choose the last activation for a task.

    Args:
        task: what is predicted.

    Returns:
        Its name, or None for a linear output.
    """
    if task in {"binary", "multilabel"}:
        return "sigmoid"
    return "softmax" if task == "multiclass" else None


def make_optimizer(ask: Ask, total_steps: int) -> keras.optimizers.Optimizer:
    """Make the optimizer of a trial.

    Args:
        ask: gives the values of hyperparameters.
        total_steps: batches of the whole training, for schedules.

    Returns:
        A new optimizer.
    """
    kinds = _kinds(ask)
    rate = _learning_rate(ask, kinds)
    options: dict[str, Any] = {
        name: ask(name, getattr(space, name))
        for name in ("weight_decay", "clipnorm", "epsilon")
        if name in {*ask.tuned, *ask.fixed}
    }
    if list(kinds) == ["adamw"]:
        options.setdefault("weight_decay", _ADAMW_DECAY)
    defaults = {"momentum": 0.9, "nesterov": False, "betas": (0.9, 0.999)}
    for name, default in defaults.items():
        is_tuned = name in ask.tuned or (name == "nesterov" and "momentum" in ask.tuned)
        options[name] = ask.fixed.get(name, None if is_tuned else default)
    hp = ask.of("optimizer", "momentum", "nesterov", "betas")
    return space.optimizer(
        hp,
        kinds=kinds,
        learning_rate=_schedule(ask, rate, total_steps),
        **options,
    )


def _kinds(ask: Ask) -> Sequence[str]:
    if "optimizer" in ask.tuned:
        return space.OPTIMIZERS
    return [ask.fixed.get("optimizer", "adam")]


def _learning_rate(ask: Ask, kinds: Sequence[str]) -> float:
    """Ask for the rate on the range of the optimizers in question."""
    if list(kinds) == ["sgd"]:
        return ask("learning_rate", space.learning_rate, default=1e-2)
    most = 1.0 if "sgd" in kinds else _ADAPTIVE_MAX
    return ask("learning_rate", space.learning_rate, max_value=most)


def _schedule(ask: Ask, rate: float, total_steps: int) -> Any:
    if "schedule" in ask.tuned:
        return space.learning_rate_schedule(
            ask.hp, total_steps=total_steps, learning_rate=rate
        )
    return space.learning_rate_schedule(
        keras_tuner.HyperParameters(),
        total_steps=total_steps,
        learning_rate=rate,
        kinds=[ask.fixed.get("schedule", "none")],
    )
