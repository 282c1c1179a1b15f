"""A file that one process at a time holds."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import lock_descriptor

from custom_components.errors import InputError, WriteError


@contextmanager
def locked(file: Path, refusal: str) -> Iterator[int]:
    """Hold a file's lock, and give its descriptor: a process that inherits it holds the lock as long as it lives.

    The system lets go of the lock when the last of these processes ends, in whatever way; the file itself stays.

    Args:
        file: made if missing, with its folder.
        refusal: what is said if another process holds the lock.

    Raises:
        InputError: if another process holds the lock.
        WriteError: if the file cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = file.open("a")
    except OSError as error:
        raise WriteError(f"cannot be written ({error.strerror or error})", file.parent) from error
    with stream:
        # A holder may remove the file before it lets go; then another process would not see this one's lock.
        if not lock_descriptor(stream.fileno(), blocking=False) or not os.fstat(stream.fileno()).st_nlink:
            raise InputError(refusal)
        yield stream.fileno()
