"""Conversion of RTSTRUCT contours to voxels, slice by slice (DICOM PS3.3 C.8.8.6).

A contour of type CLOSEDPLANAR_XOR removes the part that earlier contours of its slice cover, and adds the rest
(C.8.8.6.3). For CLOSED_PLANAR the standard does not say how to combine several contours of a slice. Here a contour
inside another contour is a hole, a contour inside a hole is an island, and any other contour adds its area.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from skimage.draw import polygon2mask
from skimage.measure import points_in_poly

from custom_components.foundation.errors import InputError
from custom_components.foundation.grids import LPS_TO_RAS
from data_prep.dicom.values import text

# The second type is not in the standard. Planning systems write it for interpolated contours.
CLOSED, XOR, POINT = ("CLOSED_PLANAR", "INTERPOLATED_PLANAR"), "CLOSEDPLANAR_XOR", "POINT"
# Largest distance from a slice's plane, in slices. Contours lie in the plane of a slice, except for rounding.
PLANE_TOLERANCE = 0.1
# Largest area of a hole, as a part of the contour around it. A larger inner contour is the same outline, drawn again a
# little smaller.
LARGEST_HOLE = 0.8


@dataclass(frozen=True)
class Outline:
    """A closed polygon on one slice: its points (N, 2) in voxels (column, row), and the voxels inside it."""

    points: np.ndarray
    inside: np.ndarray
    is_xor: bool


def rasterise(
    dataset: Dataset, structures: tuple[int, ...], affine: np.ndarray, shape: tuple[int, int, int]
) -> np.ndarray:
    """Fill the union of several structures. A voxel belongs to the union if its centre lies inside.

    Args:
        dataset: an RTSTRUCT.
        structures: numbers of the ROIs.
        affine: the image's affine, from (column, row, slice) to mm (RAS).
        shape: the image's shape (columns, rows, slices).

    Returns:
        uint8 0/1 (columns, rows, slices).

    Raises:
        InputError: if a contour is open, or leaves its slice or its image; if a contour nearly repeats another; if
            slices between contours have no contour.
    """
    to_voxels = np.linalg.inv(LPS_TO_RAS @ affine)
    contours: dict[int, list[Dataset]] = defaultdict(list)
    for structure in dataset.get("ROIContourSequence") or []:
        contours[int(structure.ReferencedROINumber)] += structure.get("ContourSequence") or []
    filled = np.zeros(shape, bool)
    for number in structures:
        for index, outlines in _outlines(contours[number], to_voxels, shape).items():
            filled[:, :, index] |= _combine(outlines)
    drawn = np.flatnonzero(filled.any(axis=(0, 1)))
    if drawn.size and drawn.size != np.ptp(drawn) + 1:
        gaps = int(np.ptp(drawn)) + 1 - drawn.size
        raise InputError(f"has no contour on {gaps} slice(s) between others", advice="interpolate them before export")
    return filled.astype(np.uint8)


def _outlines(contours: list[Dataset], to_voxels: np.ndarray, shape: tuple[int, int, int]) -> dict[int, list[Outline]]:
    """The outlines that hold a voxel, by slice."""
    outlines: dict[int, list[Outline]] = defaultdict(list)
    for contour in contours:
        kind = text(contour, "ContourGeometricType").upper() or CLOSED[0]
        if kind not in (*CLOSED, XOR, POINT):
            raise InputError("has a contour that bounds no area", advice="export closed planar contours", detail=kind)
        points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
        if kind == POINT or len(points) < 3:  # such a contour has no area, and is not meant to have one
            continue
        columns, rows, heights = (to_voxels @ np.column_stack([points, np.ones(len(points))]).T)[:3]
        index = np.rint(np.median(heights))
        if not (np.abs(heights - index).max() <= PLANE_TOLERANCE and 0 <= index < shape[2]):
            raise InputError(
                "has a contour that lies in none of its image's slices", advice="draw it on the image's slices"
            )
        polygon = np.column_stack([columns, rows])
        if (polygon < -1).any() or (polygon > shape[:2]).any():
            raise InputError("has a contour that reaches beyond its image", advice="export it on the image's grid")
        inside = polygon2mask(shape[:2], polygon)
        if inside.any():
            outlines[int(index)].append(Outline(polygon, inside, kind == XOR))
    return outlines


def _combine(outlines: list[Outline]) -> np.ndarray:
    """Combine all outlines of a slice, from the largest to the smallest."""
    filled = np.zeros_like(outlines[0].inside)
    done: list[Outline] = []
    for outline in sorted(outlines, key=lambda one: one.inside.sum(), reverse=True):
        is_again = any(np.array_equal(one.inside, outline.inside) for one in done)
        around = [one for one in done if points_in_poly(outline.points, one.points).all()]
        if outline.is_xor:
            if is_again:
                raise InputError("has a contour twice on a slice, which wipes it out", advice="keep one", detail=XOR)
            filled ^= outline.inside
        elif is_again:
            continue
        elif around and filled[outline.inside].all():
            if outline.inside.sum() > LARGEST_HOLE * around[-1].inside.sum():
                raise InputError("has two contours on a slice that nearly are one", advice="keep one")
            filled &= ~outline.inside
        else:
            filled |= outline.inside
        done.append(outline)
    return filled
