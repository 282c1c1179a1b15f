"""``node.yaml``: what it may hold, and one line for each mistake."""

import pytest
import yaml
from student_runner.node.__main__ import main
from student_runner.node.config import LimitSettings, StudySettings, read_config

from custom_components.foundation.errors import InputError

LEAST = {
    "student": "student.onnx",
    "state": "/var/lib/node",
    "listen": {"ae_title": "PROSTATE", "allowed": ["SCANNER"]},
    "pacs": {"ae_title": "PACS", "host": "10.0.0.2"},
}


ONE_PACS = "pacs needs either ae_title, host and port (C-STORE) or url (STOW-RS); give one of them"
NO_LIST = 'listen.allowed is no list of texts; give for example ["SCANNER1"]'
NO_MAPPING = "its content is no list of keys and values; see docs/how-to/node.md"


def listening(**changes):
    return {"listen": {**LEAST["listen"], **changes}}


@pytest.fixture
def write(tmp_path):
    """``write({"study": {...}})`` writes the least settings with these changes."""

    def save(changes):
        file = tmp_path / "node.yaml"
        file.write_text(yaml.safe_dump({**LEAST, **changes}))
        return file

    return save


def test_defaults_and_paths(write, tmp_path):
    config = read_config(write({}))
    assert config.student == tmp_path / "student.onnx"
    assert str(config.state) == "/var/lib/node"
    assert (config.listen.host, config.listen.port, config.listen.allowed) == ("127.0.0.1", 11112, ("SCANNER",))
    assert (config.pacs.port, config.pacs.url) == (104, None)
    assert (config.study, config.limits) == (StudySettings(), LimitSettings())
    assert read_config(write({"study": {"quiet_s": 5}})).study.quiet_s == 5


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"student": None}, "student is missing; add it"),
        ({"listen": {"ae_title": "A"}}, "listen.allowed is missing; add it"),
        ({"listen": ["A"]}, "listen is no list of keys and values; see docs/how-to/node.md"),
        ({"studdy": {}}, "studdy is no key; did you mean study?"),
        ({"study": {"quiet": 5}}, "study.quiet is no key; did you mean quiet_s?"),
        ({"study": {"quiet_s": "5"}}, "study.quiet_s is '5', not a number; mend it"),
        ({"study": {"quiet_s": True}}, "study.quiet_s is True, not a number; mend it"),
        ({"study": {"quiet_s": 0}}, "study.quiet_s is 0; give at least 0.1"),
        ({"study": {"quiet_s": float("nan")}}, "study.quiet_s is nan; give at least 0.1"),
        ({"study": {"picture": "yes please"}}, "study.picture is 'yes please', not true or false; mend it"),
        ({"limits": {"queue_gb": float("inf")}}, "limits.queue_gb is inf; give at least 0.0001 and at most 1e+06"),
        ({"limits": {"free_gb": float("inf")}}, "limits.free_gb is inf; give at least 0 and at most 1e+06"),
        ({"limits": {"idle_s": float("inf")}}, "limits.idle_s is inf; give at least 1 and at most 1e+06"),
        ({"limits": {"associations": 1.5}}, "limits.associations is 1.5, not a whole number; mend it"),
        ({"metrics": {"port": 70000}}, "metrics.port is 70000; give at least 1 and at most 65535"),
        (listening(allowed="A"), NO_LIST),
        (listening(allowed=[]), NO_LIST),
        (listening(ae_title=17 * "A"), "listen.ae_title is no AE title; give 1 to 16 ASCII characters"),
        (listening(tls={"ca": "ca.pem"}), "listen.tls needs certificate and key; add them"),
        ({"pacs": {}}, ONE_PACS),
        ({"pacs": {"url": "http://a", "host": "b"}}, ONE_PACS),
        ({"pacs": {"url": "pacs"}}, "pacs.url is no address; give http(s)://<root of DICOMweb>"),
        (
            {"limits": {"queue_gb": 0.1}},
            "limits.queue_gb is smaller than one object of limits.object_mb; make it larger",
        ),
        ({"study": {"tie": "first"}}, None),
    ],
)
def test_mistakes(write, capsys, changes, line):
    file = write(changes)
    assert main([str(file)]) == 2
    expected = f"error: {file}: {line}\n" if line else "error: study.tie first: unknown; give finest or last\n"
    assert capsys.readouterr().err == expected


def test_a_certificate_that_is_missing(write, tmp_path):
    file = write({"pacs": {**LEAST["pacs"], "tls": {"ca": "ca.pem"}}})
    with pytest.raises(InputError, match=r"\A\S*node.yaml: pacs.tls.ca names no file; put the file at \S*/ca.pem\Z"):
        read_config(file)


@pytest.mark.parametrize(("text", "end"), [("a: [", "is no YAML (line 1); mend it"), ("", NO_MAPPING)])
def test_no_settings(tmp_path, capsys, text, end):
    file = tmp_path / "node.yaml"
    file.write_text(text)
    assert main([str(file)]) == 2
    assert capsys.readouterr().err == f"error: {file}: {end}\n"


def test_no_file(tmp_path, capsys):
    assert main([str(tmp_path / "none.yaml")]) == 2
    line = f"error: {tmp_path}/none.yaml: cannot be read (No such file or directory); give the path of node.yaml\n"
    assert capsys.readouterr().err == line
