"""All rows of a study on the device once: folds are row numbers."""

from dataclasses import dataclass, replace
from typing import Any

import keras

from kttoolkit.cv import Folds
from kttoolkit.engine._base import Assignment, Training
from kttoolkit.engine._call import FitCall, RefusedError, training_rows
from kttoolkit.engine._plan import FitPlan
from kttoolkit.engine._rows import Rows

_SAME_IN_ALL_FOLDS = ("steps_per_epoch", "validation_steps", "validation_split")


@dataclass(frozen=True)
class PlacedRows:
    """The rows of a study.

    Attributes:
        call: the arguments of `fit`, were it given all rows.
        train: all of them as they are trained on.
        test: all of them as they are scored.
    """

    call: FitCall
    train: Rows
    test: Rows

    @classmethod
    def of(cls, assignment: Assignment) -> "PlacedRows":
        """Put all rows on the device.

        Args:
            assignment: has the rows, the batch size, class weights.

        Returns:
            The rows.

        Raises:
            RefusedError: if each fold needs arrays of its own, with the reason.
        """
        data, folds, plan = assignment.data, assignment.folds, assignment.plan
        if data is None or folds is None:
            raise RefusedError("there are no folds")
        _check(folds, plan)
        arrays = (data.x,) if data.y is None else (data.x, data.y)
        weighted = {"sample_weight": data.sample_weight}
        call = FitCall.of((*arrays, *plan.fit_args), {**weighted, **plan.fit_kwargs})
        train = training_rows(call)
        x, y, weight = keras.utils.unpack_x_y_sample_weight(train.tensors)
        # Weights of classes are for training alone.
        weight = None if data.sample_weight is None else weight
        tensors = keras.utils.pack_x_y_sample_weight(x, y, weight)
        size = call.validation_batch_size or train.batch_size
        return cls(call, train, replace(train, tensors=tensors, batch_size=size))

    def of_fold(self, training: Training) -> tuple[Rows, Rows]:
        """Return the rows of one fold.

        Args:
            training: which one.

        Returns:
            Rows to train on and rows to score.
        """
        cut: Any = training.cut
        return self.train.part(cut.train), self.test.part(cut.test)


def _check(folds: Folds, plan: FitPlan) -> None:
    if plan.preprocessor is not None:
        raise RefusedError("each fold has a preprocessor of its own")
    if folds.validation is not None:
        raise RefusedError("rows to score on came from outside")
    for name in _SAME_IN_ALL_FOLDS:
        if plan.fit_kwargs.get(name):
            raise RefusedError(f"{name} is given")
