"""What identifies a patient in the tests, and the proof that no byte of it is in a folder."""

import gzip
from collections.abc import Iterator
from pathlib import Path

SECRETS = {
    "name": "Mustermann",
    "first name": "Erika",
    "id": "MRN4711",
    "birth date": "19440812",
    "birth date with hyphens": "1944-08-12",
    "date": "20190317",
    "physician": "Oberholzer",
    "hospital": "Sankt-Vinzenz",
    "accession": "ACC5566778",
    "private": "Zaphod-Private",
    "nested": "Quillfeather",
    "text": "Mr-Thistlewood",
}


def all_bytes(folder: Path) -> Iterator[bytes]:
    """Every file's name and content, unpacked where it is packed."""
    for path in sorted(folder.rglob("*")):
        yield str(path.relative_to(folder)).encode()
        if path.is_file():
            content = path.read_bytes()
            yield content
            if path.name.endswith(".gz"):
                yield gzip.decompress(content)


def assert_no_secret(folder: Path, *others: str) -> None:
    for content in all_bytes(folder):
        for secret in (*SECRETS.values(), *others):
            for spelling in (secret, secret.upper(), secret.lower()):
                assert spelling.encode() not in content
                assert spelling.encode("utf-16-le") not in content
