"""TensorFlow's start, without what its C++ writes while it starts."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Keep off a notebook or terminal what TensorFlow tells of itself at its start.

    It writes to file descriptor 2 from C++ before its log level counts. Whoever sets
    `TF_CPP_MIN_LOG_LEVEL=0` gets to see all of it; errors in Python are raised as ever.

    Yields:
        Nothing.
    """
    if os.environ.setdefault(_LEVEL, "2") == "0":
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        # A process without standard error has nothing to keep quiet.
        yield
        return
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
