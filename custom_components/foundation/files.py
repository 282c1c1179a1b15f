"""Functions for files: hashes, reading, and writing that never leaves a partly written file."""

import contextlib
import csv
import hashlib
import io
import json
import os
import stat
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from custom_components.foundation.errors import InputError, WriteError


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def require_readable(path: str | Path) -> None:
    """Refuse a path that is not a readable regular file, before a library reports it less clearly.

    Raises:
        InputError: if the file is missing, is not a regular file, or this user has no right to read it.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InputError("is no file", path, advice="restore it")
        open(path, "rb").close()
    except FileNotFoundError as error:
        raise InputError("no such file", path, advice="restore it") from error
    except OSError as error:
        raise InputError(
            "cannot be read", path, advice="get the right to read it, or take it out", detail=error.strerror
        ) from error


def sha256_of(content: Any) -> str:
    """SHA-256 of a JSON value in canonical form.

    The order of the keys and the kind of sequence do not count:

    >>> sha256_of({"lr": 0.01, "size": [96, 96]}) == sha256_of({"size": (96, 96), "lr": 0.01})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def replace_file(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` make a file under a temporary name in the same folder, then move it to ``path`` in one step.

    Raises:
        WriteError: if the file cannot be written, as on a full disk; the former file at ``path`` is kept.
    """
    path = Path(path)
    partial = path.with_name(f".{os.getpid()}_{threading.get_ident()}_{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        os.replace(partial, path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteError(f"cannot be written ({reason})", path, "what was there before is kept") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def remove_partials(path: str | Path) -> None:
    """Remove the temporary files of killed writers of ``path``. Only one process may write ``path`` at a time."""
    path = Path(path)
    for partial in path.parent.glob(f".*_{path.name}"):
        partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write text. Readers see the complete former file or the complete new file."""
    # The text may hold a file name that is not UTF-8.
    replace_file(path, lambda partial: partial.write_text(text, encoding="utf-8", errors="backslashreplace"))


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON as :func:`write_text` writes text."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_csv(path: str | Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Write rows as :func:`write_text` writes text; a column that a row lacks stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_json(path: str | Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        InputError: if the file is missing, not JSON, or not an object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("no such file", path) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError("not a JSON file", path, detail=str(error)) from None
    if not isinstance(content, dict):
        raise InputError("expected a JSON object", path)
    return content
