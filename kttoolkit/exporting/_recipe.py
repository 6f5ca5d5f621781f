"""How the best model is built and trained, as far as code can tell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from kttoolkit.data import TrainingData
from kttoolkit.exceptions import ResultError
from kttoolkit.exporting._layout import Node
from kttoolkit.exporting._objects import expression, unwritable
from kttoolkit.results import as_code

_OWN = {"verbose", "callbacks", "sample_weight", "x", "y"}


@dataclass(frozen=True)
class Recipe:
    """What `fit_best` does, step by step.

    Attributes:
        build: makes the compiled model.
        seed: that is set before anything is drawn.
        data: the rows of the search.
        preprocessor: unfitted, or None.
        fit_arguments: of `keras.Model.fit`, as the build's own `fit` completes them.
    """

    build: Callable[[], keras.Model]
    seed: int
    data: TrainingData
    preprocessor: Any
    fit_arguments: Mapping[str, Any]

    def built(self, seed: int) -> keras.Model:
        """Build a model from a seed.

        Args:
            seed: that fixes its initial weights.

        Returns:
            The model.
        """
        keras.utils.set_random_seed(seed)
        return self.build()

    def fit_code(self) -> dict[str, Node]:
        """Write the arguments of `fit`, those that are no rows.

        Returns:
            Names to expressions.

        Raises:
            ResultError: if one is neither a number nor a text.
        """
        if self.fit_arguments.get("callbacks"):
            raise ResultError(
                unwritable("its training goes with callbacks, which have no config")
            )
        said: dict[str, Node] = {}
        for name, value in self.fit_arguments.items():
            if name in _OWN or value is None:
                continue
            plain = [*value, *value.values()] if isinstance(value, Mapping) else [value]
            if not all(isinstance(v, str | int | float | np.generic) for v in plain):
                raise ResultError(
                    unwritable(
                        f"its training is given {name} of {type(value).__name__}"
                    )
                )
            said[name] = expression(value)
        return {**said, "verbose": as_code(2)}


@dataclass
class FitRecorder:
    """Stands in for a model, to see what a build's own `fit` asks of it.

    Attributes:
        calls: arguments of each call of `fit`.
    """

    calls: list[dict[str, Any]] = field(default_factory=list)

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Record a call.

        Args:
            x: rows.
            y: their targets.
            **kwargs: further arguments of `keras.Model.fit`.
        """
        self.calls.append({"x": x, "y": y, **kwargs})

    def arguments(self, x: Any, y: Any) -> dict[str, Any]:
        """Return the arguments of the one call on all rows.

        Args:
            x: the rows that the build's `fit` was given.
            y: their targets.

        Returns:
            Names to values.

        Raises:
            ResultError: if `fit` did anything else.
        """
        is_one = len(self.calls) == 1
        if not is_one or self.calls[0]["x"] is not x or self.calls[0]["y"] is not y:
            told = "the build's own fit does not train once on the rows as they are"
            raise ResultError(unwritable(told))
        return self.calls[0]


def recorded(fit: Callable[[Any], Any], x: Any, y: Any) -> dict[str, Any]:
    """See what arguments a build's own `fit` trains a model with.

    Args:
        fit: takes a model and trains it.
        x: the rows that it trains on.
        y: their targets.

    Returns:
        Arguments of `keras.Model.fit` by name.

    Raises:
        ResultError: if it does more than to call the model's `fit` once.
    """
    recorder = FitRecorder()
    try:
        fit(recorder)
    except ResultError:
        raise
    # A fit of one's own that asks for more than the stand-in has.
    except Exception as error:
        told = f"the build's own fit does more than to call model.fit ({error})"
        raise ResultError(unwritable(told)) from error
    return recorder.arguments(x, y)
