"""Check of a received object before it is kept: its size, its UIDs, its header and the length of its pixels."""

import re
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from custom_components.foundation.errors import InputError
from data_prep.dicom.headers import quietly, slices_of
from data_prep.dicom.origin import MANUFACTURER
from data_prep.dicom.series import MASK_MODALITIES
from data_prep.dicom.values import drop_blanks, number, text

A_UID = re.compile(r"[0-9][0-9.]{0,63}")
STUDY_INSTANCE_UID = 0x0020000D
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


class RefusedObjectError(Exception):
    """An object that is not kept.

    Args:
        reason: a few words for the log, without values of the object.
        study_uid: the study, if the object still tells it.
    """

    def __init__(self, reason: str, study_uid: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.study_uid = reason, study_uid


@dataclass(frozen=True)
class ReceivedObject:
    """An object that was checked.

    Attributes:
        study_uid: StudyInstanceUID.
        content: the bytes of its DICOM file; None if the object cannot change a study's answer and is not kept: a
            mask, a report, or a result of this program that the PACS forwards.
    """

    study_uid: str
    content: bytes | None


def check_object(dataset: bytes, meta: FileMetaDataset, most_bytes: int) -> ReceivedObject:
    """Check an object as it came, and make its file.

    Args:
        dataset: the encoded dataset.
        meta: its file meta information.
        most_bytes: the most bytes that the object may have, inflated and with decoded pixels.

    Raises:
        RefusedObjectError: if the object is too large or damaged.
    """
    syntax = meta.TransferSyntaxUID
    if not A_UID.fullmatch(str(meta.MediaStorageSOPInstanceUID)):
        raise RefusedObjectError("an instance UID is none")
    if syntax == DeflatedExplicitVRLittleEndian:
        dataset, syntax = _inflated(dataset, most_bytes), ExplicitVRLittleEndian
    if len(dataset) > most_bytes:
        raise RefusedObjectError("an object is too large")
    content = _start_of_file(meta, syntax) + dataset
    try:
        with quietly():
            return _checked(content, syntax, most_bytes)
    except RefusedObjectError as error:
        raise RefusedObjectError(error.reason, _study_uid(dataset, syntax)) from error
    except InputError as error:
        raise RefusedObjectError(f"an image {error.what}", _study_uid(dataset, syntax)) from error
    except Exception as error:  # pydicom raises many kinds of error at broken bytes
        raise RefusedObjectError("the bytes of an object are damaged", _study_uid(dataset, syntax)) from error


def _checked(content: bytes, syntax: UID, most_bytes: int) -> ReceivedObject:
    header = drop_blanks(pydicom.dcmread(BytesIO(content)))
    study_uid = text(header, "StudyInstanceUID")
    if not _is_kept(header):
        return ReceivedObject(study_uid, None)
    slices_of(header, Path("received"))
    _check_pixels(header, syntax, most_bytes)
    if not (A_UID.fullmatch(study_uid) and A_UID.fullmatch(text(header, "SOPInstanceUID"))):
        raise RefusedObjectError("a UID is none")
    return ReceivedObject(study_uid, content)


def _inflated(dataset: bytes, most_bytes: int) -> bytes:
    """The dataset without deflation. No more than ``most_bytes`` are ever inflated."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(dataset, most_bytes + 1)
    except zlib.error as error:
        raise RefusedObjectError("the bytes of an object are damaged") from error
    if len(plain) > most_bytes:
        raise RefusedObjectError("an object is too large")
    return plain


def _start_of_file(meta: FileMetaDataset, syntax: UID) -> bytes:
    own = FileMetaDataset()
    own.MediaStorageSOPClassUID = meta.MediaStorageSOPClassUID
    own.MediaStorageSOPInstanceUID = meta.MediaStorageSOPInstanceUID
    own.TransferSyntaxUID = syntax
    start = BytesIO(b"\0" * 128 + b"DICM")
    start.seek(0, 2)
    try:
        with quietly():
            write_file_meta_info(start, own, enforce_standard=True)
    except Exception as error:  # a class UID that no writer takes
        raise RefusedObjectError("a class UID is none") from error
    return start.getvalue()


def _is_kept(header: Dataset) -> bool:
    is_image = bool(number(header, "Rows")) and text(header, "Modality") not in MASK_MODALITIES
    return is_image and text(header, "Manufacturer") != MANUFACTURER


def _check_pixels(header: Dataset, syntax: UID, most_bytes: int) -> None:
    bits = int(number(header, "BitsAllocated") or 8) * int(number(header, "SamplesPerPixel") or 1)
    frames = int(number(header, "NumberOfFrames") or 1)
    needed = (int(header.Rows) * int(header.Columns) * frames * bits + 7) // 8
    if needed > most_bytes:
        raise RefusedObjectError("an object is too large")
    pixels = next((header[keyword].value for keyword in PIXEL_KEYWORDS if keyword in header), None)
    if pixels is None or (not syntax.is_compressed and len(pixels) < needed):
        raise RefusedObjectError("the pixels of an image are truncated")


def _study_uid(dataset: bytes, syntax: UID) -> str | None:
    """The StudyInstanceUID of a damaged object, if it can be read: it comes before most other elements."""
    try:
        with quietly():
            header = pydicom.filereader.read_dataset(
                BytesIO(dataset),
                syntax.is_implicit_VR,
                syntax.is_little_endian,
                stop_when=lambda tag, vr, length: tag > STUDY_INSTANCE_UID,
            )
            uid = text(header, "StudyInstanceUID")
    except Exception:  # the damage comes before the UID
        return None
    return uid if A_UID.fullmatch(uid) else None
