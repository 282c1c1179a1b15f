"""A warning that the window, the square in a slice's middle that a network sees, may have cut the gland."""

from collections.abc import Sequence

import numpy as np


def window_warning(
    mask: np.ndarray, to_window: np.ndarray, size: Sequence[int], field_of_view: float | str | None
) -> str | None:
    """A warning if a mask touches the window's border, so that part of the gland may lie outside; otherwise None.

    Args:
        mask: (H, W, D), with the values 0 and 1.
        to_window: 4 x 4 matrix from the mask's voxel indices to places in the window, in pixels; the first two axes are
            those of the window.
        size: height and width of the window in pixels.
        field_of_view: the side of the window in mm; None if the network sees the whole image.
    """
    if field_of_view is None or not _touches_border(mask, to_window, size):
        return None
    return (
        f"the mask touches the border of the central {float(field_of_view):g} mm that the network sees, so the "
        "gland may be cut; check it, or use a bundle with a larger field_of_view"
    )


def _touches_border(mask: np.ndarray, to_window: np.ndarray, size: Sequence[int]) -> bool:
    """Whether a mask has a voxel in, or beyond, the outermost pixels of the window."""
    places = np.argwhere(mask) @ to_window[:3, :3].T + to_window[:3, 3]
    for axis in (0, 1):
        # The edges of the window's pixels are at -0.5 and length - 0.5.
        half_voxel = np.abs(to_window[axis, :3]).max() / 2
        margin = max(half_voxel + 1, 2 * half_voxel)
        from_edges = np.minimum(places[:, axis] + 0.5, size[axis] - 0.5 - places[:, axis])
        if (from_edges < margin).any():
            return True
    return False
