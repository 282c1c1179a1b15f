"""Values of a header's elements, where an empty element is as good as none: archives blank what they do not know."""

from collections.abc import Callable
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def drop_blanks(dataset: Dataset) -> Dataset:
    """Take out what says nothing, for readers that know a missing element, but no empty one; private parts are kept.

    Of sequences only the functional groups are gone into, since that takes time.
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
    """Only then a value is parsed, which takes time: bytes that are blank as text may also be a number."""
    return not isinstance(value, bytes) or not value.strip(b" \0\\")


def parts(header: Dataset, keyword: str) -> list[Any]:
    """Every part of a value; none where the element is absent, empty, or holds blanks and backslashes alone."""
    value = header.get(keyword)
    values = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    return [] if all(map(is_blank, values)) else values


def is_blank(part: Any) -> bool:
    """Whether a part of a value says nothing."""
    return part is None or part == b"" or not str(part).strip(" \0")


def texts(header: Dataset, keyword: str) -> tuple[str, ...]:
    """The parts of a value as text."""
    return tuple("" if part is None else str(part) for part in parts(header, keyword))


def text(header: Dataset, keyword: str) -> str:
    """A value as one text, as it is written in the file; empty where there is none."""
    return "\\".join(texts(header, keyword)).strip(" \0")


def number(header: Dataset, keyword: str) -> float | None:
    """A number, the first of several; None where there is none."""
    return next((float(part) for part in parts(header, keyword) if not is_blank(part)), None)


def numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """So many numbers; None where they are more or fewer."""
    values = parts(header, keyword)
    if len(values) != count or any(map(is_blank, values)):
        return None
    return tuple(float(value) for value in values)
