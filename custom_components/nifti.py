"""A NIfTI volume from a file, or one line that names the file and says what is wrong with it."""

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

from custom_components.errors import InputError
from custom_components.files import require_readable

# A GiB of 32-bit voxels.
MOST_VOXELS = 2**28
# Of any MRI: beyond them the header's numbers are in another unit than it says.
SHORTEST_EDGE_MM, LONGEST_EDGE_MM = 0.01, 100.0
# Cosine between two axes, as between the rows and columns of DICOM.
SHEAR_TOLERANCE = 1e-3
# Millimetres in NIfTI's codes of spatial units: metre, millimetre, micron. All programs take an unknown one for mm.
UNITS_MM = {1: 1000.0, 2: 1.0, 3: 0.001}
SPATIAL_UNIT = 0b111
# Between the voxel sizes of sform and qform, of a header that has both.
SIZE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Volume:
    """Voxels (H, W, D) and the 4 x 4 affine that takes voxel indices to mm."""

    voxels: np.ndarray
    affine: np.ndarray

    @property
    def spacing_mm(self) -> list[float]:
        """Voxel size along each array axis, to a tenth of a micrometre."""
        return [round(float(size), 4) for size in _voxel_sizes(self.affine)]


def voxel_mm3(affine: np.ndarray) -> float:
    """The volume of one voxel in mm3, by the 4 x 4 affine in mm."""
    return abs(float(np.linalg.det(affine[:3, :3])))


def read_volume(path: Path, channel: int | None = None, upright: bool = True) -> Volume:
    """Read a scalar 3-D NIfTI: the stored type when the header does not scale, float32 when it does.

    The sform says where it lies, and the qform where there is no sform, as in nibabel and MONAI; metres and microns
    become mm.

    Args:
        path: ``.nii`` or ``.nii.gz`` file.
        channel: which volume of a 4-D file; None for a file that must hold one.
        upright: whether a sheared volume is refused; False where it is then held against one that is upright.

    Raises:
        InputError: when the file is missing, unreadable, truncated, no NIfTI, or not one upright 3-D scalar volume.
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
    # nibabel scales in float64; an unscaled array keeps its type, in this machine's byte order.
    scaled = image.dataobj.slope != 1 or image.dataobj.inter != 0
    return Volume(voxels.astype(np.float32 if scaled else voxels.dtype.newbyteorder("=")), affine)


def require_sane_shape(path: Path, shape: tuple[int, ...]) -> None:
    """Refuse a header that promises more than any MRI holds, before memory is asked for.

    Raises:
        InputError: above :data:`MOST_VOXELS`, or when an axis is empty.
    """
    if not 0 < math.prod(shape) <= MOST_VOXELS:
        advice = "no MRI is like this, copy or export it again"
        raise InputError(f"says its shape is {tuple(shape)}", path, advice)


ENDING = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)


def is_nifti_name(path: str | Path) -> bool:
    """Whether a file that is not hidden is called ``.nii`` or ``.nii.gz``, in capitals or not."""
    name = Path(path).name
    return ENDING.search(name) is not None and not name.startswith(".")


def volume_name(path: str | Path) -> str:
    """A file's name without folder, and without ``.nii`` or ``.nii.gz`` in capitals or not."""
    return ENDING.sub("", Path(path).name)


def require_sane_affine(path: Path, affine: np.ndarray, upright: bool = True) -> None:
    """Refuse an affine that no MRI has, or one that is sheared: rows, columns and slices must be at right angles.

    Args:
        path: the volume's file.
        affine: 4 x 4, from voxel indices to mm.
        upright: whether to refuse shear.

    Raises:
        InputError: when it is not finite, flat or sheared, or voxels are not :data:`SHORTEST_EDGE_MM` to
            :data:`LONGEST_EDGE_MM` long.
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
    """Refuse a NIfTI in another unit, where it goes to a program that takes every number for mm.

    Raises:
        InputError: when its header says metres or microns.
    """
    with _from_nibabel(path):
        image = nibabel.load(path)
    if _unit_mm(image) != 1:
        raise InputError("is not in mm but in another unit of length (xyzt_units)", path, advice="save it in mm")


@contextmanager
def _from_nibabel(path: Path) -> Iterator[None]:
    """What nibabel raises becomes one line about a file; what it mends in a header without harm is not told."""
    try:
        with LoggingOutputSuppressor():
            yield
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError) as error:
        raise InputError("is not a NIfTI file, or only its start", path, advice="export it again as .nii.gz") from error
    except FileNotFoundError as error:  # the file is there: nibabel has looked for it under another ending
        raise InputError("ends in capital and small letters", path, advice="call it .nii or .nii.gz") from error
    except (OSError, EOFError, zlib.error, ValueError) as error:
        # nibabel adds the file's name, which the line has already.
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
    """As they stand in the file: nibabel puts 1 where they are 0."""
    with nibabel.openers.ImageOpener(path) as file:
        return type(image).header_class.from_fileobj(file, check=False)["pixdim"][1:4].tolist()


def _voxel_sizes(affine: np.ndarray) -> np.ndarray:
    return nibabel.affines.voxel_sizes(affine)


def _in_words(sizes: np.ndarray) -> str:
    return " x ".join(f"{size:.4g}" for size in sizes) + " mm"
