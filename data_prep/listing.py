"""List the cases of an archive once, so that every part of its import (``import --shard``) reads its own cases only.

``import`` reads the listing in place of the folder. The listing names patients, so only its owner can read it.
``import`` refuses the listing of another user, because such a file can run code.
"""

import argparse
import os
import sqlite3
import stat
from pathlib import Path

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import replace_file
from data_prep import parallel, sources
from data_prep.import_summary import print_notes
from data_prep.sources.case import Listing
from data_prep.sources.stored_cases import LIST_AGAIN, StoredCases, begins_as_listing, pack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command line of ``list``."""
    parser.add_argument("folder", type=Path, help="raw folder")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="listing to write")
    sources.add_arguments(parser)
    parallel.add_jobs(parser)


def run(options: argparse.Namespace) -> int:
    """Run ``list`` from the command line."""
    if options.out.exists() and not is_listing(options.out):
        raise InputError("exists, and is no listing; name another file", options.out)
    folder = Path(os.path.abspath(options.folder))  # an import may run in another working directory
    listing = sources.find_cases(folder, options.site, options.source, sources.options_of(options), options.jobs)
    if options.site_folders:
        listing.guessed_sites.clear()
    write_listing(options.out, folder, listing)
    print_notes(listing)
    print(f"{options.out}: {len(listing.cases)} cases, {len(listing.findings) or 'no'} findings")
    return 0


def write_listing(file: Path, folder: Path, listing: Listing) -> None:
    """Write the listing of a folder into a file that only its owner can read.

    Raises:
        WriteError: if the file cannot be written.
    """

    def write(partial: Path) -> None:
        partial.touch(mode=0o600)
        cases = StoredCases(partial)
        try:
            for case in listing.cases:
                cases.add(pack(case))
            others = (folder, listing.findings, listing.notes, listing.guessed_sites, listing.untold)
            cases.finish(pack(others))
        except sqlite3.Error as error:
            raise OSError(str(error)) from error

    replace_file(file, write)


def is_listing(path: Path) -> bool:
    """Whether a path is a file of :func:`write_listing`."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return begins_as_listing(file.read(72))


def read_listing(file: Path) -> tuple[Path, Listing]:
    """The raw folder and its listing; the cases are read one by one.

    Raises:
        InputError: if the file is damaged or of another version, or if another user owns it or may write it, whose
            listing could run code here. Reading a case later raises the same error.
    """
    with file.open("rb") as stream:
        found = os.fstat(stream.fileno())
    if found.st_uid != os.getuid():
        raise InputError("belongs to another user; list the folder yourself with python -m data_prep list", file)
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise InputError("other users may write it, and a listing can run code", file, LIST_AGAIN)
    cases = StoredCases(file)
    folder, findings, notes, guessed_sites, untold = cases.remark
    return folder, Listing(cases, findings, notes, guessed_sites, untold)
