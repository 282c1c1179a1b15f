"""Contours of each type and arrangement. The expected masks are boxes of voxels, drawn by hand."""

import numpy as np
import pytest
from dicom_studies import SHAPE, affine, series_datasets, structure_set

from custom_components.foundation.errors import InputError
from data_prep.dicom.contours import rasterise
from data_prep.dicom.headers import quietly

CLOSED, XOR = "CLOSED_PLANAR", "CLOSEDPLANAR_XOR"


def box(low, high, index=2):
    """A square polygon around the columns and rows low to high - 1. Its edges lie halfway between voxel centres."""
    low, high = low - 0.5, high - 0.5
    return np.array([[low, low, index], [high, low, index], [high, high, index], [low, high, index]])


def shifted(polygon, columns=0.0, rows=0.0):
    return polygon + np.array([columns, rows, 0])


def voxels_of(*boxes):
    """The voxels of boxes (low, high) on slice 2. The first box is added, the second is taken away, and so on."""
    mask = np.zeros(SHAPE, np.uint8)
    for number, (low, high) in enumerate(boxes):
        mask[low:high, low:high, 2] = 1 - number % 2
    return mask


def keyhole(outer, inner):
    """One outline that runs around ``outer``, through a narrow channel, and around ``inner`` the other way: a hole."""
    return np.vstack([outer, outer[:1], inner[:1], inner[::-1]])


def drawn(polygons, kinds=()):
    with quietly():
        dataset = structure_set(series_datasets(), {"Prostate": list(polygons)}, kinds)
        return rasterise(dataset, (1,), affine(), SHAPE)


OVERLAP = np.zeros(SHAPE, np.uint8)
OVERLAP[4:12, 4:12, 2] = 1
OVERLAP[9:17, 6:14, 2] = 1


@pytest.mark.parametrize("kind", [CLOSED, XOR, "INTERPOLATED_PLANAR", "closed_planar ", ""])
def test_a_closed_contour_is_filled_whatever_its_type_is_called(kind):
    np.testing.assert_array_equal(drawn([box(4, 12)], [kind]), voxels_of((4, 12)))


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
@pytest.mark.parametrize("kinds", [(CLOSED,) * 3, (XOR,) * 3, (CLOSED, XOR, CLOSED)])
def test_a_hole_and_an_island_in_it(kinds, order):
    polygons = [box(4, 20), box(7, 16), box(10, 13)]
    found = drawn([polygons[one] for one in order], [kinds[one] for one in order])
    np.testing.assert_array_equal(found, voxels_of((4, 20), (7, 16), (10, 13)))


def test_a_hole_by_the_keyhole_technique():
    np.testing.assert_array_equal(drawn([keyhole(box(4, 20), box(8, 12))]), voxels_of((4, 20), (8, 12)))


@pytest.mark.parametrize(
    "again",
    [
        box(4, 12),
        box(4, 12)[::-1],
        np.roll(box(4, 12), 2, axis=0),
        np.vstack([box(4, 12), box(4, 12)[:1]]),
        shifted(box(4, 12), 0.02, -0.02),
        box(4, 12) * [1.002, 1.002, 1],
    ],
)
def test_the_same_contour_twice_is_one(again):
    np.testing.assert_array_equal(drawn([box(4, 12), again]), voxels_of((4, 12)))
    np.testing.assert_array_equal(drawn([again, box(4, 12)]), voxels_of((4, 12)))


@pytest.mark.parametrize("order", [1, -1])
def test_contours_that_overlap_add_up(order):
    np.testing.assert_array_equal(drawn([box(4, 12), shifted(box(9, 17), rows=-3)][::order]), OVERLAP)


def test_what_two_contours_share_is_taken_away_where_xor_is_said():
    expected = voxels_of((4, 12))
    expected[9:17, 9:17, 2] ^= 1
    np.testing.assert_array_equal(drawn([box(4, 12), box(9, 17)], [XOR, XOR]), expected)


def test_a_hole_in_what_two_contours_share_is_a_hole():
    expected = OVERLAP.copy()
    expected[10, 8:10, 2] = 0
    hole = np.array([[9.5, 7.5, 2], [10.5, 7.5, 2], [10.5, 9.5, 2], [9.5, 9.5, 2]])
    np.testing.assert_array_equal(drawn([box(4, 12), shifted(box(9, 17), rows=-3), hole]), expected)


def test_contours_side_by_side_and_apart_add_up():
    touching = shifted(box(4, 12), columns=8)
    expected = np.zeros(SHAPE, np.uint8)
    expected[4:20, 4:12, 2] = 1
    expected[24:27, 24:27, 2] = 1
    np.testing.assert_array_equal(drawn([box(4, 12), touching, box(24, 27)]), expected)


@pytest.mark.parametrize("kind", ["POINT", CLOSED, XOR])
@pytest.mark.parametrize("points", [1, 2])
def test_points_and_lines_bound_no_area_and_change_none(kind, points):
    mark = box(6, 8)[:points]
    np.testing.assert_array_equal(drawn([box(4, 12), mark], [CLOSED, kind]), voxels_of((4, 12)))


def test_a_structure_in_two_items_is_one():
    dataset = structure_set(series_datasets(), {"Prostate": [box(4, 20)], "same": [box(8, 12)]})
    dataset.ROIContourSequence[1].ReferencedROINumber = 1
    np.testing.assert_array_equal(rasterise(dataset, (1,), affine(), SHAPE), voxels_of((4, 20), (8, 12)))


def test_two_structures_are_joined_not_cut():
    dataset = structure_set(series_datasets(), {"PZ": [box(4, 20)], "TZ": [box(8, 12)]})
    np.testing.assert_array_equal(rasterise(dataset, (1, 2), affine(), SHAPE), voxels_of((4, 20)))


@pytest.mark.parametrize("kind", ["OPEN_PLANAR", "OPEN_NONPLANAR", "FREEHAND"])
def test_open_contours_are_refused(kind):
    with pytest.raises(InputError, match=rf"\Ahas a contour that bounds no area \({kind}\); export closed planar"):
        drawn([box(4, 12), box(6, 8)], [CLOSED, kind])


@pytest.mark.parametrize(
    ("polygons", "kinds", "message"),
    [
        (
            [box(4, 12), box(4, 12)],
            [XOR, XOR],
            r"has a contour twice on a slice, which wipes it out \(CLOSEDPLANAR_XOR\); keep one",
        ),
        ([box(4, 28), box(5, 27)], (), "has two contours on a slice that nearly are one; keep one"),
        ([box(4, 12), box(24, 40)], (), "has a contour that reaches beyond its image"),
        ([box(4, 12), shifted(box(4, 12), columns=60)], (), "has a contour that reaches beyond its image"),
        ([box(4, 12, 2.5)], (), "has a contour that lies in none of its image's slices"),
        ([box(4, 12, 6)], (), "has a contour that lies in none of its image's slices"),
        ([box(4, 12, 1), box(4, 12, 3)], (), r"has no contour on 1 slice\(s\) between others"),
    ],
)
def test_contours_that_cannot_be_meant_are_refused(polygons, kinds, message):
    with pytest.raises(InputError, match=rf"\A{message}"):
        drawn(polygons, kinds)
