"""Weights & Biases callbacks of the user, each training's in a run of its own."""

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from kttoolkit.engine._base import Training
from kttoolkit.engine._plan import FitPlan

_HOOKS = tuple(name for name in dir(keras.callbacks.Callback) if name.startswith("on_"))
# What wandb's callbacks find the run through, beside `wandb.run` itself.
_GLOBALS = (
    "config", "summary", "log", "save", "use_artifact", "log_artifact", "log_model",
    "use_model", "link_model", "define_metric", "alert", "watch", "unwatch",
)  # fmt: skip
# Runs of trainings that broke off: nobody tells them of their end.
_left_open: dict[str, list["_OwnRun"]] = {}


def give_own_run(
    callbacks: list[keras.callbacks.Callback],
    plan: FitPlan,
    training: Training,
    hp: keras_tuner.HyperParameters,
) -> None:
    """Let the wandb callbacks among those of a training log to a run of its own.

    The user's own run, which their constructors ask for, says where to and stays as
    it is. Without one, as in the processes of `parallel=`, the environment says it.

    Args:
        callbacks: of the training, copied; one that opens and closes the run is added
            where there are any of wandb's.
        plan: names the trial and the study.
        training: which fold it is.
        hp: the run's config.
    """
    theirs = [callback for callback in callbacks if _is_of_wandb(callback)]
    if not theirs:
        return
    place = f"{plan.label}/split{training.split}"
    group = Path(plan.directory).absolute().parent.name if plan.directory else None
    run = _OwnRun(plan.label, place, group, dict(hp.values))
    for callback in theirs:
        for hook in _HOOKS:
            own = getattr(callback, hook)
            if getattr(own, "__func__", own) is not getattr(
                keras.callbacks.Callback, hook
            ):
                setattr(callback, hook, run.around(own))
    callbacks.insert(0, _Opener(run, theirs))
    callbacks.append(_Closer(run))


def _is_of_wandb(callback: keras.callbacks.Callback) -> bool:
    return any(
        kind.__module__.split(".")[0] == "wandb" for kind in type(callback).mro()
    )


class _OwnRun:
    """A run that is `wandb.run` while a callback of its training is called."""

    def __init__(
        self, label: str, place: str, group: str | None, config: dict[str, Any]
    ) -> None:
        self.label = label
        self.place = place
        self.group = group
        self.config = config
        self._run: Any = None

    def open(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """Open the run, and close those that an earlier trial left open."""
        for label in [label for label in _left_open if label != self.label]:
            for run in list(_left_open[label]):
                run.close(exit_code=1)
        wandb = importlib.import_module("wandb")
        of_user: dict[str, Any] = {}
        if wandb.run is not None:
            mine = wandb.run
            of_user = {
                "project": mine.project, "entity": mine.entity or None,
                "tags": mine.tags, "mode": mine.settings.mode,
                "dir": mine.settings.root_dir,
            }  # fmt: skip
        self._run = wandb.init(
            **of_user, group=self.group, job_type="fold", name=self.place,
            config=self.config, reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )  # fmt: skip
        _left_open.setdefault(self.label, []).append(self)
        # WandbMetricsLogger told its axes to the run that it was made under.
        kinds = {bool(getattr(c, "logging_batch_wise", False)) for c in callbacks}
        for kind, step in ((False, "epoch/epoch"), (True, "batch/batch_step")):
            if kind in kinds:
                self._run.define_metric(step)
                self._run.define_metric(f"{step.split('/')[0]}/*", step_metric=step)

    def close(self, exit_code: int = 0) -> None:
        """Close the run."""
        _left_open[self.label].remove(self)
        if not _left_open[self.label]:
            del _left_open[self.label]
        self._run.finish(exit_code=exit_code)

    def around(self, hook: Callable[..., None]) -> Callable[..., None]:
        """Return a hook that finds this run where it looks for the user's."""

        @functools.wraps(hook)
        def called(*args: Any, **kwargs: Any) -> None:
            with self._current():
                hook(*args, **kwargs)

        return called

    @contextlib.contextmanager
    def _current(self) -> Iterator[None]:
        wandb: Any = importlib.import_module("wandb")
        names = [name for name in _GLOBALS if hasattr(self._run, name)]
        kept = {name: getattr(wandb, name) for name in ("run", *names)}
        wandb.run = self._run
        for name in names:
            setattr(wandb, name, getattr(self._run, name))
        try:
            yield
        finally:
            for name, value in kept.items():
                setattr(wandb, name, value)


class _Opener(keras.callbacks.Callback):
    """Comes before the callbacks that log to the run."""

    sees_weights_only = True

    def __init__(self, run: _OwnRun, callbacks: list[keras.callbacks.Callback]) -> None:
        super().__init__()
        self.run = run
        self.callbacks = callbacks

    def on_train_begin(self, logs: Any = None) -> None:
        """Open the run."""
        self.run.open(self.callbacks)


class _Closer(keras.callbacks.Callback):
    """Comes behind the callbacks that log to the run."""

    sees_weights_only = True

    def __init__(self, run: _OwnRun) -> None:
        super().__init__()
        self.run = run

    def on_train_end(self, logs: Any = None) -> None:
        """Close the run."""
        self.run.close()
