"""What the engines took, measured: the table that `engine="auto"` goes by.

`python tests/benchmarks/cv_speed.py` measures it on processors, `gpu.py` beside it on
a GPU; machines, versions and the whole tables are in tests/benchmarks/README.md.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """Seconds that one search took.

    Attributes:
        device: "CPU" or "GPU".
        network: what was trained.
        n_steps: steps of one training, all epochs together.
        compiled: seconds with the compiled engine.
        stacked: seconds with the stacked engine.
    """

    device: str
    network: str
    n_steps: int
    compiled: float
    stacked: float


# Two x86-64 cores, 10 trials of 5 folds. No GPU was at hand.
MEASURED = (
    Measured("CPU", "perceptron on Boston housing", 130, 4.7, 8.1),
    Measured("CPU", "perceptron on Pima diabetes", 200, 4.8, 9.9),
    Measured("CPU", "perceptron on the digits", 450, 6.0, 13.9),
)


def fastest(device: str, n_steps: int) -> str:
    """Return the engine that was the fastest on such a device and training.

    Args:
        device: "CPU" or "GPU".
        n_steps: steps of one training, all epochs together.

    Returns:
        "stacked" or "compiled"; "compiled" for a device that was never measured.
    """
    rows = [row for row in MEASURED if row.device == device]
    if not rows:
        return "compiled"
    nearest = min(rows, key=lambda row: abs(math.log(max(n_steps, 1) / row.n_steps)))
    return "stacked" if nearest.stacked < nearest.compiled else "compiled"
