"""NIfTI out, with bytes that depend on nothing but the content, and masks on the grid of their image."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform

from custom_components.nifti import Volume

# Of the shortest edge of a voxel. GE's positions of two decimals, and the single precision of viewers' headers, put a
# voxel a few hundredths of a mm off; at half an edge it would be its neighbour.
GRID_TOLERANCE = 0.2


def on_grid_of(image: Volume, label: Volume) -> Volume:
    """``label`` with its axes turned and flipped to run as those of ``image``; no voxel is resampled."""
    turn = ornt_transform(io_orientation(label.affine), io_orientation(image.affine))
    affine = label.affine @ inv_ornt_aff(turn, label.voxels.shape)
    return Volume(apply_orientation(label.voxels, turn), affine)


def offset_mm(one: Volume, other: Volume) -> float:
    """How far apart two grids of one shape put a voxel: largest at a corner, since the map is affine."""
    corners = np.array(np.meshgrid(*[(0, length - 1) for length in one.voxels.shape])).reshape(3, -1)
    offset = (one.affine - other.affine) @ np.vstack([corners, np.ones(8)])
    return float(np.linalg.norm(offset[:3], axis=0).max())


def is_same_grid(one: Volume, other: Volume) -> bool:
    """Whether two volumes have the same voxels at the same places, but for the rounding of their headers."""
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
