"""Keyed hashes in place of UIDs, so that no name of a folder, file or log line leads to a patient."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from custom_components.foundation.errors import InputError

KEY_BYTES = 32
STUDY_DIGITS, IMAGE_DIGITS = 16, 24


class Names:
    """The names that one node gives to studies, series and images.

    Args:
        key: the file of the node's key. It is made if it is missing, and only its owner can read it.

    Raises:
        InputError: if the file holds no key.
    """

    def __init__(self, key: Path) -> None:
        if not key.exists():
            _make_key(key)
        self._key = key.read_bytes().strip()
        if len(self._key) != 2 * KEY_BYTES:
            raise InputError("holds no key", key, "restore it, or remove the state's folder when nothing waits in it")

    def study(self, uid: str) -> str:
        """The name of a study."""
        return self._hash("study", uid)[:STUDY_DIGITS]

    def series(self, uid: str) -> str:
        """The name of a series."""
        return self._hash("series", uid)[:IMAGE_DIGITS]

    def image(self, uid: str) -> str:
        """The name of an image."""
        return self._hash("image", uid)[:IMAGE_DIGITS]

    def _hash(self, kind: str, uid: str) -> str:
        return hmac.new(self._key, f"{kind}\0{uid}".encode(), hashlib.sha256).hexdigest()


def _make_key(path: Path) -> None:
    partial = path.with_name(f".{path.name}.part")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
