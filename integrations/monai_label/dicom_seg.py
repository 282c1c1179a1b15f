"""A mask of a DICOM series as DICOM SEG, with codes from DICOM PS3.16 and the source images referenced."""

from pathlib import Path

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from data_prep.dicom.geometry import stack
from data_prep.dicom.pixels import read_series
from data_prep.dicom.series import Series, find_series
from integrations.monai_label.labels import read_label

# Type 2 of the patient and study modules: they may be empty, and some archives leave them out.
MAY_BE_EMPTY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID")
MAY_BE_EMPTY += ("StudyDate", "StudyTime", "PositionReferenceIndicator")
SERIES_NUMBER = 300


def read_one_series(folder: str | Path) -> Series:
    """The series in a folder that holds one.

    Raises:
        InputError: as :func:`data_prep.dicom.series.find_series`.
    """
    (series,) = find_series(Path(folder))
    return series


def make_dicom_seg(series: Series, label: str | Path, model: str | None = None) -> Dataset:
    """The prostate as one binary segment on every slice of its series.

    Args:
        series: the axial T2w series that was segmented.
        label: NIfTI mask on the series' grid.
        model: the bundle that drew it; None is an annotator.

    Raises:
        InputError: if the label is no mask on this series, as :func:`integrations.monai_label.labels.read_label`.
    """
    mask = read_label(label, read_series(series))
    slices, _ = stack(series)
    frames = mask.voxels.transpose(2, 1, 0)
    paths = list(dict.fromkeys(piece.path for piece in slices))
    if len(paths) == 1:  # multi-frame: in the order of its frames
        frames = frames[np.argsort([piece.frame for piece in slices])]
    return highdicom.seg.Segmentation(
        source_images=[_complete(pydicom.dcmread(path)) for path in paths],
        pixel_array=np.ascontiguousarray(frames),
        segmentation_type="BINARY",
        segment_descriptions=[_segment(model)],
        series_instance_uid=generate_uid(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="prostate-distillation",
        manufacturer_model_name="MONAI Label",
        software_versions=highdicom.__version__,
        device_serial_number="none",
        series_description="Prostate, research use only",
        omit_empty_frames=False,
    )


def nifti_to_dicom_seg(series_dir: str, label: str, label_info: list[dict] | None = None, **_: object) -> str:
    """What MONAI Label calls for ``output=dicom_seg``; its own needs a program that it fetches from GitHub."""
    model = (label_info or [{}])[0].get("model_name", "MONAI Label")
    file = Path(label).with_suffix(".dcm")
    make_dicom_seg(read_one_series(series_dir), label, model).save_as(file)
    return str(file)


def _segment(model: str | None) -> highdicom.seg.SegmentDescription:
    algorithm = None
    if model:
        family = codes.DCM.ArtificialIntelligence
        algorithm = highdicom.AlgorithmIdentificationSequence(name=model, family=family, version="1")
    return highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Prostate",
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Prostate,
        algorithm_type="AUTOMATIC" if model else "MANUAL",
        algorithm_identification=algorithm,
    )


def _complete(image: Dataset) -> Dataset:
    for keyword in MAY_BE_EMPTY:
        if keyword not in image:
            setattr(image, keyword, "")
    return image
