"""The b-value of a slice, from DICOM's tag or from the older private tags of Siemens, GE and Philips."""

from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from data_prep.dicom.values import parts

# Group, element, creator.
VENDOR_B_VALUES = (
    (0x0019, 0x0C, "SIEMENS MR HEADER"),
    (0x0043, 0x39, "GEMS_PARM_01"),
    (0x2001, 0x03, "Philips Imaging DD 001"),
)
# A private creator reserves the first free block of its group. Real files use only a few blocks of a group.
PRIVATE_BLOCKS = range(0x10, 0x20)
# GE adds multiples of a thousand million to the b-value.
GE_B_VALUE_OFFSET = 1_000_000_000
PRIVATE_TAGS = [
    tag
    for group, element, _ in VENDOR_B_VALUES
    for block in PRIVATE_BLOCKS
    for tag in ((group, block), (group, block << 8 | element))
]


def b_value(header: Dataset) -> int | None:
    """The b-value in s/mm²; None if the header does not hold it."""
    standard = next(iter(parts(header, "DiffusionBValue")), None)
    return vendor_b_value(header) if standard is None else _plain(standard)


def vendor_b_value(header: Dataset) -> int | None:
    """The b-value in s/mm² from the vendors' private tags alone."""
    values = (_private_value(header, *private) for private in VENDOR_B_VALUES)
    return _plain(next((value for value in values if value is not None), None))


def _plain(value: Any) -> int | None:
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
    """The value of a private element; the same tag has another meaning under another private creator."""
    try:
        return header.get_private_item(group, element, creator).value
    except KeyError:
        return None
