"""DICOM headers -> one small record for each image slice, classic and enhanced multi-frame alike."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from custom_components.errors import InputError

IMAGE_TAGS = (
    *("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID", "Modality", "SeriesNumber"),
    *("SeriesDescription", "ProtocolName", "ImageType", "FrameType", "Rows", "Columns", "NumberOfFrames", "StackID"),
    *("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "EchoTime", "EffectiveEchoTime"),
    *("RepetitionTime", "ScanningSequence", "EchoPulseSequence", "ScanOptions"),
    *("EchoPlanarPulseSequence", "InversionRecovery", "SpectrallySelectedSuppression"),
    *("DiffusionBValue", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
# Where Siemens, GE and Philips put the b-value before there was a standard tag for it: group, element, creator.
VENDOR_B_VALUES = (
    (0x0019, 0x0C, "SIEMENS MR HEADER"),
    (0x0043, 0x39, "GEMS_PARM_01"),
    (0x2001, 0x03, "Philips Imaging DD 001"),
)
# A creator reserves the first free block of its group; more than a few blocks of one group are not seen.
PRIVATE_BLOCKS = range(0x10, 0x20)
# GE adds multiples of a thousand million to the b-value.
GE_B_VALUE_OFFSET = 1_000_000_000
PRIVATE_TAGS = [
    tag
    for group, element, _ in VENDOR_B_VALUES
    for block in PRIVATE_BLOCKS
    for tag in ((group, block), (group, block << 8 | element))
]
TAGS = [*map(Tag, (*IMAGE_TAGS, *PRIVATE_TAGS))]


class NotDicomError(InputError):
    """The file is none of DICOM's."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What selection and geometry need to know of one slice; None and empty where the header does not say.

    Attributes:
        frame: index in a multi-frame file, 0 in a classic one.
        stack: StackID of an enhanced image; its stacks (planes, repetitions) are different volumes.
        spacing_mm: distance between rows, distance between columns.
        orientation: direction of a row, direction of a column (LPS).
        position_mm: centre of the first voxel (LPS).
        sequence: what ScanningSequence and its enhanced successors say: SE, GR, EP, IR.
        fat_suppressed: by ScanOptions FS or spectrally selective suppression.
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
    """No word on the many small rules that hospital files break; what changes a voxel raises."""
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
    """Values are parsed when asked for, and pydicom raises nearly anything; here it becomes one line about a file."""
    try:
        with quietly():
            yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:
        raise InputError(f"{path}: its DICOM header is damaged ({type(error).__name__}); copy it again") from error


def read_dataset(path: Path, tags: list | None = None, pixels: bool = False) -> Dataset:
    """Read a DICOM file.

    Args:
        path: a file.
        tags: the elements to read; all when None.
        pixels: also read the pixel data.

    Raises:
        NotDicomError: when it is no DICOM file.
        InputError: when it is one, but missing or damaged.
    """
    try:
        with quietly():
            return pydicom.dcmread(path, stop_before_pixels=not pixels, specific_tags=tags)
    except pydicom.errors.InvalidDicomError as error:
        raise NotDicomError(f"{path}: is no DICOM file; export it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or 'truncated'}); copy it again") from error
    except Exception as error:  # pydicom raises nearly anything at broken bytes
        raise InputError(f"{path}: its DICOM header is damaged ({type(error).__name__}); copy it again") from error


def slices_of(dataset: Dataset, path: Path) -> list[Slice]:
    """The slices of one image, from its header.

    Args:
        dataset: classic (one slice) or enhanced multi-frame MR (as many as frames).
        path: the file it came from; it names the slices in messages and is read again for the voxels.

    Raises:
        InputError: when a value is not what DICOM wants, or an enhanced image lacks its per-frame groups.
    """
    with parsing(path):
        return [_slice(frame, path, index) for index, frame in enumerate(frames_of(dataset))]


def frames_of(dataset: Dataset) -> Iterator[Dataset]:
    """One flat header for each frame: shared and per-frame functional groups lifted to the top level.

    Raises:
        InputError: when several frames have no functional groups, so that nothing says where they lie.
    """
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    number = int(dataset.get("NumberOfFrames") or 1)
    if number != len(groups) and (number > 1 or groups):
        raise InputError(f"has {number} frames, and functional groups for {len(groups)}; export it again")
    if not groups:
        yield dataset
    for group in groups:
        flat = Dataset()
        flat.update({element.tag: element for element in dataset if element.VR != "SQ"})
        for part in (*(dataset.get("SharedFunctionalGroupsSequence") or []), group):
            for element in part:
                if element.VR == "SQ" and element.value:
                    flat.update(element.value[0])
        yield flat


def _slice(header: Dataset, path: Path, index: int) -> Slice:
    return Slice(
        path=path,
        frame=index,
        uid=str(header.get("SOPInstanceUID") or ""),
        study_uid=_required(header, "StudyInstanceUID"),
        series_uid=_required(header, "SeriesInstanceUID"),
        stack=str(header.get("StackID") or ""),
        patient_id=str(header.get("PatientID") or "").strip(),
        modality=str(header.get("Modality") or ""),
        number=None if header.get("SeriesNumber") is None else int(header.SeriesNumber),
        description=str(header.get("SeriesDescription") or header.get("ProtocolName") or "").strip(),
        image_type=_texts(header.get("FrameType") or header.get("ImageType")),
        rows=int(header.get("Rows") or 0),
        columns=int(header.get("Columns") or 0),
        spacing_mm=_numbers(header.get("PixelSpacing"), 2),
        orientation=_numbers(header.get("ImageOrientationPatient"), 6),
        position_mm=_numbers(header.get("ImagePositionPatient"), 3),
        echo_time_ms=_number(header.get("EffectiveEchoTime", header.get("EchoTime"))),
        repetition_time_ms=_number(header.get("RepetitionTime")),
        sequence=_sequence(header),
        fat_suppressed="FS" in _texts(header.get("ScanOptions"))
        or str(header.get("SpectrallySelectedSuppression") or "").startswith("FAT"),
        b_value=_b_value(header),
    )


def _required(header: Dataset, keyword: str) -> str:
    if not header.get(keyword):
        raise InputError(f"has no {keyword}; export it again")
    return str(header[keyword].value)


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(str(part) for part in value) if isinstance(value, MultiValue | list) else (str(value),)


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else float(value)


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if value is None or not isinstance(value, MultiValue | list) or len(value) != count:
        return None
    return tuple(float(number) for number in value)


def _sequence(header: Dataset) -> frozenset[str]:
    kinds = set(_texts(header.get("ScanningSequence")))
    kinds |= {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(header.get("EchoPulseSequence"), set())
    kinds |= {"EP"} if header.get("EchoPlanarPulseSequence") == "YES" else set()
    kinds |= {"IR"} if header.get("InversionRecovery") == "YES" else set()
    return frozenset(kinds)


def _b_value(header: Dataset) -> int | None:
    value = header.get("DiffusionBValue")
    for private in VENDOR_B_VALUES:
        if value is None:
            value = _private_value(header, *private)
    if isinstance(value, bytes):
        value = value.decode("ascii", "ignore").strip("\0 ").split("\\")[0]
    elif isinstance(value, MultiValue | list):
        value = value[0] if value else None
    try:
        number = -1 if value is None else int(float(value))
    except ValueError:
        return None
    return number % GE_B_VALUE_OFFSET if number >= 0 else None


def _private_value(header: Dataset, group: int, element: int, creator: str) -> Any:
    """The same number means something else under another creator."""
    try:
        return header.get_private_item(group, element, creator).value
    except KeyError:
        return None
