"""Measures each case, and summarises the cases of a site."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from custom_components.foundation.errors import InputError
from custom_components.foundation.grids import grid_difference
from custom_components.foundation.nifti import Volume, read_volume, voxel_mm3
from reporting.slices import Stack, axial


@dataclass(frozen=True)
class Quantity:
    """A quantity that is measured on each case.

    Attributes:
        key: the quantity's name in ``fingerprint.json``.
        title: the quantity's name on the page.
        digits: number of decimals on the page.
        skewed: whether the values differ by factors, so that outliers are searched among their logarithms.
    """

    key: str
    title: str
    digits: int
    skewed: bool = False

    def in_words(self, value: float) -> str:
        """A value as text, with the decimals of the quantity."""
        return f"{value:.{self.digits}f}"


GROUPS = {
    "Spacing": (
        Quantity("column_spacing_mm", "columns mm", 3),
        Quantity("row_spacing_mm", "rows mm", 3),
        Quantity("slice_spacing_mm", "slices mm", 2),
    ),
    "Matrix": (
        Quantity("columns", "columns", 0),
        Quantity("rows", "rows", 0),
        Quantity("slices", "slices", 0),
    ),
    "Intensity": (
        Quantity("intensity_p1", "1st percentile", 1),
        Quantity("intensity_p50", "median", 1, skewed=True),
        Quantity("intensity_p99", "99th percentile", 1, skewed=True),
    ),
    "Gland": (
        Quantity("gland_ml", "volume ml", 1, skewed=True),
        Quantity("gland_slices", "slices with gland", 0),
        Quantity("gland_field_mm", "field of view mm", 0),
    ),
}
QUANTITIES = tuple(quantity for group in GROUPS.values() for quantity in group)


@dataclass(frozen=True)
class Case:
    """The values of a case by the quantity's key. The gland's quantities of a case without a mask are None."""

    name: str
    site: str
    values: dict[str, float | None]


def measure(dataset: Path, entry: dict[str, Any]) -> Case:
    """Measure one case of ``dataset.json``.

    Rows, columns and slices are those of the axial view. The gland's volume in ml is its number of voxels times the
    volume of a voxel. The gland's field of view is the width in mm of the smallest square around the image's centre
    that encloses the gland.

    Raises:
        InputError: when a file is unreadable, the image holds NaN, or the mask does not fit it.
    """
    image, stack, mask = read_case(dataset, entry)
    low, median, high = (round(float(value), 4) for value in np.percentile(image.voxels, (1, 50, 99)))
    if not np.isfinite((low, median, high)).all():
        raise InputError(f"{dataset / entry['image']}: holds voxels that are NaN or infinite; export it again")
    rows, columns, slices = stack.pixels.shape
    values = {
        "column_spacing_mm": round(stack.pixel_mm[1], 3),
        "row_spacing_mm": round(stack.pixel_mm[0], 3),
        "slice_spacing_mm": round(stack.slice_mm, 3),
        "columns": columns,
        "rows": rows,
        "slices": slices,
        "intensity_p1": low,
        "intensity_p50": median,
        "intensity_p99": high,
        "gland_ml": None,
        "gland_slices": None,
        "gland_field_mm": None,
    }
    if mask is not None:
        inside = mask.pixels > 0
        values["gland_ml"] = round(int(inside.sum()) * voxel_mm3(image.affine) / 1000, 4)
        values["gland_slices"] = int(inside.any(axis=(0, 1)).sum())
        values["gland_field_mm"] = _field_mm(inside, stack.pixel_mm)
    return Case(entry["case"], entry["site"], values)


def _field_mm(inside: np.ndarray, pixel_mm: tuple[float, float]) -> float | None:
    places = np.argwhere(inside)[:, :2]
    if not len(places):
        return None
    centre = (np.array(inside.shape[:2]) - 1) / 2
    widths = 2 * np.abs(places - centre) + 1  # up to the outer edge of each pixel
    return round(float((widths * pixel_mm).max()), 2)


def read_case(dataset: Path, entry: dict[str, Any]) -> tuple[Volume, Stack, Stack | None]:
    """A case's image, as stored and as axial slices, and its mask as axial slices (None without one).

    Raises:
        InputError: when a file is unreadable, or the mask does not lie on the image's grid.
    """
    image = read_volume(dataset / entry["image"])
    stack = axial(image.voxels, image.affine)
    if entry.get("label") is None:
        return image, stack, None
    label = read_volume(dataset / entry["label"])
    if problem := grid_difference(image, label):
        raise InputError(f"{dataset / entry['label']}: {problem}; import the dataset again")
    return image, stack, axial(label.voxels, label.affine)


def by_site(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """The cases of each site; sites and cases are in alphabetical order."""
    sites: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: (case.site, case.name)):
        sites.setdefault(case.site, []).append(case)
    return sites


def known(cases: Iterable[Case], quantity: Quantity) -> list[float]:
    """The values of a quantity, for the cases that have one."""
    return [case.values[quantity.key] for case in cases if case.values[quantity.key] is not None]


def summarise(cases: Sequence[Case]) -> dict[str, dict[str, float] | None]:
    """Number of values, mean, median, minimum and maximum of each quantity; None for a quantity without values."""
    summary: dict[str, dict[str, float] | None] = {}
    for quantity in QUANTITIES:
        values = known(cases, quantity)
        summary[quantity.key] = _summary(values) if values else None
    return summary


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "n": len(values),
        "mean": round(float(np.mean(values)), 4),
        "median": round(float(np.median(values)), 4),
        "min": min(values),
        "max": max(values),
    }
