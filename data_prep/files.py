"""The hash of an image's voxels, and folders that appear only when they are complete."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from custom_components.foundation.errors import InputError


def voxel_sha256(voxels: np.ndarray) -> str:
    """SHA-256 of shape and voxel values. It does not depend on the stored type (int16 or float32) or on compression.

    >>> voxels = np.arange(8).reshape(2, 2, 2)
    >>> voxel_sha256(voxels.astype(np.int16)) == voxel_sha256(voxels.astype(np.float32))
    True
    >>> voxel_sha256(voxels) == voxel_sha256(voxels.reshape(2, 4, 1))
    False
    """
    digest = hashlib.sha256(repr(tuple(int(n) for n in voxels.shape)).encode())
    digest.update(np.ascontiguousarray(voxels, dtype="<f4").data)
    return digest.hexdigest()


def require_new_folder(path: Path) -> None:
    """Refuse a destination that already holds something.

    Raises:
        InputError: if ``path`` is a file or a folder with content.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path}: already exists; remove it or name another folder")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder next to ``path``. It becomes ``path`` when the block ends, and is removed if the block
    fails.

    Raises:
        InputError: if ``path`` already holds something, or no folder can be made next to it.
    """
    require_new_folder(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made ({error.strerror or error})") from error
    try:
        yield partial
        if path.exists():
            path.rmdir()
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
