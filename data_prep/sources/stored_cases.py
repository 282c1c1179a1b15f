"""Cases in a file instead of in memory: a listed archive may have a million of them, each with all its slices."""

import contextlib
import io
import pickle
import shutil
import sqlite3
import tempfile
import weakref
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from custom_components.foundation.errors import InputError, WriteError
from data_prep.sources.case import SourceCase

SQLITE = b"SQLite format 3\0"
# SQLite keeps these four bytes for the program that owns a file; they stand at byte 68.
OWN = b"PDL1"
# Raise this number with every change of the classes that a case, a finding or a series consists of.
VERSION = 1
UNREADABLE = "was made by another version, or is damaged"
LIST_AGAIN = "list again with python -m data_prep list"
TABLES = """
CREATE TABLE cases (number INTEGER PRIMARY KEY, packed BLOB);
CREATE TABLE remark (packed BLOB);
"""


class StoredCases(Sequence[SourceCase]):
    """A sequence of cases in an SQLite file, to which cases can be added.

    Args:
        file: the file. None makes a temporary file, which is removed together with this object.
    """

    def __init__(self, file: Path | None = None) -> None:
        if file is None:
            scratch = tempfile.mkdtemp()
            weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
            file = Path(scratch, "cases.sqlite")
            self._error = temporary_disk_error
        else:
            self._error = lambda error: InputError(UNREADABLE, file, LIST_AGAIN)
        # Many jobs may read a finished file at the same time, also on a disk that knows no locks.
        is_new = not file.exists() or not file.stat().st_size
        self._database = sqlite3.connect(f"{file.absolute().as_uri()}{'' if is_new else '?immutable=1'}", uri=True)
        if is_new:
            own = f"PRAGMA application_id={int.from_bytes(OWN)}; PRAGMA user_version={VERSION};"
            self._database.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {own} {TABLES}")
        with self._reading():
            if self._database.execute("PRAGMA user_version").fetchone() != (VERSION,):
                raise ValueError("another version")
            (self._length,) = self._database.execute("SELECT COUNT(*) FROM cases").fetchone()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int | slice) -> SourceCase | list[SourceCase]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        with self._reading():
            row = self._database.execute("SELECT packed FROM cases WHERE number = ?", (index % len(self),)).fetchone()
            return unpack(*row)

    def __iter__(self) -> Iterator[SourceCase]:
        return (self[number] for number in range(len(self)))

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
    def remark(self) -> Any:
        """The content of the remark of :meth:`finish`."""
        with self._reading():
            return unpack(*self._database.execute("SELECT packed FROM remark").fetchone())

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Give one line for a file that cannot be read. Damaged bytes can raise an error of any class."""
        try:
            yield
        except Exception as error:
            raise self._error(error) from error


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
    """The content of :func:`pack`.

    Raises:
        pickle.UnpicklingError: if the bytes name a class or function that a case does not consist of.
    """
    return _OwnClasses(io.BytesIO(zlib.decompress(packed))).load()


class _OwnClasses(pickle.Unpickler):
    """Makes paths and objects of this project. Other pickled bytes could call any function of Python."""

    def find_class(self, module: str, name: str) -> Any:
        package = module.partition(".")[0]
        if package in ("data_prep", "custom_components") and "." not in name:
            found = super().find_class(module, name)
            if getattr(found, "__module__", None) == module:  # and not a function that the module imports
                return found
        elif (package, name) in (("pathlib", "PosixPath"), ("functools", "partial")):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a case")


def begins_as_listing(head: bytes) -> bool:
    """Whether a file with these first 72 bytes was made here.

    A file that ends before byte 68 counts too: it is cut off, and so it is no database of another program.
    """
    return head.startswith(SQLITE) and head[68:72] in (OWN, b"")


def temporary_disk_error(error: Exception) -> WriteError:
    """The error for a database in the system's temporary folder that cannot be written or read."""
    advice = "make room there, or name another folder in the environment variable TMPDIR"
    return WriteError(f"cannot hold the list of the archive ({error})", tempfile.gettempdir(), advice)
