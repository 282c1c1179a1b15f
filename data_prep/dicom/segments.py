"""Placing of a DICOM SEG on an image's grid by its geometry, without resampling."""

import highdicom
import numpy as np
from pydicom.dataset import Dataset

from custom_components.foundation.errors import InputError

# Positions may be rounded, so a frame's place may differ from the grid by this many voxels, and the cosine of an angle
# by this value. The frames may be a part of the grid, so highdicom looks for their place.
PLACE_TOLERANCE = 0.02


def place_segments(
    dataset: Dataset, segments: tuple[int, ...], affine: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
    """Put the union of several segments onto an image's grid.

    Args:
        dataset: a DICOM SEG: binary, fractional (0.5 and above count) or label map. Empty frames may be missing.
        segments: numbers of the segments.
        affine: the image's affine, from (column, row, slice) to mm (RAS).
        shape: the image's shape (columns, rows, slices).

    Returns:
        uint8 0/1 (columns, rows, slices).

    Raises:
        InputError: if the frames do not lie on the grid.
    """
    # highdicom's order of axes is (slice, row, column).
    grid = highdicom.VolumeGeometry(affine[:, [2, 1, 0, 3]], shape[::-1], "PATIENT", from_reference_convention="RAS")
    _add_spacing(dataset, float(grid.spacing[0]))
    segmentation = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
    try:
        drawn = segmentation.get_volume(segment_numbers=segments, skip_overlap_checks=True)
        placed = drawn.match_geometry(grid, tol=PLACE_TOLERANCE)
    except RuntimeError as error:  # highdicom raises this if the frames are not a stack, or not a stack on this grid
        raise InputError("does not lie on its image's slices", advice="export it on the image's grid") from error
    if placed.spatial_shape != grid.spatial_shape:
        raise InputError("reaches beyond its image", advice="export it on the image's grid")
    return (placed.array >= 0.5).any(axis=-1).T.astype(np.uint8)


def _add_spacing(dataset: Dataset, spacing_mm: float) -> None:
    """Add the distance between slices if the file lacks it: with missing frames the positions do not give it."""
    for shared in dataset.get("SharedFunctionalGroupsSequence") or []:
        for measures in shared.get("PixelMeasuresSequence") or []:
            for keyword in ("SpacingBetweenSlices", "SliceThickness"):
                if keyword not in measures:
                    setattr(measures, keyword, f"{spacing_mm:.10g}")
