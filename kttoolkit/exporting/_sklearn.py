"""A scikit-learn transformer written as the code that makes it."""

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kttoolkit.exceptions import ResultError
from kttoolkit.exporting._layout import Call, Node, listed
from kttoolkit.exporting._objects import array_code, unwritable
from kttoolkit.results import as_code

_PLAIN = (str, bool, int, float, type(None), np.generic)


@dataclass
class TransformerWriter:
    """Writes transformers, and remembers what has to be imported.

    Attributes:
        imports: modules to the names that are imported from them.
    """

    imports: dict[str, set[str]] = field(default_factory=dict)

    def expression(self, value: Any) -> Node:
        """Write a transformer, or a parameter of one.

        Args:
            value: unfitted.

        Returns:
            An expression.
        """
        if isinstance(value, _PLAIN):
            return as_code(value)
        if isinstance(value, list | tuple | Mapping):
            return self._collection(value)
        if isinstance(value, np.ndarray):
            return array_code(value.tolist(), "a parameter of the preprocessor")
        if hasattr(value, "get_params") and not isinstance(value, type):
            return self._estimator(value)
        return repr(value) if isinstance(value, slice) else self._named(value)

    def _collection(self, value: Any) -> Node:
        if isinstance(value, Mapping):
            parts = ((f"{as_code(k)}: ", self.expression(v)) for k, v in value.items())
            return Call("", tuple(parts), "{}")
        brackets = "[]" if isinstance(value, list) else "()"
        return listed([self.expression(part) for part in value], brackets)

    def lines(self) -> list[str]:
        """Return the import statements."""
        return [
            f"from {module} import {', '.join(sorted(names))}"
            for module, names in sorted(self.imports.items())
        ]

    def _estimator(self, value: Any) -> Node:
        name = self._named(type(value))
        parameters = inspect.signature(type(value)).parameters
        parts: list[tuple[str, Node]] = []
        for key, given in value.get_params(deep=False).items():
            default = parameters[key].default
            if default is inspect.Parameter.empty or not _is_same(given, default):
                is_bare = default is inspect.Parameter.empty and not parts
                parts.append(("" if is_bare else f"{key}=", self.expression(given)))
        return Call(name, tuple(parts))

    def _named(self, value: Any) -> str:
        """Import a class or function of scikit-learn or NumPy by its public name."""
        name = getattr(value, "__name__", "")
        if getattr(np, name, None) is value:
            return f"np.{name}"
        module = str(getattr(value, "__module__", ""))
        if not module.startswith("sklearn.") or not name:
            raise ResultError(
                unwritable(
                    f"the preprocessor holds {value!r}, which is not scikit-learn's"
                )
            )
        public = ".".join(part for part in module.split(".") if part[0] != "_")
        if getattr(importlib.import_module(public), name, None) is not value:
            raise ResultError(
                unwritable(
                    f"the preprocessor holds {value!r}, which has no public name"
                )
            )
        self.imports.setdefault(public, set()).add(name)
        return name


def _is_same(value: Any, default: Any) -> bool:
    if type(value) is not type(default):
        return False
    # NaN is the default of what counts as missing.
    is_nan = isinstance(value, float) and value != value and default != default
    return (
        is_nan or (isinstance(value, _PLAIN) and value == default) or value is default
    )
