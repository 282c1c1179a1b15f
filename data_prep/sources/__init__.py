"""The sources: one module for each layout of raw studies, and the choice of the module.

A source is a module with ``NAME``, ``recognises(tree)`` (cheap: by names and first files) and ``find_cases(tree, site,
options) -> Listing`` (it reads at most headers). All sources get the same walk through the folder.
"""

import argparse
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

from custom_components.foundation.errors import InputError
from custom_components.foundation.terminal import as_text
from data_prep.dicom.selection import TIES
from data_prep.findings import Finding
from data_prep.folder_tree import FolderTree, read_tree
from data_prep.sources import bids, decathlon, dicom, i2cvb, multi_site, nci_isbi, promise12
from data_prep.sources.case import Listing, SourceCase, SourceOptions
from data_prep.sources.stored_cases import Chosen

# A site's name becomes part of file names.
SITE_NAME = re.compile(r"[\w-][\w.-]*")
# DICOM is tried last, because folders of other layouts may hold DICOM too.
SOURCES = (multi_site, promise12, nci_isbi, i2cvb, decathlon, bids, dicom)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a command that reads raw studies."""
    sites = parser.add_mutually_exclusive_group()
    sites.add_argument("--site", help="name of the site, where the folder's layout does not tell it")
    sites.add_argument("--site-folders", action="store_true", help="each folder is a site, and its name may be kept")
    parser.add_argument("--source", choices=[source.NAME for source in SOURCES], help="layout (default: recognised)")
    parser.add_argument("--series", metavar="REGEX", help="DICOM: take the series of this description or UID")
    parser.add_argument("--tie", choices=TIES, help="DICOM: choice between several series that fit")
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="FOLDER",
        help="DICOM: folder of the masks, if they are not in the folders of the studies",
    )


def options_of(arguments: argparse.Namespace) -> SourceOptions:
    """The options for a source, from a command line made by :func:`add_arguments`."""
    return SourceOptions(arguments.series, arguments.tie, arguments.masks)


def find_cases(
    folder: Path,
    site: str | None = None,
    source: str | None = None,
    options: SourceOptions | None = None,
    jobs: int = 0,
) -> Listing:
    """Find the cases of a raw folder. If two cases have the same name, both are left out and become findings.

    Args:
        folder: raw folder.
        site: the site's name, for layouts that do not contain it.
        source: the NAME of a source; by default the source that recognises the folder.
        options: options for the source.
        jobs: number of worker processes that read the headers of DICOM files; 0 means this process.

    Raises:
        InputError: if the folder is missing, unreadable, not recognised, or holds no case; if ``options`` are for
            another layout; or if a site's name cannot be a file name.
    """
    tree = read_tree(folder)
    module, options = _source(tree, source), options or SourceOptions()
    if module is not dicom and options != SourceOptions():
        raise InputError(f"{folder}: is read as {module.NAME}; --series, --tie and --masks are for DICOM")
    listing = module.find_cases(tree, site, options, **({"jobs": jobs} if module is dicom else {}))
    _tell_unreadable(listing, tree, hold_back=module is not dicom)
    if not listing.cases and not listing.findings:
        raise InputError(f"{folder}: holds no case in the layout {module.NAME}; try another --source")
    names, site_names = [], set()
    for case in listing.cases:
        names.append(_full_name(case))
        site_names.add(case.site)
    _require_plain_names(folder, site_names)
    count = Counter(names)
    for place, name in enumerate(names):
        if count[name] > 1:
            problem = "would be named like another case"
            listing.findings.append(Finding(str(listing.cases[place].image), problem, "rename one of the two", name))
    if len(count) < len(names):
        listing.cases = Chosen(listing.cases, [place for place, name in enumerate(names) if count[name] == 1])
    return listing


def _full_name(case: SourceCase) -> str:
    return as_text(f"{case.site}_{case.name}")


def _require_plain_names(folder: Path, sites: set[str]) -> None:
    for site in sorted(sites):
        if not SITE_NAME.fullmatch(site):
            problem = f"{site!r} is no name of a site; use letters, digits and _ . -"
            raise InputError(f"{folder}: {problem}: rename the folder, or give another --site")


def _tell_unreadable(listing: Listing, tree: FolderTree, hold_back: bool) -> None:
    """Add the findings of unreadable and unfinished files, and hold back the cases that these files may belong to.

    The DICOM source decides by itself which studies a damaged file may belong to.
    """
    listing.notes += tree.notes
    known = set(listing.findings)
    listing.findings += [finding for finding in tree.findings if finding not in known]
    if not hold_back:
        return
    unread = [Path(finding.file) for finding in tree.findings]
    kept = []
    for case in listing.cases:
        if any(path.is_relative_to(part) for path in unread for part in (case.image, case.label) if part):
            continue
        if case.label is None and any(path.is_relative_to(case.image.parent) for path in unread):
            problem = "has no mask, and something beside it cannot be read"
            listing.findings.append(Finding(str(case.image), problem, "mend that first, it may be the mask"))
            continue
        kept.append(case)
    listing.cases = kept


def _source(tree: FolderTree, name: str | None) -> ModuleType:
    if name:
        return next(source for source in SOURCES if name == source.NAME)
    matching = [source for source in SOURCES if source is not dicom and source.recognises(tree)]
    if not matching and dicom.recognises(tree):
        return dicom
    if len(matching) == 1:
        return matching[0]
    known = ", ".join(source.NAME for source in matching or SOURCES)
    problem = "several layouts fit" if matching else "no known layout fits"
    lines = [*map(str, tree.findings), f"{tree.root}: {problem}; name it with --source ({known})"]
    raise InputError("\n".join(lines))
