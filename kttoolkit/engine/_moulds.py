"""Weights files that are copies of one that Keras has written, with other values.

Keras takes 3 ms to write the weights of a small network, as long as two of its epochs:
it looks through every attribute of every layer, and has HDF5 make each data set. The
file of another model of the same description differs in the bytes of the values alone.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from kttoolkit.engine._describe import describe
from kttoolkit.engine._tensorflow import values_of

# Above that the values themselves take longer than all the rest.
_MAX_BYTES = 2**20
_MAX_MOULDS = 16


@dataclass(frozen=True)
class _Mould:
    """A file, and where in it the value of each variable lies.

    Attributes:
        content: of the file.
        places: for each data set its first byte, and the number of its variable.
    """

    content: bytes
    places: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, path: Path, values: Sequence[np.ndarray]) -> "_Mould | None":
        """Look for each data set's variable.

        Args:
            path: as Keras has written it.
            values: of the variables.

        Returns:
            A mould, or None unless each data set holds the bytes of one variable and
            of no other.
        """
        sets: list[h5py.Dataset] = []
        with h5py.File(path) as file:
            file.visititems(lambda _, item: sets.append(item))
            sets = [item for item in sets if isinstance(item, h5py.Dataset)]
            found = [_place(item, values) for item in sets]
        places = tuple(place for place in found if place is not None)
        return cls(path.read_bytes(), places) if len(places) == len(sets) else None

    def filled(self, values: Sequence[np.ndarray]) -> bytearray:
        """Return the file with other values.

        Args:
            values: of the variables of a model of the same description.

        Returns:
            Its content.
        """
        content = bytearray(self.content)
        for start, number in self.places:
            new = values[number].tobytes()
            content[start : start + len(new)] = new
        return content


class Moulds:
    """Keeps the latest moulds."""

    def __init__(self) -> None:
        self.n_filled = 0
        self._kept: OrderedDict[Any, _Mould] = OrderedDict()

    def write(
        self, model: keras.Model, path: Path, write: Callable[[Path], None]
    ) -> None:
        """Write the weights of a model.

        Args:
            model: its optimizer's state is written too, if it has one.
            path: where to.
            write: lets Keras do it.
        """
        # A model that was never compiled has none.
        optimizer = getattr(model, "optimizer", None)
        variables = [*model.variables, *_variables_of(optimizer)]
        if sum(map(_n_bytes, variables)) > _MAX_BYTES:
            write(path)
            return
        description, values = describe(model), values_of(variables)
        mould = self._kept.get(description.form)
        if mould is not None:
            self.n_filled += 1
            path.write_bytes(mould.filled(values))
        else:
            write(path)
            # Layers of the user's own may write what they like.
            mould = None if description.is_rigid else _Mould.of(path, values)
        self._keep(description.form, mould)

    def _keep(self, form: Any, mould: _Mould | None) -> None:
        if mould is not None:
            self._kept[form] = mould
            self._kept.move_to_end(form)
        if len(self._kept) > _MAX_MOULDS:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget all moulds."""
        self._kept.clear()


def _variables_of(optimizer: Any) -> Iterable[keras.Variable]:
    return () if optimizer is None else optimizer.variables


def _n_bytes(variable: keras.Variable) -> int:
    return int(np.prod(variable.shape)) * 8


def _place(item: h5py.Dataset, values: Sequence[np.ndarray]) -> tuple[int, int] | None:
    start = item.id.get_offset()
    stored = item[()]
    if start is None or not isinstance(stored, np.ndarray | np.generic):
        return None
    fitting = [
        number
        for number, value in enumerate(values)
        if (value.dtype, value.shape) == (stored.dtype, stored.shape)
        and value.tobytes() == stored.tobytes()
    ]
    return (start, fitting[0]) if len(fitting) == 1 else None


MOULDS = Moulds()
