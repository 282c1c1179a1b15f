"""``segment student.onnx <DICOM study> OUT``: series, SEG, report, picture, and studies that are refused."""

import numpy as np
import pydicom
import pytest
from dicom_studies import SAGITTAL, save, series_datasets
from PIL import Image

from custom_components.bundle.segmenting import Segmenting, open_bundle
from custom_components.foundation.nifti import read_volume
from data_prep.dicom import find_series, read_series
from data_prep.dicom.masks import choose_mask, read_mask, read_mask_file
from data_prep.volumes import write_volume

RESULTS = ["prostate.png", "prostate_report.dcm", "prostate_seg.dcm"]


@pytest.fixture
def student(student_files):
    return student_files["whole"]


@pytest.fixture
def study(tmp_path):
    save(series_datasets(), tmp_path / "study")
    return tmp_path / "study"


@pytest.mark.parametrize("seen", ["whole", "window"])
def test_the_seg_is_the_bundles_mask(exported, student_files, seen, segment, study, tmp_path):
    code, said, _ = segment(student_files[seen], study, tmp_path / "out")
    assert code == 0
    assert said.startswith("series 4 t2_tse_tra\nprostate ")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == RESULTS
    (series,) = find_series(study)
    mask = read_mask(choose_mask(series, [read_mask_file(tmp_path / "out" / "prostate_seg.dcm")]))
    write_volume(tmp_path / "image.nii.gz", read_series(series))
    expected = Segmenting(open_bundle(exported[seen].path), tmp_path, "cpu")(tmp_path / "image.nii.gz")
    np.testing.assert_array_equal(mask.voxels, read_volume(expected.mask).voxels)
    assert Image.open(tmp_path / "out" / "prostate.png").mode == "RGB"
    report = pydicom.dcmread(tmp_path / "out" / "prostate_report.dcm")
    assert (report.Modality, report.PatientID) == ("SR", "P1")


def test_the_psa_is_in_the_line(student, segment, study, tmp_path):
    assert ", PSA density " in segment(student, study, tmp_path / "out", "--psa", "6.5")[1]


def error_of(result):
    code, _, errors = result
    assert code == 1
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    return errors.removeprefix("error: ").strip()


@pytest.mark.parametrize("psa", ["none", "0", "-1", "inf", "nan"])
def test_a_psa_that_is_none(student, segment, study, tmp_path, psa):
    line = error_of(segment(student, study, tmp_path / "out", f"--psa={psa}"))
    assert line == f"--psa {psa}: not a positive number; give the serum PSA in ng/ml, such as --psa 6.5"
    assert not (tmp_path / "out").exists()


def test_two_series_are_refused_until_one_is_chosen(student, segment, study, tmp_path):
    save(series_datasets(number=9, description="t2 repeated"), study / "again")
    line = error_of(segment(student, study, tmp_path / "out"))
    assert line == f"{study}: its study has 2 axial T2w series (numbers 4, 9); choose with --series or --tie"
    assert segment(student, study, tmp_path / "out", "--tie", "last")[1].startswith("series 9 t2 repeated\n")
    assert segment(student, study, tmp_path / "out", "--series", "tse")[1].startswith("series 4 t2_tse_tra\n")
    assert error_of(segment(student, study, tmp_path / "out", "--tie", "first")) == (
        "--tie first: unknown; give finest or last"
    )


def test_no_axial_series_no_image_and_two_studies(student, segment, tmp_path):
    save(series_datasets(orientation=SAGITTAL), tmp_path / "study")
    line = error_of(segment(student, tmp_path / "study", tmp_path / "out"))
    assert line == f"{tmp_path}/study: its study has no axial T2w series (1 series); choose with --series or --tie"
    (tmp_path / "empty").mkdir()
    line = error_of(segment(student, tmp_path / "empty", tmp_path / "out"))
    assert line == f"{tmp_path}/empty: holds neither a NIfTI volume nor a DICOM image; check the path"
    save(series_datasets(), tmp_path / "two")
    save(series_datasets(study="S2"), tmp_path / "two" / "other")
    line = error_of(segment(student, tmp_path / "two", tmp_path / "out"))
    assert line == f"{tmp_path}/two: holds 2 studies; give the folder of one"
    assert not (tmp_path / "out").exists()


def test_a_study_is_no_nifti(student, segment, study, tmp_path):
    line = error_of(segment(student, study, tmp_path / "mask.nii.gz"))
    assert line == f"{tmp_path}/mask.nii.gz: is the name of a NIfTI; a study becomes DICOM files; give a folder"


def test_a_real_study(student, segment, real_data, tmp_path):
    code, said, _ = segment(student, real_data / "dicom_prostatex" / "ProstateX-0000", tmp_path / "out")
    assert (code, said.splitlines()[0]) == (0, "series 4 t2_tse_tra")
