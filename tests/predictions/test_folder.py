"""Predictions in NIfTI files, on the image's grid or on another one. Bad files are refused in one line each."""

import json
import re

import nibabel
import numpy as np
import pytest

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256
from custom_components.predictions import PredictionFolder, Record

STUDENT = ("background", "prostate")
ZONES = {"prostate": ["PZ", "TZ"]}


def affine_of(file) -> np.ndarray:
    return nibabel.load(file).affine


def save(file, voxels, affine):
    file.parent.mkdir(exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), file)


@pytest.fixture
def folder(tmp_path, probs, image):
    """A file for each zone, on the image's grid."""
    for place, name in ((1, "PZ"), (2, "TZ")):
        save(tmp_path / "maps" / f"case_{name}.nii.gz", probs[..., place], affine_of(image))
    return tmp_path / "maps"


def read(folder, image, channels=ZONES, classes=STUDENT, **options):
    return PredictionFolder(folder, ["case"], classes, channels, **options).read("case", image).numpy()


def test_files_of_classes_are_added(folder, probs, image):
    np.testing.assert_allclose(read(folder, image), np.stack([probs[..., 0], 1 - probs[..., 0]]), atol=1e-6)
    found = read(folder, image, None, ("background", "PZ", "TZ"))
    np.testing.assert_allclose(found, probs.transpose(3, 0, 1, 2), atol=1e-6)


def test_numbers_are_the_endings_of_files_without_names(tmp_path, probs, image):
    for number in (0, 1, 2):
        save(tmp_path / "maps" / f"case_{number}.nii", probs[..., number], affine_of(image))
    for channels in ({"prostate": [1, 2]}, {"prostate": [1, 2], "background": 0}):
        np.testing.assert_allclose(read(tmp_path / "maps", image, channels)[0], probs[..., 0], atol=1e-6)


def test_numbers_are_places_where_a_record_names_the_classes(folder, probs, image):
    record = Record("UNet", ["background", "PZ", "TZ"], "0" * 64, images={"case": file_sha256(image)})
    record.write(folder)
    np.testing.assert_allclose(read(folder, image, {"prostate": [1, "TZ"]})[0], probs[..., 0], atol=1e-6)
    assert PredictionFolder(folder, ["case"], STUDENT, ZONES).name == "UNet"


@pytest.mark.parametrize("channels", [{"prostate": [1, 2]}, {"background": 0, "prostate": (1, 2)}])
def test_the_fourth_axis_holds_the_classes(tmp_path, probs, image, channels):
    save(tmp_path / "maps" / "case.nii.gz", probs, affine_of(image))
    np.testing.assert_allclose(read(tmp_path / "maps", image, channels)[0], probs[..., 0], atol=1e-6)


def test_a_mask_is_as_sure_as_its_confidence(tmp_path, image):
    mask = np.random.default_rng(0).integers(0, 4, (12, 10, 5)).astype(np.int16)
    save(tmp_path / "masks" / "case.nii.gz", mask, affine_of(image))
    found = read(tmp_path / "masks", image, {"prostate": [1, 2]}, confidence=0.9)
    np.testing.assert_allclose(found[1], np.where((mask == 1) | (mask == 2), 0.9, 0.1), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-6)
    three = read(tmp_path / "masks", image, {"a": 2, "b": 1}, ("background", "a", "b"), confidence=0.8)
    for place, labels in enumerate([(0, 3), (2,), (1,)]):
        np.testing.assert_allclose(three[place], np.where(np.isin(mask, labels), 0.8, 0.1), atol=1e-6)


def test_nnunets_masks_have_the_names_of_its_dataset(probs, image, write_nnunet):
    found = read(write_nnunet(probs, image), image, confidence=1)
    np.testing.assert_array_equal(found[1], probs.argmax(axis=-1) > 0)


def test_axes_that_point_elsewhere_are_turned_not_resampled(folder, probs, image):
    for file in folder.iterdir():
        nibabel.save(nibabel.as_closest_canonical(nibabel.load(file)), file)
    assert not np.allclose(affine_of(folder / "case_PZ.nii.gz"), affine_of(image))
    np.testing.assert_array_equal(read(folder, image)[1], np.float32(probs[..., 1] + probs[..., 2]))


def test_a_finer_and_larger_grid_is_resampled_at_its_places(tmp_path, image):
    """A prediction that is linear in space keeps its values on the image's grid, with any spacing, axes and origin."""

    def linear(affine, shape):
        points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) @ affine[:3, :3].T
        return (0.5 + (points + affine[:3, 3]) @ [0.004, -0.006, 0.01]).astype(np.float32)

    target = linear(affine_of(image), (12, 10, 5))
    assert 0 < target.min() < target.max() < 1
    own = np.diag([0.5, 0.9, 1.7, 1.0])
    own[:3, 3] = (10, -30, -10)
    save(tmp_path / "maps" / "case_prostate.nii.gz", linear(own, (60, 30, 16)), own)
    np.testing.assert_allclose(read(tmp_path / "maps", image, None)[1], target, atol=1e-5)


def test_a_grid_of_coarser_voxels_over_the_same_box_covers_the_image(tmp_path, image):
    """The prediction's voxels are twice as long: the image's outer voxels have their centres outside of its centres."""
    affine = affine_of(image) @ np.array([[2, 0, 0, 0.5], [0, 2, 0, 0.5], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    save(tmp_path / "maps" / "case_prostate.nii.gz", np.full((6, 5, 5), 0.25, np.float32), affine)
    np.testing.assert_allclose(read(tmp_path / "maps", image, None)[1], 0.25, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("voxels", [1, -1])
def test_a_prediction_shifted_by_one_voxel_is_found(folder, image, axis, voxels):
    step = np.eye(4)
    step[axis, 3] = voxels
    for file in folder.iterdir():
        save(file, np.asanyarray(nibabel.load(file).dataobj), affine_of(file) @ step)
    told = re.escape(", ".join(f"{voxels:+d}" if place == axis else "0" for place in range(3)))
    message = (
        rf"case_PZ\.nii\.gz: lies up to [\d.]+ mm off its image \(other affine\): it is shifted by \({told}\) voxels"
    )
    with pytest.raises(InputError, match=message):
        read(folder, image)


def test_a_rounded_header_is_no_shift(folder, image, probs):
    for file in folder.iterdir():
        save(file, np.asanyarray(nibabel.load(file).dataobj), affine_of(file) + 0.02 * np.eye(4, k=3))
    np.testing.assert_array_equal(read(folder, image)[1], np.float32(probs[..., 1] + probs[..., 2]))


def test_a_grid_that_does_not_cover_the_image_is_refused(tmp_path, image):
    save(tmp_path / "maps" / "case_prostate.nii.gz", np.full((12, 10, 4), 0.5, np.float32), affine_of(image))
    message = (
        r"case_prostate\.nii\.gz: has shape \(12, 10, 4\), its image \(12, 10, 5\), and does not cover it: .* 1\.75 m"
    )
    with pytest.raises(InputError, match=message):
        read(tmp_path / "maps", image, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda voxels: np.where(voxels > 0.5, np.nan, voxels), "holds values that are NaN or infinite;"),
        (lambda voxels: voxels * 255, r"holds values from .* to 1\d\d.*, probabilities lie between 0 and 1;"),
        (lambda voxels: voxels - 0.5, r"holds values from -0\.\d+ to .*, probabilities lie between 0 and 1;"),
        (lambda voxels: voxels * 0 + 0.7, r"has classes that sum to 0\.\d+ to 1\.\d+, not to at most 1;"),
    ],
)
def test_wrong_values_are_refused(folder, image, change, message):
    file = folder / "case_PZ.nii.gz"
    save(file, change(np.asanyarray(nibabel.load(file).dataobj)), affine_of(file))
    with pytest.raises(InputError, match=rf"\A\S*case_PZ\.nii\.gz: {message}"):
        read(folder, image)


def test_classes_that_do_not_sum_to_1_are_refused(tmp_path, probs, image):
    save(tmp_path / "maps" / "case.nii.gz", probs * 0.9, affine_of(image))
    with pytest.raises(InputError, match=r"\A\S*case\.nii\.gz: has classes that sum to 0\.9 to 0\.9, not to 1;"):
        read(tmp_path / "maps", image, {"prostate": [1, 2]})


def test_a_folder_that_lacks_cases_is_refused(folder):
    cases = ["case", *(f"c{number}" for number in range(39))]
    message = r"maps: holds predictions of 1 of 40 cases, 39 are missing \(c0, c1, c2, …; looked for c0_PZ\.nii\.gz\)"
    with pytest.raises(InputError, match=message):
        PredictionFolder(folder, cases, STUDENT, ZONES)


def test_a_missing_file_of_a_class_is_named(folder):
    (folder / "case_TZ.nii.gz").unlink()
    with pytest.raises(InputError, match=r"\A\S*maps: holds predictions of 0 of 1 cases, .*case_TZ\.nii\.gz\)"):
        PredictionFolder(folder, ["case"], STUDENT, ZONES)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"\A.*/none: no such folder of predictions;"):
        PredictionFolder(tmp_path / "none", ["case"], STUDENT)


def test_a_prediction_of_another_image_is_found(folder, image):
    Record("UNet", ["background", "PZ", "TZ"], "0" * 64, images={"case": file_sha256(image)}).write(folder)
    save(image, np.ones((12, 10, 5), np.float32), affine_of(image))
    with pytest.raises(InputError, match=r"\A\S*predictions\.json: case was predicted from another file .*case\.nii"):
        read(folder, image)


def test_a_damaged_record_is_named(folder, image):
    (folder / "predictions.json").write_text(json.dumps({"name": "UNet", "classes": "PZ"}))
    with pytest.raises(InputError, match=r"\A\S*predictions\.json: has no fit value of classes, weights_sha256"):
        read(folder, image)


@pytest.mark.parametrize("confidence", [0.5, 0, 1.01, -1, "much", True, float("nan")])
def test_a_confidence_that_is_none_is_refused(folder, image, confidence):
    with pytest.raises(InputError, match=rf"\A\S*maps: confidence: {confidence!r} is not above 0.5 and at most 1;"):
        read(folder, image, confidence=confidence)


@pytest.mark.parametrize(
    ("voxels", "channels", "message"),
    [
        (np.full((12, 10, 5), 0.5), None, "holds fractions, not the labels of a mask;"),
        (np.full((12, 10, 5), np.nan), None, "holds fractions, not the labels of a mask;"),
        (np.full((12, 10, 5), 255.0), None, "holds the labels 255, which belong to no class;"),
        (np.full((12, 10, 5), 255.0), {"prostate": [1, 2]}, "holds the labels 255, which belong to no class;"),
    ],
)
def test_masks_of_other_labels_are_refused(tmp_path, image, voxels, channels, message):
    save(tmp_path / "masks" / "case.nii.gz", voxels.astype(np.float32), affine_of(image))
    with pytest.raises(InputError, match=rf"\A\S*case\.nii\.gz: {message}"):
        read(tmp_path / "masks", image, channels, confidence=0.9)


def test_a_mask_without_a_confidence_says_what_to_do(tmp_path, image):
    save(tmp_path / "masks" / "case.nii.gz", np.ones((12, 10, 5), np.uint8), affine_of(image))
    message = r"holds one volume \(12, 10, 5\), not one for each class; for masks .* confidence: 0\.9; .*--save_prob"
    with pytest.raises(InputError, match=message):
        read(tmp_path / "masks", image, None)


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ([1, 2], r"classes: is \[1, 2\], no table; for example classes: {prostate: \[1, 2\]}"),
        ({"gland": [1]}, "classes: the student has no class gland, it has background, prostate"),
        ({"background": [0]}, "classes: says nothing of the student's class prostate;"),
        ({"prostate": [1, 1]}, "classes: channel 1 is in two places"),
        ({"prostate": [1, "PZ"]}, "classes: a channel is in two places, by its name and by its number"),
        ({"prostate": [1.5]}, "classes: 1.5 is neither a name nor a number of a channel;"),
        ({"prostate": True}, "classes: True is neither a name nor a number of a channel;"),
        ({"prostate": [3]}, "classes: no channel 3 in this folder, it has the classes background, PZ, TZ"),
        ({"prostate": [-1]}, "classes: no channel -1 in this folder, it has the classes background, PZ, TZ"),
        ({"prostate": ["SV"]}, "classes: no channel SV in this folder, it has the classes background, PZ, TZ"),
        (
            {"background": 0, "prostate": [1]},
            "classes: channel TZ belongs to no class; name it, or leave out",
        ),
        (None, r"has the classes background, PZ, TZ, the student background, prostate; .* {prostate: \[PZ, TZ\]}"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(probs, image, write_nnunet, channels, message):
    with pytest.raises(InputError, match=rf"\A.*/nnunet: {message}"):
        read(write_nnunet(probs, image), image, channels)


def test_channels_without_names_must_be_as_many_as_the_students(tmp_path, probs, image):
    save(tmp_path / "maps" / "case.nii.gz", probs, affine_of(image))
    message = r"maps: has 3 classes without names, the student background, prostate; .* {prostate: \[1, 2\]}"
    with pytest.raises(InputError, match=message):
        read(tmp_path / "maps", image, None)
