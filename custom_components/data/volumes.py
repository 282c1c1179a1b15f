"""The volumes to evaluate or to segment: a list of them, and a check of all before any work starts."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from custom_components.errors import InputError
from custom_components.nifti import is_nifti_name, read_volume, require_millimetres, volume_name


def list_volumes(folder: str | Path) -> list[str]:
    """The NIfTI files of a folder that are not hidden, in the order of their names.

    Raises:
        InputError: if the folder is missing or cannot be read.
    """
    folder = Path(folder)
    try:
        return sorted(str(path) for path in folder.iterdir() if is_nifti_name(path) and not path.is_dir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror or error}); give a folder of volumes") from error


def volume_names(paths: Iterable[str | Path]) -> list[str]:
    """The names of the volumes' masks, without the ending."""
    return [volume_name(path) for path in paths]


def check_volumes(paths: Iterable[str | Path]) -> None:
    """Read every NIfTI once, so that a bad file is reported before the work on the first file starts.

    Args:
        paths: NIfTI files, each of one scalar volume (H, W, D); further axes of length 1 are allowed.

    Raises:
        InputError: if :func:`read_volume` refuses a file, if a file holds a value that is not finite, or if its unit is
            not mm (MONAI, which reads the file next, takes every number for mm). The message names the file.
    """
    for path in paths:
        if not np.isfinite(read_volume(Path(path)).voxels).all():
            raise InputError(f"{path}: holds voxels that are NaN or infinite; export it again")
        require_millimetres(path)
