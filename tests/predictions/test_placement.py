"""If predictions were moved but their headers are right, the masks of several cases show it."""

import nibabel
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from custom_components.data import prepare_cases
from custom_components.predictions import PredictionFolder, prepare_predictions
from custom_components.predictions.placement import misplacement


@pytest.fixture
def placed(cases, preprocessing, tmp_path):
    """``placed(change, count)``: the result for predictions that are softened masks, changed by a function."""
    prepared = prepare_cases(cases, preprocessing, tmp_path / "cache")

    def find(change, count=6):
        (tmp_path / "maps").mkdir(exist_ok=True)
        for case in cases:
            mask = nibabel.as_closest_canonical(nibabel.load(case["label"]))
            soft = gaussian_filter(mask.get_fdata(dtype=np.float32), 0.7)
            file = tmp_path / "maps" / f"{case['case']}_prostate.nii.gz"
            nibabel.save(nibabel.Nifti1Image(change(soft), mask.affine), file)
        folder = PredictionFolder(tmp_path / "maps", [case["case"] for case in cases], ("background", "prostate"))
        predictions = prepare_predictions(folder, prepared, preprocessing, tmp_path / "cache")
        return misplacement(predictions, prepared[:count])

    return find


@pytest.mark.parametrize(
    ("change", "way"),
    [
        (lambda probs: np.roll(probs, -1, axis=2), "one slice to the head"),
        (lambda probs: np.roll(probs, -2, axis=0), "one pixel to the right"),
        (lambda probs: np.roll(probs, 2, axis=1), "one pixel to the back"),
        (lambda probs: probs[:, :, ::-1], "mirrored between foot and head"),
    ],
)
def test_a_change_of_all_predictions_is_found(placed, change, way):
    found = placed(change)
    assert found.startswith("in all 6 cases that were compared with their masks, the predictions fit ")
    assert f"better {way}; see that" in found


def test_good_predictions_are_left_alone(placed):
    assert placed(lambda probs: probs) is None
    rng = np.random.default_rng(0)
    assert placed(lambda probs: probs * rng.uniform(0.5, 1, probs.shape).astype(np.float32)) is None
    assert placed(lambda probs: probs * 0) is None


def test_two_cases_prove_nothing(placed):
    assert placed(lambda probs: np.roll(probs, -1, axis=2), count=2) is None
