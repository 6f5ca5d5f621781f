"""How a worker process begins, and how it ends when its parent is gone."""

import importlib
import os
import shutil
import sys
import threading
import time
from pathlib import Path

_WATCH_SECONDS = 1.0
# Folders that belong to a parent, which removes them unless it was killed.
borrowed: set[Path] = set()


def begin(parent: int) -> None:
    """Watch the parent, and load TensorFlow without what its C++ says on the way.

    Args:
        parent: the process that this one must not outlive.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            importlib.import_module("kttoolkit.workers.training").prepare()
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    for folder in borrowed:
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
