"""Writing of NIfTI whose bytes depend only on the content, and comparison of a mask's grid with its image's grid."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform

from custom_components.nifti import Volume

# Largest distance between two grids, as a part of a voxel's shortest edge. GE's positions with two decimals, and
# viewers' headers in single precision, shift a voxel by a few hundredths of a mm. A shift of half an edge would lead to
# the neighbouring voxel.
GRID_TOLERANCE = 0.2


def on_grid_of(image: Volume, label: Volume) -> Volume:
    """Reorder and flip the axes of ``label`` so that they point as the axes of ``image``; no voxel is resampled."""
    turn = ornt_transform(io_orientation(label.affine), io_orientation(image.affine))
    affine = label.affine @ inv_ornt_aff(turn, label.voxels.shape)
    return Volume(apply_orientation(label.voxels, turn), affine)


def offset_mm(one: Volume, other: Volume) -> float:
    """The largest distance in mm between the same voxel of two grids of one shape.

    It is at a corner, as the map is affine.
    """
    corners = np.array(np.meshgrid(*[(0, length - 1) for length in one.voxels.shape])).reshape(3, -1)
    offset = (one.affine - other.affine) @ np.vstack([corners, np.ones(8)])
    return float(np.linalg.norm(offset[:3], axis=0).max())


def is_same_grid(one: Volume, other: Volume) -> bool:
    """Whether two volumes have the same shape and positions, except for the rounding of their headers."""
    return one.voxels.shape == other.voxels.shape and offset_mm(one, other) <= GRID_TOLERANCE * min(one.spacing_mm)


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
