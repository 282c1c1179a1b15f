"""A PNG for a quick check: all slices with prostate, and the outline of the mask on each."""

import math

import numpy as np
from skimage.segmentation import find_boundaries
from skimage.util import montage

OUTLINE = (255, 210, 0)


def overlay(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw the outline of a mask on its slices, from the first to the last, in the radiologist's view.

    Args:
        image: (columns, rows, slices).
        mask: values 0 and 1, of the same shape.

    Returns:
        uint8 RGB (height, width, 3).
    """
    drawn = np.flatnonzero(mask.any(axis=(0, 1)))
    low, high = np.percentile(image, (1, 99))
    grey = np.clip((image - low) / max(high - low, 1e-6), 0, 1)[:, :, drawn].transpose(2, 1, 0)
    tiles = np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=-1)
    for tile, plane in zip(tiles, mask[:, :, drawn].transpose(2, 1, 0), strict=True):
        tile[find_boundaries(plane, mode="outer")] = OUTLINE
    width = math.ceil(math.sqrt(len(tiles)))
    return montage(tiles, grid_shape=(math.ceil(len(tiles) / width), width), channel_axis=-1, fill=(0, 0, 0))
