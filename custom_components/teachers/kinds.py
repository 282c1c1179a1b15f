"""The entries of the option ``teachers``, by kind: bundles, and folders of predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.utils import ensure_tuple

from custom_components.bundle.reading import is_bundle
from custom_components.foundation.errors import InputError

KEYS = ("predictions", "classes", "confidence", "name")
EXAMPLE = "give e.g. {'predictions': 'FOLDER', 'classes': {'prostate': [1, 2]}}"


@dataclass(frozen=True)
class Predictions:
    """An entry that is a folder of predictions.

    Attributes:
        folder: the folder.
        classes: the channels of each class, see :class:`custom_components.predictions.class_map.ClassMap`.
        confidence: the probability of a mask's class, if the folder holds masks.
        name: the teacher's name in logs; if None, the teacher has the name of its model or of the folder.
    """

    folder: Path
    classes: Mapping[str, Any] | None = None
    confidence: float | None = None
    name: str | None = None


def entries(teachers: Any, bundles_dir: str | Path) -> list[str | Predictions]:
    """The entries in their order: a bundle by its name or folder, or :class:`Predictions`.

    A table is always a folder of predictions. A text is one if it is the path of a folder that is no bundle, and
    no bundle of ``bundles_dir`` has this name.

    Raises:
        InputError: if a table lacks its folder or has an unknown key.
    """
    return [_entry(one, Path(bundles_dir)) for one in _several(teachers)]


def number_of_teachers(teachers: Any) -> int:
    """The number of entries; the option may also be a single text or table, which is one."""
    return len(_several(teachers))


def _several(teachers: Any) -> Sequence[Any]:
    return [teachers] if isinstance(teachers, Mapping) else ensure_tuple(teachers)


def _entry(entry: Any, bundles_dir: Path) -> str | Predictions:
    if isinstance(entry, Mapping):
        if unknown := [key for key in entry if key not in KEYS]:
            raise InputError(f"{unknown[0]!r} is no key of a teacher", "teachers", f"use {', '.join(KEYS)}")
        if not isinstance(entry.get("predictions"), str):
            raise InputError(f"{dict(entry)} names no folder of predictions", "teachers", EXAMPLE)
        return Predictions(Path(entry["predictions"]), *(entry.get(key) for key in KEYS[1:]))
    folder = Path(entry)
    is_bundle_name = folder.name == entry and is_bundle(bundles_dir / entry)
    return Predictions(folder) if folder.is_dir() and not is_bundle(folder) and not is_bundle_name else entry


def bundles_among(teachers: Any, bundles_dir: str | Path) -> list[str]:
    """The entries that are bundles."""
    return [entry for entry in entries(teachers, bundles_dir) if isinstance(entry, str)]


def predictions_among(teachers: Any, bundles_dir: str | Path) -> list[Predictions]:
    """The entries that are folders of predictions."""
    return [entry for entry in entries(teachers, bundles_dir) if isinstance(entry, Predictions)]


def order_of_kinds(teachers: Any, bundles_dir: str | Path) -> list[int]:
    """For each entry 0 if it is a bundle, 1 if it is a folder of predictions."""
    return [int(isinstance(entry, Predictions)) for entry in entries(teachers, bundles_dir)]
