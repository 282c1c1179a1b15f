"""A NIfTI volume from a file, or one line that names the file and says what is wrong with it."""

import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np

from custom_components.errors import InputError

# A GiB of 32-bit voxels.
MOST_VOXELS = 2**28


@dataclass(frozen=True)
class Volume:
    """Voxels (H, W, D) and the 4 x 4 affine that takes voxel indices to mm."""

    voxels: np.ndarray
    affine: np.ndarray

    @property
    def spacing_mm(self) -> list[float]:
        """Voxel size along each array axis, to a tenth of a micrometre."""
        return [round(float(size), 4) for size in nibabel.affines.voxel_sizes(self.affine)]


def read_volume(path: Path, channel: int | None = None) -> Volume:
    """Read a scalar 3-D NIfTI: the stored type when the header does not scale, float32 when it does.

    Args:
        path: ``.nii`` or ``.nii.gz`` file.
        channel: which volume of a 4-D file; None for a file that must hold one.

    Raises:
        InputError: when the file is missing, truncated, no NIfTI, or not one 3-D scalar volume.
    """
    try:
        image = nibabel.load(path)
        require_sane_shape(path, image.shape)
        many = channel is not None and len(image.shape) == 4
        voxels = np.asanyarray(image.dataobj[..., channel] if many else image.dataobj)
    except FileNotFoundError as error:
        if path.is_file():  # nibabel has looked for it under another ending
            raise InputError(f"{path}: ends in capital and small letters; call it .nii or .nii.gz") from error
        raise InputError(f"{path}: no such file; restore it") from error
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError) as error:
        raise InputError(f"{path}: is not a NIfTI file, or only its start; export it again as .nii.gz") from error
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise InputError(f"{path}: is truncated or damaged ({_first_line(error)}); copy it again") from error
    if not isinstance(image, nibabel.Nifti1Image):
        raise InputError(f"{path}: is {type(image).__name__}, not NIfTI; export it again as .nii.gz")
    if voxels.dtype.kind not in "iuf":
        raise InputError(f"{path}: holds {voxels.dtype} voxels (colour or complex); export it as grey values")
    if voxels.ndim > 3 and all(length == 1 for length in voxels.shape[3:]):
        voxels = voxels.reshape(voxels.shape[:3])
    if voxels.ndim != 3:
        raise InputError(f"{path}: has {voxels.ndim} dimensions {voxels.shape}; export one 3-D volume (T2w)")
    if not np.isfinite(image.affine).all() or abs(np.linalg.det(image.affine)) < 1e-12:
        raise InputError(f"{path}: has an affine that spans no volume; export it again")
    # nibabel scales in float64; an unscaled array keeps its type, in this machine's byte order.
    scaled = image.dataobj.slope != 1 or image.dataobj.inter != 0
    return Volume(voxels.astype(np.float32 if scaled else voxels.dtype.newbyteorder("=")), image.affine)


def require_sane_shape(path: Path, shape: tuple[int, ...]) -> None:
    """Refuse a header that promises more than any MRI holds, before memory is asked for.

    Raises:
        InputError: above :data:`MOST_VOXELS`, or when an axis is empty.
    """
    if not 0 < math.prod(shape) <= MOST_VOXELS:
        raise InputError(f"{path}: says its shape is {tuple(shape)}; no MRI is like this, copy or export it again")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


ENDING = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)


def is_nifti_name(path: str | Path) -> bool:
    """Whether a file that is not hidden is called ``.nii`` or ``.nii.gz``, in capitals or not."""
    name = Path(path).name
    return ENDING.search(name) is not None and not name.startswith(".")


def volume_name(path: str | Path) -> str:
    """A file's name without folder, and without ``.nii`` or ``.nii.gz`` in capitals or not."""
    return ENDING.sub("", Path(path).name)
