"""Names that do not identify patients: keyed hashes (HMAC-SHA256, RFC 2104) instead of the source's ids.

Without the key, nobody can find the source's id by hashing all possible ids. With the same key, a patient gets the same
hash in every import. The key stays at the site and is never part of a dataset.
"""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from custom_components.foundation.errors import InputError
from custom_components.foundation.terminal import as_text
from data_prep.sources.case import Listing, SourceCase

KEY_FILE = Path("~/.config/prostate-distillation/key")
KEY_BYTES = 32
# With 64 bits, two of a million cases practically never get the same name.
ID_DIGITS = 16


@dataclass(frozen=True)
class Pseudonyms:
    """Makes the ids of one dataset.

    Attributes:
        key: the site's secret key; None keeps the source's ids.
    """

    key: bytes | None

    @property
    def scheme(self) -> str:
        """A name for the way in which ids are made: ``kept``, or a short name of the key.

        Ids of two datasets can be compared, and the datasets joined, only if both have the same scheme.
        """
        return "kept" if self.key is None else f"hmac-sha256 {self._hash('key')[:8]}"

    def case_id(self, case: SourceCase) -> str:
        """The case's unique name in the dataset: ``<site>_<name>`` or ``<site>_case_<hash>``."""
        return f"{case.site}_{self._name('case', case.site, case.name)}"

    def patient_id(self, case: SourceCase) -> str:
        """The patient's name, equal for all cases of a patient of a site, in every import with the same key."""
        return f"{case.site}_{self._name('patient', case.site, case.patient)}"

    def path_id(self, path: str) -> str:
        """The name of a file or folder that belongs to no case."""
        return self._name("path", path)

    def require_sites(self, listing: Listing, folder: Path) -> None:
        """Refuse sites whose names were taken from folders, because a folder may have the name of a patient.

        Raises:
            InputError: if ids are hashed and a site's name was guessed from a folder.
        """
        if self.key is not None and listing.guessed_sites:
            problem = f"{min(listing.guessed_sites)!r} may be a site or a patient"
            advice = "--site NAME if all folders are of one site, --site-folders if each is a site, or --keep-ids"
            raise InputError(f"{folder}: {problem}; give {advice}")

    def origin(self, case: SourceCase, folder: Path) -> str:
        """A hash of the paths, sizes and times of change of all files of the case; it changes if a file changes."""
        return self._hash("origin", *(f"{os.path.relpath(path, folder)} {_state(path)}" for path in case.files))

    def _name(self, kind: str, *parts: str) -> str:
        return as_text(parts[-1]) if self.key is None else f"{kind}_{self._hash(kind, *parts)[:ID_DIGITS]}"

    def _hash(self, *parts: str) -> str:
        # Python uses lone surrogates for file names that are not UTF-8.
        message = "\0".join(parts).encode("utf-8", "surrogateescape")
        return hmac.new(self.key or b"", message, hashlib.sha256).hexdigest()


def _state(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return "gone"
    return f"{stat.st_size} {stat.st_mtime_ns}"


def load_key(path: Path) -> bytes:
    """Read the key in ``path``. If there is no key yet, make one that only its owner can read.

    Raises:
        InputError: if the key cannot be read or made, or is too short to be secret.
    """
    path = path.expanduser()
    try:
        if not path.exists():
            _make_key(path)
            print(f"{path}: new key for the hashed ids; keep it safe, the same key gives a patient the same id again")
        key = path.read_bytes().strip()
    except OSError as error:
        raise InputError(f"{path}: no key can be read or made here ({error.strerror}); give --key-file") from error
    if len(key) < KEY_BYTES:
        raise InputError(
            f"{path}: is too short for a key; remove the file, so that a new key is made, or give --key-file"
        )
    return key


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}_{path.name}")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
        # If several imports start at the same time, the first one makes the key here, and the others use it.
        os.link(partial, path)
    except FileExistsError:
        pass
    finally:
        partial.unlink(missing_ok=True)
