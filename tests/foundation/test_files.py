import hashlib

import pytest

from custom_components.foundation.errors import InputError, WriteError
from custom_components.foundation.files import (
    file_sha256,
    read_json,
    replace_file,
    sha256_of,
    write_csv,
    write_json,
    write_text,
)


def test_hashes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_of({"b": 1, "a": [2, None]}) == hashlib.sha256(b'{"a":[2,null],"b":1}').hexdigest()


def test_a_failed_write_leaves_the_former_file_and_no_other(tmp_path):
    write_text(tmp_path / "a", "former")

    def fail(partial):
        partial.write_text("half")
        raise OSError("disk full")

    with pytest.raises(WriteError, match=r"\A\S+/a: cannot be written \(disk full\); what was there before is kept\Z"):
        replace_file(tmp_path / "a", fail)
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "former"


def test_a_reader_sees_the_former_file_until_the_new_one_is_whole(tmp_path):
    write_text(tmp_path / "a", "former")
    seen = []

    def write(partial):
        partial.write_text("new")
        seen.append((tmp_path / "a").read_text())

    replace_file(tmp_path / "a", write)
    assert seen == ["former"]
    assert (tmp_path / "a").read_text() == "new"


def test_json_comes_back_and_folders_are_made(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"ä": [1.5, None, True]})
    assert read_json(tmp_path / "deep" / "a.json") == {"ä": [1.5, None, True]}


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"{", "not a JSON file"), (b"\xff\xfe", "not a JSON file"), (b"[]", "a JSON object")],
)
def test_faulty_json_is_named(tmp_path, content, message):
    file = tmp_path / "a.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=rf"\A[^\n]*a.json: [^\n]*{message}[^\n]*\Z"):
        read_json(file)


def test_csv_leaves_empty_what_a_row_lacks(tmp_path):
    write_csv(tmp_path / "rows.csv", [{"a": 1, "b": 0.5}, {"b": 2}], ["b", "a"])
    assert (tmp_path / "rows.csv").read_text() == "b,a\n0.5,1\n2,\n"
