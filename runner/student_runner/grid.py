"""The number of pixels of the grid to which MONAI's ``Spacing`` resamples a volume, for a bundle with a window.

``student.onnx`` computes this number from the affine and rounds it. MONAI computes it from the places of the volume's
corners. In exact arithmetic both are the same. But for a length of 192.5 pixels, which is common, the last digits
decide whether it is rounded up or down. So this module computes the length in the same way as MONAI.
"""

import numpy as np
from nibabel.affines import voxel_sizes

# If a voxel's size is this near to the wanted one, MONAI keeps the voxel's size.
NEAR_MM = 1e-3
# The distance, in pixels, that this module keeps between a length and the nearest half pixel, where rounding changes.
MARGIN = 1e-6


def affine_for(affine: np.ndarray, shape: tuple[int, ...], half_pixel_mm: float) -> np.ndarray:
    """The affine with which the graph makes a grid of the same shape as MONAI, for a volume in RAS.

    It makes the voxels longer or shorter by about a millionth, but only if the graph would round another way.

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
