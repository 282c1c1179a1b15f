"""A lock that lets only one run at a time work in a study's folder."""

from contextlib import AbstractContextManager
from pathlib import Path

from custom_components.foundation.locks import locked


def lock_study(folder: Path) -> AbstractContextManager[int]:
    """Hold the lock ``<folder>/.lock`` and yield its descriptor. A training that inherits the descriptor also holds the
    lock.

    Raises:
        InputError: if another run holds the lock, or a training of another run that is still alive.
    """
    return locked(folder / ".lock", f"{folder}: another run is at work in this study; wait for it, or stop it")
