"""Are these volumes fit for evaluation or inference? Asked before any work starts."""

import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError

from custom_components.errors import InputError


def check_volumes(paths: Iterable[str | Path]) -> None:
    """Read every NIfTI once, so that a bad one among many is named before the first is worked on.

    Args:
        paths: NIfTI files, each of one scalar volume (H, W, D); further axes of length 1 are allowed.

    Raises:
        InputError: naming the file, if it is missing, truncated, no NIfTI, of colours or complex numbers, not 3-D, or
            holds a value that is not finite.
    """
    for path in paths:
        _check(path)


def _check(path: str | Path) -> None:
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such file")
    try:
        voxels = np.asanyarray(nibabel.load(path).dataobj)
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a whole NIfTI volume ({reason}); copy or export it again") from error
    if voxels.dtype.kind not in "biuf":
        raise InputError(f"{path}: holds {voxels.dtype} voxels (colour or complex); export it as grey values")
    if voxels.ndim < 3 or max(voxels.shape[3:], default=1) > 1:
        shape = " x ".join(str(length) for length in voxels.shape)
        raise InputError(f"{path}: is {voxels.ndim}-D ({shape}); export one 3-D volume (T2w)")
    if not np.isfinite(voxels).all():
        raise InputError(f"{path}: holds voxels that are NaN or infinite; export it again")
