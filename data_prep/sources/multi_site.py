"""The released multi-site prostate layout: ``<SITE>/CaseNN.nii.gz`` with ``CaseNN_segmentation.nii.gz`` beside it.

The layout of Liu et al., "MS-Net: Multi-Site Network for Improving Prostate Segmentation with Heterogeneous MRI Data"
(2020). Existing copies differ in capital letters (``_Segmentation``, ``.NII.GZ``) and in additional files (zone masks,
tables). So names are compared without regard to capital letters, and additional files are ignored. With ``--site`` the
folder may be one site's folder, or hold a sub-folder for each patient.
"""

import re

from custom_components.foundation.errors import InputError
from custom_components.foundation.nifti import read_volume
from data_prep.folder_tree import FolderTree
from data_prep.sources.case import Listing, SourceOptions
from data_prep.sources.pairs import add_pairs

NAME = "multi_site"
# Two of the released sites have the zones 1 and 2; the prostate is both zones together.
LABELS = frozenset({0, 1, 2})
RELEASED_SITES = {"RUNMC", "BMC", "I2CVB", "UCL", "BIDMC", "HK"}
FILE_NAME = re.compile(r"(?P<stem>.+?)(?P<mask>_segmentation)?\.nii(\.gz)?", re.IGNORECASE)


def recognises(tree: FolderTree) -> bool:
    """Whether a ``…_segmentation.nii.gz`` lies in the folder or in a sub-folder."""
    folders = (tree.root, *filter(tree.is_folder, tree.children(tree.root)))
    names = (path.name for folder in folders for path in tree.children(folder))
    return any((match := FILE_NAME.fullmatch(name)) and match["mask"] for name in names)


def find_cases(tree: FolderTree, site: str | None, options: SourceOptions) -> Listing:
    """List the cases of every site's folder, sorted by site and name.

    With ``site``, list the cases of this one folder. If no image lies in it, each sub-folder is a patient.

    Raises:
        InputError: if with ``site`` the folder of a released site would count as a patient.
    """
    folder, listing, ignored = tree.root, Listing(), []
    content = tree.children(folder)
    is_site = site is not None and any(FILE_NAME.fullmatch(path.name) for path in content)
    if site and not is_site and (sites := sorted(RELEASED_SITES & {path.name for path in content})):
        raise InputError(f"{folder}: holds the sites {', '.join(sites)}; leave --site out, or import the folder of one")
    for path in [folder] if is_site else content:
        if is_site or tree.is_folder(path):
            patient = path.name if site and not is_site else None
            ignored += add_pairs(listing, site or path.name, path, tree, FILE_NAME, read_volume, LABELS, patient)
        else:
            ignored.append(path)
    if ignored:
        example = ignored[0].relative_to(folder).as_posix()
        listing.notes.append(f"ignored as neither image nor mask: {len(ignored)}, such as {example}")
    if site and not is_site:
        listing.notes.append(f"read as folders of one patient each: {len({case.patient for case in listing.cases})}")
    if not site:
        listing.guessed_sites = {case.site for case in listing.cases} - RELEASED_SITES
    return listing
