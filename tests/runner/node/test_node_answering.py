"""The answer to a study: its results or its refusal, and what later images change."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pydicom
import pytest
from dicom_studies import CORONAL, series_datasets
from student_runner.node import answering
from student_runner.node.job import AnsweringJob
from student_runner.node.names import Names
from student_runner.node.sender import merged_record
from student_runner.student import Student, StudentMask

RESULTS = ["prostate_report.dcm", "prostate_seg.dcm"]


@pytest.fixture
def images(tmp_path):
    """``images(datasets)`` writes them as the queue does, in place of former ones."""
    names = Names(tmp_path / "key")

    def save(*series):
        folder = tmp_path / "images"
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for dataset in (one for datasets in series for one in datasets):
            dataset.save_as(folder / names.image(dataset.SOPInstanceUID), enforce_file_format=True)
        return folder

    return save


@pytest.fixture
def answer(tmp_path, student_files):
    """``answer(folder, record)``: the outcome; results are in ``tmp_path / "results"``."""

    def run(folder, record=None, seen="whole", **wishes):
        file = tmp_path / "record.json"
        if record:
            file.write_text(json.dumps(record))
        defaults = {"series": None, "tie": None, "picture": False, "report_refusals": False, "refuse": None, "node": 0}
        places = {"images": str(folder), "out": str(tmp_path / "results"), "key": str(tmp_path / "key")}
        job = AnsweringJob(
            student_files[seen], record=str(file) if record else None, **places, **{**defaults, **wishes}
        )
        answering._answer(job, Student(student_files[seen]))
        outcome = json.loads((tmp_path / "results" / "outcome.json").read_text())
        assert sorted(outcome["documents"]) == sorted(path.name for path in (tmp_path / "results").glob("*.dcm"))
        return outcome

    return run


def read(tmp_path, name="prostate_report.dcm"):
    return pydicom.dcmread(tmp_path / "results" / name)


def said(outcome):
    return outcome["answer"], outcome["reason"]


def test_a_study_has_seg_and_report_that_say_research_use(answer, images, tmp_path):
    outcome = answer(images(series_datasets()))
    assert said(outcome) == ("segmented", "")
    assert sorted(outcome["documents"]) == RESULTS
    assert "not for diagnosis" in read(tmp_path, "prostate_seg.dcm").ContentDescription
    assert read(tmp_path).CompletionFlagDescription == "Research use only, not for diagnosis"
    again = answer(images(series_datasets()))
    assert again == outcome


def test_the_picture_is_a_secondary_capture(answer, images, tmp_path):
    outcome = answer(images(series_datasets()), picture=True)
    assert sorted(outcome["documents"]) == ["prostate_picture.dcm", *RESULTS]
    picture = read(tmp_path, "prostate_picture.dcm")
    assert picture.SOPClassUID.name == "Secondary Capture Image Storage"
    assert picture.pixel_array.shape == (picture.Rows, picture.Columns, 3)
    assert picture.SeriesDescription == "Prostate picture, research use"
    assert (picture.PatientID, picture.StudyInstanceUID) == ("P1", series_datasets()[0].StudyInstanceUID)


def test_series_and_tie_of_the_site(answer, images):
    folder = images(series_datasets(), series_datasets(number=9, description="repeated"))
    assert said(answer(folder)) == ("refused", "several-axial-t2w")
    assert said(answer(folder, tie="last")) == ("segmented", "")
    assert said(answer(folder, series="repeated")) == ("segmented", "")


def missing_slice():
    datasets = series_datasets()
    del datasets[2]
    return datasets


def damaged_jpeg():
    datasets = series_datasets()
    for one in datasets:
        one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
        one.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8 no picture "])
        one["PixelData"].is_undefined_length = True
    return datasets


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: series_datasets(orientation=CORONAL), "no-axial-t2w"),
        (lambda: series_datasets(Modality="CT"), "no-axial-t2w"),
        (missing_slice, "damaged"),
        (damaged_jpeg, "damaged"),
        (lambda: [one for one in series_datasets() if one.pop("FrameOfReferenceUID", None) is not None], "damaged"),
    ],
)
def test_what_cannot_be_segmented(answer, images, tmp_path, make, reason):
    folder = images(make())
    outcome = answer(folder)
    assert (said(outcome), outcome["documents"]) == (("refused", reason), {})
    outcome = answer(folder, report_refusals=True)
    assert list(outcome["documents"]) == ["prostate_report.dcm"]
    report = read(tmp_path)
    assert (report.Modality, report.PatientID, report.SeriesDescription) == (
        *("SR", "P1"), "Prostate not segmented, research use",
    )  # fmt: skip
    *_, status, comment = report.ContentSequence
    assert status.ConceptCodeSequence[0].CodeMeaning == "Not Attempted"
    assert comment.TextValue == (
        f"The prostate was not segmented: {answering.REASONS[reason]}. Research use only, not for diagnosis."
    )
    assert answer(folder, report_refusals=True) == outcome


@pytest.mark.parametrize(("warning", "voxels", "reason"), [(None, 0, "no-prostate"), ("cut", 1, "window-edge")])
def test_masks_that_are_not_stored(answer, images, monkeypatch, warning, voxels, reason):
    def segment(self, volume):
        return StudentMask(np.full(volume.voxels.shape, voxels, np.uint8), warning)

    monkeypatch.setattr(Student, "segment", segment)
    outcome = answer(images(series_datasets()))
    assert (said(outcome), outcome["documents"]) == (("refused", reason), {})


def test_a_larger_study_supersedes_and_names_the_former_report(answer, images, tmp_path):
    datasets = series_datasets()
    record = merged_record(None, answer(images(datasets[:5])))
    outcome = answer(images(datasets), record)
    former = record["documents"]["prostate_report.dcm"]
    (study,) = read(tmp_path).PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (instance,) = series.ReferencedSOPSequence
    assert study.StudyInstanceUID == datasets[0].StudyInstanceUID
    assert series.SeriesInstanceUID == former["SeriesInstanceUID"]
    assert instance.ReferencedSOPInstanceUID == former["SOPInstanceUID"] != read(tmp_path).SOPInstanceUID
    # The same study again is the same result, with the same reference.
    assert answer(images(datasets), merged_record(record, outcome)) == outcome
    assert read(tmp_path).PredecessorDocumentsSequence == [study]


def test_new_images_without_the_removed_ones(answer, images):
    datasets, other = series_datasets(), series_datasets(number=5, orientation=CORONAL)
    first = answer(images(datasets[:5]))
    record = merged_record(None, first)
    assert said(answer(images(datasets[:2]), record)) == ("unchanged", "sent-again")
    assert said(answer(images(other), record)) == ("unchanged", "no-new-axial-t2w")
    assert said(answer(images(series_datasets(number=7)), record)) == ("refused", "incomplete")
    # The former images hold no axial series, so they cannot change the choice.
    record = merged_record(None, answer(images(other)))
    outcome = answer(images(datasets), record)
    assert said(outcome) == ("segmented", "")
    merged = merged_record(record, outcome)
    assert len(merged["images"]) == len(datasets) + len(other)
    assert merged["documents"] == outcome["documents"]
    unchanged = answer(images(other), merged)
    assert merged_record(merged, unchanged) == merged


def test_the_process_prints_no_value_of_a_study(tmp_path, images, student_files, repository):
    """After an error that nobody foresaw, the process prints the error's class and lines of the program only."""
    environment = {"PYTHONPATH": f"{repository}:{repository / 'runner'}"}
    wishes = {"series": None, "tie": None, "picture": False, "report_refusals": False, "refuse": None, "record": None}
    job = {"student": str(student_files["whole"]), "images": str(images(series_datasets())), "out": "/proc/P1/out"}
    job |= {"key": str(tmp_path / "key"), "node": os.getpid(), **wishes}

    def run(job):
        command = [sys.executable, "-m", "student_runner.node.answering"]
        return subprocess.run(command, input=json.dumps(job), env=environment, capture_output=True, text=True)

    done = run(job)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"FileNotFoundError at [\w.:, ]+\n", done.stderr)
    # A process whose node has ended does nothing.
    done = run(job | {"node": 1, "out": str(tmp_path / "results")})
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert not (tmp_path / "results").exists()
