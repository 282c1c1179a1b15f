"""The released multi-site prostate layout: ``<SITE>/CaseNN.nii.gz`` with ``CaseNN_segmentation.nii.gz`` beside it.

The layout of Liu et al., "MS-Net: Multi-Site Network for Improving Prostate Segmentation with Heterogeneous MRI
Data" (2020). Copies of it in circulation differ in capitals (``_Segmentation``, ``.NII.GZ``) and in what else lies
beside the cases (zone masks, tables), so names are matched without regard to capitals and the rest is left aside.
One site's folder alone is read with ``--site``, and so is one of a folder for each patient.
"""

import re
from pathlib import Path

from data_prep.sources.case import Listing, SourceOptions
from data_prep.sources.pairs import add_pairs
from data_prep.volumes import read_volume

NAME = "multi_site"
# 1 and 2 are the zones that two of the released sites tell apart; the prostate is both.
LABELS = frozenset({0, 1, 2})
RELEASED_SITES = {"RUNMC", "BMC", "I2CVB", "UCL", "BIDMC", "HK"}
FILE_NAME = re.compile(r"(?P<stem>.+?)(?P<mask>_segmentation)?\.nii(\.gz)?", re.IGNORECASE)


def recognises(folder: Path) -> bool:
    """Whether a ``…_segmentation.nii.gz`` lies in the folder or in a folder of it."""
    names = (path.name for pattern in ("*", "*/*") for path in folder.glob(pattern))
    return any((match := FILE_NAME.fullmatch(name)) and match["mask"] for name in names)


def find_cases(folder: Path, site: str | None, options: SourceOptions) -> Listing:
    """List the cases of every site's folder, by site and name.

    With ``site``, those of this one folder; where no image lies in it, those of the folders in it, a patient each.
    """
    listing, ignored = Listing(), []
    is_site = site is not None and any(FILE_NAME.fullmatch(path.name) for path in folder.iterdir())
    for path in [folder] if is_site else sorted(folder.iterdir()):
        if path.is_dir() and (is_site or not path.name.startswith(".")):
            files, patient = sorted(path.iterdir()), path.name if site and not is_site else None
            ignored += add_pairs(listing, site or path.name, files, folder, FILE_NAME, read_volume, LABELS, patient)
        elif not path.name.startswith("."):
            ignored.append(path)
    if ignored:
        example = ignored[0].relative_to(folder).as_posix()
        listing.notes.append(f"ignored as neither image nor mask: {len(ignored)}, such as {example}")
    if site is None:
        listing.guessed_sites = {case.site for case in listing.cases} - RELEASED_SITES
    return listing
