"""The numbers of a mask that count as labels, and the words for all other numbers."""

import numpy as np
import pytest
from raw_cases import read_cases, save, small_image, small_mask, validate

from custom_components.foundation.nifti import read_volume
from data_prep.importing import import_dataset
from data_prep.mask_values import in_words, whole_labels


@pytest.mark.parametrize(
    ("value", "label"),
    [
        *((1.0000001, 1), (0.9999999, 1), (1.0009, 1), (0.9991, 1), (-0.0, 0), (-1e-7, 0), (1e-7, 0)),
        *((255.0005, 255), (254.99, 254.99), (0.5, 0.5), (1.0011, 1.0011), (-1.0, -1)),
        *((np.inf, np.inf), (-np.inf, -np.inf), (np.nan, np.nan)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nearly_whole_is_whole_and_all_else_stays(value, label, dtype):
    np.testing.assert_array_equal(whole_labels(np.array([value], dtype)), np.array([label], dtype))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64])
def test_whole_numbers_stay_as_they_are(dtype):
    voxels = np.array([0, 1, 255 if dtype != np.int16 else -3], dtype)
    assert whole_labels(voxels) is voxels


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([3], np.uint8), "3"),
        (np.array([255], np.uint16), "255"),
        (np.array([0.5]), "0.5"),
        (np.array([1.0011, 1.0000019], np.float32), "1.0011, 1.0000019"),
        (np.array([0.49999999]), "0.49999999"),
        (np.array([123456789]), "123456789"),
        (np.array([np.nan, -np.inf]), "nan, -inf"),
        (np.array([-1], np.int16), "-1"),
        (np.arange(2, 9), "2, 3, 4, 5, 6, ..."),
    ],
)
def test_values_are_shown_with_the_digits_that_matter(values, words):
    assert in_words(values) == words


def test_a_mask_whole_but_for_rounding_is_imported_as_what_it_means(add_case, tmp_path, capsys):
    noisy = np.where(small_mask(), np.float32(1.0000001), np.float32(-1e-7))
    add_case("HK", 0, mask=noisy)
    add_case("HK", 1)
    assert validate(tmp_path / "raw") == []
    assert import_dataset(tmp_path / "raw", tmp_path / "set") == []
    assert "HK: values of 1 of 2 masks rounded to whole numbers" in capsys.readouterr().out
    entry = read_cases(tmp_path / "set")["HK_Case00"]
    np.testing.assert_array_equal(read_volume(tmp_path / "set" / entry["label"]).voxels, small_mask())


@pytest.mark.parametrize(
    ("value", "shown"), [(np.float32(1.0011), "1.0011"), (254.99, "254.99"), (np.uint16(255), "255")]
)
def test_any_other_mask_is_refused_with_the_value_that_differs(tmp_path, value, shown):
    save(tmp_path / "raw" / "HK" / "Case00.nii.gz", small_image(0))
    path = save(tmp_path / "raw" / "HK" / "Case00_segmentation.nii.gz", small_mask() * value)
    assert [str(finding) for finding in validate(tmp_path / "raw")] == [
        f"{path}: holds the labels {shown}; only 0/1/2 are a prostate mask"
    ]
