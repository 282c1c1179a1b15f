"""A mask that touches the border of the window gives a warning, with any sizes of voxels and pixels."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from custom_components.handlers import WindowBorder
from custom_components.window import border_warning, pixdim

MM = 60  # the side of the window, around the centre of an image of 100 mm


def volumes(box_mm, voxel_mm=1.0, pixels=60, flip=False):
    """The mask of a box (x from, x to, y from, y to, in mm from the centre), and the slices prepared for it."""
    count = round(100 / voxel_mm)
    centres = (np.arange(count) + 0.5) * voxel_mm - 50
    sign = -1 if flip else 1
    affine = np.diag([sign * voxel_mm, sign * voxel_mm, 3, 1.0])
    affine[:2, 3] = sign * centres[0]
    x, y = (sign * centres for _ in range(2))
    inside = ((x > box_mm[0]) & (x < box_mm[1]))[:, None] & ((y > box_mm[2]) & (y < box_mm[3]))[None]
    mask = np.stack([inside, np.zeros_like(inside)], axis=-1)[None]
    pixel = MM / pixels
    prepared = np.diag([pixel, pixel, 3, 1.0])
    prepared[:2, 3] = -MM / 2 + pixel / 2
    meta = {"filename_or_obj": "case.nii.gz"}
    return (
        MetaTensor(torch.from_numpy(mask.astype(np.uint8)), affine=torch.from_numpy(affine), meta=meta),
        MetaTensor(torch.zeros(1, pixels, pixels, 2), affine=torch.from_numpy(prepared)),
    )


def test_the_pixels_of_a_window():
    assert pixdim(128, 256) == [0.5, 0.5, -1]
    assert pixdim(None, 256) == [-1, -1, -1]  # -1 keeps the pixel size


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("voxel_mm", "pixels"), [(1.0, 60), (0.5, 30), (2.0, 180)])
@pytest.mark.parametrize(
    ("box_mm", "touches"),
    [
        ((-20, 20, -20, 20), False),
        ((-26, 26, -26, 26), False),
        ((-30, 20, -20, 20), True),
        ((-20, 30, -20, 20), True),
        ((-20, 20, -30, 20), True),
        ((-20, 20, -20, 30), True),
        ((0, 0, 0, 0), False),
    ],
)
def test_a_mask_at_each_border(box_mm, touches, voxel_mm, pixels, flip):
    assert (border_warning(*volumes(box_mm, voxel_mm, pixels, flip), MM) is not None) == touches


def test_whole_images_have_no_window():
    assert border_warning(*volumes((-30, 30, -30, 30)), None) is None


def test_the_line_says_what_to_do():
    line = border_warning(*volumes((-30, 20, -20, 20)), "60")
    assert line.startswith("the mask touches the border of the central 60 mm that the network sees")
    assert "larger field_of_view" in line


def test_the_handler_names_the_file(caplog):
    mask, image = volumes((-30, 20, -20, 20))
    engine = type("Engine", (), {"state": type("State", (), {"output": [{"pred": mask, "image": image}]})})
    WindowBorder(MM)._warn(engine)
    (line,) = caplog.messages
    assert line.startswith("case.nii.gz: the mask touches the border")
