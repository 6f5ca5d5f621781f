"""Arguments of a search, held against rules before anything is made."""

import inspect
import math
import os
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from kttoolkit.exceptions import SearchError
from kttoolkit.plain import is_text, shown

Rule = Callable[[str, Any], Any]

# Study files hold no larger numbers; scikit-learn and Keras take no larger seeds.
_MOST, _SEEDS = 53, 32
_LARGEST = 1e308
_NOT_GIVEN = frozenset(["self", "oracle", "hypermodel"])


def checked(given: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Hold arguments against their rules.

    Args:
        given: names to values.
        rules: names to what they must be; other arguments are let through.

    Returns:
        The same names to values of the types that are meant.

    Raises:
        SearchError: naming the first that breaks its rule.

    Example:
        >>> checked({"max_trials": 3.0, "timeout": None, "x": 1}, OF_A_SEARCH)
        {'max_trials': 3, 'timeout': None, 'x': 1}
    """
    return {
        name: rules[name](name, value) if name in rules else value
        for name, value in given.items()
    }


def checked_together(given: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse arguments of a tuner that make no sense without others.

    Args:
        given: names to values, each of which follows its rule.

    Returns:
        The same.

    Raises:
        SearchError: naming what is missing.
    """
    for name in ("tune_new_entries", "allow_new_entries"):
        if given.get(name) is False and given.get("hyperparameters") is None:
            raise SearchError(
                "hyperparameters must be given where no others are to be searched, but "
                f"got {name}=False alone. Pass hyperparameters=, or leave it out."
            )
    return dict(given)


def arguments_of(tuner: type) -> set[str]:
    """Find the arguments that a tuner takes from its user.

    Args:
        tuner: a class.

    Returns:
        Names, of all classes that it comes from; not of what `tune` makes itself.
    """
    found = [
        one
        for cls in tuner.__mro__
        if "__init__" in vars(cls)
        for one in inspect.signature(vars(cls)["__init__"]).parameters.values()
    ]
    many = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return {one.name for one in found if one.kind not in many} - _NOT_GIVEN


def _refused(rule: str, value: Any, fix: str = "") -> SearchError:
    return SearchError(f"{rule}, but got {shown(value)}.{fix and f' {fix}'}")


def _is_real(value: Any) -> bool:
    """Tell whether a value is a number that a float holds."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return not isinstance(value, Integral) or abs(int(value)) <= _LARGEST


# -- rules ---


def whole(least: int = 1, bits: int = _MOST) -> Rule:
    """Return the rule that a value is a whole number.

    Args:
        least: that it may be.
        bits: that it may have.

    Returns:
        A rule.
    """

    def rule(name: str, value: Any) -> int:
        told = f"{name} must be a whole number >= {least}"
        if not _is_real(value) or value != value // 1 or value < least:
            raise _refused(told, value)
        if value >= 2**bits:
            raise _refused(f"{told} and < 2**{bits}", value)
        return int(value)

    return rule


def maybe(rule: Rule) -> Rule:
    """Return the rule that a value is None or follows another rule."""
    return lambda name, value: None if value is None else rule(name, value)


def number(name: str, value: Any) -> float:
    """Refuse what is no finite number."""
    if not _is_real(value) or not math.isfinite(value):
        raise _refused(f"{name} must be a finite number", value)
    return float(value)


def positive(name: str, value: Any) -> float:
    """Refuse what is no number above 0; infinity is one."""
    if not _is_real(value) or not value > 0:
        raise _refused(f"{name} > 0 must hold", value)
    return float(value)


def flag(name: str, value: Any) -> bool:
    """Refuse what is neither true nor false, such as "no"."""
    if not isinstance(value, bool | np.bool_):
        raise _refused(f"{name} must be True or False", value)
    return bool(value)


def _truth(name: str, value: Any) -> bool:
    """Take 0, 1 and None too, as Keras Tuner does."""
    if value is None or (isinstance(value, Integral) and value in {0, 1}):
        return bool(value)
    return flag(name, value)


def _verbosity(name: str, value: Any) -> int:
    if not isinstance(value, Integral) or value not in {0, 1, 2}:
        raise _refused(f"{name} must be 0, 1 or 2", value)
    return int(value)


def text(name: str, value: Any) -> str:
    """Refuse what is no text."""
    if not is_text(value):
        raise _refused(f"{name} must be text", value)
    return str(value)


def _checkpoints(name: str, value: Any) -> Any:
    if isinstance(value, str) and value in {"all", "none"}:
        return value
    try:
        return whole()(name, value)
    except SearchError as error:
        rule = f'{name} must be "all", "none" or how many of the best trials keep '
        raise _refused(f"{rule}their weights (1 or more)", value) from error


def _file_name(name: str, value: Any) -> str:
    if not is_text(value) or Path(value).name != value or "\0" in value:
        raise _refused(f"{name} must be the name of one file, no path", value)
    return str(value)


def _path(name: str, value: Any) -> Any:
    is_path = isinstance(value, str | os.PathLike)
    if not is_path or not is_text(path := os.fspath(value)) or "\0" in path:
        raise _refused(f"{name} must be the path of a folder", value)
    return value


def _callbacks(name: str, value: Any) -> tuple[Any, ...]:
    from keras.callbacks import Callback  # noqa: PLC0415

    is_list = isinstance(value, list | tuple)
    if not is_list or not all(isinstance(one, Callback) for one in value):
        rule = f"{name} must be a list of keras.callbacks.Callback objects"
        raise _refused(rule, value, "Pass e.g. [keras.callbacks.EarlyStopping()].")
    return tuple(value)


def _optimizer(name: str, value: Any) -> Any:
    from keras import optimizers  # noqa: PLC0415

    if isinstance(value, str | dict):
        _named_by_keras(name, value, optimizers.get)
    elif not isinstance(value, optimizers.Optimizer):
        raise _refused(f"{name} must be a name or an optimizer of Keras", value)
    return value


def _loss(name: str, value: Any) -> Any:
    from keras import losses  # noqa: PLC0415

    if isinstance(value, str):
        _named_by_keras(name, value, losses.get)
    elif isinstance(value, type) and issubclass(value, losses.Loss):
        return _named_by_keras(name, value, losses.get)
    elif isinstance(value, type) or not (
        callable(value) or isinstance(value, list | tuple | dict)
    ):
        rule = f"{name} must be a name, a function or a loss of Keras, or several"
        raise _refused(rule, value)
    return value


def _metrics(name: str, value: Any) -> Any:
    if not isinstance(value, list | tuple | dict):
        rule = f"{name} must be a list or a dictionary, as model.compile takes it"
        raise _refused(rule, value)
    return value


def _named_by_keras(name: str, value: Any, get: Callable[[Any], Any]) -> Any:
    try:
        return get(value)
    except (ValueError, TypeError) as error:
        raise _refused(f"{name} must be a name that Keras knows", value) from error


def _fit_kwargs(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(map(is_text, value)):
        rule = f"{name} must be a dictionary of arguments of fit"
        raise _refused(rule, value, 'Pass e.g. {"class_weight": {0: 1.0, 1: 2.0}}.')
    weights = value.get("class_weight")
    if weights is not None and not isinstance(weights, Mapping):
        rule = f"class_weight in {name} must be a dictionary of classes to weights"
        raise _refused(rule, weights, "Builders know class_weight='balanced'.")
    own = sorted(_OF_TUNE.intersection(value))
    if own:
        rule = f"{name} holds other arguments of fit than those of tune"
        raise _refused(rule, own, "Pass them to tune itself, epochs as max_epochs.")
    return dict(value)


def _hyperparameters(name: str, value: Any) -> Any:
    from keras_tuner import HyperParameters  # noqa: PLC0415

    if not isinstance(value, HyperParameters):
        raise _refused(f"{name} must be a keras_tuner.HyperParameters object", value)
    return value


def _strategy(name: str, value: Any) -> Any:
    if isinstance(value, type) or not callable(getattr(value, "scope", None)):
        raise _refused(f"{name} must be a tf.distribute.Strategy object", value)
    return value


_OF_TUNE = frozenset(
    ["x", "y", "callbacks", "validation_data", "validation_split", "sample_weight",
     "groups", "batch_size", "epochs"]
)  # fmt: skip
# Of `tune`, and of every tuner.
OF_A_SEARCH: dict[str, Rule] = {
    "max_trials": maybe(whole()),
    "max_epochs": maybe(whole()),
    "batch_size": maybe(whole()),
    "callbacks": maybe(_callbacks),
    "validation_split": maybe(number),
    "task": maybe(text),
    "timeout": maybe(positive),
    "seed": maybe(whole(0, _SEEDS)),
    "resume": flag,
    "overwrite": flag,
    "engine": text,
    "epoch_selection": text,
    "fit_kwargs": maybe(_fit_kwargs),
    "verbose": _verbosity,
    "executions_per_trial": whole(),
    "max_model_size": maybe(whole()),
    "max_total_epochs": maybe(positive),
    "trial_timeout": maybe(positive),
    "keep_checkpoints": _checkpoints,
    "max_retries_per_trial": whole(0),
    "max_consecutive_failed_trials": whole(),
    "hyperparameters": maybe(_hyperparameters),
    "tune_new_entries": flag,
    "allow_new_entries": flag,
    "distribution_strategy": maybe(_strategy),
    "optimizer": maybe(_optimizer),
    "loss": maybe(_loss),
    "metrics": maybe(_metrics),
    "tuner_id": maybe(_file_name),
}
# Of the tuners of kttoolkit; the classes of others may mean something else by them.
OF_OUR_TUNERS: dict[str, Rule] = {
    "factor": whole(2),
    # None and 0 are endless ones.
    "hyperband_iterations": maybe(whole(0)),
    # Keras Tuner takes 0 for its default, too.
    "num_initial_points": maybe(whole(0)),
    "alpha": lambda name, value: number(name, positive(name, value)),
    "beta": number,
    "rounds": whole(),
    "keep": number,
    "max_combinations": maybe(whole()),
}
# Of a tuner or an oracle that is made without `tune`, as Keras Tuner takes them: None
# and 0 are no limit, and there is no default that `tune` would find.
OF_A_TUNER: dict[str, Rule] = {
    **OF_A_SEARCH,
    **OF_OUR_TUNERS,
    "max_trials": maybe(whole(0)),
    "max_epochs": whole(),
    "max_model_size": maybe(whole(0)),
    # How few there may be, its oracle says beside max_trials.
    "rounds": whole(0),
    "max_consecutive_failed_trials": maybe(whole()),
    "seed": maybe(whole(0, 64)),
    "directory": maybe(_path),
    "project_name": maybe(_path),
    "overwrite": _truth,
}
