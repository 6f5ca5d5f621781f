"""A saved model that predicts raw rows."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kttoolkit.data import CLASSIFICATION_TASKS
from kttoolkit.engine import prepare_devices
from kttoolkit.exceptions import DataError, ModelFolderError
from kttoolkit.exporting._folder import (
    MODEL_FILE,
    PREPROCESSOR_FILE,
    read_info,
    read_model,
    read_preprocessor,
)
from kttoolkit.exporting._logits import squashed
from kttoolkit.exporting._rows import RowForm
from kttoolkit.plain import counted, shown, visible


@dataclass(frozen=True, repr=False)
class ServedModel:
    """A model with all that it takes to predict raw rows; `load_model` opens one.

    Attributes:
        model: the Keras model, not compiled; takes rows as the preprocessor gives
            them.
        preprocessor: fitted, or None.
        rows: the form of raw rows.
        from_logits: whether the model's outputs are logits and no probabilities.
        setting: hyperparameter names to values.
        scores: of the search: objective, its mean and standard deviation, metrics,
            and those on the untouched test rows.
        versions: of the packages that trained it.
    """

    model: keras.Model
    preprocessor: Any
    rows: RowForm
    from_logits: bool = False
    setting: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def classes_(self) -> np.ndarray:
        """The classes in the order of `predict_proba`'s columns."""
        if not self.rows.classes:
            raise AttributeError(
                f"classes_ are those of a classification, but the task is "
                f"{shown(self.rows.task)}."
            )
        is_text = isinstance(self.rows.classes[0], str)
        return np.asarray(self.rows.classes, dtype=object if is_text else None)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """The columns of the table that the search was given."""
        if not self.rows.feature_names:
            raise AttributeError(
                "feature_names_in_ are the columns of a table, but the search was "
                "given arrays."
            )
        return np.asarray(self.rows.feature_names, dtype=object)

    def predict(self, x: Any) -> np.ndarray | Any:
        """Predict raw rows.

        Columns of a table are found by name, whatever their order; as in
        scikit-learn's `ColumnTransformer`, further columns are left alone.

        Args:
            x: rows in the form that `tune` took.

        Returns:
            Classes of shape (n_samples,), numbers of 0 and 1 of shape (n_samples,
            n_labels) for several labels, or the floats of a regression, of shape
            (n_samples,) where there is one target. Of a model with several outputs,
            what Keras returns.

        Raises:
            DataError: if the rows are not of the form trained on.

        Example:
            >>> served = kttoolkit.load_model("pima_model")  # doctest: +SKIP
            >>> served.predict(frame)  # doctest: +SKIP
        """
        outputs = self._outputs(x)
        if self.rows.task in CLASSIFICATION_TASKS:
            return self.rows.like.decode(outputs)
        if self.rows.task == "multilabel":
            return (outputs > 0.5).astype(int)
        if self.rows.task == "regression" and outputs.shape[1:] == (1,):
            return outputs[:, 0]
        return outputs

    def predict_proba(self, x: Any) -> np.ndarray:
        """Predict the probability of each class.

        Args:
            x: rows in the form that `tune` took.

        Returns:
            Array of shape (n_samples, n_classes), columns in the order of
            `classes_`; for several labels, of shape (n_samples, n_labels).

        Raises:
            DataError: if the rows are not of the form trained on, or no classes are
                predicted.
        """
        if self.rows.task not in {*CLASSIFICATION_TASKS, "multilabel"}:
            raise DataError(
                "Probabilities are those of classes, but the task is "
                f"{shown(self.rows.task)}. Use predict."
            )
        outputs = self._outputs(x)
        if self.rows.task == "multilabel":
            return outputs
        matrix = outputs.reshape(len(outputs), -1)
        if matrix.shape[1] == 1:
            return np.hstack([1 - matrix, matrix])
        return matrix

    def _outputs(self, x: Any) -> Any:
        inputs = self.rows.prepare(x, self.preprocessor)
        outputs = self.model.predict(inputs, verbose=0)
        if self.from_logits and isinstance(outputs, np.ndarray):
            return squashed(outputs, self.rows.task)
        return outputs

    def __repr__(self) -> str:
        parts = [visible(self.rows.task)]
        if self.rows.classes:
            parts.append(f"classes {shown(list(self.rows.classes)[:10])}")
        if self.rows.feature_names:
            parts.append(counted(len(self.rows.feature_names), "column"))
        if self.preprocessor is not None:
            parts.append(type(self.preprocessor).__name__)
        parts.append(counted(self.model.count_params(), "parameter"))
        return f"<ServedModel {', '.join(parts)}>"


def load_model(
    folder: str | Path,
    *,
    trusted: Sequence[str] = (),
    custom_objects: Mapping[str, Any] | None = None,
) -> ServedModel:
    """Open the folder of a saved model, to predict raw rows.

    Nothing that is opened runs code of its own: the network is opened in Keras's safe
    mode, which knows Keras's own layers and those in `custom_objects`; the
    preprocessor by skops, which knows the types of scikit-learn, SciPy and NumPy and
    those in `trusted`. What you pass in either is run, and so is to be trusted.

    Args:
        folder: that `result.save_model` wrote.
        trusted: names of further types in the preprocessor, such as
            "mypackage.MyTransformer", whose code may be run.
        custom_objects: names to layers and functions of one's own in the network.

    Returns:
        The model.

    Raises:
        ModelFolderError: if a file is missing, damaged, of another format, or holds
            what is not trusted.

    Example:
        >>> import kttoolkit
        >>> served = kttoolkit.load_model("pima_model")  # doctest: +SKIP
        >>> served.predict_proba(frame)  # doctest: +SKIP
    """
    prepare_devices()
    folder = Path(folder)
    info = read_info(folder)
    try:
        rows = RowForm.from_json(info["rows"])
        told = {k: info[k] for k in ("from_logits", "setting", "scores", "versions")}
        fitted_by = info["versions"]["scikit-learn"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelFolderError(
            f"{folder} must hold a model, but its description is damaged: "
            f"{shown(error)}. Restore it from a copy, or save the model again."
        ) from error
    preprocessor = None
    if PREPROCESSOR_FILE in info["files"]:
        _warn_of_another_version(fitted_by)
        preprocessor = read_preprocessor(folder / PREPROCESSOR_FILE, tuple(trusted))
    model = read_model(folder / MODEL_FILE, custom_objects)
    return ServedModel(model, preprocessor, rows, **told)


def _warn_of_another_version(fitted: str) -> None:
    """A fitted transformer is only known to work in the version that fitted it."""
    name = "scikit-learn"
    here = version(name)
    if fitted.split(".")[:2] != here.split(".")[:2]:
        warnings.warn(
            f"The preprocessor was fitted with {name} {fitted}, and this is {here}; it "
            "may fail or transform otherwise. Compare some predictions with earlier "
            f'ones, or install "{name}=={fitted}".',
            UserWarning,
            stacklevel=3,
        )
