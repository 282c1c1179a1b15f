import numpy as np
import pytest
from matplotlib.figure import Figure
from nibabel.affines import from_matvec

from reporting.slices import AxialSlice, axial, outline

# A column is one step along an array axis, in mm to the patient's right, front and head (the rows).
RAS = np.diag([0.5, 0.75, 3.0])
LPS = np.diag([-0.5, -0.75, 3.0])
FROM_ABOVE = np.diag([0.5, 0.75, -3.0])
SLICES_FIRST = np.array([[0, 0, 0.5], [0, 0.75, 0], [3.0, 0, 0]])


@pytest.mark.parametrize("directions", [RAS, LPS, FROM_ABOVE, SLICES_FIRST])
def test_the_view_is_a_radiologists_whatever_the_file_order(directions):
    shape = (4, 5, 6) if directions is not SLICES_FIRST else (6, 5, 4)
    affine = from_matvec(directions, (10, 20, 30))
    right, anterior, superior = np.tensordot(directions, np.indices(shape), 1)
    corner = (right == right.max()) & (anterior == anterior.max()) & (superior == superior.min())
    stack = axial(corner, affine)
    assert stack.pixels.shape == (5, 4, 6)
    assert stack.pixel_mm == pytest.approx((0.75, 0.5))
    assert stack.slice_mm == pytest.approx(3)
    assert np.argwhere(stack.pixels).tolist() == [[0, 0, 0]]


def test_an_oblique_volume_keeps_its_voxels_and_sizes():
    angle = np.radians(20)
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    voxels = np.arange(60).reshape(3, 4, 5)
    stack = axial(voxels, from_matvec(tilt @ RAS, (0, 0, 0)))
    assert stack.pixels.tolist() == voxels[::-1, ::-1].transpose(1, 0, 2).tolist()
    assert (*stack.pixel_mm, stack.slice_mm) == pytest.approx((0.75, 0.5, 3))


def test_one_slice_of_a_stack():
    stack = axial(np.arange(24).reshape(2, 3, 4), from_matvec(RAS, (0, 0, 0)))
    assert stack[2].pixels.tolist() == stack.pixels[:, :, 2].tolist()
    assert stack[2].pixel_mm == stack.pixel_mm


def test_the_width_of_an_outline_is_in_points_whatever_the_size_of_a_pixel():
    axes = Figure().subplots()
    mask = np.zeros((6, 8))
    mask[2:4, 3:6] = 1
    outline(axes, AxialSlice(mask, (3.0, 2.0)), "red")
    outline(axes, AxialSlice(mask, (3.0, 2.0)), "red", width=0.9)
    assert [float(one.get_linewidth()[0]) for one in axes.collections] == [1.7, 0.9]
    (box,) = [one.get_extents() for one in axes.collections[0].get_paths()]
    assert (box.x0, box.x1, box.y0, box.y1) == pytest.approx(
        (6, 12, 6, 12)
    )  # columns 3 to 5 of 2 mm, rows 2 and 3 of 3 mm
