"""The whole application, from a DICOM study to the DICOM results."""

import os
import shutil
import subprocess

import highdicom
import numpy as np
import pydicom
import pytest
from conftest import REPOSITORY
from dicom_studies import SAGITTAL, enhanced_dataset, save, series_datasets
from pydicom.sr.codedict import codes

from custom_components.bundle import run_command
from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import read_volume
from data_prep.dicom import find_series, read_series, select_series
from data_prep.dicom.masks import choose_mask, read_mask, read_mask_file
from data_prep.volumes import write_volume

RESULTS = ["prostate.png", "prostate_report.dcm", "prostate_seg.dcm"]
SEVEN_SERIES = "dicom_prostatex/ProstateX-0000"


def picked(folder):
    return select_series(find_series(folder)).picked


def measured(results):
    """The value of every measurement in the report, by its LOINC or SNOMED code."""
    (gland,) = highdicom.sr.srread(results / "prostate_report.dcm").content.get_volumetric_roi_measurement_groups()
    return {measurement.name.value: measurement.value for measurement in gland.get_measurements()}


def check_references(results, series):
    """Check that SEG and report belong to the study, and refer to all images of this series and to no other image."""
    seg, report = (pydicom.dcmread(results / name) for name in ("prostate_seg.dcm", "prostate_report.dcm"))
    for made in (seg, report):
        assert (made.StudyInstanceUID, made.PatientID) == (series.first.study_uid, series.first.patient_id)
        assert "research use" in made.SeriesDescription
    (referenced,) = seg.ReferencedSeriesSequence
    images = {piece.uid for piece in series.slices}
    assert referenced.SeriesInstanceUID == series.first.series_uid
    assert {one.ReferencedSOPInstanceUID for one in referenced.ReferencedInstanceSequence} == images
    frames = [
        (image.ReferencedSOPInstanceUID, image.get("ReferencedFrameNumber", 1))
        for frame in seg.PerFrameFunctionalGroupsSequence
        for image in frame.DerivationImageSequence[0].SourceImageSequence
    ]
    assert sorted(frames) == sorted((piece.uid, piece.frame + 1) for piece in series.slices)
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
    cited = {
        image.ReferencedSOPInstanceUID
        for one in evidence.ReferencedSeriesSequence
        for image in one.ReferencedSOPSequence
    }
    assert cited == {seg.SOPInstanceUID, *images}


def check_voxels(results, series, bundle, folder, differing=0.0):
    """Check that the SEG equals the mask of the bundle's own inference, in another process, up to a
    share of the voxels that differ.
    """
    mask = read_mask(choose_mask(series, [read_mask_file(results / "prostate_seg.dcm")]))
    image = read_series(series)
    (folder / "images").mkdir()
    write_volume(folder / "images/case.nii.gz", image)
    options = {"dataset_dir": folder / "images", "output_dir": folder}
    command = run_command("inference", "configs/inference.json", options)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, cwd=bundle, env=environment, check=True, capture_output=True)
    expected = read_volume(folder / "predictions/case.nii.gz").voxels
    assert 0 < expected.sum() < expected.size
    assert np.count_nonzero(mask.voxels != expected) <= differing * expected.size
    volume_ml = mask.voxels.sum() * np.prod(image.spacing_mm) / 1000
    assert measured(results) == {codes.SCT.Volume.value: pytest.approx(volume_ml, abs=1e-3)}


def test_a_generated_study(study, segmented, bundle, tmp_path, capsys):
    results = segmented(study)
    assert sorted(path.name for path in results.iterdir()) == RESULTS
    assert capsys.readouterr().out.startswith("series 4 t2_tse_tra\nprostate ")
    check_references(results, picked(study))
    check_voxels(results, picked(study), bundle, tmp_path)


def test_a_generated_study_by_a_student_file(study, segmented, exported, tmp_path):
    results = segmented(study, HOLOSCAN_MODEL_PATH=str(exported / "models/student.onnx"))
    assert sorted(path.name for path in results.iterdir()) == RESULTS
    check_references(results, picked(study))
    check_voxels(results, picked(study), exported, tmp_path)
    (algorithm,) = (
        pydicom.dcmread(results / "prostate_seg.dcm").SegmentSequence[0].SegmentationAlgorithmIdentificationSequence
    )
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("Prostate MRI student: ESPNet", "0.1.0")


def test_an_enhanced_image_whose_frames_lie_in_another_order(segmented, bundle, tmp_path):
    dataset = enhanced_dataset()
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    frames = dataset.pixel_array
    order = [2, 0, 5, 1, 4, 3]
    dataset.PerFrameFunctionalGroupsSequence = [groups[index] for index in order]
    dataset.PixelData = frames[order].tobytes()
    save([dataset], tmp_path / "study")
    results = segmented(tmp_path / "study")
    check_references(results, picked(tmp_path / "study"))
    check_voxels(results, picked(tmp_path / "study"), bundle, tmp_path)


def test_stacks_and_frames_that_share_no_geometry(segmented, bundle, tmp_path):
    """One file holds an axial and a sagittal stack; like the files of some scanners, it has no shared groups."""
    axial, sagittal = enhanced_dataset(), enhanced_dataset(orientation=SAGITTAL)
    groups = []
    for stack, dataset in (("2", sagittal), ("1", axial)):
        for group in dataset.PerFrameFunctionalGroupsSequence:
            group.update(dataset.SharedFunctionalGroupsSequence[0])
            group.FrameContentSequence[0].StackID = stack
            groups.append(group)
    axial.PixelData = sagittal.PixelData + axial.PixelData
    axial.NumberOfFrames = len(groups)
    axial.PerFrameFunctionalGroupsSequence = groups
    axial.SharedFunctionalGroupsSequence = []
    save([axial], tmp_path / "study")
    results = segmented(tmp_path / "study")
    check_references(results, picked(tmp_path / "study"))
    check_voxels(results, picked(tmp_path / "study"), bundle, tmp_path)


def test_a_real_series(real_data, segmented, bundle, tmp_path):
    folder = real_data / "dicom_prostate3t/Prostate3T-03-0002"
    results = segmented(folder)
    check_references(results, picked(folder))
    check_voxels(results, picked(folder), bundle, tmp_path)


def test_a_real_series_by_a_student_file(real_data, segmented, exported, tmp_path):
    folder = real_data / "dicom_prostate3t/Prostate3T-03-0002"
    results = segmented(folder, HOLOSCAN_MODEL_PATH=str(exported / "models/student.onnx"))
    check_references(results, picked(folder))
    check_voxels(results, picked(folder), exported, tmp_path, differing=1e-5)


def test_the_axial_t2_of_a_real_study_of_seven_series(real_data, segmented, capsys):
    series = {one.first.description: one for one in find_series(real_data / SEVEN_SERIES)}
    assert len(series) == 7
    results = segmented(real_data / SEVEN_SERIES)
    assert capsys.readouterr().out.startswith("series 4 t2_tse_tra\n")
    check_references(results, series["t2_tse_tra"])


def test_psa_and_its_density_are_reported_only_when_the_psa_is_given(study, segmented, capsys):
    without = measured(segmented(study))
    with_psa = measured(segmented(study, PSA="6.5"))
    (volume_ml,) = without.values()
    assert with_psa == {
        codes.SCT.Volume.value: volume_ml,
        codes.LN.ProstateCancerAntigen.value: 6.5,
        codes.LN.ProstateSpecificAntigenDensity.value: pytest.approx(6.5 / volume_ml, abs=1e-3),
    }
    assert capsys.readouterr().out.count("PSA") == 1


def test_a_second_run_makes_the_same_instances_and_another_psa_another_report(study, segmented):
    def instances(**environment):
        results = segmented(study, **environment)
        return [pydicom.dcmread(results / name).SOPInstanceUID for name in RESULTS[1:]]

    report, seg = instances()
    assert instances() == [report, seg]
    other_report, same_seg = instances(PSA="6.5")
    assert same_seg == seg
    assert other_report != report


def test_a_study_without_axial_t2(tmp_path, refusal):
    save(series_datasets(orientation=SAGITTAL), tmp_path / "study")
    assert "its study has no axial T2w series (1 series); look with" in refusal(tmp_path / "study")


def test_a_real_study_without_axial_t2(real_data, tmp_path, refusal):
    for series in (real_data / SEVEN_SERIES).glob("*/*"):
        if "t2tsetra" not in series.name:
            shutil.copytree(series, tmp_path / "study" / series.name)
    assert "its study has no axial T2w series (6 series); look with" in refusal(tmp_path / "study")


def test_a_missing_slice(tmp_path, refusal):
    datasets = series_datasets()
    del datasets[2]
    save(datasets, tmp_path / "study")
    line = refusal(tmp_path / "study")
    assert line.endswith("its series has 1 missing slice(s), the first after slice 2; copy it again")


def test_a_real_series_with_a_missing_slice(real_data, tmp_path, refusal):
    shutil.copytree(real_data / "dicom_prostate3t/Prostate3T-03-0002", tmp_path / "study")
    (tmp_path / "study/000007.dcm").unlink()
    assert "its series has 1 missing slice(s)" in refusal(tmp_path / "study")


def test_two_candidates(tmp_path, refusal):
    for number in (4, 9):
        save(series_datasets(number=number), tmp_path / "study" / str(number))
    assert "its study has 2 axial T2w series (numbers 4, 9); look with" in refusal(tmp_path / "study")
    assert refusal(tmp_path / "study").endswith("then choose with SERIES or TIE")
    assert "2 axial T2w series that SERIES names (numbers 4, 9)" in refusal(tmp_path / "study", SERIES="t2")
    assert refusal(tmp_path / "study", TIE="best") == "TIE best: unknown; give finest or last"


@pytest.mark.parametrize(("variable", "number"), [("TIE", 9), ("SERIES", 4)])
def test_one_of_two_candidates_by_a_variable(tmp_path, segmented, variable, number):
    for one in (4, 9):
        save(series_datasets(number=one), tmp_path / "study" / str(one))
    series = {one.first.number: one for one in find_series(tmp_path / "study")}
    value = {"TIE": "last", "SERIES": series[4].first.series_uid}[variable]
    check_references(segmented(tmp_path / "study", **{variable: value}), series[number])


def test_two_studies(tmp_path, refusal):
    for study in ("S1", "S2"):
        save(series_datasets(study=study), tmp_path / "study" / study)
    assert refusal(tmp_path / "study") == f"{tmp_path}/study: holds 2 studies; give the folder of one"


@pytest.mark.parametrize("psa", ["six", "-1", "nan"])
def test_a_psa_that_is_none(study, refusal, psa):
    assert refusal(study, PSA=psa) == f"PSA={psa}: not a positive number; give the serum PSA in ng/ml, such as PSA=6.5"


def test_a_folder_that_is_missing_or_holds_nothing(tmp_path, refusal):
    assert refusal(tmp_path / "nowhere") == f"{tmp_path}/nowhere: no such folder"
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty") == f"{tmp_path}/empty: holds no DICOM image; check the path"


def test_a_study_may_lie_behind_a_link(tmp_path, study, segmented):
    expected = {path.name: path.read_bytes() for path in segmented(study).iterdir()}
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "today").symlink_to(study)
    (tmp_path / "inbox" / "again").symlink_to(tmp_path / "inbox")
    (tmp_path / "inbox" / "dicomdir").write_bytes(b"an index")
    linked = segmented(tmp_path / "inbox")
    assert (linked / "prostate.png").read_bytes() == expected["prostate.png"]


def test_what_cannot_be_read_is_named(tmp_path, study, refusal):
    (study / "series").symlink_to(tmp_path / "not_mounted")
    assert refusal(study).startswith(f"{study}/series: is a link that leads nowhere")


def test_a_model_that_is_none(study, refusal, tmp_path):
    broken = tmp_path / "model.ts"
    broken.write_bytes(b"no TorchScript")
    refused = refusal(study, HOLOSCAN_MODEL_PATH=str(broken))
    assert refused.startswith(f"{broken}: ")
    other = tmp_path / "student.onnx"
    other.write_bytes(b"no ONNX")
    refused = refusal(study, HOLOSCAN_MODEL_PATH=str(other))
    assert refused.startswith(f"{other}: cannot be opened by ONNX Runtime")
    refused = refusal(study, HOLOSCAN_MODEL_PATH=str(tmp_path / "none"))
    assert refused == (
        f"{tmp_path}/none: no student.onnx or model.ts; give the file, or a folder with one <name>/student.onnx"
    )


def test_a_failure_keeps_the_results_of_an_earlier_run(study, segmented, tmp_path):
    results = segmented(study)
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    with pytest.raises(InputError, match="no such folder"):
        segmented(tmp_path / "nowhere")
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before
