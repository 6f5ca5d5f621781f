"""The mean of a trial's curves over its folds."""

import numpy as np

from kttoolkit.results._record import TrialRecord


def mean_curve(record: TrialRecord, metric: str) -> dict[int, float]:
    """Return a metric's mean over the trainings, for each epoch that all have.

    Args:
        record: a trial.
        metric: its name; one that some training lacks has no epochs.

    Returns:
        Epoch, counted from 1 over the whole training, to mean.
    """
    curves = [fit.history.get(metric, ()) for fit in record.fits]
    if not curves:
        return {}
    first = record.fits[0].initial_epoch + 1
    with np.errstate(over="ignore", invalid="ignore"):
        means = [float(np.mean(values)) for values in zip(*curves, strict=False)]
    return {first + index: mean for index, mean in enumerate(means)}
