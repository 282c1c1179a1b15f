"""Which numbers of a mask count as labels, for import and for what annotators hand in.

A mask may be stored as floats, or scaled by its header, and then holds 1.0000001 or 0.9999999 for 1. Values within a
thousandth of a whole number are taken for that number; all others are what they are, and are refused as no label.
"""

from collections.abc import Sequence

import numpy as np

ROUNDING = 1e-3
# So many values are told of a mask that holds too many.
SHOWN = 5


def whole_labels(voxels: np.ndarray) -> np.ndarray:
    """The voxels with every value that is nearly whole made whole; integers are given back as they are."""
    if voxels.dtype.kind in "iu":
        return voxels
    with np.errstate(invalid="ignore"):
        whole = np.rint(voxels)
        return np.where(np.abs(voxels - whole) <= ROUNDING, whole, voxels)


def in_words(values: Sequence[np.number]) -> str:
    """Some values of an array, each with as many digits as tell it from its neighbours: 3, 0.5, 1.0012."""
    shown = ", ".join(_in_words(value) for value in values[:SHOWN])
    return shown + (", ..." if len(values) > SHOWN else "")


def _in_words(value: np.number) -> str:
    short = f"{value:g}"
    return short if float(short) == float(value) or not np.isfinite(value) else str(value)
