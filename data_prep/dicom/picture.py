"""A picture for a quick check: all slices with prostate, with the outline of the mask."""

import math

import numpy as np

OUTLINE = (255, 210, 0)


def outlined_slices(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw the outline of a mask on its slices, from the first to the last, in the radiologist's view.

    Args:
        image: (columns, rows, slices).
        mask: values 0 and 1, of the same shape.

    Returns:
        uint8 RGB (height, width, 3).
    """
    drawn = np.flatnonzero(mask.any(axis=(0, 1)))
    low, high = np.percentile(image, (1, 99))
    grey = np.clip((image[:, :, drawn] - low) / max(high - low, 1e-6), 0, 1).transpose(2, 1, 0)
    tiles = np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=-1)
    for tile, plane in zip(tiles, mask[:, :, drawn].transpose(2, 1, 0), strict=True):
        tile[outline(plane)] = OUTLINE
    return in_a_square(tiles)


def outline(mask: np.ndarray) -> np.ndarray:
    """The pixels (H, W) beside a mask: background that touches it above, below, to the left or to the right."""
    inside = np.pad(mask.astype(bool), 1)
    grown = inside[:-2, 1:-1] | inside[2:, 1:-1] | inside[1:-1, :-2] | inside[1:-1, 2:]
    return grown & ~inside[1:-1, 1:-1]


def in_a_square(tiles: np.ndarray) -> np.ndarray:
    """Put tiles (N, H, W, 3) row by row into one picture with about as many rows as columns; empty places are black."""
    count, height, width, channels = tiles.shape
    across = math.ceil(math.sqrt(count))
    down = math.ceil(count / across)
    places = np.zeros((down * across, height, width, channels), tiles.dtype)
    places[:count] = tiles
    rows = places.reshape(down, across, height, width, channels).transpose(0, 2, 1, 3, 4)
    return rows.reshape(down * height, across * width, channels)
