"""A BIDS-like folder: ``sub-*/[ses-*/]anat/*_T2w.nii.gz``, with ``*_mask`` or ``*_dseg`` beside or in ``derivatives``.

Gorgolewski et al., "The brain imaging data structure" (2016), https://bids-specification.readthedocs.io. A mask belongs
to an image if the mask's name holds all entities of the image's name (``sub-01``, ``ses-2``, ``acq-axial``).
"""

import re
from functools import partial
from pathlib import Path

from custom_components.foundation.nifti import read_volume
from data_prep.findings import Finding
from data_prep.folder_tree import FolderTree
from data_prep.sources.case import Listing, SourceCase, SourceOptions, require_site

NAME = "bids"
# A dseg may have a label for each zone.
LABELS = frozenset({0, 1, 2})
# The endings of names, and the form of whole paths relative to the folder.
ENDINGS = re.compile(r"_(T2w|mask|dseg)\.(?i:nii)")
IMAGE = re.compile(r"sub-[^/]*/(ses-[^/]*/)?anat/[^/]*_T2w\.(?i:nii(\.gz)?)")
MASK = re.compile(r"(derivatives/(.*/)?sub-[^/]*|sub-[^/]*/(.*/)?anat/[^/]*)_(mask|dseg)\.(?i:nii(\.gz)?)")
OTHER_PLANES = ("sag", "cor")


def recognises(tree: FolderTree) -> bool:
    """Whether a subject has a T2w image."""
    return bool(_matching(tree, IMAGE))


def find_cases(tree: FolderTree, site: str | None, options: SourceOptions) -> Listing:
    """List the T2w images of all subjects and sessions, except images whose ``acq`` is sagittal or coronal."""
    site = require_site(tree.root, site)
    listing = Listing()
    masks: dict[str, list[Path]] = {}
    for path in _matching(tree, MASK):
        masks.setdefault(_subject(path), []).append(path)
    for image in _matching(tree, IMAGE):
        source = image.relative_to(tree.root).as_posix()
        acquisition = next((part for part in _entities(image) if part.startswith("acq-")), "").lower()
        if any(plane in acquisition for plane in OTHER_PLANES):
            listing.notes.append(f"{source}: not taken, {acquisition} is another plane")
            continue
        fitting = [mask for mask in masks.get(_subject(image), []) if _entities(image) <= _entities(mask)]
        if len(fitting) > 1:
            fitting = [mask for mask in fitting if "prostate" in mask.name.lower()] or fitting
        if len(fitting) > 1:
            names = ", ".join(mask.name for mask in fitting)
            listing.findings.append(Finding(str(image), "has several masks", "keep that of the prostate", names))
            continue
        label = fitting[0] if fitting else None
        listing.cases.append(
            SourceCase(
                site=site,
                name=_stem(image).removesuffix("_T2w"),
                patient=_subject(image),
                source=source,
                image=image,
                label=label,
                files=(image, label) if label else (image,),
                read_image=partial(read_volume, image),
                read_label=partial(read_volume, label) if label else None,
                labels=LABELS,
            )
        )
    return listing


def _matching(tree: FolderTree, pattern: re.Pattern) -> list[Path]:
    named = (path for path in tree.files if ENDINGS.search(path.name))
    return sorted(path for path in named if pattern.fullmatch(path.relative_to(tree.root).as_posix()))


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]


def _subject(path: Path) -> str:
    return path.name.partition("_")[0]


def _entities(path: Path) -> set[str]:
    """The entities in a name: ``sub-01_acq-axial_T2w.nii.gz`` has sub-01 and acq-axial."""
    return {part for part in _stem(path).split("_") if "-" in part}
