"""The picture of a mask beside what scikit-image draws."""

import numpy as np
from skimage.segmentation import find_boundaries
from skimage.util import montage

from data_prep.dicom.picture import OUTLINE, in_a_square, outline, outlined_slices


def test_the_outline_is_that_of_scikit_image():
    for seed in range(10):
        mask = np.random.default_rng(seed).random((9, 12)) < 0.3
        np.testing.assert_array_equal(outline(mask), find_boundaries(mask, mode="outer"))


def test_tiles_are_put_together_as_by_scikit_image():
    for count, grid in ((1, (1, 1)), (2, (1, 2)), (5, (2, 3)), (9, (3, 3))):
        tiles = np.random.default_rng(count).integers(0, 256, (count, 4, 5, 3)).astype(np.uint8)
        expected = montage(tiles, grid_shape=grid, channel_axis=-1, fill=(0, 0, 0))
        np.testing.assert_array_equal(in_a_square(tiles), expected)


def test_slices_with_prostate_are_shown_with_their_outline():
    image = np.zeros((8, 6, 4))  # columns, rows, slices
    image[1, 4, 2] = 100
    mask = np.zeros(image.shape, np.uint8)
    mask[3:5, 2, 1:3] = 1
    picture = outlined_slices(image, mask)
    assert picture.shape == (6, 16, 3)
    drawn = {tuple(place) for place in np.argwhere((picture == OUTLINE).all(-1))}
    around = {(1, 3), (1, 4), (3, 3), (3, 4), (2, 2), (2, 5)}
    assert drawn == around | {(row, column + 8) for row, column in around}
    assert picture[4, 9].tolist() == [255, 255, 255]
