"""Writing of a dataset case by case, so that an import that was stopped can go on.

The folder ``<dataset>/.import`` holds the files of cases that are not yet added, and a journal of the cases added since
``dataset.json`` was last written. ``dataset.json`` itself is replaced in one step, at the end.
"""

import contextlib
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import write_json
from custom_components.foundation.locks import locked
from data_prep.dataset_file import read_dataset


def header(name: str, ids: str, n4: bool) -> dict[str, Any]:
    """The part of ``dataset.json`` that holds for all cases.

    A dataset accepts only cases with the same ids and correction.
    """
    return {"name": name, "ids": ids, "n4": n4}


class DatasetWriter:
    """Adds cases to a dataset folder. This context manager locks the folder for one import at a time.

    Attributes:
        cases: the entries of ``dataset.json``, by case.
        staging: the folder into which workers write a case's files before :meth:`add`.

    Raises:
        InputError: on entry, if the folder is not a dataset, is in use, or was made with other settings.
    """

    def __init__(self, dataset: Path, header: dict[str, Any]) -> None:
        self.dataset = dataset
        self.header = header
        self.cases: dict[str, dict[str, Any]] = {}
        self.staging = dataset / ".import"
        self._file = dataset / "dataset.json"
        self._changed = False

    def __enter__(self) -> Self:
        _require_dataset_or_nothing(self.dataset)
        self._is_new = not self.dataset.exists()
        try:
            for folder in (self.staging, self.dataset / "images", self.dataset / "labels"):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.dataset}: cannot be made ({error.strerror})") from error
        refusal = f"{self.dataset}: another import is writing it; wait for its end"
        with contextlib.ExitStack() as held:
            held.enter_context(locked(self.staging / "lock", refusal))
            self._load()
            self._lock = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._journal.close()
        self._lock.close()
        if not self.cases and not self._file.exists():
            for folder in (self.staging, self.dataset / "images", self.dataset / "labels"):
                shutil.rmtree(folder)
            if self._is_new:
                self.dataset.rmdir()

    def add(self, entry: dict[str, Any]) -> None:
        """Add a case whose files lie in ``staging`` under the names of :func:`staged`."""
        for kind in ("image", "label"):
            if entry[kind]:
                os.replace(staged(self.staging, entry["case"], kind), self.dataset / entry[kind])
        self._note(entry["case"], entry)

    def discard(self, case: str) -> None:
        """Remove a case's files from ``staging``; the dataset's own files of the case stay."""
        for kind in ("image", "label"):
            staged(self.staging, case, kind).unlink(missing_ok=True)

    def remove(self, case: str) -> None:
        """Remove a case and its files from the dataset."""
        entry = self.cases[case]
        self._note(case, None)
        for kind in ("image", "label"):
            if entry[kind]:
                (self.dataset / entry[kind]).unlink(missing_ok=True)

    def finish(self) -> None:
        """Write ``dataset.json`` and remove the journal."""
        if self._changed or not self._file.exists():
            write_json(self._file, {**self.header, "cases": [self.cases[case] for case in sorted(self.cases)]})
        shutil.rmtree(self.staging)

    def _note(self, case: str, entry: dict[str, Any] | None) -> None:
        self._journal.write(json.dumps([case, entry]) + "\n")
        self._journal.flush()
        self._take(case, entry)

    def _take(self, case: str, entry: dict[str, Any] | None) -> None:
        self._changed = True
        if entry is None:
            self.cases.pop(case, None)
        else:
            self.cases[case] = entry

    def _load(self) -> None:
        journal = self.staging / "journal"
        started, *notes = _read_journal(journal) or [None]
        if self._file.exists():
            content = read_dataset(self.dataset)
            started = {key: content.get(key) for key in self.header}
            self.cases = {entry["case"]: entry for entry in content["cases"]}
        if started:
            require_same(self.dataset, started, self.header)
        for case, entry in notes:
            self._take(case, entry)
        for path in self.staging.glob("*.nii.gz"):
            path.unlink()
        write_lines = [self.header, *notes]
        journal.write_text("".join(json.dumps(line) + "\n" for line in write_lines), encoding="utf-8")
        self._journal = journal.open("a", encoding="utf-8")


def _read_journal(path: Path) -> list[Any]:
    """The lines of a journal, up to the first damaged line. A kill or a power cut can damage a line."""
    lines: list[Any] = []
    if path.exists():
        with contextlib.suppress(ValueError):
            for line in path.read_bytes().split(b"\n"):
                lines.append(json.loads(line))
    return lines


def staged(staging: Path, case: str, kind: str) -> Path:
    """The file of a case's ``image`` or ``label`` in the staging folder."""
    return staging / f"{case}.{kind}.nii.gz"


def _require_dataset_or_nothing(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is a file; name another folder")
    if (path / "dataset.json").exists():
        read_dataset(path)
        return
    known = (path / ".import").exists()
    if path.exists() and not known and any(path.iterdir()):
        raise InputError(f"{path}: already holds something that is no dataset; name another folder")


def require_same(dataset: Path, former: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to combine cases that were imported with different settings.

    Raises:
        InputError: if the two headers differ in more than the name.
    """
    for key, flag in (("ids", "--keep-ids or --key-file"), ("n4", "--n4")):
        if former[key] != now[key]:
            raise InputError(f"{dataset}: was made with {key} {former[key]!r}, not {now[key]!r}; check {flag}")
