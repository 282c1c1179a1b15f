"""The model card describes the preprocessing transforms that ran."""

import pytest
from monai.transforms import NormalizeIntensityd, RandFlipd, ScaleIntensityRangePercentilesd

from custom_components.bundle.preprocessing_words import described_preprocessing, in_words, window_mm
from custom_components.data.describe import describe

WHOLE = (
    "turned to RAS, each slice resized to 32x32 pixels (trilinear, anti-aliased), intensities clipped at the volume's "
    "1st and 99th percentile, then normalised to mean 0 and standard deviation 1"
)
WINDOW = (
    "turned to RAS, resampled in-plane to pixels of 1.88 mm (bilinear), cropped or padded around its centre to 64x64 "
    "pixels, each slice resized to 32x32 pixels (trilinear, anti-aliased), intensities clipped at the volume's 1st and "
    "99th percentile, then normalised to mean 0 and standard deviation 1"
)


@pytest.mark.parametrize(("field_of_view", "words", "side"), [(None, WHOLE, None), (120, WINDOW, 120)])
def test_a_bundles_own(checked_in_preprocessing, field_of_view, words, side):
    transforms = describe(checked_in_preprocessing(field_of_view=field_of_view).transforms)
    assert in_words(transforms) == words
    assert window_mm(transforms) == side


def test_those_of_a_config_are_those_of_its_run(checked_in_preprocessing, repository):
    from custom_components.foundation.files import read_json

    config = read_json(repository / "bundles" / "enet" / "configs" / "inference.json")
    expected = describe(checked_in_preprocessing("train", 32, 120).transforms)
    assert described_preprocessing({**config, "image_size": 32, "field_of_view": 120}) == expected


def test_what_has_no_words_is_told_by_its_settings():
    text = in_words(describe([RandFlipd("image", prob=0.25)]))
    assert text.startswith("RandFlipd {")
    assert '"prob": 0.25' in text
    assert "subtrahend" in in_words(describe([NormalizeIntensityd("image", subtrahend=3)]))


def test_percentiles_are_numbered_as_in_english():
    scaled = ScaleIntensityRangePercentilesd("image", 2, 92.5, 0, 1, clip=False)
    assert in_words(describe([scaled])) == "intensities scaled by the volume's 2nd and 92.5th percentile"
