"""Grids of volumes: the directions of their axes, and the distance between two grids."""

import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation, ornt_transform

from custom_components.foundation.nifti import Volume

# Largest distance between two grids, as a part of a voxel's shortest edge. GE writes positions with two decimals, and
# viewers write headers in single precision. This shifts a voxel by a few hundredths of a mm. A shift of half an edge
# would lead to the neighbouring voxel.
GRID_TOLERANCE = 0.2
# The axes of DICOM and itk run to the left, back and head (LPS), those of NIfTI to the right, front and head (RAS).
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def on_grid_of(image: Volume, label: Volume) -> Volume:
    """Reorder and flip the axes of ``label`` (H, W, D) to the directions of ``image``'s axes; no voxel is resampled.

    The voxels of ``label`` may have further axes after their first three, such as classes.

    >>> label = Volume(np.array([[[1]], [[2]]]), np.diag([-1.0, 1.0, 1.0, 1.0]))
    >>> on_grid_of(Volume(label.voxels, np.eye(4)), label).voxels.ravel()
    array([2, 1])
    """
    turn = ornt_transform(io_orientation(label.affine), io_orientation(image.affine))
    affine = label.affine @ inv_ornt_aff(turn, label.voxels.shape[:3])
    return Volume(apply_orientation(label.voxels, turn), affine)


def grid_difference(image: Volume, label: Volume) -> str | None:
    """The difference between the grids of a label and its image, in words that follow the label's name in a message.

    The result is None if the grids agree: they put the same voxels at the same places, except for rounded headers. Axes
    after the first three do not count.

    >>> image = Volume(np.zeros((2, 2, 2)), np.eye(4))
    >>> grid_difference(image, Volume(np.zeros((2, 2, 2)), np.diag([1.0, 1.0, 1.5, 1.0])))
    'lies up to 0.5 mm off its image (other affine)'
    """
    own, images = label.voxels.shape[:3], image.voxels.shape[:3]
    if own != images:
        return f"has shape {own}, its image {images}"
    offset_mm = _offset_mm(image, label)
    if offset_mm > GRID_TOLERANCE * min(image.spacing_mm):
        return f"lies up to {offset_mm:.3g} mm off its image (other affine)"
    return None


def _offset_mm(one: Volume, other: Volume) -> float:
    """The largest distance in mm between the places that two grids of the same shape give a voxel.

    The maps are affine, so the largest distance is at a corner.
    """
    offset = (one.affine - other.affine) @ corners(one)
    return float(np.linalg.norm(offset[:3], axis=0).max())


def corners(volume: Volume) -> np.ndarray:
    """The indices (4, 8) of a volume's corner voxels, one in each column; the last row holds 1 for the affine."""
    indices = np.array(np.meshgrid(*[(0, length - 1) for length in volume.voxels.shape[:3]])).reshape(3, -1)
    return np.vstack([indices, np.ones(8)])
