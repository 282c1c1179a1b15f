"""Reading of labels, and the dataset that is made from them."""

import nibabel
import numpy as np
import pytest

from custom_components.data import load_datalist
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256
from custom_components.foundation.nifti import Volume, read_volume
from integrations.monai_label.labels import read_label, write_dataset

AFFINE = np.diag([-1.25, -1.25, 3.6, 1.0])


@pytest.fixture
def image():
    return Volume(np.random.default_rng(0).normal(100, 20, (12, 10, 4)).astype(np.float32), AFFINE)


@pytest.fixture
def mask():
    voxels = np.zeros((12, 10, 4), np.uint8)
    voxels[2:7, 1:5, 1:] = 1
    return voxels


@pytest.fixture
def pairs(image, mask, tmp_path):
    """``pairs(n)`` writes n images with their labels."""

    def write(number):
        made = []
        for index in range(number):
            files = {kind: str(tmp_path / kind / f"Case{index:02}.nii.gz") for kind in ("image", "label")}
            for kind, voxels in (("image", image.voxels + index), ("label", mask)):
                (tmp_path / kind).mkdir(exist_ok=True)
                nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), files[kind])
            made.append(files)
        return made

    return write


def test_a_label_whose_axes_run_otherwise_lands_on_its_image(image, mask, tmp_path):
    flipped = np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = mask.shape[0] - 1
    nibabel.save(nibabel.Nifti1Image(mask[::-1], AFFINE @ flipped), tmp_path / "label.nii.gz")
    read = read_label(tmp_path / "label.nii.gz", image)
    np.testing.assert_array_equal(read.voxels, mask)
    assert read.voxels.dtype == np.uint8
    np.testing.assert_array_equal(read.affine, AFFINE)


@pytest.mark.parametrize(("shift_mm", "is_taken"), [(0.05, True), (0.5, False)])
def test_a_label_may_lie_off_its_image_by_rounding_only(image, mask, tmp_path, shift_mm, is_taken):
    moved = AFFINE.copy()
    moved[2, 3] = shift_mm
    nibabel.save(nibabel.Nifti1Image(mask, moved), tmp_path / "label.nii.gz")
    if is_taken:
        assert read_label(tmp_path / "label.nii.gz", image).affine is image.affine
    else:
        with pytest.raises(InputError, match="does not lie on its image's grid"):
            read_label(tmp_path / "label.nii.gz", image)


@pytest.mark.parametrize("value", [1, 1.0000001, 0.9999999, 1.0009])
def test_a_label_is_whole_but_for_rounding(image, mask, tmp_path, value):
    noisy = np.where(mask, value, -1e-7)  # some programs write -0.0 or small negative values for the background
    nibabel.save(nibabel.Nifti1Image(noisy, AFFINE), tmp_path / "label.nii.gz")
    read = read_label(tmp_path / "label.nii.gz", image)
    np.testing.assert_array_equal(read.voxels, mask)
    assert read.voxels.dtype == np.uint8


@pytest.mark.parametrize(
    ("voxels", "shown"),
    [
        (np.float64(1.0011), "1.0011"),
        (np.float32(1.0011), "1.0011"),
        (np.float64(0.49999999), "0.49999999"),
        (np.uint16(255), "255"),
        (np.float32(254.99), "254.99"),
        (np.float64(np.nan), "nan"),
        (np.int16(-1), "-1"),
    ],
)
def test_what_is_no_label_is_shown_with_the_digits_that_matter(image, mask, tmp_path, voxels, shown):
    nibabel.save(
        nibabel.Nifti1Image(mask * voxels if voxels == voxels else np.where(mask, voxels, 0), AFFINE),
        tmp_path / "label.nii.gz",
    )
    with pytest.raises(
        InputError, match=rf"holds the values ({shown}, 0|0, {shown}); save the prostate alone, as 1 on 0"
    ):
        read_label(tmp_path / "label.nii.gz", image)


def test_an_image_in_metres_is_not_trained_on(pairs, tmp_path):
    made = pairs(2)
    volume = nibabel.load(made[1]["image"])
    metres = nibabel.Nifti1Image(np.asanyarray(volume.dataobj), np.diag([1e-3, 1e-3, 1e-3, 1]) @ AFFINE)
    metres.header.set_xyzt_units("meter")
    nibabel.save(metres, made[1]["image"])
    with pytest.raises(InputError, match=r"Case01.nii.gz: is not in mm but in another unit of length"):
        write_dataset(made, tmp_path / "dataset", 0)


def test_a_dataset_of_labels_is_one_that_the_bundles_read(pairs, mask, tmp_path):
    dataset = write_dataset(pairs(5), tmp_path / "dataset", 0.4)
    split = dataset / "splits" / "all.json"
    parts = {part: load_datalist(split, part, dataset) for part in ("training", "validation", "test")}
    assert {part: len(cases) for part, cases in parts.items()} == {"training": 3, "validation": 2, "test": 0}
    cases = parts["training"] + parts["validation"]
    assert len({case["voxel_sha256"] for case in cases}) == 5
    assert [case["label_sha256"] for case in cases] == [file_sha256(dataset / case["label"]) for case in cases]
    for case in cases:
        assert case["image"] == str(tmp_path / "image" / f"{case['case']}.nii.gz")
        np.testing.assert_array_equal(read_volume(dataset / "labels" / f"{case['case']}.nii.gz").voxels, mask)


def test_at_most_one_case_changes_sides_when_another_joins(pairs, tmp_path):
    everything = pairs(12)
    before = None
    for number in range(2, 13):
        dataset = write_dataset(everything[:number], tmp_path / "dataset", 0.25)
        training = load_datalist(dataset / "splits" / "all.json", "training", dataset)
        names = {case["case"] for case in training}
        assert before is None or len(before - names) <= 1
        before = names


@pytest.mark.parametrize(
    ("number", "share", "message"),
    [
        (0, 0.2, "0 labelled images, 0 of them to validate with"),
        (1, 0.9, "1 labelled images, 1 of them to validate with"),
        (3, 1.0, "val_split: 1 is not a share"),
        (3, -1, "val_split: -1 is not a share"),
    ],
)
def test_a_share_that_leaves_nothing_to_train_on_is_refused(pairs, tmp_path, number, share, message):
    with pytest.raises(InputError, match=message):
        write_dataset(pairs(number), tmp_path / "dataset", share)
