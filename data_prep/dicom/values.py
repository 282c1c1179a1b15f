"""Values of a header's elements. An empty element counts as missing, because archives leave unknown values blank."""

from collections.abc import Callable
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def drop_blanks(dataset: Dataset) -> Dataset:
    """Remove blank public elements, for readers that accept a missing element but not an empty one.

    To save time, the function enters only the sequences of functional groups.
    """
    return _drop_blanks(dataset, FUNCTIONAL_GROUPS.__contains__)


def _drop_blanks(dataset: Dataset, is_of_concern: Callable[[str], bool]) -> Dataset:
    for tag in list(dataset.keys()):
        keyword = keyword_for_tag(tag)
        if not keyword:
            continue
        if dictionary_VR(tag) == "SQ":
            for item in (dataset[tag].value or []) if is_of_concern(keyword) else ():
                _drop_blanks(item, bool)
        elif _may_be_blank(dataset.get_item(tag).value) and not parts(dataset, keyword):
            del dataset[tag]
    return dataset


def _may_be_blank(value: Any) -> bool:
    """Whether a value needs parsing, which takes time: bytes that are blank as text may also be a number."""
    return not isinstance(value, bytes) or not value.strip(b" \0\\")


def parts(header: Dataset, keyword: str) -> list[Any]:
    """The parts of a value; none if the element is missing, empty, or holds only blanks and backslashes."""
    value = header.get(keyword)
    values = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    return [] if all(map(is_blank, values)) else values


def is_blank(part: Any) -> bool:
    """Whether a part of a value is empty or blank."""
    return part is None or part == b"" or not str(part).strip(" \0")


def texts(header: Dataset, keyword: str) -> tuple[str, ...]:
    """The parts of a value as text."""
    return tuple("" if part is None else str(part) for part in parts(header, keyword))


def text(header: Dataset, keyword: str) -> str:
    """A value as one text, as written in the file; empty if there is no value."""
    return "\\".join(texts(header, keyword)).strip(" \0")


def number(header: Dataset, keyword: str) -> float | None:
    """The value as a number, or the first of several numbers; None if there is none.

    >>> header = Dataset()
    >>> header.PixelSpacing, header.EchoTime = [0.5, 0.6], ""
    >>> number(header, "PixelSpacing"), number(header, "EchoTime"), number(header, "RepetitionTime")
    (0.5, None, None)
    """
    return next((float(part) for part in parts(header, keyword) if not is_blank(part)), None)


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """The value as ``count`` numbers; None if it has more or fewer numbers."""
    values = parts(header, keyword)
    if len(values) != count or any(map(is_blank, values)):
        return None
    return tuple(float(value) for value in values)
