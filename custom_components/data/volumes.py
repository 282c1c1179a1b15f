"""Are these volumes fit for evaluation or inference? Asked before any work starts."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from custom_components.errors import InputError
from custom_components.nifti import read_volume, require_millimetres


def check_volumes(paths: Iterable[str | Path]) -> None:
    """Read every NIfTI once, so that a bad one among many is named before the first is worked on.

    Args:
        paths: NIfTI files, each of one scalar volume (H, W, D); further axes of length 1 are allowed.

    Raises:
        InputError: naming the file, if :func:`read_volume` refuses it, it holds a value that is not finite, or its unit
            is not mm: MONAI, which reads it next, takes every number for mm.
    """
    for path in paths:
        if not np.isfinite(read_volume(Path(path)).voxels).all():
            raise InputError(f"{path}: holds voxels that are NaN or infinite; export it again")
        require_millimetres(path)
