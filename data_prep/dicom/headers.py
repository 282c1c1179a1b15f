"""Reading of DICOM headers: one small record for each slice of a classic or an enhanced multi-frame image."""

import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.datadict import dictionary_has_tag
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from custom_components.foundation.errors import InputError
from data_prep.dicom.b_values import PRIVATE_TAGS, b_value
from data_prep.dicom.frames import frames_of
from data_prep.dicom.values import drop_blanks, number, numbers, text, texts

IMAGE_TAGS = (
    *("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID", "Modality", "SeriesNumber"),
    *("SeriesDescription", "ProtocolName", "ImageType", "FrameType", "Rows", "Columns", "NumberOfFrames", "StackID"),
    *("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "EchoTime", "EffectiveEchoTime"),
    *("RepetitionTime", "ScanningSequence", "EchoPulseSequence", "ScanOptions"),
    *("EchoPlanarPulseSequence", "InversionRecovery", "SpectrallySelectedSuppression"),
    *("DiffusionBValue", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
TAGS = [*map(Tag, (*IMAGE_TAGS, *PRIVATE_TAGS))]
# A DICOM file begins with 128 bytes that any program may use, then has this mark.
PREAMBLE, MARK = 128, b"DICM"
# A file without preamble and mark begins with one of these groups: file description, or study identity.
FIRST_GROUPS = (0x0002, 0x0008)


class NotDicomError(InputError):
    """The file is not a DICOM file."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The values of one slice that selection and geometry need; None or empty if the header lacks a value.

    Attributes:
        frame: index in a multi-frame file, 0 in a classic one.
        stack: StackID of an enhanced image. Different stacks (planes, repetitions) are different volumes.
        spacing_mm: distance between rows, distance between columns.
        orientation: direction of a row, direction of a column (LPS).
        position_mm: centre of the first voxel (LPS).
        sequence: kinds of the pulse sequence (SE, GR, EP, IR), from ScanningSequence or its enhanced successors.
        fat_suppressed: whether fat is suppressed, by ScanOptions FS or by spectrally selective suppression.
    """

    path: Path
    frame: int
    uid: str
    study_uid: str
    series_uid: str
    stack: str
    patient_id: str
    modality: str
    number: int | None
    description: str
    image_type: tuple[str, ...]
    rows: int
    columns: int
    spacing_mm: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    position_mm: tuple[float, ...] | None
    echo_time_ms: float | None
    repetition_time_ms: float | None
    sequence: frozenset[str]
    fat_suppressed: bool
    b_value: int | None


@contextmanager
def quietly() -> Iterator[None]:
    """Silence pydicom's warnings: hospital files break many small rules. Faults that change voxels are still errors."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"), pydicom.config.disable_value_validation():
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Turn every error into one line about the file. pydicom parses a value only when a program reads the value.

    Raises:
        InputError: for every error of the block.
    """
    try:
        with quietly():
            yield
    except InputError as error:
        raise error.at(path) from error
    except Exception as error:
        raise InputError(
            "its DICOM header is damaged", path, advice="copy it again", detail=type(error).__name__
        ) from error


def read_dataset(path: Path, tags: list | None = None, pixels: bool = False) -> Dataset:
    """Read a DICOM file and remove its blank elements.

    Args:
        path: the file.
        tags: the elements to read; None for all.
        pixels: whether to read the pixel data too.

    Raises:
        NotDicomError: if the file is not a DICOM file.
        InputError: if the file is missing or damaged.
    """
    options = {"stop_before_pixels": not pixels, "specific_tags": tags}
    try:
        with quietly():
            try:
                return drop_blanks(pydicom.dcmread(path, **options))
            except pydicom.errors.InvalidDicomError:
                if not begins_as_dicom(path):
                    raise
                return drop_blanks(_with_encoding(pydicom.dcmread(path, force=True, **options)))
    except pydicom.errors.InvalidDicomError as error:
        raise NotDicomError("is no DICOM file", path, advice="export it again") from error
    except OSError as error:
        raise InputError(
            "cannot be read", path, advice="copy it again", detail=error.strerror or "truncated"
        ) from error
    except Exception as error:  # pydicom raises many kinds of error at broken bytes
        raise InputError(
            "its DICOM header is damaged", path, advice="copy it again", detail=type(error).__name__
        ) from error


def begins_as_dicom(path: Path) -> bool:
    """Whether a file begins as a DICOM file, with or without the preamble; False if the file cannot be read."""
    try:
        with path.open("rb") as file:
            start = file.read(PREAMBLE + len(MARK))
    except OSError:
        return False
    return start[PREAMBLE:] == MARK or any(_is_first_element(start, order) for order in "<>")


def _is_first_element(start: bytes, byte_order: str) -> bool:
    if len(start) < 8:
        return False
    group, element = struct.unpack(f"{byte_order}HH", start[:4])
    return group in FIRST_GROUPS and (element == 0 or dictionary_has_tag(group << 16 | element))


def _with_encoding(dataset: Dataset) -> Dataset:
    """Add the encoding, which pydicom found in the bytes, to a header that lacks it; the pixel decoders need it."""
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little_endian = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return dataset


def slices_of(dataset: Dataset, path: Path) -> list[Slice]:
    """The slices of one image, from its header.

    Args:
        dataset: a classic image (one slice) or an enhanced multi-frame image (one slice for each frame).
        path: the image's file. Messages name it, and the voxels are read from it later.

    Raises:
        InputError: if a value does not have DICOM's form, or an enhanced image lacks its per-frame groups.
    """
    with parsing(path):
        return [_slice(frame, path, index) for index, frame in enumerate(frames_of(dataset))]


def _slice(header: Dataset, path: Path, index: int) -> Slice:
    series_number, effective = number(header, "SeriesNumber"), number(header, "EffectiveEchoTime")
    return Slice(
        path=path,
        frame=index,
        uid=text(header, "SOPInstanceUID"),
        study_uid=_required(header, "StudyInstanceUID"),
        series_uid=_required(header, "SeriesInstanceUID"),
        stack=text(header, "StackID"),
        patient_id=text(header, "PatientID"),
        modality=text(header, "Modality"),
        number=None if series_number is None else int(series_number),
        description=text(header, "SeriesDescription") or text(header, "ProtocolName"),
        image_type=texts(header, "FrameType") or texts(header, "ImageType"),
        rows=int(number(header, "Rows") or 0),
        columns=int(number(header, "Columns") or 0),
        spacing_mm=numbers(header, "PixelSpacing", 2),
        orientation=numbers(header, "ImageOrientationPatient", 6),
        position_mm=numbers(header, "ImagePositionPatient", 3),
        echo_time_ms=number(header, "EchoTime") if effective is None else effective,
        repetition_time_ms=number(header, "RepetitionTime"),
        sequence=_sequence(header),
        fat_suppressed="FS" in texts(header, "ScanOptions")
        or text(header, "SpectrallySelectedSuppression").startswith("FAT"),
        b_value=b_value(header),
    )


def _required(header: Dataset, keyword: str) -> str:
    said = text(header, keyword)
    if not said:
        raise InputError(f"has no {keyword}", advice="export it again")
    return said


def _sequence(header: Dataset) -> frozenset[str]:
    kinds = set(texts(header, "ScanningSequence"))
    kinds |= {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(text(header, "EchoPulseSequence"), set())
    kinds |= {"EP"} if text(header, "EchoPlanarPulseSequence") == "YES" else set()
    kinds |= {"IR"} if text(header, "InversionRecovery") == "YES" else set()
    return frozenset(kinds)
