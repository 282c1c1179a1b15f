"""The files and folders below a folder, found in one walk; every source and host uses this walk.

Links are followed, because a cohort is often a folder of links. A folder that several paths reach is read once, under
its own name and not under a link's name, so that a cycle of links ends. A file or folder that cannot be read becomes a
finding.
"""

import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from custom_components.foundation.errors import InputError
from data_prep.findings import Finding, FindingsError
from data_prep.no_study import is_no_study, is_unfinished

RIGHTS = "get the right to read it, or take it out"
SEPARATOR = "/"  # no name holds it


@dataclass
class FolderTree:
    """A folder with all files and folders below it, except those that cannot be part of a study.

    An archive has millions of files, so the tree keeps their names alone, as one text for each folder, and makes the
    paths when they are asked for.

    Attributes:
        root: the folder.
        unfinished: files and folders of unfinished downloads.
        findings: faults of folders that could not be read, and of links without a target.
        notes: one line for each kind of ignored files.
    """

    root: Path
    unfinished: list[Path] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _files: dict[str, str] = field(default_factory=dict, repr=False)
    _folders: dict[str, list[str]] = field(default_factory=dict, repr=False)

    @property
    def files(self) -> Iterator[Path]:
        """Regular files. A folder's own files are sorted by name and precede those of its sub-folders.

        Linked folders come last.
        """
        return (Path(folder, name) for folder in self._files for name in self._names(folder))

    @property
    def folders(self) -> list[Path]:
        """All folders except the root, in the order of :attr:`files`."""
        return [Path(folder) for folder in itertools.islice(self._files, 1, None)]

    def children(self, folder: Path) -> list[Path]:
        """The files and folders in ``folder`` itself, sorted by name."""
        key = str(folder)
        return sorted([*(folder / name for name in self._names(key)), *map(Path, self._folders.get(key, ()))])

    def is_folder(self, path: Path) -> bool:
        """Whether a path of the tree is a folder."""
        return str(path) in self._files

    def add_folder(self, path: Path) -> None:
        """Add a folder. The root must be added first, and it is not listed in ``folders``."""
        if self._files:
            self._folders.setdefault(str(path.parent), []).append(str(path))
        self._files[str(path)] = ""

    def add_files(self, folder: Path, names: Iterable[str]) -> None:
        """Add the files of ``folder``, all at once."""
        self._files[str(folder)] = SEPARATOR.join(names)

    def files_below(self, folders: Iterable[Path]) -> dict[Path, tuple[Path, ...]]:
        """The files at any depth below each of ``folders``, sorted by name."""
        below: dict[Path, list[Path]] = {folder: [] for folder in folders}
        for path in sorted(self.files):
            for parent in path.parents:
                if parent in below:
                    below[parent].append(path)
        return {folder: tuple(files) for folder, files in below.items()}

    def _names(self, folder: str) -> list[str]:
        names = self._files.get(folder)
        return names.split(SEPARATOR) if names else []


def read_tree(root: Path) -> FolderTree:
    """Walk through a folder.

    Raises:
        InputError: if there is no such folder, or the folder itself cannot be read.
    """
    try:
        real = Path(os.path.realpath(root))
        # A link to a folder that holds the root would lead to a cycle.
        walk = _Walk(FolderTree(root), {_identity(folder) for folder in (real, *real.parents)})
        os.scandir(root).close()
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            raise InputError("no such folder", root) from error
        raise FindingsError([unreadable(root, error)]) from error
    return walk.run()


def unreadable(path: Path, error: OSError) -> Finding:
    """The finding for a file or folder that this user has no right to read."""
    return Finding(str(path), "cannot be read", RIGHTS, error.strerror or type(error).__name__)


class _Walk:
    """One walk: first through the folders themselves, then through links to folders that are not yet read."""

    def __init__(self, tree: FolderTree, seen: set[int]) -> None:
        self.tree = tree
        self._seen = seen
        self._links: deque[Path] = deque()
        self._again: list[Path] = []

    def run(self) -> FolderTree:
        self._descend(self.tree.root, through_link=False)
        while self._links:
            link = self._links.popleft()
            if self._is_to_read(link, through_link=True):
                self._descend(link, through_link=True)
        self._tell("links to folders that are read already", self._again)
        self._tell("unfinished downloads", self.tree.unfinished)
        return self.tree

    def _descend(self, top: Path, through_link: bool) -> None:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            self.tree.add_folder(folder)
            below = [path for path in self._entries(folder) if self._is_to_read(path, through_link)]
            waiting += reversed(below)

    def _entries(self, folder: Path) -> Iterator[Path]:
        """Add the files of a folder, keep its links for later, and yield its sub-folders."""
        try:
            with os.scandir(folder) as content:
                entries = sorted(content, key=lambda entry: entry.name)
        except OSError as error:
            self.tree.findings.append(unreadable(folder, error))
            return
        files = []
        for entry in entries:
            path = folder / entry.name
            if is_no_study(entry.name):
                continue
            if is_unfinished(entry.name):
                self.tree.unfinished.append(path)
                continue
            try:
                if entry.is_dir():
                    if entry.is_symlink():
                        self._links.append(path)
                    else:
                        yield path
                elif entry.is_file():
                    files.append(entry.name)
                elif entry.is_symlink():
                    entry.stat()  # raises if the link has no target; otherwise the target is a pipe or a device
            except FileNotFoundError:
                problem = "is a link that leads nowhere"
                self.tree.findings.append(Finding(str(path), problem, "restore what it leads to, or take it out"))
            except OSError as error:
                self.tree.findings.append(unreadable(path, error))
        self.tree.add_files(folder, files)

    def _is_to_read(self, folder: Path, through_link: bool) -> bool:
        """Whether to read a folder. The walk remembers the folder, so that it is read only once.

        Without links no folder is reached twice, even if a network disk gives two folders the same number.
        """
        try:
            identity = _identity(folder)
        except OSError as error:
            self.tree.findings.append(unreadable(folder, error))
            return False
        if through_link and identity in self._seen:
            self._again.append(folder)
            return False
        self._seen.add(identity)
        return True

    def _tell(self, what: str, paths: list[Path]) -> None:
        if paths:
            example = paths[0].relative_to(self.tree.root).as_posix()
            self.tree.notes.append(f"left aside, {what}: {len(paths)}, such as {example}")


def _identity(folder: Path) -> int:
    """Device and inode of a folder, as one number, which takes less memory than two."""
    state = os.stat(folder)
    return state.st_dev << 64 | state.st_ino
