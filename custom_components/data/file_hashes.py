"""File hashes that are kept between runs, so that an unchanged file is not read again."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, read_json, write_json


class FileHashes:
    """SHA-256 of files, kept in a JSON file, so that a run does not read a large dataset again at its start.

    A file counts as unchanged while its path, its size and its times of change (in ns) are the same.

    Args:
        path: the JSON file. If it is missing or damaged, all files are read again.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self._known = read_json(self.path)
        except InputError:
            self._known = {}
        self._changed = False

    def sha256(self, file: str | Path) -> str:
        """SHA-256 of a file's bytes."""
        file = os.path.abspath(file)
        state = os.stat(file)
        mark = [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
        *known_mark, known = self._known.get(file, [None])
        if known_mark != mark:
            known = file_sha256(file)
            self._known[file] = [*mark, known]
            self._changed = True
        return known

    def of(self, files: Iterable[str | Path]) -> dict[str, list[Any]]:
        """The recorded hashes, for :meth:`add` in another process."""
        return {file: self._known[file] for file in map(os.path.abspath, files)}

    def add(self, known: Mapping[str, list[Any]]) -> None:
        """Add what :meth:`of` gave in another process."""
        self._changed |= any(self._known.get(file) != entry for file, entry in known.items())
        self._known |= known

    def share(self) -> None:
        """Exchange the new hashes between all processes of a training."""
        for known in idist.all_gather({"known": self._known, "changed": self._changed}):
            self._known |= known["known"]
            self._changed |= known["changed"]

    @idist.one_rank_only()
    def save(self) -> None:
        """Write the new hashes into the JSON file."""
        if self._changed:
            # Jobs of a cluster that prepare parts of one dataset save at different times.
            self._known = FileHashes(self.path)._known | self._known
            write_json(self.path, self._known)
            self._changed = False
