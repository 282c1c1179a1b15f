"""One module for each layout that raw studies come in, and the choice among them.

A source is a module with ``NAME``, ``recognises(folder)`` (cheap: by names and first files) and
``find_cases(folder, site, options) -> Listing`` (reads headers at most).
"""

import argparse
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

from custom_components.errors import InputError
from data_prep.dicom.selection import TIES
from data_prep.findings import Finding
from data_prep.sources import bids, decathlon, dicom, i2cvb, multi_site, nci_isbi, promise12
from data_prep.sources.case import Listing, SourceOptions

# It becomes part of file names.
SITE_NAME = re.compile(r"[\w-][\w.-]*")
# DICOM comes last and is asked last: folders of other layouts hold DICOM too.
SOURCES = (multi_site, promise12, nci_isbi, i2cvb, decathlon, bids, dicom)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of a command that reads raw studies."""
    parser.add_argument("--site", help="name of the site, where the folder's layout does not tell it")
    parser.add_argument("--source", choices=[source.NAME for source in SOURCES], help="layout (default: recognised)")
    parser.add_argument("--series", metavar="REGEX", help="DICOM: take the series of this description or UID")
    parser.add_argument("--tie", choices=TIES, help="DICOM: which to take of several series that fit")
    parser.add_argument("--masks", type=Path, metavar="FOLDER", help="DICOM: masks that lie apart from their studies")


def options_of(arguments: argparse.Namespace) -> SourceOptions:
    """What the command line of :func:`add_arguments` tells a source."""
    return SourceOptions(arguments.series, arguments.tie, arguments.masks)


def find_cases(
    folder: Path, site: str | None = None, source: str | None = None, options: SourceOptions | None = None
) -> Listing:
    """The cases of a raw folder; of two with one name, neither.

    Args:
        folder: raw folder.
        site: the site's name, where the layout does not tell it.
        source: a source's NAME; by default the one that recognises the folder.
        options: what the source is told.

    Raises:
        InputError: when the folder is missing, not recognised, or holds no case; when ``options`` are for
            another layout, or a site's name is no file name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    module, options = _source(folder, source), options or SourceOptions()
    if module is not dicom and options != SourceOptions():
        raise InputError(f"{folder}: is read as {module.NAME}; --series, --tie and --masks are for DICOM")
    listing = module.find_cases(folder, site, options)
    if not listing.cases and not listing.findings:
        raise InputError(f"{folder}: holds no case in the layout {module.NAME}; try another --source")
    _require_plain_names(folder, {case.site for case in listing.cases})
    names = Counter(f"{case.site}_{case.name}" for case in listing.cases)
    for case in listing.cases:
        if names[f"{case.site}_{case.name}"] > 1:
            name = f"{case.site}_{case.name}"
            listing.findings.append(
                Finding(str(case.image), "would be named like another case", "rename one of the two", name)
            )
    listing.cases = [case for case in listing.cases if names[f"{case.site}_{case.name}"] == 1]
    return listing


def _require_plain_names(folder: Path, sites: set[str]) -> None:
    for site in sorted(sites):
        if not SITE_NAME.fullmatch(site):
            problem = f"{site!r} is no name of a site; use letters, digits and _ . -"
            raise InputError(f"{folder}: {problem}: rename the folder, or give another --site")


def _source(folder: Path, name: str | None) -> ModuleType:
    if name:
        return next(source for source in SOURCES if name == source.NAME)
    matching = [source for source in SOURCES if source is not dicom and source.recognises(folder)]
    if not matching and dicom.recognises(folder):
        return dicom
    if len(matching) == 1:
        return matching[0]
    known = ", ".join(source.NAME for source in matching or SOURCES)
    problem = "several layouts fit" if matching else "no known layout fits"
    raise InputError(f"{folder}: {problem}; name it with --source ({known})")
