"""PROMISE12: ``CaseNN.mhd`` + ``.raw`` or ``.zraw`` with ``CaseNN_segmentation.mhd``, in any folders (``.mha`` too).

Litjens et al., "Evaluation of prostate segmentation algorithms for MRI: the PROMISE12 challenge" (2014). Its test cases
have no masks.
"""

import re
from itertools import groupby
from pathlib import Path

from data_prep.sources.case import Listing, SourceOptions, require_site
from data_prep.sources.pairs import add_pairs

NAME = "promise12"
LABELS = frozenset({0, 1})
FILE_NAME = re.compile(r"(?P<stem>.+?)(?P<mask>_segmentation)?\.mh[ad]", re.IGNORECASE)


def recognises(folder: Path) -> bool:
    """Whether there is any MetaImage."""
    return any(FILE_NAME.fullmatch(path.name) for path in folder.rglob("*.[mM][hH][aAdD]"))


def find_cases(folder: Path, site: str | None, options: SourceOptions) -> Listing:
    """List the MetaImages of all folders below ``folder``."""
    # Imported here: itk takes seconds to load.
    from data_prep.itk_volumes import read_itk_volume

    site = require_site(folder, site)
    listing = Listing()
    paths = sorted(folder.rglob("*.[mM][hH][aAdD]"), key=lambda path: (path.parent, path.name))
    for _, files in groupby(paths, lambda path: path.parent):
        add_pairs(listing, site, list(files), folder, FILE_NAME, read_itk_volume, LABELS)
    return listing
