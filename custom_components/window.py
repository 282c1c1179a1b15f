"""The window: the square around a slice's centre that a network with a field of view gets; the rest is cut off."""

from typing import Any

import numpy as np
from monai.data import MetaTensor

from custom_components.foundation.window import window_warning


def pixdim(field_of_view: float | None, pixels: int) -> list[float]:
    """The voxel size in mm of slices that span the window, as MONAI's ``Spacingd`` takes it: -1 keeps an axis as it is.

    Args:
        field_of_view: the side of the window in mm; None is the whole image, whose pixels stay as they are.
        pixels: number of pixels along a side of the window.
    """
    size = -1 if field_of_view is None else field_of_view / pixels
    return [size, size, -1]


def border_warning(mask: MetaTensor, prepared: MetaTensor, field_of_view: float | str | None) -> str | None:
    """:func:`window_warning` for the tensors of MONAI.

    Args:
        mask: 0/1, (1, H, W, D), on the grid of the input volume.
        prepared: the network's input (1, H, W, D), whose first two axes span the window.
        field_of_view: the side of the window in mm; None is the whole image, and then nothing can be cut off.
    """
    to_window = np.linalg.inv(_array(prepared.affine)) @ _array(mask.affine)
    return window_warning(_array(mask)[0], to_window, prepared.shape[1:3], field_of_view)


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.cpu())
