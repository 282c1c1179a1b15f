import json

import nibabel
import numpy as np
import pytest
from raw_cases import AFFINE, save, small_image, small_mask, validate

from custom_components.foundation.errors import InputError
from data_prep.__main__ import main
from data_prep.importing import import_dataset
from data_prep.splitting import split_dataset, split_sha256


@pytest.fixture
def dataset(raw_folder, tmp_path):
    import_dataset(raw_folder, tmp_path / "set")
    split_dataset(tmp_path / "set", groups=["RUNMC", "UCL,HK"])
    return tmp_path / "set"


def lines(folder):
    return [str(finding).replace(str(folder), "~") for finding in validate(folder)]


def test_sound_data_have_no_findings(raw_folder, dataset):
    assert validate(raw_folder) == []
    assert validate(dataset) == []


def _shifted(mm):
    affine = AFFINE.copy()
    affine[2, 3] += mm
    return affine


def _stretched():
    # Each voxel is larger by 0.05 mm. The first voxels agree within the tolerance of 0.25 mm; the last differ by 0.35.
    affine = AFFINE.copy()
    affine[0, 0] -= 0.05
    return affine


def _in_two_decimals():
    # An oblique stack whose first and last positions are rounded as GE writes them: up to 0.03 mm off at a corner.
    affine = AFFINE.copy()
    affine[:3, 3] += (0.004, -0.005, 0.003)
    affine[:3, 2] += (0.003, -0.003, 0.007)
    return affine


def _with(value):
    image = small_image(1).astype(np.float32)
    image[0, 0, 0] = value
    return image


@pytest.mark.parametrize(
    ("name", "voxels", "affine", "problem"),
    [
        ("Case00_segmentation", np.zeros((8, 7, 4), np.uint8), AFFINE, "is an empty mask"),
        ("Case00_segmentation", small_mask(1, 7), AFFINE, "holds the labels 7; only 0/1/2 are a prostate mask"),
        ("Case00_segmentation", small_mask()[:7], AFFINE, "has shape (7, 7, 4), its image (8, 7, 4)"),
        ("Case00_segmentation", small_mask(), _shifted(0.26), "lies up to 0.26 mm off its image"),
        ("Case00_segmentation", small_mask(), _stretched(), "lies up to 0.35 mm off its image"),
        ("Case00", _with(np.nan), AFFINE, "holds 1 voxels that are NaN or infinite"),
        ("Case00", _with(np.inf), AFFINE, "holds 1 voxels that are NaN or infinite"),
        ("Case00", np.full((8, 7, 4), 5, np.int16), AFFINE, "is constant (every voxel 5)"),
        ("Case00", np.zeros((8, 7, 4, 3), np.int16), AFFINE, "has 4 dimensions (8, 7, 4, 3)"),
    ],
)
def test_each_fault_of_a_raw_case_is_found(add_case, tmp_path, name, voxels, affine, problem):
    add_case("HK", 0)
    add_case("HK", 1)
    save(tmp_path / "raw" / "HK" / f"{name}.nii.gz", voxels, affine)
    (line,) = lines(tmp_path / "raw")
    assert line.startswith(f"~/HK/{name}.nii.gz: {problem}")


@pytest.mark.parametrize("affine", [_shifted(5e-4), _shifted(0.24), _in_two_decimals()])
def test_a_rounding_of_the_affine_is_no_fault(add_case, tmp_path, affine):
    add_case("HK", 0)
    save(tmp_path / "raw" / "HK" / "Case00_segmentation.nii.gz", small_mask(), affine)
    assert lines(tmp_path / "raw") == []


def test_the_tolerance_grows_and_shrinks_with_the_voxel(add_case, tmp_path):
    image = add_case("HK", 0)
    small = AFFINE @ np.diag([0.2, 0.2, 1, 1])  # voxels of 0.25 mm in the plane, of which a fifth is 0.05 mm
    for shift_mm, found in ((0.04, 0), (0.06, 1)):
        moved = small.copy()
        moved[2, 3] += shift_mm
        save(image, small_image(1), small)
        save(image.with_name("Case00_segmentation.nii.gz"), small_mask(), moved)
        assert len(lines(tmp_path / "raw")) == found


def test_all_faults_are_listed_at_once(raw_folder):
    (raw_folder / "RUNMC" / "Case01.nii.gz").unlink()
    (raw_folder / "UCL" / "Case01.nii.gz").write_bytes(b"")
    (raw_folder / "UCL" / "Case02.nii.gz").write_bytes((raw_folder / "RUNMC" / "Case03.nii.gz").read_bytes())
    found = lines(raw_folder)
    assert [line.split(";")[0].split(" (")[0] for line in found] == [
        "~/RUNMC/Case01_segmentation.nii.gz: has no image",
        "~/UCL/Case01.nii.gz: is not a NIfTI file, or is cut off",
        "~/UCL/Case02.nii.gz: is the same image as RUNMC_Case03",
    ]


def test_a_dataset_is_held_against_dataset_json(dataset):
    (dataset / "images" / "HK_Case00.nii.gz").unlink()
    save(dataset / "labels" / "HK_Case01.nii.gz", small_mask(1, 2))
    assert lines(dataset) == [
        "~/images/HK_Case00.nii.gz: is named in dataset.json but missing; restore it or import the dataset again",
        "~/labels/HK_Case01.nii.gz: changed since dataset.json was written (sha256); restore it or import again",
        "~/labels/HK_Case01.nii.gz: holds the labels 2; only 0/1 are a prostate mask",
    ]


def edit_split(dataset, name, change, sign=True):
    path = dataset / "splits" / f"{name}.json"
    split = json.loads(path.read_text())
    change(split)
    if sign:
        split["sha256"] = split_sha256(split)
    path.write_text(json.dumps(split))


def test_a_split_edited_by_hand_no_longer_matches(dataset):
    edit_split(dataset, "all", lambda split: split["training"].pop(), sign=False)
    assert lines(dataset) == ["~/splits/all.json: no longer matches its sha256; restore it or split again"]


def test_a_patient_in_two_lists_is_found(dataset):
    edit_split(dataset, "all", lambda split: split["validation"][0].update(patient=split["training"][0]["patient"]))
    split = json.loads((dataset / "splits" / "all.json").read_text())
    trained, validated = split["training"][0]["case"], split["validation"][0]["case"]
    assert lines(dataset) == [
        f"~/splits/all.json: has {validated} in validation, of the same patient as {trained} in training; "
        "keep a patient in one list: split again"
    ]


def test_an_image_in_two_lists_is_found(dataset):
    edit_split(
        dataset, "RUNMC", lambda split: split["test"][0].update(voxel_sha256=split["training"][0]["voxel_sha256"])
    )
    (line,) = lines(dataset)
    assert line.startswith("~/splits/RUNMC.json: has ")
    assert "of the same image as RUNMC_Case" in line


def test_a_patient_in_unlabeled_and_a_held_out_list_is_found(dataset):
    def unlabel(split):
        case = split["training"].pop()
        split["unlabeled"] = [{key: case[key] for key in case if not key.startswith("label")}]

    edit_split(dataset, "all", unlabel)
    assert lines(dataset) == []
    edit_split(dataset, "all", lambda split: split["unlabeled"][0].update(patient=split["training"][0]["patient"]))
    assert lines(dataset) == []  # a training may use both images of a patient
    edit_split(dataset, "all", lambda split: split["unlabeled"][0].update(patient=split["test"][0]["patient"]))
    split = json.loads((dataset / "splits" / "all.json").read_text())
    hidden, tested = split["unlabeled"][0]["case"], split["test"][0]["case"]
    assert lines(dataset) == [
        f"~/splits/all.json: has {hidden} in unlabeled, of the same patient as {tested} in test; "
        "keep a patient in one list: split again"
    ]


def test_a_teacher_that_learns_from_the_test_cases_is_found(dataset):
    def swap(split):
        split["training"].append(split["test"].pop(0))

    edit_split(dataset, "UCL+HK", swap)
    leaked = json.loads((dataset / "splits" / "all.json").read_text())["test"][0]["case"]
    assert lines(dataset) == [f"~/splits/UCL+HK.json: learns from {leaked}, which all.json tests on; split again"]


def test_splits_of_another_dataset_or_kind_are_found(dataset):
    edit_split(dataset, "RUNMC", lambda split: split["training"][0].update(case="RUNMC_Case77"))
    (dataset / "splits" / "UCL+HK.json").write_text('{"training": []}')
    (dataset / "splits" / "mine.json").write_text("{")
    found = lines(dataset)
    assert found[:2] == [
        "~/splits/RUNMC.json: names RUNMC_Case77, unknown to dataset.json; split again",
        "~/splits/UCL+HK.json: is not a split file (lacks 'validation'); split again",
    ]
    assert found[2].startswith("~/splits/mine.json: not a JSON file")
    assert len(found) == 3


def test_a_split_of_other_masks_is_found(dataset):
    case = json.loads((dataset / "splits" / "all.json").read_text())["training"][0]["case"]
    edit_split(dataset, "all", lambda split: split["training"][0].update(label_sha256="other"))
    assert lines(dataset) == [f"~/splits/all.json: was made with another mask of {case}; split again"]
    edit_split(dataset, "all", lambda split: split["training"][0].pop("label_sha256"))
    assert lines(dataset) == []  # a split of a version that did not hash masks


def test_the_exit_code_and_json_are_for_programs(raw_folder, capsys):
    assert main(["validate", str(raw_folder), "--jobs", "1"]) == 0
    assert capsys.readouterr().out == f"{raw_folder}: no findings\n"
    (raw_folder / "HK" / "Case00.nii.gz").unlink()
    assert main(["validate", str(raw_folder), "--json", "--jobs", "1"]) == 3
    assert json.loads(capsys.readouterr().out) == [
        {
            "file": f"{raw_folder}/HK/Case00_segmentation.nii.gz",
            "problem": "has no image",
            "advice": "add it or take the mask out",
        }
    ]


def test_no_folder_is_an_error_not_a_finding(tmp_path, capsys):
    assert main(["validate", str(tmp_path / "absent")]) == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'absent'}: no such folder\n"


def test_a_broken_dataset_json_is_named(dataset):
    (dataset / "dataset.json").write_text('{"cases": [{"site": "HK"}]}')
    with pytest.raises(InputError, match=r"\A\S+/dataset.json: has a case without case, patient, image"):
        validate(dataset)


def test_real_studies_have_no_findings(real_data):
    assert lines(real_data / "promise12_multisite") == []


def test_a_mask_saved_as_floats_is_a_mask(add_case, tmp_path):
    image = add_case("HK", 0, mask=small_mask().astype(np.float32))
    assert nibabel.load(image.with_name("Case00_segmentation.nii.gz")).get_data_dtype() == np.float32
    assert lines(tmp_path / "raw") == []
