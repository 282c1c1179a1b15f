"""Objects for a PACS beside SEG and report: the picture, and a report that says why a study has no segmentation."""

from collections.abc import Sequence

import numpy as np
from highdicom.sc import SCImage
from highdicom.sr import CodeContentItem, ContainerContentItem, EnhancedSR, TextContentItem
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian

from data_prep.dicom.derived import add_missing
from data_prep.dicom.origin import RESEARCH_USE
from data_prep.dicom.results import Algorithm, identity, observer


def refusal_report(reason: str, images: Sequence[Dataset], algorithm: Algorithm) -> EnhancedSR:
    """A report that says that a study was not segmented, and why, for a worklist that waits for an answer.

    Args:
        reason: one sentence, without words that may name the patient.
        images: headers of the study's images; the report refers to them.
        algorithm: the bundle that would have drawn the mask.
    """
    for image in images:
        add_missing(image)
    content = ContainerContentItem(codes.DCM.SummaryOfAnalyses)
    content.ContentSequence = [
        *observer(algorithm),
        CodeContentItem(codes.DCM.SummaryOfAnalyses, codes.DCM.NotAttempted, "CONTAINS"),
        TextContentItem(codes.DCM.Comment, f"The prostate was not segmented: {reason}. {RESEARCH_USE}.", "CONTAINS"),
    ]
    uids = sorted(image.SOPInstanceUID for image in images)
    made = identity("SR", "refusal", reason, algorithm.name, algorithm.version, *uids)
    document = EnhancedSR(
        evidence=list(images),
        content=content,
        is_complete=True,
        **{**made, "series_description": "Prostate not segmented, research use"},
    )
    document.CompletionFlagDescription = RESEARCH_USE
    return document


def prostate_picture(pixels: np.ndarray, seg: Dataset, source: Dataset) -> SCImage:
    """The picture of the outlined slices as a secondary capture.

    Args:
        pixels: uint8 RGB (H, W, 3).
        seg: the SEG of the outlined mask.
        source: the header of one image of the segmented series.
    """
    add_missing(source)
    picture = SCImage.from_ref_dataset(
        source,
        pixels,
        "RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **identity("SC", seg.SOPInstanceUID),
    )
    picture.DerivationDescription = RESEARCH_USE
    picture.BurnedInAnnotation = "NO"
    return picture
