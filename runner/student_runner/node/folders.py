"""Moves of files and folders that survive a power cut."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from custom_components.foundation.files import replace_file


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_safely(path: Path, content: dict) -> None:
    """Write JSON that survives a power cut; readers see the complete former file or the complete new one.

    Raises:
        WriteError: if the file cannot be written.
    """

    def write(partial: Path) -> None:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())  # before the rename, which may reach the disk first

    replace_file(path, write)
    sync_folder(path.parent)


def rename_folder(source: Path, target: Path) -> None:
    """Give a folder another place in one step that survives a power cut."""
    os.rename(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def move_files(source: Path, target: Path, replace: bool) -> None:
    """Move all files of a folder into another one, and remove the folder. A second call goes on with a broken-off one.

    Args:
        source: the folder; it may be missing.
        target: the other folder; it is made if it is missing.
        replace: whether a file replaces one of the same name in ``target``; otherwise it is removed.
    """
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in list(source.iterdir()) if source.exists() else ():
        if replace or not (target / path.name).exists():
            os.replace(path, target / path.name)
    shutil.rmtree(source, ignore_errors=True)
    sync_folder(target)


def file_sizes(folder: Path) -> Iterator[int]:
    """The bytes of each file below a folder. Files that are moved in the meantime do no harm."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from file_sizes(Path(entry.path))
                else:
                    yield entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return
