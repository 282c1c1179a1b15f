"""Predictions are prepared by the same spatial transforms as their image, and only once."""

import nibabel
import numpy as np
import pytest
import torch
from monai.transforms import Compose, CropForegroundd, EnsureChannelFirstd, LoadImaged

from custom_components.data import prepare_cases
from custom_components.foundation.errors import InputError
from custom_components.predictions import PredictionFolder, prepare_predictions

STUDENT = ("background", "prostate")


def stamps(folder) -> dict:
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.npy")}


@pytest.fixture
def folder(cases, tmp_path):
    """A prediction for each case: its image's intensities, scaled to 0 to 1."""
    for case in cases:
        image = nibabel.load(case["image"])
        voxels = image.get_fdata(dtype=np.float32)
        scaled = (voxels - voxels.min()) / (voxels.max() - voxels.min())
        (tmp_path / "maps").mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(scaled, image.affine), tmp_path / "maps" / f"{case['case']}_prostate.nii.gz")
    return PredictionFolder(tmp_path / "maps", [case["case"] for case in cases], STUDENT)


@pytest.mark.parametrize("field_of_view", [None, 40, 80])
def test_a_prediction_goes_the_way_of_its_image(cases, folder, checked_in_preprocessing, tmp_path, field_of_view):
    preprocessing = checked_in_preprocessing(field_of_view=field_of_view)
    prepared = prepare_cases(cases, preprocessing, tmp_path / "cache")
    predictions = prepare_predictions(folder, prepared, preprocessing, tmp_path / "cache" / "predictions")
    assert list(predictions) == [case["case"] for case in cases]
    without_intensity = Compose(preprocessing.transforms[:-2])
    for case in prepared:
        (file,) = folder.files(case.name)
        expected = without_intensity({"image": str(file)})["image"].as_tensor()
        found = torch.stack([predictions[case.name].slice(depth) for depth in range(4)], dim=-1)
        assert found.shape == (2, 32, 32, 4)
        torch.testing.assert_close(found.sum(dim=0), torch.ones(32, 32, 4), rtol=0, atol=1e-3)
        # Near the border, smoothing and padding mix in zeros. Probabilities are then scaled up again, images are not.
        inner = slice(8, 24)
        torch.testing.assert_close(found[1:, inner, inner], expected[:, inner, inner], rtol=0, atol=1e-3)
        if field_of_view == 80:  # the image spans 50 x 45 mm of it
            assert (found[1, :4] == 0).all()
            assert found[1, 12:20, 12:20].min() > 0.1


def test_a_second_time_nothing_is_written(cases, folder, preprocessing, tmp_path):
    prepared = prepare_cases(cases, preprocessing, tmp_path / "cache")
    first = prepare_predictions(folder, prepared, preprocessing, tmp_path / "cache")
    before = stamps(tmp_path / "cache")
    assert len(before) == len(cases)
    assert prepare_predictions(folder, prepared, preprocessing, tmp_path / "cache") == first
    assert stamps(tmp_path / "cache") == before


def test_another_file_or_another_table_is_prepared_anew(cases, folder, preprocessing, tmp_path):
    prepared = prepare_cases(cases[:1], preprocessing, tmp_path / "cache")

    def path(folder):
        (prediction,) = prepare_predictions(folder, prepared, preprocessing, tmp_path / "cache").values()
        return prediction.path

    name = prepared[0].name
    first = path(folder)
    table = PredictionFolder(folder.path, [name], STUDENT, {"prostate": "prostate"})
    (file,) = folder.files(name)
    image = nibabel.load(file)
    nibabel.save(nibabel.Nifti1Image(image.get_fdata(dtype=np.float32) / 2, image.affine), file)
    assert len({first, path(folder), path(table)}) == 3
    assert path(folder).read_bytes() != first.read_bytes()


@pytest.mark.parametrize(
    ("crop", "message"),
    [
        # The mask alone decides; a prediction comes without a mask.
        (CropForegroundd(["image", "label"], "label", allow_missing_keys=True), r"cannot be prepared \(.*\);"),
        # Bright voxels of the image; hardly any is so in a prediction.
        (CropForegroundd(["image", "label"], "image", lambda values: values > 5), r"has shape .* once both are prep"),
    ],
)
def test_a_crop_that_looks_at_the_volume_cannot_be_followed(cases, folder, tmp_path, crop, message):
    crop.allow_missing_keys = True
    load = [LoadImaged(["image", "label"]), EnsureChannelFirstd(["image", "label"])]
    preprocessing = Compose([*load, crop])
    prepared = prepare_cases(cases[:1], preprocessing, tmp_path / "cache")
    with pytest.raises(InputError, match=rf"\A\S*maps: the prediction of {prepared[0].name} {message}"):
        prepare_predictions(folder, prepared, preprocessing, tmp_path / "cache")
