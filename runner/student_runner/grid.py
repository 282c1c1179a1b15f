"""The grid to which MONAI's ``Spacing`` resamples a volume for a bundle with a window: its number of pixels.

``student.onnx`` computes this number from the affine and rounds it. MONAI computes it from the places of the volume's
corners. On paper the two are the same. But a length of 192.5 pixels, which is common, is rounded up or down by the last
digits, so the length is computed here as MONAI computes it.
"""

import numpy as np
from nibabel.affines import voxel_sizes

# MONAI keeps a voxel size that is this near to the wanted one.
NEAR_MM = 1e-3
# How far a length is kept from the place where rounding changes, in pixels.
MARGIN = 1e-6


def affine_for(affine: np.ndarray, shape: tuple[int, ...], half_pixel_mm: float) -> np.ndarray:
    """The affine of a volume in RAS, with which the graph makes a grid of the same shape as MONAI.

    Only where the graph would round another way, a voxel is made longer or shorter, by about a millionth.

    Args:
        affine: 4 x 4, of the volume in RAS.
        shape: H, W, D.
        half_pixel_mm: the size of the grid's pixels.
    """
    sizes = voxel_sizes(affine)
    pixels = np.where(np.abs(sizes - half_pixel_mm) <= NEAR_MM, sizes, half_pixel_mm)
    pixels[2] = sizes[2]
    axes = affine[:3, :3]
    upper = np.linalg.cholesky(axes.T @ axes).T
    steps = np.array(shape) - 1
    lengths = np.abs(upper) @ steps / pixels + 1
    counts = _counts(axes, upper, affine, shape, pixels)
    wanted = np.clip(lengths, counts - 0.5 + MARGIN, counts + 0.5 - MARGIN)
    longer = np.where(steps > 0, (wanted - lengths) * pixels / np.maximum(steps * sizes, sizes), 0)
    longer[2] = 0
    return affine @ np.diag([*(1 + longer), 1])


def _counts(
    axes: np.ndarray, upper: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], pixels: np.ndarray
) -> np.ndarray:
    """The shape of the resampled volume, by the steps of MONAI's ``zoom_affine`` and ``compute_shape_offset``."""
    resampled = np.eye(4)
    resampled[:3, :3] = (axes @ np.linalg.inv(upper)) @ np.diag(np.sign(np.diag(upper)) * pixels)
    corners = np.array(np.meshgrid(*[(0.0, length - 1.0) for length in shape], indexing="ij")).reshape(3, -1)
    corners = np.concatenate([corners, np.ones((1, corners.shape[1]))])
    places = np.linalg.solve(resampled, affine) @ corners
    return np.round(np.ptp(places[:3] / places[3], axis=1) + 1.0)
