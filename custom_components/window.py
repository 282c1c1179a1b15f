"""The window: the square around a slice's centre that a network with a field of view gets; the rest is cut off."""

from typing import Any

import numpy as np
from monai.data import MetaTensor


def pixdim(field_of_view: float | None, pixels: int) -> list[float]:
    """The voxel size in mm of slices that span the window, as MONAI's ``Spacingd`` takes it: -1 keeps an axis as it is.

    Args:
        field_of_view: the side of the window in mm; None is the whole image, whose pixels stay as they are.
        pixels: number of pixels along a side of the window.
    """
    size = -1 if field_of_view is None else field_of_view / pixels
    return [size, size, -1]


def border_warning(mask: MetaTensor, prepared: MetaTensor, field_of_view: float | str | None) -> str | None:
    """A warning if a mask touches the window's border, so that part of the gland may lie outside; otherwise None.

    Args:
        mask: 0/1, (1, H, W, D), on the grid of the input volume.
        prepared: the network's input (1, H, W, D), whose first two axes span the window.
        field_of_view: the side of the window in mm; None is the whole image, and then nothing can be cut off.
    """
    if field_of_view is None or not _touches_border(mask, prepared):
        return None
    return (
        f"the mask touches the border of the central {float(field_of_view):g} mm that the network sees, so the "
        "gland may be cut; check it, or use a bundle with a larger field_of_view"
    )


def _touches_border(mask: MetaTensor, prepared: MetaTensor) -> bool:
    """Whether a mask has a voxel in, or beyond, the outermost pixels of the prepared slices."""
    voxels = np.argwhere(_array(mask)[0])
    to_prepared = np.linalg.inv(_array(prepared.affine)) @ _array(mask.affine)
    places = voxels @ to_prepared[:3, :3].T + to_prepared[:3, 3]
    for axis in (0, 1):
        # Positions in pixels of the prepared slices, whose edges are at -0.5 and length - 0.5.
        half_voxel = np.abs(to_prepared[axis, :3]).max() / 2
        margin = max(half_voxel + 1, 2 * half_voxel)
        from_edges = np.minimum(places[:, axis] + 0.5, prepared.shape[axis + 1] - 0.5 - places[:, axis])
        if (from_edges < margin).any():
            return True
    return False


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.cpu())
