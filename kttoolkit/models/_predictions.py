"""Out-of-fold predictions as a table."""

import keras
import numpy as np
import pandas as pd

from kttoolkit.data import TrainingData, take
from kttoolkit.exceptions import ResultError
from kttoolkit.exporting import as_probabilities

_ROWS = 1024


def predict(model: keras.Model, rows: TrainingData) -> np.ndarray:
    """Predict without tracing a graph, which costs more than it saves here.

    Args:
        model: of one output.
        rows: as the model takes them.

    Returns:
        Array of shape (n_samples, ...); probabilities where the model gives logits.

    Raises:
        ResultError: if the model has several outputs.
    """
    parts = []
    for start in range(0, rows.n_samples, _ROWS):
        chunk = np.arange(start, min(start + _ROWS, rows.n_samples))
        parts.append(model(take(rows.x, chunk), training=False))
    if isinstance(parts[0], dict | list | tuple):
        raise ResultError(
            "Out-of-fold predictions are a table of one output, but the model has "
            f"{len(parts[0])}. Predict with the models of each fold."
        )
    outputs = np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])
    return as_probabilities(model, outputs, rows.task)


def prediction_frame(
    test: TrainingData, predicted: np.ndarray, rows: np.ndarray, split: int
) -> pd.DataFrame:
    """Put the predictions of a fold in a table.

    Args:
        test: the rows that were predicted.
        predicted: what the model said of them.
        rows: their numbers in the search's rows.
        split: the fold.

    Returns:
        Columns `row`, `split`, `target`, `prediction` and, of classes,
        `probability_<class>`; of several targets `target_0`, `target_1` and so on, and
        `prediction_0` likewise.

    Raises:
        ResultError: if the rows have no targets.
    """
    if test.y is None:
        raise ResultError(
            "Out-of-fold predictions stand beside the targets, but the search had y="
            "None. Predict with the models of each fold."
        )
    frame = pd.DataFrame({"row": rows, "split": split})
    if test.is_classification and test.labels is not None:
        parts = _of_classes(test, test.labels, predicted)
    else:
        parts = [_of_numbers("target", test.y), _of_numbers("prediction", predicted)]
    return pd.concat([frame, *parts], axis=1)


def _of_classes(
    test: TrainingData, labels: np.ndarray, predicted: np.ndarray
) -> list[pd.DataFrame]:
    # Numbers and truth values stay what they are, for metrics to compare.
    names = pd.Series(test.classes).to_numpy()
    told = pd.DataFrame({"target": names[labels], "prediction": test.decode(predicted)})
    matrix = predicted.reshape(len(labels), -1)
    if matrix.shape[1] == 1:
        matrix = np.hstack([1 - matrix, matrix])
    columns = [f"probability_{name}" for name in test.classes]
    return [told, pd.DataFrame(matrix, columns=columns)]


def _of_numbers(name: str, values: np.ndarray) -> pd.DataFrame:
    matrix = np.asarray(values).reshape(len(values), -1)
    n_columns = matrix.shape[1]
    columns = [f"{name}_{number}" for number in range(n_columns)]
    return pd.DataFrame(matrix, columns=columns if n_columns > 1 else [name])
