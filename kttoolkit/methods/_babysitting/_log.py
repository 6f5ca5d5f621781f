"""The log of a babysat model: frozen entries, plain JSON, nothing of Keras."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kttoolkit.exceptions import SearchError
from kttoolkit.files import write_json
from kttoolkit.plain import visible

_FORMAT = 1


@dataclass(frozen=True)
class Training:
    """Epochs that were trained in one go.

    Attributes:
        first_epoch: the first of them, counted from 1 over the whole session.
        seed: `keras.utils.set_random_seed(seed)` before `model.fit` repeats it.
        metrics: metric name, and `learning_rate`, to one value an epoch.
    """

    first_epoch: int
    seed: int
    metrics: Mapping[str, tuple[float, ...]]

    @property
    def epochs(self) -> int:
        """Number of epochs."""
        return len(self.metrics["learning_rate"])

    def __str__(self) -> str:
        last = self.first_epoch + self.epochs - 1
        if last == self.first_epoch:
            return f"training of epoch {last}"
        return f"training of epochs {self.first_epoch} to {last}"


@dataclass(frozen=True)
class Intervention:
    """Settings that were changed between two trainings.

    Attributes:
        epoch: epochs trained before it.
        old: setting to its value before.
        new: setting to its value since.
    """

    epoch: int
    old: Mapping[str, Any]
    new: Mapping[str, Any]

    @property
    def words(self) -> tuple[str, ...]:
        """One short text a setting."""
        return tuple(
            visible(f"{name} {shown(self.old[name])} → {shown(value)}")
            for name, value in self.new.items()
        )

    def __str__(self) -> str:
        return ", ".join(self.words)


@dataclass(frozen=True)
class Undo:
    """The last step that still held was taken back.

    Attributes:
        epoch: epochs trained that are left.
    """

    epoch: int


Step = Training | Intervention
Entry = Training | Intervention | Undo
_KINDS: dict[str, type[Entry]] = {
    "training": Training,
    "intervention": Intervention,
    "undo": Undo,
}


@dataclass(frozen=True)
class Start:
    """What a session began with.

    Attributes:
        seed: the seed that those of all trainings are drawn from.
        optimizer: the class of the optimizer.
        settings: what `Session.set` can change, and its values.
        random_states: of the model's dropout and augmentation layers.
        weights: SHA-256 of weights and optimizer state.
        data: SHA-256 of the rows to train on.
        validation_split: the share of the rows that is scored on.
    """

    seed: int
    optimizer: str
    settings: Mapping[str, Any]
    random_states: tuple[tuple[int, ...], ...]
    weights: str
    data: str
    validation_split: float = 0.0


@dataclass(frozen=True)
class SessionLog:
    """Everything that was done to one babysat model.

    Attributes:
        name: the branch.
        start: what it began with.
        entries: all that was done, in order, with what was taken back.
        weights: SHA-256 of weights and optimizer state at the end.

    Example:
        >>> log = SessionLog.read("panda.json")  # doctest: +SKIP
        >>> [str(step) for step in log.steps]  # doctest: +SKIP
        ['training of epochs 1 to 3', 'learning_rate 0.1 → 0.01']
    """

    name: str
    start: Start
    entries: tuple[Entry, ...] = field(default=(), repr=False)
    weights: str = field(default="", repr=False)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The trainings and interventions that hold, without those taken back."""
        return self._parted()[0]

    @property
    def undone(self) -> tuple[Step, ...]:
        """The trainings and interventions that were taken back."""
        return self._parted()[1]

    @property
    def epochs(self) -> int:
        """Number of epochs that hold."""
        return sum(step.epochs for step in self.steps if isinstance(step, Training))

    @property
    def interventions(self) -> tuple[Intervention, ...]:
        """The interventions that hold."""
        return tuple(step for step in self.steps if isinstance(step, Intervention))

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as they are now."""
        now = dict(self.start.settings)
        for step in self.interventions:
            now.update(step.new)
        return now

    @property
    def history(self) -> dict[str, list[float]]:
        """Metric name, and `learning_rate`, to one value for each epoch that holds."""
        trainings = [step for step in self.steps if isinstance(step, Training)]
        names = dict.fromkeys(name for t in trainings for name in t.metrics)
        nothing = (float("nan"),)
        return {
            name: [
                value
                for t in trainings
                for value in t.metrics.get(name, nothing * t.epochs)
            ]
            for name in names
        }

    def save(self, path: str | Path) -> Path:
        """Write the log as JSON.

        Args:
            path: a file; one that is there is replaced.

        Returns:
            The file.
        """
        entries = [{"kind": _kind(entry), **asdict(entry)} for entry in self.entries]
        write_json(
            Path(path),
            {"format": _FORMAT, "kind": "babysit", **asdict(self), "entries": entries},
        )
        return Path(path)

    @classmethod
    def read(cls, path: str | Path) -> "SessionLog":
        """Read what `save` wrote.

        Args:
            path: the file.

        Returns:
            The log.

        Raises:
            SearchError: if it is missing, damaged, or no log.
        """
        try:
            state = json.loads(Path(path).read_text("utf-8"))
            return _as_log(state)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SearchError(
                f"{path} must hold the log of a babysit session (format {_FORMAT}), "
                f"but got {type(error).__name__}: {error}. Write one by "
                "session.save_log(path)."
            ) from error

    def _parted(self) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        holding: list[Step] = []
        undone: list[Step] = []
        for entry in self.entries:
            if isinstance(entry, Undo):
                undone.append(holding.pop())
            else:
                holding.append(entry)
        return tuple(holding), tuple(undone)


def shown(value: Any) -> str:
    """Return a setting's value as a few characters.

    Args:
        value: a number, a name, None, or layer names to numbers.

    Returns:
        Text without the digits that nobody typed.

    Example:
        >>> shown(0.009999999776), shown({"a": 0.5}), shown(None)
        ('0.01', '{a: 0.5}', 'none')
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {shown(v)}" for k, v in value.items()) + "}"
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _kind(entry: Entry) -> str:
    return next(name for name, kind in _KINDS.items() if type(entry) is kind)


def _as_log(state: Mapping[str, Any]) -> SessionLog:
    if state["kind"] != "babysit" or state["format"] != _FORMAT:
        raise ValueError(f"format {state['format']} of {state['kind']!r}")
    start = dict(state["start"])
    start["random_states"] = tuple(map(tuple, start["random_states"]))
    entries = tuple(_as_entry(dict(entry)) for entry in state["entries"])
    return SessionLog(state["name"], Start(**start), entries, state["weights"])


def _as_entry(state: dict[str, Any]) -> Entry:
    kind = _KINDS[state.pop("kind")]
    if kind is Training:
        state["metrics"] = {k: tuple(v) for k, v in state["metrics"].items()}
    return kind(**state)
