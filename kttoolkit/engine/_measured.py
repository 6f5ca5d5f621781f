"""What the engines took, measured: the table that `engine="auto"` goes by.

`python tests/benchmarks/engines.py` measures it on whatever device there is; machines,
versions and the whole tables are in tests/benchmarks/README.md.
"""

import math
from dataclasses import dataclass

_TRIALS = 10


@dataclass(frozen=True)
class Measured:
    """Seconds that a trial took.

    Attributes:
        device: "CPU" or "GPU".
        xla: whether the model was compiled with XLA.
        network: what was trained.
        n_steps: steps of one training, all epochs together.
        compiled: seconds of the first trial with the compiled engine, with tracing and
            compiling, and of another one with the same graph.
        stacked: the same with the stacked engine.
    """

    device: str
    xla: bool
    network: str
    n_steps: int
    compiled: tuple[float, float]
    stacked: tuple[float, float]

    @property
    def fastest(self) -> str:
        """Return the faster engine for a search of ten trials with one graph."""
        compiled, stacked = map(_of_a_search, (self.compiled, self.stacked))
        return "stacked" if stacked < compiled else "compiled"


# CPU: two x86-64 cores. GPU: NVIDIA H200, two searches at a time, in the last row five.
# Three hidden layers of 128.
MEASURED = (
    Measured("CPU", False, "Boston housing, 5 folds", 130, (0.5, 0.17), (1.2, 0.29)),
    Measured("CPU", False, "Pima diabetes, 5 folds", 200, (0.4, 0.14), (1.6, 0.29)),
    Measured("CPU", False, "digits, 5 folds", 450, (0.6, 0.24), (1.6, 0.59)),
    Measured("CPU", True, "Pima diabetes, 5 folds", 200, (2.3, 0.12), (2.5, 0.17)),
    Measured("CPU", True, "digits, 5 folds", 450, (2.7, 0.19), (2.5, 0.30)),
    Measured("GPU", False, "digits, 5 folds", 450, (7.9, 4.0), (6.4, 1.4)),
    Measured("GPU", False, "digits, 10 folds", 510, (13.0, 8.4), (6.6, 1.8)),
    Measured("GPU", True, "digits, 5 folds", 450, (19.3, 0.64), (19.5, 0.77)),
    Measured("GPU", True, "digits, 10 folds", 510, (26.7, 1.39), (28.7, 2.17)),
)


def fastest(device: str, n_steps: int, *, xla: bool) -> str:
    """Return the engine that was the fastest on such a device and training.

    Args:
        device: "CPU" or "GPU".
        n_steps: steps of one training, all epochs together.
        xla: whether the model is compiled with XLA.

    Returns:
        "stacked" or "compiled"; "compiled" for what was never measured.
    """
    rows = [row for row in MEASURED if (row.device, row.xla) == (device, xla)]
    if not rows:
        return "compiled"
    nearest = min(rows, key=lambda row: abs(math.log(max(n_steps, 1) / row.n_steps)))
    return nearest.fastest


def _of_a_search(seconds: tuple[float, float]) -> float:
    first, another = seconds
    return first + (_TRIALS - 1) * another
