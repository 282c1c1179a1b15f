"""The released multi-site prostate layout: ``<SITE>/CaseNN.nii.gz`` with ``CaseNN_segmentation.nii.gz`` beside it.

The layout of Liu et al., "MS-Net: Multi-Site Network for Improving Prostate Segmentation with Heterogeneous MRI
Data" (2020). Copies of it in circulation differ in capitals (``_Segmentation``, ``.NII.GZ``) and in what else lies
beside the cases (zone masks, tables), so names are matched without regard to capitals and the rest is left aside.
One site's folder alone is read with ``--site``.
"""

import re
from functools import partial
from pathlib import Path

from data_prep.findings import Finding
from data_prep.sources.case import Listing, SourceCase, SourceOptions
from data_prep.volumes import read_volume

NAME = "multi_site"
# 1 and 2 are the zones that two of the released sites tell apart; the prostate is both.
LABELS = frozenset({0, 1, 2})
NIFTI_NAME = re.compile(r"(?P<stem>.+?)(?P<mask>_segmentation)?\.nii(\.gz)?", re.IGNORECASE)


def recognises(folder: Path) -> bool:
    """Whether a ``…_segmentation.nii.gz`` lies in a folder of the folder, or in the folder itself."""
    names = (path.name for pattern in ("*/*", "*") for path in folder.glob(pattern))
    return any((match := NIFTI_NAME.fullmatch(name)) and match["mask"] for name in names)


def find_cases(folder: Path, site: str | None, options: SourceOptions) -> Listing:
    """List the cases of every site's folder, by site and name; with ``site``, of this one folder."""
    listing, ignored = Listing(), []
    if site:
        _add_site(site, folder, folder, listing, ignored)
    else:
        for path in sorted(folder.iterdir()):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                _add_site(path.name, path, folder, listing, ignored)
            else:
                ignored.append(path)
    if ignored:
        example = ignored[0].relative_to(folder).as_posix()
        listing.notes.append(f"ignored as neither image nor mask: {len(ignored)}, such as {example}")
    return listing


def _add_site(site: str, site_folder: Path, folder: Path, listing: Listing, ignored: list[Path]) -> None:
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    names: dict[str, str] = {}
    for path in sorted(site_folder.iterdir()):
        if path.name.startswith("."):
            continue
        match = NIFTI_NAME.fullmatch(path.name)
        if match is None or not path.is_file():
            ignored.append(path)
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
        ignored.append(images.pop(key))
    for key, image in images.items():
        label = masks.pop(key, None)
        listing.cases.append(
            SourceCase(
                site=site,
                name=names[key],
                patient=names[key],
                source=image.relative_to(folder).as_posix(),
                image=image,
                label=label,
                files=(image, label) if label else (image,),
                read_image=partial(read_volume, image),
                read_label=partial(read_volume, label) if label else None,
                labels=LABELS,
            )
        )
    for mask in masks.values():
        listing.findings.append(Finding(str(mask), "has no image", "add it or take the mask out"))


def _is_companion(key: str, keys: set[str]) -> bool:
    """True of 'case13_zones' when there is a 'case13'."""
    return any(key[:position] in keys for position, letter in enumerate(key) if letter == "_")
