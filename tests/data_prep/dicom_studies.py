"""Small, oblique, synthetic DICOM studies with made-up numbers, written with pydicom and highdicom."""

import copy
from collections.abc import Sequence
from pathlib import Path

import highdicom
import numpy as np
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHAPE = (36, 32, 6)  # columns, rows, slices
SPACING_MM = (0.6, 0.5, 3.0)  # between columns, rows, slices
# The slices are tilted by 18 degrees about the left-right axis and 5 degrees in the plane, as for a prostate.
ROW = np.array([np.cos(0.09), np.sin(0.09), 0])
COLUMN = np.cross([0, np.sin(0.31), np.cos(0.31)], ROW)
COLUMN /= np.linalg.norm(COLUMN)
ROW = np.cross(COLUMN, np.cross(ROW, COLUMN))
AXIAL = tuple(np.concatenate([ROW, COLUMN]).round(10))
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
ORIGIN_MM = np.array([-31.4, -22.7, 12.9])
T2 = {"EchoTime": 104, "RepetitionTime": 5660, "ScanningSequence": "SE", "ScanOptions": ""}
T2_DESCRIPTION = "t2_tse_tra"


def uid(*parts: object) -> str:
    """Make a UID from parts; the same parts always give the same UID."""
    return generate_uid(entropy_srcs=[repr(parts)])


def voxels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1500, SHAPE).astype(np.uint16)


def gland() -> np.ndarray:
    """A mask (columns, rows, slices) without any symmetry, empty in the first and last slice."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:15, 3:9, 1:5] = 1
    mask[4:9, 9:13, 1:4] = 1
    mask[12:15, 3:5, 4] = 0
    return mask


def affine(orientation: tuple = AXIAL) -> np.ndarray:
    """The RAS affine of the series in this module; the slices follow each other along the normal."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lps = np.eye(4)
    lps[:3, :3] = np.stack([row, column, np.cross(row, column)], axis=1) * SPACING_MM
    lps[:3, 3] = ORIGIN_MM
    return LPS_TO_RAS @ lps


def series_datasets(
    image: np.ndarray | None = None,
    orientation: tuple = AXIAL,
    number: int = 4,
    description: str = T2_DESCRIPTION,
    patient: str = "P1",
    study: str = "S1",
    **tags: object,
) -> list[Dataset]:
    """A classic MR series, slice by slice from its origin along the normal.

    Args:
        image: (columns, rows, slices) of an integer type.
        orientation: ImageOrientationPatient.
        number: SeriesNumber.
        description: SeriesDescription.
        patient: PatientID.
        study: text from which the UIDs are made.
        tags: further elements, by keyword.
    """
    image = voxels(number) if image is None else image
    lps = LPS_TO_RAS @ affine(orientation)
    datasets = []
    for index in range(image.shape[2]):
        dataset = _dataset(uid(patient, study, number, index), MR)
        _put_pixels(dataset, image[:, :, index].T)
        values = {
            **{"PatientID": patient, "PatientName": "Doe^John", "StudyInstanceUID": uid(patient, study)},
            **{"SeriesInstanceUID": uid(patient, study, number), "FrameOfReferenceUID": uid(patient, study, "frame")},
            **{"SeriesNumber": number, "SeriesDescription": description, "InstanceNumber": index + 1},
            **{"Modality": "MR", "ImageType": ["ORIGINAL", "PRIMARY", "M"], "StudyDate": "20110707"},
            **{"PixelSpacing": [SPACING_MM[1], SPACING_MM[0]], "SliceThickness": SPACING_MM[2]},
            **{"ImageOrientationPatient": list(orientation)},
            **{"ImagePositionPatient": [round(number, 9) for number in (lps @ [0, 0, index, 1])[:3]]},
        }
        for keyword, value in {**values, **T2, **tags}.items():
            setattr(dataset, keyword, value)
        datasets.append(dataset)
    return datasets


def save(datasets: Sequence[Dataset], folder: Path) -> list[Path]:
    """Write each dataset; the file names do not show the order in space."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(0).permutation(len(datasets))
    paths = [folder / f"IM{number:04d}" for number in order]
    for path, dataset in zip(paths, datasets, strict=True):
        dataset.save_as(path, enforce_file_format=True)
    return paths


def enhanced_dataset(image: np.ndarray | None = None, orientation: tuple = AXIAL, **tags: object) -> Dataset:
    """The series of :func:`series_datasets` as one enhanced multi-frame MR image; ``tags`` has the same meaning."""
    image = voxels(4) if image is None else image
    classic = series_datasets(image, orientation, **tags)
    dataset = _dataset(uid("enhanced", tags), ENHANCED_MR)
    _put_pixels(dataset, np.moveaxis(image, 2, 0).transpose(0, 2, 1))
    dataset.NumberOfFrames = len(classic)
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SeriesNumber"):
        setattr(dataset, keyword, classic[0][keyword].value)
    for keyword in ("SeriesDescription", "Modality", "ImageType"):
        setattr(dataset, keyword, classic[0][keyword].value)
    dataset.EchoPulseSequence = "SPIN"
    dataset.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=list(orientation))],
            PixelMeasuresSequence=[item(PixelSpacing=classic[0].PixelSpacing, SliceThickness=SPACING_MM[2])],
            MRTimingAndRelatedParametersSequence=[item(RepetitionTime=5660)],
            MREchoSequence=[item(EffectiveEchoTime=104)],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=one.ImagePositionPatient)],
            FrameContentSequence=[item(StackID="1", InStackPositionNumber=index + 1)],
        )
        for index, one in enumerate(classic)
    ]
    return dataset


def segmentation(source: Sequence[Dataset], masks: dict[str, np.ndarray], **options: object) -> Dataset:
    """A DICOM SEG drawn on a classic series.

    Args:
        source: the series, in the order of the masks' slices.
        masks: segment label -> (columns, rows, slices) of 0 and 1.
        options: further arguments of highdicom's Segmentation.
    """
    organ = CodedConcept("91723000", "SCT", "Anatomical structure")
    segments = [
        highdicom.seg.SegmentDescription(number, label, organ, organ, "MANUAL")
        for number, label in enumerate(masks, start=1)
    ]
    source = [complete(dataset) for dataset in source]
    return highdicom.seg.Segmentation(
        **{
            "source_images": source,
            "pixel_array": np.stack([mask.transpose(2, 1, 0) for mask in masks.values()], axis=-1).astype(np.uint8),
            "segmentation_type": "BINARY",
            "segment_descriptions": segments,
            "series_instance_uid": uid("seg", source[0].SeriesInstanceUID),
            "series_number": 100,
            "sop_instance_uid": uid("seg", source[0].SOPInstanceUID, tuple(masks)),
            "instance_number": 1,
            "manufacturer": "none",
            "manufacturer_model_name": "none",
            "software_versions": "1",
            "device_serial_number": "1",
            **options,
        }
    )


def structure_set(
    source: Sequence[Dataset], contours: dict[str, list[np.ndarray]], kinds: Sequence[str] = ()
) -> Dataset:
    """An RTSTRUCT drawn on a classic series.

    Args:
        source: the series.
        contours: structure name -> closed polygons, each (points, 3) in voxel indices (column, row, slice).
        kinds: ContourGeometricType of each polygon of every structure; all are CLOSED_PLANAR by default.
    """
    dataset = _dataset(uid("rtstruct", source[0].SeriesInstanceUID, tuple(contours)), RT_STRUCTURE_SET)
    dataset.Modality = "RTSTRUCT"
    dataset.PatientID = source[0].PatientID
    dataset.StudyInstanceUID = source[0].StudyInstanceUID
    dataset.SeriesInstanceUID = uid("rtstruct series", source[0].SeriesInstanceUID)
    series = item(SeriesInstanceUID=source[0].SeriesInstanceUID)
    study = item(RTReferencedSeriesSequence=[series])
    dataset.ReferencedFrameOfReferenceSequence = [item(RTReferencedStudySequence=[study])]
    dataset.StructureSetROISequence = [
        item(ROINumber=number, ROIName=name) for number, name in enumerate(contours, start=1)
    ]
    lps = LPS_TO_RAS @ affine(tuple(source[0].ImageOrientationPatient))
    dataset.ROIContourSequence = [
        item(
            ReferencedROINumber=number,
            ContourSequence=[
                _contour(polygon, lps, kind)
                for polygon, kind in zip(polygons, kinds or ["CLOSED_PLANAR"] * len(polygons), strict=True)
            ],
        )
        for number, polygons in enumerate(contours.values(), start=1)
    ]
    return dataset


def item(**elements: object) -> Dataset:
    """A sequence item."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _contour(polygon: np.ndarray, lps: np.ndarray, kind: str) -> Dataset:
    points = (lps @ np.column_stack([polygon, np.ones(len(polygon))]).T)[:3].T
    return item(
        ContourGeometricType=kind,
        NumberOfContourPoints=len(points),
        ContourData=[f"{number:.5f}" for number in points.ravel()],
    )


def _dataset(instance_uid: str, kind: str) -> Dataset:
    dataset = item(SOPInstanceUID=instance_uid, SOPClassUID=kind)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = kind
    dataset.file_meta.MediaStorageSOPInstanceUID = instance_uid
    return dataset


def _put_pixels(dataset: Dataset, pixels: np.ndarray) -> None:
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 8 * pixels.dtype.itemsize
    dataset.BitsStored = 12 if pixels.dtype == np.uint16 else dataset.BitsAllocated
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()


def complete(dataset: Dataset) -> Dataset:
    """Add the elements that highdicom needs in a source image and the import does not need."""
    dataset = copy.deepcopy(dataset)
    for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyTime"):
        setattr(dataset, keyword, dataset.get(keyword, ""))
    dataset.PositionReferenceIndicator = ""
    return dataset
