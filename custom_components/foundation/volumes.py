"""List and check the volumes of a folder before any work starts, and write their masks."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import nibabel
import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import replace_file
from custom_components.foundation.nifti import Volume, is_nifti_name, read_volume, require_millimetres, volume_name


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


def require_volumes(folder: str | Path, paths: Sequence[str | Path]) -> None:
    """Check that there are volumes to segment, and that no mask would replace another one.

    Args:
        folder: the folder of the volumes, for the message.
        paths: the volumes.

    Raises:
        InputError: if there are no volumes, or if two have the same name.
    """
    if not paths:
        raise InputError(f"{folder}: no NIfTI volume (*.nii, *.nii.gz) in this folder")
    if len({volume_name(path) for path in paths}) < len(paths):
        raise InputError(f"{folder}: two volumes of one name; one mask would replace the other")


def check_volumes(paths: Iterable[str | Path]) -> None:
    """Read every NIfTI once, so that a bad file is reported before the work on the first file starts.

    Args:
        paths: NIfTI files, each of one scalar volume (H, W, D); further axes of length 1 are allowed.

    Raises:
        InputError: as :func:`read_fit_volume`. The message names the file.
    """
    for path in paths:
        read_fit_volume(path)


def read_fit_volume(path: str | Path) -> Volume:
    """Read a NIfTI that a network can segment.

    Raises:
        InputError: if :func:`read_volume` refuses the file, if it holds a value that is not finite, or if its unit is
            not mm (MONAI reads every length as mm).
    """
    volume = read_volume(Path(path))
    if not np.isfinite(volume.voxels).all():
        raise InputError(f"{path}: holds voxels that are NaN or infinite; export it again")
    require_millimetres(path)
    return volume


def write_mask(path: str | Path, mask: np.ndarray, affine: np.ndarray) -> None:
    """Write a mask (H, W, D) as a NIfTI of uint8, completely or not at all.

    Raises:
        WriteError: if the file cannot be written; the former file is kept.
    """
    image = nibabel.Nifti1Image(mask.astype(np.uint8), affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    replace_file(path, image.to_filename)
