"""Signals as tables: a row for each layer, and histograms."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kttoolkit.methods._initializing._signal import Signal

FACTOR = 2.0
"""How far a layer's variance may be from the first layer's to count as kept."""

# Closer to a bound than this share of the range, a unit hardly passes a gradient on.
_SATURATED = 0.025
_BOUNDS = {
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
}
_BINS = 40
_DISTINCT_ROWS = 64


def layers_frame(signals: Mapping[str, Sequence[Signal]]) -> pd.DataFrame:
    """Describe each layer under each initializer by numbers.

    Args:
        signals: name of an initializer to what went through the layers.

    Returns:
        One row for each initializer and layer, in their order.
    """
    rows = [row for name, found in signals.items() for row in _rows(name, found)]
    return pd.DataFrame(rows)


def overview_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Describe each initializer by how the hidden layers fare.

    Args:
        frame: of `layers_frame`.

    Returns:
        One row for each initializer: its verdict, the lowest, highest and last ratio
        of a layer's variance to the first layer's, the same of the gradients (the
        first layer's to the last one's), and the largest shares.
    """
    rows = []
    for name, part in frame.groupby("initializer", sort=False):
        hidden = part[~part["is_output"]]
        if hidden.empty:
            continue
        ratios = hidden["ratio_to_first"]
        rows.append(
            {
                "initializer": name,
                "verdict": _overall(hidden["verdict"], ratios),
                "lowest_ratio": ratios.min(),
                "highest_ratio": ratios.max(),
                "last_ratio": ratios.iloc[-1],
                "gradient_ratio": hidden["gradient_ratio"].iloc[0],
                "zero_share": hidden["zero_share"].max(),
                "dead_share": hidden["dead_share"].max(),
                "saturated_share": hidden["saturated_share"].max(),
            }
        )
    return pd.DataFrame(rows)


def histograms_frame(signals: Mapping[str, Sequence[Signal]]) -> pd.DataFrame:
    """Count the activations and gradients of each layer in bins.

    Zeros are not counted: behind a rectifier they would hide all else, and their
    share is in `layers_frame`.

    Args:
        signals: name of an initializer to what went through the layers.

    Returns:
        One row for each bin, of the values of "activation" or "gradient".
    """
    frames = [
        _histogram(values).assign(initializer=name, layer=s.layer, depth=i, of=of)
        for name, found in signals.items()
        for i, s in enumerate(found, 1)
        for of, values in (("activation", s.activations), ("gradient", s.gradients))
    ]
    columns = ["initializer", "layer", "depth", "of", "left", "right", "count"]
    return pd.concat(frames, ignore_index=True)[columns]


def _rows(initializer: str, signals: Sequence[Signal]) -> list[dict[str, Any]]:
    rows = [_numbers(initializer, i, s) for i, s in enumerate(signals, 1)]
    hidden = [row for row in rows if not row["is_output"]]
    for row, signal in zip(rows, signals, strict=True):
        row |= _theory(row, rows[signal.source] if signal.source >= 0 else None, signal)
        has_ratio = not row["is_output"]
        row["ratio_to_first"] = (
            _ratio(row["variance"], hidden[0]["variance"]) if has_ratio else math.nan
        )
        row["gradient_ratio"] = (
            _ratio(row["gradient_variance"], hidden[-1]["gradient_variance"])
            if has_ratio
            else math.nan
        )
        row["verdict"] = _verdict(row)
    return rows


def _numbers(initializer: str, depth: int, signal: Signal) -> dict[str, Any]:
    values, gradients = signal.activations, signal.gradients
    units = values.reshape(-1, values.shape[-1])
    return {
        "initializer": initializer,
        "layer": signal.layer,
        "depth": depth,
        "activation": signal.activation,
        "shape": signal.kernel_shape,
        "is_output": signal.is_output,
        "kernel_std": math.sqrt(signal.kernel_square),
        **_moments(values),
        "zero_share": float((values == 0).mean()),
        "dead_share": float((units == 0).all(axis=0).mean()),
        "saturated_share": _saturated_share(values, signal.activation),
        "units": units.shape[1],
        "distinct_units": len(np.unique(units[:_DISTINCT_ROWS], axis=1).T),
        "preactivation_variance": _moments(signal.preactivations)["variance"],
        "gradient_std": _moments(gradients)["std"],
        "gradient_variance": _moments(gradients)["variance"],
        "kernel_gradient_std": _moments(signal.kernel_gradient)["std"],
    }


def _theory(
    row: Mapping[str, Any], source: Mapping[str, Any] | None, signal: Signal
) -> dict[str, float]:
    """Compare a layer with the one before it, as the theory does."""
    if source is None:
        names = ("forward_ratio", "forward_theory", "backward_ratio", "backward_theory")
        return dict.fromkeys(names, math.nan)
    drawn = signal.kernel_square * signal.source_gain
    variances = row["preactivation_variance"], source["preactivation_variance"]
    gradients = source["gradient_variance"], row["gradient_variance"]
    return {
        "forward_ratio": _ratio(*variances),
        "forward_theory": signal.fan_in * drawn,
        "backward_ratio": _ratio(*gradients),
        "backward_theory": signal.fan_out * drawn,
    }


def _moments(values: np.ndarray) -> dict[str, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {"mean": 0.0, "std": math.inf, "variance": math.inf}
    mean = float(finite.mean())
    if finite.size < values.size:
        return {"mean": mean, "std": math.inf, "variance": math.inf}
    # Rounding would leave a trace of a variance where all values are the same.
    variance = 0.0 if finite.min() == finite.max() else float(finite.var())
    return {"mean": mean, "std": math.sqrt(variance), "variance": variance}


def _ratio(value: float, reference: float) -> float:
    """Divide variances: 0 where there is nothing left, infinite out of nothing."""
    if value == 0 or not math.isfinite(reference):
        return 0.0 if value == 0 else math.inf
    return value / reference if reference else math.inf


def _saturated_share(values: np.ndarray, activation: str) -> float:
    if activation not in _BOUNDS:
        return math.nan
    low, high = _BOUNDS[activation]
    margin = _SATURATED * (high - low)
    return float(((values < low + margin) | (values > high - margin)).mean())


def _verdict(row: Mapping[str, Any]) -> str:
    if row["is_output"]:
        return "output"
    holds = {
        "zero": row["variance"] == 0,
        "overflows": not math.isfinite(row["variance"]),
        "saturated": row["saturated_share"] > 0.5,
        "grows": row["ratio_to_first"] > FACTOR,
        "shrinks": row["ratio_to_first"] < 1 / FACTOR,
    }
    return next((verdict for verdict, does in holds.items() if does), "keeps")


def _overall(verdicts: "pd.Series[str]", ratios: "pd.Series[float]") -> str:
    """Say of all layers what the worst of them says."""
    for verdict in ("zero", "overflows", "saturated"):
        if (verdicts == verdict).any():
            return verdict
    highest, lowest = float(ratios.max()), float(ratios.min())
    if highest <= FACTOR and lowest >= 1 / FACTOR:
        return "keeps"
    return "grows" if highest * lowest > 1 else "shrinks"


def _histogram(values: np.ndarray) -> pd.DataFrame:
    kept = values[np.isfinite(values) & (values != 0)]
    if not kept.size:
        return pd.DataFrame({"left": [0.0], "right": [0.0], "count": [0]})
    low, high = float(kept.min()), float(kept.max())
    if not high - low > 1e-9 * max(abs(low), abs(high)):
        return pd.DataFrame({"left": [low], "right": [high], "count": [kept.size]})
    counts, edges = np.histogram(kept, bins=_BINS, range=(low, high))
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "count": counts})
