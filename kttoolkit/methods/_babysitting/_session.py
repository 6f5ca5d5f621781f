"""The session: trainings, interventions, the way back, and branches."""

import html
import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import pandas as pd

from kttoolkit.engine import own_random_state
from kttoolkit.exceptions import SearchError
from kttoolkit.methods._babysitting._data import FitData
from kttoolkit.methods._babysitting._frames import (
    comparison_frame,
    history_frame,
    summary,
)
from kttoolkit.methods._babysitting._log import (
    Entry,
    Intervention,
    SessionLog,
    Training,
    Undo,
)
from kttoolkit.methods._babysitting._plot import plot_sessions
from kttoolkit.methods._babysitting._settings import changed, settings_of
from kttoolkit.methods._babysitting._state import State, check_alike, copy_of, prepare
from kttoolkit.plain import shown, visible_lines
from kttoolkit.scoring import numbers_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Session:
    """One model under care: trainings, interventions, and the way back.

    Made by `babysit`, `replay` and `branch`. Every step can be taken back, for which
    the weights and the optimizer state after each training are kept in memory.

    Args:
        model: compiled, and in the last of `states`.
        data: what it is trained on.
        log: what was done to it so far.
        states: at the start and after each step that holds.
        family: names of all branches that came from one session.

    Attributes:
        model: the live Keras model. What changes its weights or settings outside of
            the session is found and refused at the next step.
        log: what was done, frozen; `log.entries`, or without what was taken back
            `log.steps`.

    Example:
        >>> panda = kttoolkit.methods.babysit(model, x, y)  # doctest: +SKIP
        >>> panda.train(3).set(learning_rate=0.001).train(3).plot()  # doctest: +SKIP
    """

    def __init__(
        self,
        model: keras.Model,
        data: FitData,
        log: SessionLog,
        states: list[State],
        family: list[str],
    ) -> None:
        self.model = model
        self._data = data
        self._states = states
        self._family = family
        self.log = replace(log, weights=states[-1].fingerprint)

    # -- steps ---

    def train(self, epochs: int = 1) -> "Session":
        """Train on for some epochs.

        Training ends early, with a warning, when a loss is no longer finite. After
        Ctrl-C the epochs that were finished hold, and what was begun is forgotten.

        Args:
            epochs: how many.

        Returns:
            The session itself.

        Raises:
            SearchError: if it is no whole number above 0, or the model was changed
                outside of the session.
        """
        _check_epochs(epochs)
        self._check_untouched()
        seed = _seed_of(self.log.start.seed, self.epoch)
        recorder = _Recorder(self._batch_size)
        try:
            self._fit(int(epochs), seed, recorder)
        except BaseException:
            self._return_to(recorder.last)
            self._record_training(recorder, seed)
            raise
        self._record_training(recorder, seed)
        if recorder.warning:
            warnings.warn(recorder.warning, RuntimeWarning, stacklevel=2)
        return self

    def set(self, **changes: Any) -> "Session":
        """Change settings from the next training on.

        Args:
            **changes: `learning_rate` (in place of a schedule, too), `momentum`,
                `weight_decay`, `beta_1` and whatever else the optimizer has;
                `batch_size`; `dropout`, a rate for all dropout layers or layer names
                to rates; `l2`, a factor for all L2 penalties on weights. None
                switches weight decay and clipping off.

        Returns:
            The session itself.

        Raises:
            SearchSpaceError: if the model has no such setting or it cannot have this
                value; nothing has been changed then.
            SearchError: if the model was changed outside of the session.
        """
        self._check_untouched()
        before = self._states[-1].setup
        after = changed(self.model, before, changes, n_rows=self._data.n_train)
        old, new = (settings_of(self.model, setup) for setup in (before, after))
        after.apply(self.model)
        self._record(
            Intervention(
                self.epoch, {k: old[k] for k in changes}, {k: new[k] for k in changes}
            ),
            State.of(self.model, after.batch_size),
        )
        return self

    def undo(self) -> "Session":
        """Take the last step back: a training, or an intervention.

        Weights, optimizer state, settings and random states are again as they were
        before it, so the same step once more would lead to the same place.

        Returns:
            The session itself.

        Raises:
            SearchError: if there is no step left.
        """
        if len(self._states) == 1:
            raise SearchError(
                "A step can be taken back where there is one, but the session is at "
                f"its start (steps={len(self.log.steps)}). Train first."
            )
        self._states.pop()
        self._states[-1].put(self.model)
        left = replace(self.log, entries=(*self.log.entries, Undo(0))).epochs
        self._write(Undo(left))
        return self

    def branch(
        self, name: str | None = None, *, model: keras.Model | None = None
    ) -> "Session":
        """Go on from here in a second session, with a model of its own.

        It shares the steps so far and can take them back without this one noticing.

        Args:
            name: of the branch; numbered if left out.
            model: another compiled model of the same architecture, for models that
                Keras cannot copy.

        Returns:
            The new session.

        Raises:
            SearchError: if the name is taken, Keras cannot copy the model, the
                architecture differs, or the model was changed outside of the session.
        """
        self._check_untouched()
        name = name or f"branch {len(self._family)}"
        if name in self._family:
            raise SearchError(
                f"Branches must have different names, but got {shown(name)} again "
                f"(taken: {', '.join(self._family)}). Choose another one."
            )
        copy = copy_of(self.model) if model is None else model
        prepare(copy, self._data.x, self.log.start.seed)
        check_alike(self.model, copy)
        self._states[-1].put(copy)
        self._family.append(name)
        log = replace(self.log, name=name)
        return Session(copy, self._data, log, list(self._states), self._family)

    # -- what it came to ---

    @property
    def name(self) -> str:
        """The branch."""
        return self.log.name

    @property
    def epoch(self) -> int:
        """Number of epochs trained, without those taken back."""
        return self.log.epochs

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting that `set` takes, and its value now."""
        return self.log.settings

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch: `branch`, `epoch`, the metrics, `learning_rate`."""
        return history_frame(self.log)

    def compare(self, *others: "Session", by: str | None = None) -> pd.DataFrame:
        """Put branches side by side.

        Args:
            *others: sessions.
            by: the metric whose best epoch is meant; validation loss where there is
                one, else the loss.

        Returns:
            One row a branch: `epochs`, `best_epoch`, every metric at that epoch
            (`best_<metric>`) and at the last one (`last_<metric>`), the settings now,
            and the interventions in words.

        Raises:
            SearchError: if a model has no such metric.
        """
        return comparison_frame(*(s.log for s in (self, *others)), by=by)

    def plot(
        self, *others: "Session", metric: str = "loss", ax: "Axes | None" = None
    ) -> "Axes":
        """Draw the curves, with every intervention marked where it was made.

        Args:
            *others: branches to draw too, each from where it leaves the others.
            metric: as Keras has it, without `val_`.
            ax: where to draw.

        Returns:
            The axes. Epochs that were taken back are faint.

        Raises:
            SearchError: if a model has no such metric.
        """
        return plot_sessions(*(s.log for s in (self, *others)), metric=metric, ax=ax)

    def save_log(self, path: str | Path) -> Path:
        """Write the log as JSON, from which `replay` reaches the same weights.

        Args:
            path: a file; one that is there is replaced.

        Returns:
            The file.
        """
        return self.log.save(path)

    def __repr__(self) -> str:
        return f"<Session {summary(self.log)}>"

    def _repr_html_(self) -> str:
        table = self.history.drop(columns="branch").tail(5)
        rows = table.to_html(index=False, float_format=lambda v: f"{v:.4g}", border=0)
        told = html.escape(summary(self.log))
        return f"<pre>{told}</pre>{visible_lines(rows)}"

    # -- within ---

    @property
    def _batch_size(self) -> int:
        return self._states[-1].setup.batch_size

    def _fit(self, epochs: int, seed: int, recorder: "_Recorder") -> None:
        data = self._data
        with own_random_state():
            keras.utils.set_random_seed(seed)
            self.model.fit(
                data.x,
                data.y,
                batch_size=self._batch_size,
                initial_epoch=self.epoch,
                epochs=self.epoch + epochs,
                validation_data=data.validation_data,
                validation_split=data.validation_split,
                sample_weight=data.sample_weight,
                class_weight=data.class_weight,
                verbose=data.verbose,
                callbacks=[recorder],
            )

    def _return_to(self, state: State | None) -> None:
        if state is None:
            self._states[-1].put(self.model)
            return
        state.put(self.model)
        # `fit` ends with this, and so must one that ended before its time.
        self.model.optimizer.finalize_variable_values(self.model.trainable_variables)

    def _record_training(self, recorder: "_Recorder", seed: int) -> None:
        if recorder.metrics:
            training = Training(self.epoch + 1, seed, recorder.columns())
            self._record(training, State.of(self.model, self._batch_size))

    def _record(self, entry: Entry, state: State) -> None:
        self._states.append(state)
        self._write(entry)

    def _write(self, entry: Entry) -> None:
        self.log = replace(
            self.log,
            entries=(*self.log.entries, entry),
            weights=self._states[-1].fingerprint,
        )

    def _check_untouched(self) -> None:
        """Refuse a model that others trained or set; the log would not be true."""
        now, known = State.of(self.model, self._batch_size), self._states[-1]
        if now.fingerprint != known.fingerprint or now.setup != known.setup:
            raise SearchError(
                "Only the session may change its model, but weights, optimizer or "
                f"settings are no longer those after epoch {self.epoch}. Begin anew "
                "from them, babysit(session.model, x, y), or go back: session.undo()."
            )
        # A look with `model(x, training=True)` moves the random states alone.
        known.put(self.model)

    def _restart(self, log: SessionLog) -> None:
        states = tuple(
            np.array(state, dtype=own.dtype)
            for state, own in zip(
                log.start.random_states, self._states[0].random_states, strict=True
            )
        )
        self._states[:] = [replace(self._states[0], random_states=states)]
        self._states[0].put(self.model)
        self.log = replace(self.log, name=log.name, start=log.start)


class _Recorder(keras.callbacks.Callback):
    """Notes every finished epoch, and stops when a loss is lost."""

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.metrics: list[dict[str, float]] = []
        self.last: State | None = None
        self.warning = ""

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        state = State.of(self.model, self.batch_size)
        row = numbers_of(logs or {})
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        # Together, so that Ctrl-C finds both or neither.
        self.metrics, self.last = [*self.metrics, row], state
        lost = [k for k in ("loss", "val_loss") if not math.isfinite(row.get(k, 0.0))]
        if lost:
            self.model.stop_training = True
            self.warning = (
                f"{lost[0]} is {row[lost[0]]} in epoch {epoch + 1}; weights that have "
                "become NaN never recover. session.undo() takes them back; then lower "
                "the learning rate, session.set(learning_rate="
                f"{row['learning_rate'] / 10:.2g}), or clip the gradient, "
                "session.set(clipnorm=1.0)."
            )

    def columns(self) -> dict[str, tuple[float, ...]]:
        names = dict.fromkeys(name for row in self.metrics for name in row)
        return {
            name: tuple(row.get(name, float("nan")) for row in self.metrics)
            for name in names
        }


def _check_epochs(epochs: Any) -> None:
    is_whole = isinstance(epochs, int | np.integer) and not isinstance(epochs, bool)
    if not is_whole or epochs < 1:
        raise SearchError(
            f"epochs must be a whole number above 0, but got {shown(epochs)}. Take 1."
        )


def _seed_of(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
