"""One run at a time in a study's folder."""

from contextlib import AbstractContextManager
from pathlib import Path

from custom_components.locks import locked


def lock_study(folder: Path) -> AbstractContextManager[int]:
    """Hold ``<folder>/.lock``, and give its descriptor: a training that inherits it holds the lock as long as it lives.

    Raises:
        InputError: if another run, or a training that outlived one, holds it.
    """
    return locked(folder / ".lock", f"{folder}: another run is at work in this study; wait for it, or stop it")
