"""Words that identify a patient in the tests, and a check that no file of a folder holds one of them."""

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
    """The name and the content of every file; the content of a packed file is unpacked too."""
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
