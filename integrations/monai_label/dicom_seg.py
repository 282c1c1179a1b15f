"""A mask of a DICOM series as DICOM SEG, with codes from DICOM PS3.16 and the source images referenced."""

from pathlib import Path

import highdicom
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from custom_components.errors import InputError
from data_prep.dicom import Series, SeriesChoice, find_series, read_series, select_series
from data_prep.dicom.derived import deriving_from, make_seg, read_source_images
from integrations.monai_label.labels import read_label

SERIES_NUMBER = 300


def read_one_series(folder: str | Path) -> Series:
    """The series in a folder that holds one; of the stacks that an enhanced image may have, the axial T2w one.

    Raises:
        InputError: as :func:`data_prep.dicom.series.find_series`, or when no stack, or more than one, is axial T2w.
    """
    stacks = find_series(Path(folder))
    if len(stacks) == 1:
        return stacks[0]
    choice = SeriesChoice.from_environment()
    selection = select_series(stacks, choice)
    if selection.picked is None:
        raise InputError(f"{folder}: {selection.problem}; {choice.advice}")
    return selection.picked


def make_dicom_seg(series: Series, label: str | Path, model: str | None = None) -> Dataset:
    """The prostate as one binary segment on every slice of its series.

    Args:
        series: the axial T2w series that was segmented.
        label: NIfTI mask on the series' grid.
        model: the bundle that drew it; None is an annotator.

    Raises:
        InputError: if the label is no mask on this series, as :func:`integrations.monai_label.labels.read_label`; if no
            SEG can refer to the series, as :mod:`data_prep.dicom.derived`.
    """
    mask = read_label(label, read_series(series))
    with deriving_from(series):
        return make_seg(
            mask.voxels,
            series,
            read_source_images(series),
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
