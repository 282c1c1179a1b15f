import numpy as np

from data_prep.bias_field import correct_bias_field
from data_prep.volumes import Volume


def test_a_slow_change_of_brightness_is_taken_out_and_the_grid_stays():
    axis = np.linspace(-1, 1, 32)
    disc = (np.hypot(*np.meshgrid(axis, axis)) < 0.8)[..., None].repeat(4, 2)
    tissue = np.where(disc, 200, 5) + np.random.default_rng(0).normal(0, 4, disc.shape)
    image = Volume((tissue * np.exp(0.8 * axis)[:, None, None]).clip(0).astype(np.int16), np.diag([-3.0, -3, 3, 1]))
    corrected = correct_bias_field(image)

    def spread(voxels):
        return voxels[disc].std() / voxels[disc].mean()

    assert spread(image.voxels) > 0.3
    assert spread(corrected.voxels) < 0.05
    assert corrected.voxels.dtype == np.float32
    np.testing.assert_array_equal(corrected.affine, image.affine)
