"""One run at a time in a study's folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from custom_components.errors import InputError


@contextmanager
def lock_study(folder: Path) -> Iterator[int]:
    """Hold ``<folder>/.lock``, and give its descriptor: a training that inherits it holds the lock as long as it lives.

    Raises:
        InputError: if another run, or a training that outlived one, holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder}: another run is at work in this study; wait for it, or stop it") from None
        yield file.fileno()
