"""The graph's grid has the same shape as that of MONAI's Spacing, even if rounding depends on the last digit."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Spacing
from student_runner.grid import affine_for


def affine_of(spacing, translation, degrees):
    angle = np.deg2rad(degrees)
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = tilt * spacing, translation
    return affine.astype(np.float32).astype(np.float64)  # as a header holds it


def graph_counts(affine, shape, half_pixel):
    """The rounding of ``volume_graph.windows``."""
    upper = np.linalg.cholesky(affine[:3, :3].T @ affine[:3, :3]).T
    return np.round(np.abs(upper)[:2] @ (np.array(shape) - 1) / half_pixel + 1)


@pytest.mark.parametrize("degrees", [0, 12, -31])
def test_lengths_of_half_pixels(degrees):
    """384 voxels of 0.5 mm are 192.5 pixels of 1 mm."""
    other = 0
    for seed in range(30):
        shape = (4 * seed + 2, 2 * seed + 2, 5)
        affine = affine_of((0.5, 0.25, 3), np.random.default_rng(seed).normal(0, 40, 3), degrees)
        expected = Spacing(pixdim=[1, 1, -1])(MetaTensor(torch.zeros(1, *shape), affine=torch.as_tensor(affine))).shape
        given = affine_for(affine, shape, 1.0)
        assert graph_counts(given, shape, 1.0).tolist() == list(expected[1:3])
        np.testing.assert_allclose(given, affine, rtol=1e-5, atol=1e-6)
        other += graph_counts(affine, shape, 1.0).tolist() != list(expected[1:3])
    assert other == 0 or degrees == 0  # with an upright volume, the last digit of its place decides


def test_other_lengths_keep_the_affine():
    affine = affine_of((0.6, 0.7, 3), (3, 4, 5), 20)
    np.testing.assert_array_equal(affine_for(affine, (50, 61, 7), 1.0), affine)


def test_one_voxel():
    affine = affine_of((0.6, 0.7, 3), (3, 4, 5), 20)
    np.testing.assert_array_equal(affine_for(affine, (1, 1, 1), 1.0), affine)
