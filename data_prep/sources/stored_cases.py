"""Cases in a file instead of in memory: a listed archive may have a million of them, each with all its slices."""

import pickle
import shutil
import sqlite3
import tempfile
import weakref
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_prep.sources.case import SourceCase

TABLES = """
CREATE TABLE cases (number INTEGER PRIMARY KEY, packed BLOB);
CREATE TABLE remark (packed BLOB);
"""


class StoredCases(Sequence[SourceCase]):
    """A sequence of cases in an SQLite file, to which cases can be added.

    Args:
        file: the file. None makes a temporary file, which goes with this object.
    """

    def __init__(self, file: Path | None = None) -> None:
        if file is None:
            scratch = tempfile.mkdtemp()
            weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
            file = Path(scratch, "cases.sqlite")
        # Many jobs may read a finished file at the same time, also on a disk that knows no locks.
        is_new = not file.exists() or not file.stat().st_size
        self._database = sqlite3.connect(f"{file.absolute().as_uri()}{'' if is_new else '?immutable=1'}", uri=True)
        if is_new:
            self._database.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {TABLES}")
        (self._length,) = self._database.execute("SELECT COUNT(*) FROM cases").fetchone()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int | slice) -> SourceCase | list[SourceCase]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        row = self._database.execute("SELECT packed FROM cases WHERE number = ?", (index % len(self),)).fetchone()
        return unpack(*row)

    def __iter__(self) -> Iterator[SourceCase]:
        return (unpack(packed) for (packed,) in self._database.execute("SELECT packed FROM cases ORDER BY number"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None

    def add(self, packed: bytes) -> None:
        """Add a case as :func:`pack` gives it."""
        self._database.execute("INSERT INTO cases VALUES (?, ?)", (self._length, packed))
        self._length += 1

    def finish(self, remark: bytes) -> None:
        """Write the file, with a remark of :func:`pack`; then other processes can read it."""
        self._database.execute("INSERT INTO remark VALUES (?)", (remark,))
        self._database.commit()
        self._database.close()

    @property
    def remark(self) -> bytes:
        """The remark of :meth:`finish`."""
        return self._database.execute("SELECT packed FROM remark").fetchone()[0]


class Chosen(Sequence[SourceCase]):
    """Some cases of a sequence.

    Args:
        cases: the sequence.
        places: their places in it.
    """

    def __init__(self, cases: Sequence[SourceCase], places: Sequence[int]) -> None:
        self._cases = cases
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> SourceCase:
        return self._cases[self._places[index]]


def pack(content: Any) -> bytes:
    """Bytes for a database that only this program writes and reads."""
    return zlib.compress(pickle.dumps(content), level=1)


def unpack(packed: bytes) -> Any:
    """The content of :func:`pack`. Bytes from somebody else can run code."""
    return pickle.loads(zlib.decompress(packed))
