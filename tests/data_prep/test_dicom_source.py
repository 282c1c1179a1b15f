import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import sources_on_disk as layouts
from dicom_studies import SAGITTAL, affine, gland, save, segmentation, series_datasets, voxels

from custom_components.foundation.errors import InputError
from data_prep import sources
from data_prep.__main__ import main
from data_prep.sources.case import SourceOptions


def write_archive(folder: Path) -> None:
    """Write two patients: one with a mask and a second series, and one without a mask."""
    for patient, masked in (("P1", True), ("P2", False)):
        datasets = series_datasets(voxels(ord(patient[1])), patient=patient)
        save(datasets, folder / patient / "4")
        save(series_datasets(patient=patient, number=3, orientation=SAGITTAL), folder / patient / "3")
        if masked:
            save([segmentation(datasets, {"Prostate": gland()})], folder / patient / "seg")
    (folder / "DICOMDIR").write_bytes(b"not looked at")
    (folder / "readme.txt").write_text("no DICOM")


def test_each_study_gives_a_case_and_every_other_series_a_note(tmp_path):
    write_archive(tmp_path)
    listing = sources.find_cases(tmp_path, "MGH")
    assert [case.patient for case in listing.cases] == ["P1", "P2"]
    one, two = listing.cases
    np.testing.assert_array_equal(one.read_image().voxels, voxels(ord("1")))
    np.testing.assert_array_equal(one.read_label().voxels, gland())
    np.testing.assert_allclose(one.read_image().affine, affine(), atol=1e-6)
    assert two.read_label is None
    assert len(one.files) == 7
    assert listing.findings == []
    assert listing.notes == [
        "ignored as no DICOM: 1, such as readme.txt",
        "P1: series 3 t2_tse_tra: sagittal",
        "P2: series 3 t2_tse_tra: sagittal",
    ]


def test_two_studies_of_a_patient_are_two_cases_of_one_patient(tmp_path):
    for study in ("first", "second"):
        save(series_datasets(study=study), tmp_path / study)
    alone = sources.find_cases(tmp_path / "first", "MGH").cases
    both = sources.find_cases(tmp_path, "MGH").cases
    assert {case.patient for case in both} == {"P1"}
    assert len({case.name for case in both}) == 2
    assert alone[0].name in {case.name for case in both}


def test_masks_may_lie_apart(tmp_path):
    datasets = series_datasets()
    save(datasets, tmp_path / "images")
    save([segmentation(datasets, {"Prostate": gland()})], tmp_path / "masks")
    (case,) = sources.find_cases(tmp_path / "images", "MGH", options=SourceOptions(masks=tmp_path / "masks")).cases
    np.testing.assert_array_equal(case.read_label().voxels, gland())


def test_masks_within_the_folder_are_read_once(tmp_path):
    datasets = series_datasets()
    save(datasets, tmp_path / "images")
    save([segmentation(datasets, {"Prostate": gland()})], tmp_path / "masks")
    (tmp_path / "masks" / "damaged.dcm").touch()
    listing = sources.find_cases(tmp_path, "MGH", options=SourceOptions(masks=tmp_path / "masks"))
    assert listing.cases[0].label is not None
    assert [finding.file for finding in listing.findings] == [f"{tmp_path}/masks/damaged.dcm"]


def test_a_folder_without_masks_is_refused_and_a_damaged_one_told(tmp_path):
    datasets = series_datasets()
    save(datasets, tmp_path / "images")
    options = SourceOptions(masks=tmp_path / "masks")
    with pytest.raises(InputError, match=rf"\A--masks {tmp_path}/masks: no such folder"):
        sources.find_cases(tmp_path / "images", "MGH", options=options)
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "damaged.dcm").touch()
    with pytest.raises(
        InputError, match=r"\A--masks \S+/masks: holds no DICOM SEG or RTSTRUCT, and 1 damaged files; check the path"
    ):
        sources.find_cases(tmp_path / "images", "MGH", options=options)
    save([segmentation(datasets, {"Prostate": gland()})], tmp_path / "masks")
    listing = sources.find_cases(tmp_path / "images", "MGH", options=options)
    assert listing.cases[0].label is not None
    assert [finding.file for finding in listing.findings] == [f"{tmp_path}/masks/damaged.dcm"]


@pytest.mark.parametrize(
    "options", [SourceOptions(series="t2"), SourceOptions(tie="last"), SourceOptions(masks=Path("masks"))]
)
def test_what_is_for_dicom_is_refused_elsewhere(tmp_path, options):
    layouts.multi_site(tmp_path)
    with pytest.raises(
        InputError, match=rf"\A{tmp_path}: is read as multi_site; --series, --tie and --masks are for DICOM"
    ):
        sources.find_cases(tmp_path, options=options)


def test_a_mask_of_another_series_is_said_and_the_case_has_none(tmp_path):
    other = series_datasets(number=3, orientation=SAGITTAL)
    save(series_datasets(), tmp_path / "4")
    save(other, tmp_path / "3")
    save([segmentation(other, {"Prostate": gland()})], tmp_path / "seg")
    listing = sources.find_cases(tmp_path, "MGH")
    assert listing.cases[0].label is None
    assert "IM0000: SEG of a series that was not picked" in listing.notes


def test_the_user_can_choose_the_series_of_a_tie(tmp_path):
    for number, description in ((4, "t2_tse_tra"), (9, "t2_tse_tra_repeated")):
        save(series_datasets(number=number, description=description), tmp_path / str(number))
    assert sources.find_cases(tmp_path, "MGH").cases == []
    for options in (SourceOptions(series="repeated"), SourceOptions(tie="last")):
        (case,) = sources.find_cases(tmp_path, "MGH", options=options).cases
        np.testing.assert_array_equal(case.read_image().voxels, voxels(9))


def test_a_damaged_file_among_several_studies_holds_none_back(tmp_path):
    for number, patient in enumerate(("P1", "P2")):
        for path in save(series_datasets(patient=patient), tmp_path / "new"):
            path.rename(tmp_path / f"{number}_{path.name}")
    (tmp_path / "empty.dcm").touch()
    listing = sources.find_cases(tmp_path, "MGH")
    assert len(listing.cases) == 2
    assert [finding.problem for finding in listing.findings] == ["is no DICOM file"]


def test_links_to_nowhere_and_pipes_do_not_hide_the_dicom(tmp_path):
    save(series_datasets(), tmp_path / "study")
    (tmp_path / "a_link").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "b_pipe")
    listing = sources.find_cases(tmp_path, "MGH")
    assert len(listing.cases) == 1
    assert [finding.file for finding in listing.findings] == [f"{tmp_path}/a_link"]


def test_the_site_must_be_named(tmp_path):
    save(series_datasets(), tmp_path)
    with pytest.raises(
        InputError,
        match=r"\A\S+: nothing in it says which site it comes from; name it with --site",
    ):
        sources.find_cases(tmp_path)


def test_import_writes_what_the_series_holds(tmp_path, capsys):
    write_archive(tmp_path / "raw")
    arguments = ["import", str(tmp_path / "raw"), "--site", "MGH", "--out", str(tmp_path / "set"), "--keep-ids"]
    assert main([*arguments, "--jobs", "1"]) == 0
    assert "MGH: 1 of 2 cases have no mask" in capsys.readouterr().out
    entries = json.loads((tmp_path / "set" / "dataset.json").read_text())["cases"]
    assert [entry["patient"] for entry in entries] == ["MGH_P1", "MGH_P2"]
    image = nibabel.load(tmp_path / "set" / entries[0]["image"])
    label = nibabel.load(tmp_path / "set" / entries[0]["label"])
    np.testing.assert_array_equal(np.asanyarray(image.dataobj), voxels(ord("1")))
    np.testing.assert_array_equal(np.asanyarray(label.dataobj), gland())
    np.testing.assert_allclose(image.affine, affine(), atol=1e-5)
    np.testing.assert_array_equal(image.affine, label.affine)
