"""A BIDS-like folder: ``sub-*/[ses-*/]anat/*_T2w.nii.gz``, with ``*_mask`` or ``*_dseg`` beside or in ``derivatives``.

Gorgolewski et al., "The brain imaging data structure" (2016), https://bids-specification.readthedocs.io. A mask belongs
to the image whose entities (``sub-01``, ``ses-2``, ``acq-axial``) it has all of.
"""

from functools import partial
from pathlib import Path

from data_prep.findings import Finding
from data_prep.sources.case import Listing, SourceCase, SourceOptions, require_site
from data_prep.volumes import read_volume

NAME = "bids"
# In a dseg the zones may be told apart.
LABELS = frozenset({0, 1, 2})
IMAGES = ("sub-*/anat/*_T2w.nii*", "sub-*/ses-*/anat/*_T2w.nii*")
MASKS = ("derivatives/**/sub-*_mask.nii*", "derivatives/**/sub-*_dseg.nii*")
MASKS_BESIDE = ("sub-*/**/anat/*_mask.nii*", "sub-*/**/anat/*_dseg.nii*")
OTHER_PLANES = ("sag", "cor")


def recognises(folder: Path) -> bool:
    """Whether a subject has a T2w image."""
    return any(True for pattern in IMAGES for _ in folder.glob(pattern))


def find_cases(folder: Path, site: str | None, options: SourceOptions) -> Listing:
    """List the T2w images of all subjects and sessions; those whose ``acq`` says sagittal or coronal are left aside."""
    site = require_site(folder, site)
    listing = Listing()
    masks: dict[str, list[Path]] = {}
    for path in sorted({path for pattern in (*MASKS, *MASKS_BESIDE) for path in folder.glob(pattern)}):
        masks.setdefault(_subject(path), []).append(path)
    for image in sorted({path for pattern in IMAGES for path in folder.glob(pattern)}):
        source = image.relative_to(folder).as_posix()
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


def _stem(path: Path) -> str:
    return path.name.partition(".")[0]


def _subject(path: Path) -> str:
    return path.name.partition("_")[0]


def _entities(path: Path) -> set[str]:
    """``sub-01_acq-axial_T2w.nii.gz`` -> sub-01, acq-axial."""
    return {part for part in _stem(path).split("_") if "-" in part}
