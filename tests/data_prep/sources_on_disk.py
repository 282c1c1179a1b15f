"""Writing of the same made-up cases in every layout, with the library that users of the layout have."""

import json
from pathlib import Path

import itk
import nibabel
import numpy as np
import pydicom
from dicom_studies import LPS_TO_RAS
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from raw_cases import small_image, small_mask

# An oblique grid (LPS) whose three axes differ. So a transposition, a flip or a swapped spacing changes the result.
SPACING_MM = (0.75, 0.5, 3.0)
ORIGIN_MM = (-12.0, 31.0, -7.5)
TURN = np.deg2rad(14)
DIRECTION = np.array([[1, 0, 0], [0, np.cos(TURN), -np.sin(TURN)], [0, np.sin(TURN), np.cos(TURN)]])


def affine() -> np.ndarray:
    """The grid's RAS affine, computed by hand."""
    matrix = np.eye(4)
    matrix[:3, :3] = DIRECTION * SPACING_MM
    matrix[:3, 3] = ORIGIN_MM
    return LPS_TO_RAS @ matrix


def write_itk(path: Path, voxels: np.ndarray, compressed: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = itk.image_from_array(np.ascontiguousarray(voxels.T))
    image.SetSpacing(SPACING_MM)
    image.SetOrigin(ORIGIN_MM)
    image.SetDirection(itk.matrix_from_array(DIRECTION))
    itk.imwrite(image, str(path), compression=compressed)
    return path


def write_nifti(path: Path, voxels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine()), path)
    return path


def write_dicom(folder: Path, voxels: np.ndarray, patient: str = "P1", description: str = "t2_tse_tra") -> Path:
    """Write one file for each slice, the last slice first. The rows of a picture run along the volume's second axis."""
    folder.mkdir(parents=True, exist_ok=True)
    study, series = generate_uid(), generate_uid()
    count = voxels.shape[2]
    for index in range(count):
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = MRImageStorage
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.Modality, dataset.PatientID, dataset.SeriesNumber = "MR", patient, 4
        dataset.SeriesDescription, dataset.ImageType = description, ["ORIGINAL", "PRIMARY", "M"]
        dataset.EchoTime, dataset.RepetitionTime, dataset.ScanningSequence = 101, 4000, "SE"
        dataset.InstanceNumber = index + 1
        dataset.Rows, dataset.Columns = voxels.shape[1], voxels.shape[0]
        dataset.PixelSpacing = [SPACING_MM[1], SPACING_MM[0]]
        dataset.SliceThickness = SPACING_MM[2]
        dataset.ImageOrientationPatient = [*DIRECTION[:, 0], *DIRECTION[:, 1]]
        dataset.ImagePositionPatient = list(ORIGIN_MM + DIRECTION[:, 2] * SPACING_MM[2] * index)
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.PixelData = np.ascontiguousarray(voxels[:, :, index].T, "<i2").tobytes()
        dataset.save_as(folder / f"{count - index:04d}.dcm", enforce_file_format=True)
    return folder


def multi_site(folder: Path) -> Path:
    write_nifti(folder / "RUNMC" / "Case00.nii.gz", small_image(1))
    write_nifti(folder / "RUNMC" / "Case00_segmentation.nii.gz", small_mask(1, 2))
    return folder


def promise12(folder: Path) -> Path:
    for part, number, compressed in (("TrainingData_Part1", 1, False), ("TrainingData_Part2", 2, True)):
        write_itk(folder / part / f"Case{number:02d}.mhd", small_image(number), compressed)
        write_itk(folder / part / f"Case{number:02d}_segmentation.mhd", small_mask(), compressed)
    write_itk(folder / "TestData" / "Case00.mhd", small_image(3))
    return folder


def nci_isbi(folder: Path) -> Path:
    for number, name in enumerate(("Prostate3T-01-0001", "ProstateDx-01-0007")):
        write_dicom(folder / "DOI" / name / "1.3.6.1" / "2.25", small_image(number), name)
    write_itk(folder / "NCI-ISBI 2013 - Training" / "Prostate3T-01-0001.nrrd", small_mask(1, 2), compressed=True)
    write_itk(folder / "NCI-ISBI 2013 - Training" / "ProstateDx-01-0007_correctedLabels.nrrd", small_mask(2))
    return folder


def i2cvb(folder: Path) -> Path:
    write_dicom(folder / "Patient_387" / "T2W", small_image(1))
    write_dicom(folder / "Patient_387" / "GT" / "prostate", small_mask() * 255)
    write_dicom(folder / "Patient_387" / "GT" / "pz", small_mask() * 255)
    write_dicom(folder / "Patient_410" / "T2W", small_image(2))
    return folder


def decathlon(folder: Path) -> Path:
    adc = np.random.default_rng(9).random((8, 7, 4))
    write_nifti(folder / "imagesTr" / "prostate_00.nii.gz", np.stack([adc, small_image(1)], 3).astype(np.float32))
    write_nifti(folder / "labelsTr" / "prostate_00.nii.gz", small_mask(1, 2))
    write_nifti(folder / "imagesTs" / "prostate_03.nii.gz", np.stack([adc, small_image(2)], 3).astype(np.float32))
    content = {
        "name": "PROSTATE",
        "modality": {"0": "ADC", "1": "T2"},
        "labels": {"0": "background", "1": "PZ", "2": "TZ"},
        "training": [{"image": "./imagesTr/prostate_00.nii.gz", "label": "./labelsTr/prostate_00.nii.gz"}],
        "test": ["./imagesTs/prostate_03.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def bids(folder: Path) -> Path:
    write_nifti(folder / "sub-01" / "anat" / "sub-01_acq-axial_T2w.nii.gz", small_image(1))
    write_nifti(folder / "sub-01" / "anat" / "sub-01_acq-sag_T2w.nii.gz", small_image(2))
    mask = folder / "derivatives" / "manual" / "sub-01" / "anat" / "sub-01_acq-axial_label-prostate_mask.nii.gz"
    write_nifti(mask, small_mask())
    for session in ("1", "2"):
        write_nifti(folder / "sub-02" / f"ses-{session}" / "anat" / f"sub-02_ses-{session}_T2w.nii.gz", small_image(3))
    write_nifti(folder / "sub-02" / "ses-2" / "anat" / "sub-02_ses-2_dseg.nii.gz", small_mask(1, 2))
    (folder / "participants.tsv").write_text("participant_id\nsub-01\nsub-02\n")
    return folder
