"""The stack of a series: slices at even distances at right angles, with their affine.

ImagePositionPatient and ImageOrientationPatient give the position of a slice (DICOM PS3.3 C.7.6.2.1.1). File names,
InstanceNumber and SliceLocation are not used.
"""

import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.grids import LPS_TO_RAS
from data_prep.dicom.headers import Slice
from data_prep.dicom.series import Series

# Some headers give positions with only two or three decimals.
POSITION_TOLERANCE_MM = 0.1
ORIENTATION_TOLERANCE = 1e-3
SPACING_TOLERANCE_MM = 1e-3
# No patient lies a hundred metres from the scanner's centre; a header with such a number is damaged.
FARTHEST_MM = 1e5


def stack(series: Series) -> tuple[list[Slice], np.ndarray]:
    """Order slices along their normal and compute the affine of the stack.

    Args:
        series: the series, with its slices in any order. Messages name its first file.

    Returns:
        The ordered slices, and the 4 x 4 affine from (column, row, slice) to mm (RAS): a rotation, the voxel size and a
        shift.

    Raises:
        InputError: if the slices differ in size, spacing or orientation, or if a slice is missing, doubled or shifted.
    """
    try:
        return _stack(list(series.slices))
    except InputError as error:
        raise error.at(series.files[0]) from error


def _stack(slices: list[Slice]) -> tuple[list[Slice], np.ndarray]:
    _require_alike(slices)
    orientation = np.array(slices[0].orientation)
    row, column = _unit(orientation[:3]), _unit(orientation[3:])
    if abs(row @ column) > ORIENTATION_TOLERANCE:
        raise InputError("its series has rows and columns that are not at right angles", advice="export it again")
    normal = np.cross(row, column)
    slices.sort(key=lambda piece: np.dot(normal, piece.position_mm))
    positions = np.array([piece.position_mm for piece in slices])
    spacing = _even_spacing(positions @ normal)
    _require_upright(positions, normal)

    between_rows, between_columns = slices[0].spacing_mm
    lps = np.eye(4)
    lps[:3, 0] = row * between_columns
    lps[:3, 1] = column * between_rows
    lps[:3, 2] = normal * spacing
    lps[:3, 3] = positions[0]
    return slices, LPS_TO_RAS @ lps


def _require_alike(slices: list[Slice]) -> None:
    if len(slices) < 2:
        raise InputError("its series has one slice only", advice="export the whole series")
    fields = (
        ("orientation", "ImageOrientationPatient", ORIENTATION_TOLERANCE),
        ("position_mm", "ImagePositionPatient", np.inf),
        ("spacing_mm", "PixelSpacing", SPACING_TOLERANCE_MM),
    )
    for attribute, tag, tolerance in fields:
        values = [getattr(piece, attribute) for piece in slices]
        lacking = sum(value is None or not (np.abs(value) < FARTHEST_MM).all() for value in values)
        if lacking:
            raise InputError(f"its series has {lacking} slices without a usable {tag}", advice="export it again")
        if np.ptp(values, axis=0).max() > tolerance:
            raise InputError(f"its series has slices of different {tag}", advice="separate what was joined")
    if len({(piece.rows, piece.columns) for piece in slices}) > 1:
        raise InputError("its series has slices of different Rows or Columns", advice="separate what was joined")
    if min(slices[0].rows, slices[0].columns) < 1 or min(slices[0].spacing_mm) <= 0:
        raise InputError("its series has Rows, Columns or PixelSpacing of 0 or less", advice="export it again")


def _unit(direction: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(direction)
    if abs(length - 1) > ORIENTATION_TOLERANCE:
        raise InputError(f"its series has an ImageOrientationPatient of length {length:.3g}", advice="export it again")
    return direction / length


def _even_spacing(heights_mm: np.ndarray) -> float:
    steps = np.diff(heights_mm)
    doubled = np.count_nonzero(steps < POSITION_TOLERANCE_MM)
    if doubled:
        advice = "keep one of each, or separate the images (echoes, b-values, repetitions) that share them"
        raise InputError(f"its series has {doubled} doubled slice(s), at the place of another one", advice=advice)
    gaps = np.rint(steps / steps.min())
    if np.abs(steps - gaps * steps.min()).max() > POSITION_TOLERANCE_MM:
        distances = f"{steps.min():.4g} to {steps.max():.4g} mm"
        raise InputError(f"its series has slices at uneven distances, {distances}", advice="export one of even spacing")
    missing = int((gaps - 1).sum())
    if missing:
        after = int(np.argmax(gaps > 1)) + 1
        raise InputError(
            f"its series has {missing} missing slice(s), the first after slice {after}", advice="copy it again"
        )
    return float((heights_mm[-1] - heights_mm[0]) / (len(heights_mm) - 1))


def _require_upright(positions_mm: np.ndarray, normal: np.ndarray) -> None:
    """Refuse a stack that a tilted gantry has sheared, or a slice that is shifted in its plane."""
    from_first = positions_mm - positions_mm[0]
    aside = from_first - np.outer(from_first @ normal, normal)
    shift = float(np.linalg.norm(aside, axis=1).max())
    if shift > POSITION_TOLERANCE_MM:
        raise InputError(f"its series is sheared by {shift:.3g} mm (tilted gantry)", advice="resample it upright first")
