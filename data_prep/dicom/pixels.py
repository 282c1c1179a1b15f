"""Voxel values of a series: decoded, rescaled slice by slice, in the order of the stack."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import ImplicitVRLittleEndian

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import Volume
from data_prep.dicom.frames import frames_of
from data_prep.dicom.geometry import stack
from data_prep.dicom.headers import quietly, read_dataset
from data_prep.dicom.series import Series
from data_prep.dicom.values import is_blank, number, parts, text

# Elements that a decoder needs (DICOM PS3.3 C.7.6.3).
REQUIRED = (
    *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation"),
)


def read_series(series: Series) -> Volume:
    """Read the voxels of a series.

    Args:
        series: a series from :func:`data_prep.dicom.series.find_series`.

    Returns:
        Voxels (columns, rows, slices), in ITK's order, and their RAS affine. Stored integers stay integers; if
        RescaleSlope or RescaleIntercept changes a value, all voxels are float32.

    Raises:
        InputError: if the slices are not an even stack, or a file cannot be decoded.
    """
    slices, affine = stack(series)
    frames: dict[tuple[Path, int], np.ndarray] = {}
    for path in series.files:
        frames |= {(path, index): frame for index, frame in enumerate(_read_frames(path))}
    planes = [frames.get((piece.path, piece.frame)) for piece in slices]
    if any(one is None or one.shape != (slices[0].rows, slices[0].columns) for one in planes):
        raise InputError(
            "its series has other pixels than its headers say", series.files[0], advice="copy the series again"
        )
    return Volume(np.stack([one.T for one in planes], axis=2), affine)


def _read_frames(path: Path) -> list[np.ndarray]:
    """The frames of one file, (rows, columns) each."""
    dataset = read_dataset(path, pixels=True)
    try:
        with quietly():
            _require_readable(dataset)
            pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
            return [_values(frame, header) for frame, header in zip(pixels, frames_of(dataset), strict=True)]
    except InputError as error:
        raise error.at(path) from error
    except Exception as error:  # every decoder raises other errors at broken bytes
        raise InputError("its pixels are truncated or damaged", path, advice="copy it again") from error


def _require_readable(dataset: Dataset) -> None:
    if "PixelData" not in dataset:
        raise InputError("has no pixel data, or lost it", advice="copy or export it again")
    lacking = [keyword for keyword in REQUIRED if not parts(dataset, keyword)]
    if lacking:
        raise InputError(f"has no {lacking[0]}, without which pixels mean nothing", advice="export it again")
    if number(dataset, "SamplesPerPixel") != 1:
        raise InputError("holds colour pixels, no grey values", advice="export the original series")
    syntax = dataset.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)
    try:
        readable = get_decoder(syntax).is_available
    except NotImplementedError:
        readable = False
    if not readable:
        raise InputError(
            "is compressed in a way that is not read here", advice="decompress it first", detail=syntax.name
        )


def _values(stored: np.ndarray, header: Dataset) -> np.ndarray:
    """The values of a frame: inverted if larger stored values mean darker, and rescaled if the header says so."""
    if text(header, "PhotometricInterpretation") == "MONOCHROME1":
        # Unsigned values run from 0 to 2^n - 1, signed values from -2^(n-1) to 2^(n-1) - 1. The sum of the ends is 2^n
        # - 1 for unsigned and -1 for signed values.
        ends = -1 if header.PixelRepresentation else 2**header.BitsStored - 1
        stored = (ends - stored.astype(np.int64)).astype(stored.dtype)
    slope, intercept = _only_number(header, "RescaleSlope", 1), _only_number(header, "RescaleIntercept", 0)
    if (slope, intercept) == (1, 0):
        return stored
    return (stored * slope + intercept).astype(np.float32)


def _only_number(header: Dataset, keyword: str, default: float) -> float:
    said = {float(part) for part in parts(header, keyword) if not is_blank(part)}
    if len(said) > 1:
        raise InputError(f"has {len(said)} values of {keyword} for one image", advice="export it again")
    return said.pop() if said else default
