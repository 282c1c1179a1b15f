import importlib.util

import itk
import numpy as np
import pytest
from raw_cases import save, small_image, small_mask

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import Volume
from data_prep.__main__ import main
from data_prep.bias_field import correct_bias_field

needs_n4 = pytest.mark.skipif(
    importlib.util.find_spec("itk.itkN4BiasFieldCorrectionImageFilterPython") is None, reason="itk-filtering: make n4"
)


@needs_n4
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


@needs_n4
def test_an_image_that_n4_cannot_correct_is_quarantined(tmp_path, capsys):
    folder = tmp_path / "raw"
    for name, image, mask in (
        ("Case00", small_image(0), small_mask()),
        ("Case01", small_image(1)[..., :1], small_mask()[..., 1:2]),
    ):
        save(folder / f"{name}.nii.gz", image)
        save(folder / f"{name}_segmentation.nii.gz", mask)
    dataset = ["--site", "S", "--out", str(tmp_path / "set")]
    assert main(["import", str(folder), *dataset, "--n4", "--keep-ids", "--jobs", "0"]) == 3
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith(f"quarantined: {folder}/Case01.nii.gz: cannot be corrected (N4 fails (")
    assert shown.out.endswith("1 cases of 1 sites (1 new, 1 findings in quarantine.json)\n")


def test_a_field_that_is_not_finite_is_refused(monkeypatch):
    nan = Volume(np.full((8, 7, 4), np.nan, np.float32), np.eye(4))
    monkeypatch.setattr("data_prep.bias_field._correct", lambda image: nan)
    with pytest.raises(InputError, match=r"\AN4 gives voxels that are NaN or infinite"):
        correct_bias_field(Volume(small_image(0), np.eye(4)))


def test_the_filters_are_asked_for_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.delattr(itk, "N4BiasFieldCorrectionImageFilter", raising=False)
    save(tmp_path / "raw" / "Case00.nii.gz", small_image(0))
    assert main(["import", str(tmp_path / "raw"), "--site", "S", "--out", str(tmp_path / "set"), "--n4"]) == 1
    assert capsys.readouterr().err == (
        "error: --n4: needs the package itk-filtering (0.7 GB); type 'make n4', or 'pip install -r requirements-n4.txt'"
        ", in the folder of the project\n"
    )
    assert not (tmp_path / "set").exists()
