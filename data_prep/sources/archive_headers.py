"""The headers of a DICOM archive in a database on disk, so that memory does not grow with the number of images.

A study's files may lie anywhere in the archive, and so may its mask. So all headers are read first, some files at a
time in worker processes, and then the studies are read from the database.
"""

import itertools
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

from tqdm import tqdm

from custom_components.foundation.errors import InputError
from data_prep.dicom.headers import Slice
from data_prep.dicom.masks import MaskFile, read_mask_file
from data_prep.dicom.series import Series, read_headers
from data_prep.findings import Finding, findings_of
from data_prep.parallel import in_processes, lost_finding
from data_prep.sources.stored_cases import pack, unpack

Item = TypeVar("Item")

# A worker reads so many files at a time: enough that the exchange costs little, and few for the memory.
FILES_AT_A_TIME = 256
TABLES = """
CREATE TABLE slices (place INTEGER PRIMARY KEY, study TEXT, packed BLOB);
CREATE TABLE folders (folder BLOB, study TEXT, PRIMARY KEY (folder, study)) WITHOUT ROWID;
CREATE TABLE masks (number INTEGER PRIMARY KEY, path BLOB, packed BLOB);
CREATE TABLE drawn_on (uid TEXT, mask INTEGER, PRIMARY KEY (uid, mask)) WITHOUT ROWID;
"""
INDEX = "CREATE INDEX of_study ON slices (study, place)"


@dataclass
class Reading:
    """The headers of some files, packed by a worker.

    Attributes:
        slices: packed slices of each study; by the UID of the study.
        folders: pairs of a folder and the UID of a study with a file in that folder.
        masks: the files of masks, except those that cannot be read.
        findings: faults of the images' files.
        mask_findings: faults of the masks' files.
        others: files that are not DICOM.
    """

    slices: dict[str, bytes] = field(default_factory=dict)
    folders: set[tuple[str, str]] = field(default_factory=set)
    masks: list[MaskFile] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    mask_findings: list[Finding] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)


class ArchiveHeaders:
    """The headers of an archive in an SQLite file.

    Attributes:
        findings: faults of the images' files, in the order of the files.
        mask_findings: faults of the masks' files.
        others: number of files that are not DICOM.
        first_other: the first of these.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.findings: list[Finding] = []
        self.mask_findings: list[Finding] = []
        self.others = 0
        self.first_other: Path | None = None
        self._database = sqlite3.connect(file)
        # The file is read only by this import, and removed at its end.
        self._database.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {TABLES}")

    def read(self, files: Iterable[Path], jobs: int) -> None:
        """Read the headers of files in worker processes; with 0 ``jobs``, in this process."""
        parts = in_parts(tqdm(files, "reading headers", unit="file", disable=None, leave=False), FILES_AT_A_TIME)
        first = list(itertools.islice(parts, 2))
        # Another process pays only for more than one part.
        jobs = jobs if len(first) > 1 else 0
        for paths, reading in in_processes(_read, itertools.chain(first, parts), jobs):
            if isinstance(reading, Reading):
                self._take(reading)
            else:
                self._read_one_by_one(paths)
        self._database.execute(INDEX)
        self._database.commit()

    def add_masks(self, paths: Iterable[Path]) -> None:
        """Add masks that do not lie in the archive; a mask that is known already is not read again."""
        known = {path for (path,) in self._database.execute("SELECT path FROM masks")}
        known |= {os.fsencode(finding.file) for finding in self.mask_findings}
        self._take(_read_masks(path for path in paths if os.fsencode(path) not in known))
        self._database.commit()

    @property
    def studies(self) -> Iterator[str]:
        """The UIDs of the studies, in the order of their first file."""
        rows = self._database.execute("SELECT study FROM slices GROUP BY study ORDER BY MIN(place)")
        return (study for (study,) in rows)

    def masks(self) -> Iterator[tuple[int, MaskFile]]:
        """All masks, with their numbers."""
        rows = self._database.execute("SELECT number, packed FROM masks ORDER BY number")
        return ((number, unpack(packed)) for number, packed in rows)

    def folders_with_one_study(self, folders: Iterable[Path]) -> set[Path]:
        """The folders of ``folders`` with files of one study alone."""
        count = "SELECT COUNT(*) FROM folders WHERE folder = ?"
        return {one for one in folders if self._database.execute(count, (os.fsencode(one),)).fetchone() == (1,)}

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _take(self, reading: Reading) -> None:
        insert = self._database.executemany
        insert("INSERT INTO slices (study, packed) VALUES (?, ?)", reading.slices.items())
        folders = ((os.fsencode(folder), study) for folder, study in reading.folders)
        insert("INSERT OR IGNORE INTO folders VALUES (?, ?)", folders)
        for mask in reading.masks:
            row = (os.fsencode(mask.path), pack(mask))
            number = self._database.execute("INSERT INTO masks (path, packed) VALUES (?, ?)", row).lastrowid
            insert("INSERT INTO drawn_on VALUES (?, ?)", ((uid, number) for uid in mask.references))
        self.findings += reading.findings
        self.mask_findings += reading.mask_findings
        self.others += len(reading.others)
        self.first_other = self.first_other or next(iter(reading.others), None)

    def _read_one_by_one(self, paths: Sequence[Path]) -> None:
        """Read files of which one ended its process, and make a finding for that file."""
        for (path,), reading in in_processes(_read, [[path] for path in paths], jobs=1):
            lost = Reading(findings=[lost_finding(path, None)])
            self._take(reading if isinstance(reading, Reading) else lost)


class StudyReader:
    """Reads studies from the file of :class:`ArchiveHeaders`, in any process."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def slices(self, study: str) -> list[Slice]:
        """The slices of a study, in the order of their files."""
        rows = self._database.execute("SELECT packed FROM slices WHERE study = ? ORDER BY place", (study,))
        return [piece for (packed,) in rows.fetchall() for piece in unpack(packed)]

    def masks_of(self, series: Series) -> dict[int, MaskFile]:
        """The masks that were drawn on a series, by number."""
        uids = {series.first.series_uid, *(piece.uid for piece in series.slices)}
        find = "SELECT mask FROM drawn_on WHERE uid = ?"
        numbers = {number for uid in uids for (number,) in self._database.execute(find, (uid,))}
        read = "SELECT packed FROM masks WHERE number = ?"
        return {number: unpack(*self._database.execute(read, (number,)).fetchone()) for number in sorted(numbers)}


def in_parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of ``size``, of which the last may be shorter."""
    items = iter(items)
    while part := list(itertools.islice(items, size)):
        yield part


def _read(files: Iterable[Path]) -> Reading:
    headers = read_headers(files)
    reading = _read_masks(headers.mask_files)
    reading.findings, reading.others = headers.findings, headers.others
    for study, slices in headers.slices.items():
        reading.slices[study] = pack(slices)
        reading.folders |= {(str(piece.path.parent), study) for piece in slices}
    return reading


def _read_masks(paths: Iterable[Path]) -> Reading:
    reading = Reading()
    for path in paths:
        try:
            reading.masks.append(read_mask_file(path))
        except InputError as error:
            reading.mask_findings += findings_of(error, path)
    return reading
