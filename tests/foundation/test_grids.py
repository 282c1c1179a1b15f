"""Two grids are equal if they differ only by the rounding of their headers."""

import numpy as np
import pytest

from custom_components.foundation.grids import grid_difference
from custom_components.foundation.nifti import Volume

AFFINE = np.diag([-0.5, -0.5, 3.0, 1.0])
VOXELS = np.zeros((8, 6, 4), np.uint8)


@pytest.mark.parametrize(("shift_mm", "is_same"), [(0.0, True), (0.099, True), (-0.099, True), (0.101, False)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_fifth_of_the_shortest_edge_is_rounding(axis, shift_mm, is_same):
    moved = AFFINE.copy()
    moved[axis, 3] += shift_mm
    problem = grid_difference(Volume(VOXELS, AFFINE), Volume(VOXELS, moved))
    assert problem == (None if is_same else "lies up to 0.101 mm off its image (other affine)")


def test_the_corner_that_is_farthest_off_counts():
    wider = AFFINE @ np.diag([1.02, 1, 1, 1])  # each column is wider by 0.01 mm, so the eighth column is 0.07 mm off
    assert grid_difference(Volume(VOXELS, AFFINE), Volume(VOXELS, wider)) is None
    wider = AFFINE @ np.diag([1.04, 1, 1, 1])
    assert grid_difference(Volume(VOXELS, AFFINE), Volume(VOXELS, wider)).startswith("lies up to 0.14 mm off")


def test_other_shapes_are_told():
    problem = grid_difference(Volume(VOXELS, AFFINE), Volume(VOXELS[:7], AFFINE))
    assert problem == "has shape (7, 6, 4), its image (8, 6, 4)"
