"""A file lock that only one process at a time can hold."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import lock_descriptor

from custom_components.foundation.errors import InputError, WriteError


@contextmanager
def locked(file: Path, refusal: str) -> Iterator[None]:
    """Hold a file's lock. The system releases it when this process and its forks end, in whatever way. The file stays.

    Args:
        file: the file of the lock; it and its folder are made if missing.
        refusal: message of the error if another process holds the lock.

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
        # The holder may have removed the file before it released the lock. Then other processes would lock a new file.
        if not lock_descriptor(stream.fileno(), blocking=False) or not os.fstat(stream.fileno()).st_nlink:
            raise InputError(refusal)
        yield
