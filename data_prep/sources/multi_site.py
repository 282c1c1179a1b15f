"""The released multi-site prostate layout: ``<SITE>/CaseNN.nii.gz`` with ``CaseNN_segmentation.nii.gz`` beside it.

The layout of Liu et al., "MS-Net: Multi-Site Network for Improving Prostate Segmentation with Heterogeneous MRI
Data" (2020). Copies of it in circulation differ in capitals (``_Segmentation``, ``.NII.GZ``) and in what else lies
beside the cases (zone masks, tables), so names are matched without regard to capitals and the rest is left aside.
"""

import re
from collections import Counter
from pathlib import Path

from custom_components.errors import InputError
from data_prep.findings import Finding
from data_prep.sources.case import Listing, SourceCase

NIFTI_NAME = re.compile(r"(?P<stem>.+?)(?P<mask>_segmentation)?\.nii(\.gz)?", re.IGNORECASE)


def find_cases(folder: Path) -> Listing:
    """List the cases of every site folder, by site and name.

    Raises:
        InputError: when ``folder`` is missing or holds no case.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    listing = Listing()
    for site in sorted(folder.iterdir()):
        if site.name.startswith("."):
            continue
        if site.is_dir():
            _add_site(site, listing)
        else:
            listing.ignored.append(site)
    names = Counter(case.case for case in listing.cases)
    for case in listing.cases:
        if names[case.case] > 1:
            problem = f"would be named {case.case} like another case"
            listing.findings.append(Finding(str(case.image), problem, "rename the site folder"))
    if not listing.cases:
        raise InputError(f"{folder}: holds no case; expected <SITE>/CaseNN.nii.gz with CaseNN_segmentation.nii.gz")
    return listing


def _add_site(site: Path, listing: Listing) -> None:
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    names: dict[str, str] = {}
    for path in sorted(site.iterdir()):
        if path.name.startswith("."):
            continue
        match = NIFTI_NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            listing.ignored.append(path)
            continue
        files, key = (masks if match["mask"] else images), match["stem"].casefold()
        if key in files:
            problem = f"is the same case as {files[key].name} beside it"
            listing.findings.append(Finding(str(path), problem, "remove one of the two"))
            continue
        files[key] = path
        names.setdefault(key, match["stem"])
        if files is images:
            names[key] = match["stem"]

    for key in [key for key in images if key not in masks and _is_companion(key, images.keys() | masks.keys())]:
        listing.ignored.append(images.pop(key))
    for key, image in images.items():
        source = f"{site.name}/{image.name}"
        case = SourceCase(site.name, names[key], f"{site.name}_{names[key]}", source, image, masks.pop(key, None))
        listing.cases.append(case)
    for mask in masks.values():
        listing.findings.append(Finding(str(mask), "has no image", "add it or take the mask out"))


def _is_companion(key: str, keys: set[str]) -> bool:
    """True of 'case13_zones' when there is a 'case13'."""
    return any(key[:position] in keys for position, letter in enumerate(key) if letter == "_")
