"""The largest component is the same as with MONAI."""

import numpy as np
import pytest
import torch
from monai.transforms import KeepLargestConnectedComponent
from student_runner.components import largest_component

of_monai = KeepLargestConnectedComponent(applied_labels=1)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.4, 0.7])
def test_noise_is_as_by_monai(share):
    """Small arrays have many components, often of one size."""
    rng = np.random.default_rng(int(share * 100))
    for _ in range(60):
        mask = (rng.random(rng.integers(1, 9, 3)) < share).astype(np.uint8)
        expected = np.asarray(of_monai(torch.as_tensor(mask[None])))[0]
        np.testing.assert_array_equal(largest_component(mask), expected)


def test_a_long_way_is_one_component():
    """A snake through all rows, whose ends are far apart."""
    mask = np.zeros((41, 30, 1), np.uint8)
    mask[::2] = 1
    mask[1::4, -1] = mask[3::4, 0] = 1
    mask[20, 15] = 0  # cuts the snake in two
    assert (mask.sum(), largest_component(mask).sum()) == (649, 325)
    mask[20, 15] = 1
    np.testing.assert_array_equal(largest_component(mask), mask)


def test_voxels_touch_at_a_corner():
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[2, 2, 2] = mask[0, 3, 3] = 1
    assert largest_component(mask).sum() == 3


@pytest.mark.parametrize("value", [0, 1])
def test_empty_and_full(value):
    mask = np.full((3, 4, 5), value, np.uint8)
    kept = largest_component(mask)
    assert kept.dtype == np.uint8
    np.testing.assert_array_equal(kept, mask)


def test_a_mask_in_any_order_of_memory():
    mask = (np.random.default_rng(1).random((6, 7, 8)) < 0.2).astype(np.uint8)
    np.testing.assert_array_equal(largest_component(np.asfortranarray(mask)), largest_component(mask))
