"""The values of a mask that count as labels, for the import and for annotators' masks.

A mask that is stored as floats, or scaled by its header, may hold 1.0000001 or 0.9999999 instead of 1. A value within a
thousandth of a whole number counts as this number. All other values are not rounded, and are refused because they are
not labels.
"""

from collections.abc import Sequence

import numpy as np

ROUNDING = 1e-3
# A message lists at most this number of values.
SHOWN = 5


def whole_labels(voxels: np.ndarray) -> np.ndarray:
    """Round every voxel (of any shape) that is nearly a whole number; a mask of integers is returned unchanged.

    >>> whole_labels(np.array([0.0, 0.9999999, 0.5]))
    array([0. , 1. , 0.5])
    """
    if voxels.dtype.kind in "iu":
        return voxels
    with np.errstate(invalid="ignore"):
        whole = np.rint(voxels)
        return np.where(np.abs(voxels - whole) <= ROUNDING, whole, voxels)


def in_words(values: Sequence[np.number]) -> str:
    """The first values of an array in words, each with all digits that it needs: 3, 0.5, 1.0012.

    >>> in_words(np.array([3.0, 0.5, 1.0012]))
    '3, 0.5, 1.0012'
    """
    shown = ", ".join(_in_words(value) for value in values[:SHOWN])
    return shown + (", ..." if len(values) > SHOWN else "")


def _in_words(value: np.number) -> str:
    short = f"{value:g}"
    return short if float(short) == float(value) or not np.isfinite(value) else str(value)
