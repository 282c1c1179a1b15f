"""RTSTRUCT contours -> voxels: closed polygons, slice by slice; a polygon inside another is a hole."""

import numpy as np
from pydicom.dataset import Dataset
from skimage.draw import polygon2mask

from custom_components.errors import InputError
from data_prep.dicom.geometry import LPS_TO_RAS

# In slices; contours are drawn in the plane of a slice, so what is over comes from rounding.
PLANE_TOLERANCE = 0.1


def rasterise(
    dataset: Dataset, structures: tuple[int, ...], affine: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
    """Fill the union of some structures; a voxel belongs to it when its centre lies inside.

    Args:
        dataset: an RTSTRUCT.
        structures: ROI numbers.
        affine: the image's, from (column, row, slice) to mm (RAS).
        shape: the image's (columns, rows, slices).

    Returns:
        uint8 0/1 (columns, rows, slices).

    Raises:
        InputError: when a contour leaves its slice, lies on none, or slices in between have none.
    """
    to_voxels = np.linalg.inv(LPS_TO_RAS @ affine)
    filled = np.zeros(shape, bool)
    for structure in dataset.get("ROIContourSequence") or []:
        if int(structure.ReferencedROINumber) in structures:
            filled |= _fill(structure.get("ContourSequence") or [], to_voxels, shape)
    drawn = np.flatnonzero(filled.any(axis=(0, 1)))
    if drawn.size and drawn.size != np.ptp(drawn) + 1:
        gaps = int(np.ptp(drawn)) + 1 - drawn.size
        raise InputError(f"has no contour on {gaps} slice(s) between others; interpolate them before export")
    return filled.astype(np.uint8)


def _fill(contours: list[Dataset], to_voxels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    filled = np.zeros(shape, bool)
    for contour in contours:
        points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
        if contour.get("ContourGeometricType", "CLOSED_PLANAR") != "CLOSED_PLANAR" or len(points) < 3:
            continue
        columns, rows, heights = (to_voxels @ np.column_stack([points, np.ones(len(points))]).T)[:3]
        index = np.rint(np.median(heights))
        if not (np.abs(heights - index).max() <= PLANE_TOLERANCE and 0 <= index < shape[2]):
            raise InputError("has a contour that lies in none of its image's slices; draw it on the image's slices")
        # Even-odd: what two polygons of a slice share is a hole.
        filled[:, :, int(index)] ^= polygon2mask(shape[:2], np.column_stack([columns, rows]))
    return filled
