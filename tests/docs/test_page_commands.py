"""Reading of the commands of a page, as the tests of the tutorials type them."""

import pytest
from page_commands import commands, follow


def test_a_page_is_read_as_its_reader_types_it(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```bash\nSIZE=3   # pixels\n# a comment\necho $SIZE \\\n    'a  b'\n```\n```yaml\nno: 1\n```\n")
    assert commands(page) == ["SIZE=3   # pixels", "echo $SIZE 'a  b'"]
    assert follow(page, tmp_path, {"SIZE": "4"}, {}) == {"echo $SIZE 'a  b'": "4 a  b\n"}
    with pytest.raises(AssertionError, match=r"does not set {'EPOCH'}"):
        follow(page, tmp_path, {"EPOCH": "1"}, {})
    page.write_text("```bash\nfalse | true; false\n```\n")
    with pytest.raises(AssertionError, match=r"\Afalse \| true; false"):
        follow(page, tmp_path, {}, {})
