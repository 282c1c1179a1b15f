"""The layout of PROMISE12: ``CaseNN.mhd`` with ``.raw`` or ``.zraw``, and ``CaseNN_segmentation.mhd``, in any folders
(also ``.mha``).

Litjens et al., "Evaluation of prostate segmentation algorithms for MRI: the PROMISE12 challenge" (2014). Its test cases
have no masks.
"""

import re

from data_prep.folder_tree import FolderTree
from data_prep.sources.case import Listing, SourceOptions, require_site
from data_prep.sources.pairs import add_pairs

NAME = "promise12"
LABELS = frozenset({0, 1})
FILE_NAME = re.compile(r"(?P<stem>.+?)(?P<mask>_segmentation)?\.mh[ad]", re.IGNORECASE)


def recognises(tree: FolderTree) -> bool:
    """Whether there is any MetaImage."""
    return any(FILE_NAME.fullmatch(path.name) for path in tree.files)


def find_cases(tree: FolderTree, site: str | None, options: SourceOptions) -> Listing:
    """List the MetaImages of all folders below ``folder``."""
    # itk is imported here because it takes seconds to load.
    from data_prep.itk_volumes import read_itk_volume

    site = require_site(tree.root, site)
    listing = Listing()
    for folder in sorted({path.parent for path in tree.files if FILE_NAME.fullmatch(path.name)}):
        add_pairs(listing, site, folder, tree, FILE_NAME, read_itk_volume, LABELS)
    return listing
