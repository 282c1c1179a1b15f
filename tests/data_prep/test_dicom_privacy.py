"""The import takes voxels and geometry from a DICOM study, and nothing else."""

from pathlib import Path

from dicom_studies import gland, item, save, segmentation, series_datasets
from planted import SECRETS, all_bytes, assert_no_secret
from pydicom import Dataset, dcmread

from data_prep.__main__ import main


def plant(dataset: Dataset) -> None:
    """Put every secret into the elements where scanners and archives write such data."""
    dataset.PatientName = f"{SECRETS['name']}^{SECRETS['first name']}"
    dataset.PatientID = SECRETS["id"]
    dataset.PatientBirthDate = SECRETS["birth date"]
    dataset.StudyDate = dataset.AcquisitionDate = dataset.ContentDate = SECRETS["date"]
    dataset.ReferringPhysicianName = SECRETS["physician"]
    dataset.InstitutionName = SECRETS["hospital"]
    dataset.AccessionNumber = SECRETS["accession"]
    dataset.SeriesDescription = f"t2 {SECRETS['text']}"
    dataset.PatientComments = f"born {SECRETS['birth date with hyphens']}"
    dataset.OtherPatientIDsSequence = [item(PatientID=SECRETS["id"])]
    dataset.RequestAttributesSequence = [item(RequestedProcedureDescription=SECRETS["nested"])]
    block = dataset.private_block(0x0029, "VENDOR", create=True)
    block.add_new(0x10, "LO", SECRETS["private"])
    block.add_new(0x11, "SQ", [item(PatientName=SECRETS["nested"], PatientBirthDate=SECRETS["birth date"])])


def write_planted_archive(folder: Path) -> None:
    """Write a good study with a mask, and a study that the import quarantines."""
    for study, broken in (("sound", False), ("broken", True)):
        datasets = series_datasets(study=study, patient=SECRETS["id"])
        for dataset in datasets:
            plant(dataset)
        place = folder / SECRETS["name"] / f"{SECRETS['date']}_{study}"
        mask = segmentation(datasets, {"Prostate": gland()})
        mask.ContentCreatorName = SECRETS["physician"]
        for path in (*save(datasets[:2] + datasets[3:] if broken else datasets, place), *save([mask], place / "seg")):
            path.rename(path.with_name(f"{SECRETS['first name']}_{path.name}.dcm"))


def test_nothing_that_identifies_a_patient_leaves(tmp_path):
    raw, out = tmp_path / "raw", tmp_path / "set"
    write_planted_archive(raw)
    planted = b"".join(all_bytes(raw))
    assert all(secret.encode() in planted for secret in SECRETS.values())
    key = ["--key-file", str(tmp_path / "key")]
    assert main(["import", str(raw), "--site", "MGH", "--out", str(out), "--jobs", "1", *key]) == 3
    assert {path.name for path in out.iterdir()} == {"images", "labels", "dataset.json", "quarantine.json"}
    assert len(list(out.rglob("*.nii.gz"))) == 2
    assert_no_secret(out, *{dcmread(path).StudyInstanceUID for path in raw.rglob("*.dcm")})
