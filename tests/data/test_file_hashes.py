import json
import os

import pytest

from custom_components.data import file_hashes
from custom_components.data.file_hashes import FileHashes
from custom_components.foundation.files import file_sha256


@pytest.fixture
def reads(monkeypatch):
    """The files that were read to be hashed."""
    read = []
    monkeypatch.setattr(file_hashes, "file_sha256", lambda file: read.append(file) or file_sha256(file))
    return read


def test_an_unchanged_file_is_read_once(tmp_path, reads):
    file = tmp_path / "volume"
    file.write_bytes(b"abc")
    for _ in range(2):
        hashes = FileHashes(tmp_path / "hashes.json")
        assert hashes.sha256(file) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        hashes.save()
    assert reads == [str(file)]


def test_another_content_of_the_same_size_and_date_is_noticed(tmp_path, reads):
    file = tmp_path / "volume"
    file.write_bytes(b"abc")
    hashes = FileHashes(tmp_path / "hashes.json")
    before, date = hashes.sha256(file), file.stat().st_mtime_ns
    file.write_bytes(b"abd")
    os.utime(file, ns=(date, date))
    assert hashes.sha256(file) != before


@pytest.mark.parametrize("damage", ["", "[]", "{", "\0\0\0"])
def test_a_damaged_list_is_made_again(tmp_path, reads, damage):
    (tmp_path / "hashes.json").write_text(damage)
    (tmp_path / "volume").write_bytes(b"abc")
    hashes = FileHashes(tmp_path / "hashes.json")
    hashes.sha256(tmp_path / "volume")
    hashes.save()
    assert list(json.loads((tmp_path / "hashes.json").read_text())) == [str(tmp_path / "volume")]
