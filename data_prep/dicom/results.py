"""The results of a segmented series for a PACS: a DICOM SEG of the prostate, and a report of volume and PSA density.

All hosts write both with this module. Codes come from pydicom's dictionaries of DICOM PS3.16 and highdicom's templates.
Units are UCUM codes. The UIDs of an algorithm's results are made from the content. So a result that is stored again,
after a failure, is in the PACS only once.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import highdicom
import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    ReferencedSegment,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from data_prep.dicom.derived import make_seg
from data_prep.dicom.origin import MANUFACTURER, RESEARCH_USE
from data_prep.dicom.series import Series

DEVICE_SERIAL_NUMBER = "none"
SERIES_DESCRIPTIONS = {
    "SEG": "Prostate segmentation, research use",
    "SR": "Prostate volume, research use",
    "SC": "Prostate picture, research use",
}
# Scanners number their series from 1, so these numbers come after them.
SERIES_NUMBERS = {"SEG": 9001, "SR": 9002, "SC": 9003}
NG_PER_ML = CodedConcept("ng/ml", "UCUM", "nanogram per milliliter")
NG_PER_ML_PER_CM3 = CodedConcept("ng/ml/cm3", "UCUM", "nanogram per milliliter per cubic centimeter")


@dataclass(frozen=True)
class Algorithm:
    """The name and the version of the bundle that drew a mask."""

    name: str
    version: str


def prostate_seg(
    mask: np.ndarray, series: Series, sources: Sequence[Dataset], algorithm: Algorithm | None
) -> Segmentation:
    """A binary SEG with a frame for every slice of the series.

    Args:
        mask: values 0 and 1 (columns, rows, slices), on the grid of ``read_series``.
        series: the segmented series.
        sources: the headers of the series, from :func:`data_prep.dicom.derived.read_source_images`.
        algorithm: the bundle that drew the mask; None if an annotator drew it.
    """
    if algorithm:
        images = [source.SOPInstanceUID for source in sources]
        content = [algorithm.name, algorithm.version, *images, hashlib.sha256(mask.tobytes()).hexdigest()]
    else:  # two annotators may draw equal masks, which are still two results
        content = [generate_uid()]
    prostate = SegmentDescription(
        segment_number=1,
        segment_label="Prostate",
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.Prostate,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC if algorithm else SegmentAlgorithmTypeValues.MANUAL,
        algorithm_identification=_identification(algorithm) if algorithm else None,
        tracking_id="prostate",
        tracking_uid=make_uid("tracking", *content),
    )
    return make_seg(
        mask,
        series,
        sources,
        segment_descriptions=[prostate],
        content_label="PROSTATE",
        content_description=f"Prostate gland, {'automatic' if algorithm else 'manual'}, not for diagnosis",
        manufacturer_model_name=algorithm.name if algorithm else "manual segmentation",
        software_versions=algorithm.version if algorithm else highdicom.__version__,
        device_serial_number=DEVICE_SERIAL_NUMBER,
        **identity("SEG", *content),
    )


def volume_report(
    volume_ml: float,
    psa_ng_per_ml: float | None,
    seg: Segmentation,
    sources: Sequence[Dataset],
    algorithm: Algorithm,
) -> Comprehensive3DSR:
    """A measurement report (TID 1500): gland volume and, where the PSA is known, PSA and PSA density.

    Args:
        volume_ml: volume of the mask in ml.
        psa_ng_per_ml: prostate specific antigen in serum in ng/ml; None if it is not known.
        seg: the SEG of the measured mask.
        sources: headers of the segmented series.
        algorithm: the bundle that drew the mask.
    """
    measurements = [Measurement(codes.SCT.Volume, round(volume_ml, 3), codes.UCUM.CubicCentimeter)]
    if psa_ng_per_ml is not None:
        density = round(psa_ng_per_ml / volume_ml, 4)
        measurements += [
            Measurement(codes.LN.ProstateCancerAntigen, psa_ng_per_ml, NG_PER_ML),
            Measurement(codes.LN.ProstateSpecificAntigenDensity, density, NG_PER_ML_PER_CM3),
        ]
    segment = seg.SegmentSequence[0]
    gland = VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=segment.TrackingUID, identifier=segment.TrackingID),
        referenced_segment=ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=segment.SegmentNumber,
            source_series=SourceSeriesForSegmentation(sources[0].SeriesInstanceUID),
        ),
        finding_type=codes.SCT.Prostate,
        finding_sites=[FindingSite(codes.SCT.Prostate)],
        algorithm_id=AlgorithmIdentification(algorithm.name, algorithm.version),
        measurements=measurements,
    )
    report = MeasurementReport(
        observation_context=ObservationContext(observer(algorithm)),
        procedure_reported=codes.LN.MRIUnspecifiedBodyRegion,
        imaging_measurements=[gland],
        title=codes.DCM.ImagingMeasurementReport,
    )
    document = Comprehensive3DSR(
        evidence=[seg, *sources],
        content=report,
        is_complete=True,
        **identity("SR", seg.SOPInstanceUID, str(psa_ng_per_ml)),
    )
    document.CompletionFlagDescription = RESEARCH_USE
    return document


def observer(algorithm: Algorithm) -> ObserverContext:
    """The observer of a report: the algorithm, as a device."""
    device = DeviceObserverIdentifyingAttributes(
        uid=make_uid("device", algorithm.name, algorithm.version),
        manufacturer_name=MANUFACTURER,
        model_name=algorithm.name,
        serial_number=DEVICE_SERIAL_NUMBER,
    )
    return ObserverContext(codes.DCM.Device, device)


def _identification(algorithm: Algorithm) -> AlgorithmIdentificationSequence:
    family = codes.DCM.ArtificialIntelligence
    return AlgorithmIdentificationSequence(algorithm.name, family, algorithm.version, source=MANUFACTURER)


def identity(modality: str, *content: str) -> dict[str, object]:
    """The elements that identify a result of a modality; equal content gives equal UIDs."""
    return {
        "series_instance_uid": make_uid(modality, "series", *content),
        "series_number": SERIES_NUMBERS[modality],
        "series_description": SERIES_DESCRIPTIONS[modality],
        "sop_instance_uid": make_uid(modality, "instance", *content),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
    }


def make_uid(*content: str) -> str:
    """A UID made from the content, so that equal content always has the same UID."""
    return generate_uid(entropy_srcs=[MANUFACTURER, *content])
