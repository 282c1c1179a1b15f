"""Grids of volumes: their axes, and how far two are apart; and NIfTI out, with bytes of the content alone."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform

from custom_components.foundation.nifti import Volume

# Largest distance between two grids, as a part of a voxel's shortest edge. GE's positions with two decimals, and
# viewers' headers in single precision, shift a voxel by a few hundredths of a mm. A shift of half an edge would lead to
# the neighbouring voxel.
GRID_TOLERANCE = 0.2
# The axes of DICOM and itk run to the left, back and head (LPS), those of NIfTI to the right, front and head (RAS).
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def on_grid_of(image: Volume, label: Volume) -> Volume:
    """Reorder and flip the axes of ``label`` so that they point as the axes of ``image``; no voxel is resampled.

    >>> label = Volume(np.array([[[1]], [[2]]]), np.diag([-1.0, 1.0, 1.0, 1.0]))
    >>> on_grid_of(Volume(label.voxels, np.eye(4)), label).voxels.ravel()
    array([2, 1])
    """
    turn = ornt_transform(io_orientation(label.affine), io_orientation(image.affine))
    affine = label.affine @ inv_ornt_aff(turn, label.voxels.shape)
    return Volume(apply_orientation(label.voxels, turn), affine)


def grid_difference(image: Volume, label: Volume) -> str | None:
    """The difference between the grids of a label and its image, in words that may follow its name; None if they agree.

    Two grids agree when they put the same voxels at the same places, but for the rounding of their headers.

    >>> image = Volume(np.zeros((2, 2, 2)), np.eye(4))
    >>> grid_difference(image, Volume(np.zeros((2, 2, 2)), np.diag([1.0, 1.0, 1.5, 1.0])))
    'lies up to 0.5 mm off its image (other affine)'
    """
    if image.voxels.shape != label.voxels.shape:
        return f"has shape {label.voxels.shape}, its image {image.voxels.shape}"
    offset_mm = _offset_mm(image, label)
    if offset_mm > GRID_TOLERANCE * min(image.spacing_mm):
        return f"lies up to {offset_mm:.3g} mm off its image (other affine)"
    return None


def _offset_mm(one: Volume, other: Volume) -> float:
    """The largest distance in mm between the same voxel of two grids of one shape; it is at a corner, as the map is
    affine.
    """
    corners = np.array(np.meshgrid(*[(0, length - 1) for length in one.voxels.shape])).reshape(3, -1)
    offset = (one.affine - other.affine) @ np.vstack([corners, np.ones(8)])
    return float(np.linalg.norm(offset[:3], axis=0).max())


def write_volume(path: Path, volume: Volume) -> None:
    """Write ``.nii.gz`` without header text, time stamp or file name: equal volumes give equal bytes."""
    image = nibabel.Nifti1Image(volume.voxels, volume.affine, dtype=volume.voxels.dtype)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine, code="scanner")
    image.set_qform(volume.affine, code="scanner")
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as stream,
    ):
        stream.write(image.to_bytes())
