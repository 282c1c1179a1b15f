"""Images and masks in the same folder: ``<name>.<ext>`` and ``<name>_segmentation.<ext>``."""

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from custom_components.foundation.nifti import Volume
from data_prep.findings import Finding
from data_prep.folder_tree import FolderTree
from data_prep.sources.case import Listing, SourceCase


def add_pairs(
    listing: Listing,
    site: str,
    folder: Path,
    tree: FolderTree,
    pattern: re.Pattern,
    read: Callable[[Path], Volume],
    labels: frozenset[int],
    patient: str | None = None,
) -> list[Path]:
    """Add the cases of one folder to a listing.

    Args:
        listing: the listing that gets the cases and findings.
        site: site of the cases.
        folder: folder of the images and masks.
        tree: files and folders of the imported folder.
        pattern: regular expression of the file names, with the groups ``stem`` and ``mask`` (empty for an image).
        read: function that reads an image or a mask.
        labels: the values that a mask may hold.
        patient: the patient of all cases; by default each case is another patient.

    Returns:
        The files in the folder that are neither image nor mask.
    """
    ignored: list[Path] = []
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    names: dict[str, str] = {}
    for path in tree.children(folder):
        match = pattern.fullmatch(path.name)
        if match is None or tree.is_folder(path):
            ignored.append(path)
            continue
        kind, key = (masks if match["mask"] else images), match["stem"].casefold()
        if key in kind:
            problem, detail = "is the same case as a file beside it", kind[key].name
            listing.findings.append(Finding(str(path), problem, "remove one of the two", detail))
            continue
        kind[key] = path
        names.setdefault(key, match["stem"])
        if kind is images:
            names[key] = match["stem"]

    for key in [key for key in images if key not in masks and _is_companion(key, images.keys() | masks.keys())]:
        ignored.append(images.pop(key))
    for key, image in images.items():
        label = masks.pop(key, None)
        listing.cases.append(
            SourceCase(
                site=site,
                name=f"{patient}_{names[key]}" if patient else names[key],
                patient=patient or names[key],
                source=image.relative_to(tree.root).as_posix(),
                image=image,
                label=label,
                files=tuple(file for path in (image, label) if path for file in _with_voxels(path)),
                read_image=partial(read, image),
                read_label=partial(read, label) if label else None,
                labels=labels,
            )
        )
    for mask in masks.values():
        listing.findings.append(Finding(str(mask), "has no image", "add it or take the mask out"))
    return ignored


def _with_voxels(path: Path) -> list[Path]:
    """The file and, for a ``.mhd`` header, its file of voxels."""
    return [path, *(voxels for end in (".raw", ".zraw") if os.path.exists(voxels := path.with_suffix(end)))]


def _is_companion(key: str, keys: set[str]) -> bool:
    """Whether a name only extends another name: 'case13_zones' if there is a 'case13'."""
    return any(key[:position] in keys for position, letter in enumerate(key) if letter == "_")
