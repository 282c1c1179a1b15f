"""A lock that lets only one run at a time work in a study's folder."""

from contextlib import AbstractContextManager
from pathlib import Path

from custom_components.foundation.locks import locked


def lock_study(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock ``<folder>/.lock``. The jobs of a run do not hold it: the next run takes them over.

    Raises:
        InputError: if another run holds the lock.
    """
    return locked(folder / ".lock", f"{folder}: another run is at work in this study; wait for it, or stop it")
