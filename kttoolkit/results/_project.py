"""Is it what Keras Tuner wrote? Its files checked before it takes a search up."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kttoolkit.exceptions import StudyFolderError
from kttoolkit.files import read_json
from kttoolkit.plain import (
    Check,
    fault,
    is_count,
    is_number,
    is_scalar,
    is_seed,
    is_text,
    list_of,
    maybe,
    names_to,
    one_of,
    shown,
)
from kttoolkit.results._checks import damaged, refuse_links
from kttoolkit.results._space import has_values, is_space

_WHAT = "what Keras Tuner wrote"
_IS_WHOLE = maybe(is_seed)


def check_project(folder: Path) -> None:
    """Refuse to take up a search from files that were damaged, or made to harm.

    Names of trials become parts of paths that are written to.

    Args:
        folder: of a project of Keras Tuner.

    Raises:
        StudyFolderError: naming the file and what is wrong with it.
    """
    refuse_links(folder)
    names = set()
    for path in folder.glob("trial_*/trial.json"):
        state = read_json(path)
        name = path.parent.name.removeprefix("trial_")
        _refuse(path, fault(state, _OF_A_TRIAL, 2))
        if state["trial_id"] != name:
            _refuse(path, f"its name is {shown(state['trial_id'])}")
        asked = state["hyperparameters"]
        if not has_values(asked["space"], asked["values"]):
            _refuse(path, f"its values are {shown(asked['values'])}")
        names.add(name)
    for path in folder.glob("tuner*.json"):
        if not isinstance(read_json(path), dict):
            _refuse(path, "it holds no fields")
    path = folder / "oracle.json"
    if path.exists():
        _check_oracle(path, names)


def _check_oracle(path: Path, names: set[str]) -> None:
    """Check what every oracle writes; what else one adds is its own."""
    state = read_json(path)
    if not isinstance(state, dict):
        _refuse(path, f"it holds {shown(state)}")
    common = {name: value for name, value in state.items() if name in _OF_AN_ORACLE}
    _refuse(path, fault(common, _OF_AN_ORACLE, len(_OF_AN_ORACLE)))
    told = {*state["start_order"], *state["end_order"], *state["retry_queue"]}
    unknown = sorted((told | set(state["ongoing_trials"].values())) - names)
    if unknown:
        _refuse(path, f"it names trials that are not there, {shown(unknown)}")


def _refuse(path: Path, reason: str) -> None:
    if reason:
        raise StudyFolderError(
            damaged(path, _WHAT, reason)[:-1]
            + ", or start another one with overwrite=True or another project_name."
        )


def _is_hyperparameters(value: Any) -> bool:
    rules: Mapping[str, Check] = {"space": is_space, "values": names_to(is_scalar)}
    return not fault(value, rules, 2)


def _is_metric(value: Any) -> bool:
    rules: Mapping[str, Check] = {
        "direction": maybe(one_of("min", "max")),
        "observations": list_of(_is_observation),
    }
    return not fault(value, rules, 2)


def _is_observation(value: Any) -> bool:
    numbers = list_of(is_number)
    rules: Mapping[str, Check] = {
        "value": lambda v: is_number(v) or numbers(v),
        "step": _IS_WHOLE,
    }
    return not fault(value, rules, 2)


def _is_display(value: Any) -> bool:
    rules: Mapping[str, Check] = {
        "search_start": maybe(is_text),
        "trial_start": names_to(is_text),
        "trial_number": names_to(is_count),
    }
    return not fault(value, rules, 3)


_OF_A_TRIAL: dict[str, Check] = {
    "trial_id": is_text,
    "hyperparameters": _is_hyperparameters,
    "metrics": lambda value: not fault(value, {"metrics": names_to(_is_metric)}, 1),
    "score": maybe(is_number),
    "best_step": _IS_WHOLE,
    "status": one_of("RUNNING", "IDLE", "INVALID", "STOPPED", "COMPLETED", "FAILED"),
    "message": maybe(lambda value: isinstance(value, str)),
}
_OF_AN_ORACLE: dict[str, Check] = {
    "ongoing_trials": names_to(is_text),
    "hyperparameters": _is_hyperparameters,
    "start_order": list_of(is_text),
    "end_order": list_of(is_text),
    "run_times": names_to(is_count),
    "retry_queue": list_of(is_text),
    "seed": _IS_WHOLE,
    "seed_state": _IS_WHOLE,
    "tried_so_far": list_of(is_text),
    "id_to_hash": names_to(maybe(is_text)),
    "display": _is_display,
}
