"""What of the machine a worker process gets: threads, and a GPU of its own."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence

_THREADS = (
    "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
)  # fmt: skip
# Models differ in size; loky takes a large one for a leak and starts anew.
_ALWAYS = {"TF_CPP_MIN_LOG_LEVEL": "2", "LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}
_ASKING_SECONDS = 10


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """List the GPUs that TensorFlow would see, without starting TensorFlow.

    Args:
        environment: its `CUDA_VISIBLE_DEVICES` decides where it is set; otherwise
            the driver's `nvidia-smi` is asked.

    Returns:
        Numbers or names as `CUDA_VISIBLE_DEVICES` takes them.
    """
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",")]
        # CUDA ignores everything from the first number that is none.
        stop = next((i for i, n in enumerate(names) if n in {"", "-1"}), len(names))
        return names[:stop]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        told = subprocess.run(
            [program, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=_ASKING_SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return told.stdout.split()


def environment_of(
    number: int,
    n_workers: int,
    *,
    gpus: Sequence[str],
    n_cores: int,
    given: Mapping[str, str],
) -> dict[str, str]:
    """Return the variables that a worker starts with, before TensorFlow is there.

    The cores are divided among the workers; of several GPUs each worker sees one.

    Args:
        number: the worker's, from 0.
        n_workers: how many there are.
        gpus: as `visible_gpus` lists them.
        n_cores: of the machine.
        given: what the user has set stays, but for the GPUs.

    Returns:
        Names and values.

    Example:
        >>> variables = environment_of(
        ...     5, 8, gpus=["0", "1", "2", "3"], n_cores=32, given={}
        ... )
        >>> variables["CUDA_VISIBLE_DEVICES"], variables["TF_NUM_INTRAOP_THREADS"]
        ('1', '4')
    """
    threads = str(max(1, n_cores // n_workers))
    wanted = {**_ALWAYS, **dict.fromkeys(_THREADS, threads)}
    variables = {name: given.get(name, value) for name, value in wanted.items()}
    if len(gpus) > 1:
        variables["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    return variables
