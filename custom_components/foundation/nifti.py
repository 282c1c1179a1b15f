"""Reading of NIfTI volumes; an unusable file is refused with one line that names the file and its fault."""

import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.imageglobals import LoggingOutputSuppressor

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import require_readable

# 2^28 voxels of 32 bits take 1 GiB.
MOST_VOXELS = 2**28
# Limits of a voxel's edges in any MRI. Numbers beyond them are in another unit than the header says.
SHORTEST_EDGE_MM, LONGEST_EDGE_MM = 0.01, 100.0
# Largest cosine between two axes; the rows and columns of DICOM have the same tolerance.
SHEAR_TOLERANCE = 1e-3
# Millimetres by NIfTI's code of the spatial unit: metre, millimetre, micron. All programs read an unknown unit as mm.
UNITS_MM = {1: 1000.0, 2: 1.0, 3: 0.001}
SPATIAL_UNIT = 0b111
# Largest relative difference between the voxel sizes of sform and qform, if a header has both.
SIZE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Volume:
    """Voxels (H, W, D) and the 4 x 4 affine from voxel indices to mm."""

    voxels: np.ndarray
    affine: np.ndarray

    @property
    def spacing_mm(self) -> list[float]:
        """Voxel size along each array axis in mm, rounded to a tenth of a micrometre."""
        return [round(float(size), 4) for size in _voxel_sizes(self.affine)]


def voxel_mm3(affine: np.ndarray) -> float:
    """The volume of one voxel in mm³, computed from the 4 x 4 affine in mm.

    >>> round(voxel_mm3(np.diag([-0.5, 0.5, 3.0, 1.0])), 3)
    0.75
    """
    return abs(float(np.linalg.det(affine[:3, :3])))


def read_volume(path: Path, channel: int | None = None, upright: bool = True) -> Volume:
    """Read a scalar 3-D NIfTI. Voxels keep their stored type, or become float32 if the header scales them.

    The affine is the sform or, without an sform, the qform, as in nibabel and MONAI. Metres and microns become mm.

    Args:
        path: ``.nii`` or ``.nii.gz`` file.
        channel: number of the volume in a 4-D file; None if the file must hold one volume.
        upright: whether to refuse a sheared volume; False if the caller compares the volume with an upright one.

    Raises:
        InputError: if the file is missing, unreadable, truncated, not NIfTI, or not one upright 3-D scalar volume.
    """
    require_readable(path)
    with _from_nibabel(path):
        image = nibabel.load(path)
    if not isinstance(image, nibabel.Nifti1Image):
        raise InputError(f"is {type(image).__name__}, not NIfTI", path, advice="export it again as .nii.gz")
    require_sane_shape(path, image.shape)
    with _from_nibabel(path):
        many = channel is not None and len(image.shape) == 4
        voxels = np.asanyarray(image.dataobj[..., channel] if many else image.dataobj)
    if voxels.dtype.kind not in "iuf":
        raise InputError(f"holds {voxels.dtype} voxels (colour or complex)", path, advice="export it as grey values")
    if voxels.ndim > 3 and all(length == 1 for length in voxels.shape[3:]):
        voxels = voxels.reshape(voxels.shape[:3])
    if voxels.ndim != 3:
        raise InputError(f"has {voxels.ndim} dimensions {voxels.shape}", path, advice="export one 3-D volume (T2w)")
    affine = _affine_mm(path, image)
    require_sane_affine(path, affine, upright)
    # nibabel scales in float64. An array without scaling keeps its type, in this machine's byte order.
    scaled = image.dataobj.slope != 1 or image.dataobj.inter != 0
    return Volume(voxels.astype(np.float32 if scaled else voxels.dtype.newbyteorder("=")), affine)


def stored_shape(path: Path) -> tuple[int, ...]:
    """The shape that a NIfTI's header tells; no voxel is read.

    Raises:
        InputError: if the file is missing, unreadable or not NIfTI.
    """
    require_readable(path)
    with _from_nibabel(path):
        shape = nibabel.load(path).shape
    require_sane_shape(path, shape)
    return tuple(map(int, shape))


def require_sane_shape(path: Path, shape: tuple[int, ...]) -> None:
    """Refuse a header whose shape is larger than any MRI, before memory is allocated.

    Raises:
        InputError: if there are more than :data:`MOST_VOXELS` voxels, or an axis has length 0.
    """
    if not 0 < math.prod(shape) <= MOST_VOXELS:
        advice = "no MRI is like this, copy or export it again"
        raise InputError(f"says its shape is {tuple(shape)}", path, advice)


ENDING = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)


def is_nifti_name(path: str | Path) -> bool:
    """Whether a file is not hidden and its name ends in ``.nii`` or ``.nii.gz``, in capital or small letters."""
    name = Path(path).name
    return ENDING.search(name) is not None and not name.startswith(".")


def volume_name(path: str | Path) -> str:
    """A file's name without its folder and without ``.nii`` or ``.nii.gz``, in capital or small letters.

    >>> volume_name("RUNMC/Case07.v1.NII.gz")
    'Case07.v1'
    """
    return ENDING.sub("", Path(path).name)


def require_sane_affine(path: Path, affine: np.ndarray, upright: bool = True) -> None:
    """Refuse an affine that no MRI has, and a sheared affine: rows, columns and slices must be at right angles.

    Args:
        path: the volume's file.
        affine: 4 x 4, from voxel indices to mm.
        upright: whether to refuse shear.

    Raises:
        InputError: if the affine is not finite, spans no volume or is sheared, or if an edge of the voxels is not
            between :data:`SHORTEST_EDGE_MM` and :data:`LONGEST_EDGE_MM`.
    """
    if not np.isfinite(affine).all() or voxel_mm3(affine) < 1e-12:
        raise InputError("has an affine that spans no volume", path, advice="export it again")
    sizes = _voxel_sizes(affine)
    if sizes.min() < SHORTEST_EDGE_MM or sizes.max() > LONGEST_EDGE_MM:
        advice = "correct its unit of length and export it again"
        raise InputError(f"has voxels of {_in_words(sizes)}, as no MRI has", path, advice=advice)
    axes = affine[:3, :3] / sizes
    cosine = max(abs(axes[:, one] @ axes[:, other]) for one, other in ((0, 1), (0, 2), (1, 2)))
    if upright and cosine > SHEAR_TOLERANCE:
        angle = math.degrees(math.acos(min(cosine, 1.0)))
        raise InputError(
            f"is sheared, two of its axes meet at {angle:.4g} degrees", path, advice="resample it upright first"
        )


def require_millimetres(path: Path) -> None:
    """Refuse a NIfTI in metres or microns. Use it before a program that reads every number as mm.

    Raises:
        InputError: if the header says metres or microns.
    """
    with _from_nibabel(path):
        image = nibabel.load(path)
    if _unit_mm(image) != 1:
        raise InputError("is not in mm but in another unit of length (xyzt_units)", path, advice="save it in mm")


@contextmanager
def _from_nibabel(path: Path) -> Iterator[None]:
    """Turn nibabel's errors into one line about the file, and silence its notes on harmless repairs of a header."""
    try:
        with LoggingOutputSuppressor():
            yield
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError) as error:
        raise InputError("is not a NIfTI file, or is cut off", path, advice="export it again as .nii.gz") from error
    except FileNotFoundError as error:  # the file exists, but nibabel has looked for it under another ending
        raise InputError("ends in capital and small letters", path, advice="call it .nii or .nii.gz") from error
    except (OSError, EOFError, zlib.error, ValueError) as error:
        # nibabel's message also holds the file's name, which the line has already.
        reason = (str(error).splitlines() or [type(error).__name__])[0].partition(" from ")[0]
        raise InputError("is truncated or damaged", path, advice="copy it again", detail=reason) from error


def _affine_mm(path: Path, image: nibabel.Nifti1Image) -> np.ndarray:
    header = image.header
    if header["sform_code"] == 0 and 0 in _stored_voxel_sizes(path, image):
        raise InputError("says that its voxels have a size of 0", path, advice="export it again")
    if header["sform_code"] > 0 and header["qform_code"] > 0:
        sform, qform = _voxel_sizes(image.affine), np.array(header.get_zooms()[:3], float)
        if len(qform) == 3 and (np.abs(qform / sform - 1) > SIZE_TOLERANCE).any():
            sizes = f"{_in_words(sform)} in its sform and {_in_words(qform)} in its qform"
            raise InputError(f"has two voxel sizes, {sizes}", path, advice="export it again")
    unit_mm = _unit_mm(image)
    return image.affine if unit_mm == 1 else np.diag([unit_mm, unit_mm, unit_mm, 1]) @ image.affine


def _unit_mm(image: nibabel.Nifti1Image) -> float:
    return UNITS_MM.get(int(image.header["xyzt_units"]) & SPATIAL_UNIT, 1.0)


def _stored_voxel_sizes(path: Path, image: nibabel.Nifti1Image) -> list[float]:
    """The voxel sizes as stored in the file; nibabel replaces a size of 0 by 1."""
    with nibabel.openers.ImageOpener(path) as file:
        return type(image).header_class.from_fileobj(file, check=False)["pixdim"][1:4].tolist()


def _voxel_sizes(affine: np.ndarray) -> np.ndarray:
    return nibabel.affines.voxel_sizes(affine)


def _in_words(sizes: np.ndarray) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes) + " mm"
