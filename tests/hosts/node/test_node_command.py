"""The node as a service: what ends it, with which exit code, and what its peers may be."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from node_process import ENVIRONMENT, wait_until
from orthanc import free_port


@pytest.fixture
def second(tmp_path):
    """``second(node, changes)``: exit code and last line of a second node with changed settings."""

    def run(node, *changes):
        text = node.config.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "second.yaml").write_text(text)
        command = [sys.executable, "-m", "student_runner.node", tmp_path / "second.yaml"]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr.strip()

    return run


def test_one_line_for_each_fault(start_node, pacs, second, student, tmp_path):
    node = start_node(pacs)
    other = (str(node.state), str(tmp_path / "other"))
    line = f"error: {node.state}: another node works in this folder; give another state"
    assert second(node) == (1, line)
    line = (
        f"error: 127.0.0.1:{node.port}: cannot listen (Address already in use); give another listen.host or listen.port"
    )
    assert second(node, other) == (1, line)
    ports = (str(node.port), str(free_port()))
    line = f"error: 127.0.0.1:{node.metrics_port}: cannot listen (Address already in use); give another metrics.port"
    assert second(node, other, ports) == (1, line)
    assert second(node, other, ports, (str(student), "/none.onnx")) == (
        1,
        "error: /none.onnx: no such file; restore it",
    )
    (tmp_path / "no.onnx").write_text("no student")
    code, line = second(node, other, ports, (str(student), str(tmp_path / "no.onnx")))
    assert (code, line.count("\n"), line.endswith("export it again")) == (1, 0, True)


def test_sigterm_while_a_study_is_segmented(start_node, pacs, make_study, answers):
    node, study = start_node(pacs), make_study("a")
    assert node.send(study) == 0
    wait_until(lambda: node.studies("segmenting"))
    time.sleep(0.5)
    assert node.stop() == 0
    assert (node.studies("waiting"), node.studies("segmenting")) == (1, 0)
    assert not node.said("attempt=")
    node.start()
    wait_until(lambda: node.said("answer=segmented"))
    assert answers(pacs, study) == ["SEG", "SR"]


def test_health(start_node, own_pacs, make_study):
    import requests

    node = start_node(own_pacs)
    page = f"http://127.0.0.1:{node.metrics_port}"
    assert (requests.get(f"{page}/health").status_code, requests.get(f"{page}/health").text) == (200, "ok\n")
    assert requests.get(f"{page}/x").status_code == 404
    text = requests.get(f"{page}/metrics").text
    for line in text.splitlines():
        assert line.startswith(("# HELP segment_node_", "# TYPE segment_node_", "segment_node_"))
    own_pacs.kill()
    assert node.send(make_study("a")) == 0
    wait_until(lambda: node.metric("failed_sendings_total") == 1)
    (study,) = (node.state / "sending").iterdir()
    os.utime(study, (time.time() - 3700,) * 2)
    answer = requests.get(f"{page}/health")
    assert (answer.status_code, answer.text) == (503, "the PACS has not taken a result for an hour\n")


@pytest.mark.skipif(shutil.which("storescp") is None, reason="apt-get install dcmtk")
def test_a_pacs_with_tls(start_node, make_study, tmp_path):
    """The PACS has a certificate of the site's authority, and asks for one."""
    files = ["-keyout", tmp_path / "site.key", "-out", tmp_path / "site.pem"]
    place = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *place]
    subprocess.run(make, check=True, capture_output=True)
    port, stored = free_port(), tmp_path / "stored"
    stored.mkdir()
    tls = ["+tls", tmp_path / "site.key", tmp_path / "site.pem", "+cf", tmp_path / "site.pem"]
    pacs = subprocess.Popen(["storescp", *tls, "-od", stored, "+xa", str(port)], stderr=subprocess.DEVNULL)
    try:
        own = {"certificate": "site.pem", "key": "site.key", "ca": "site.pem"}
        peer = {"ae_title": "PACS", "host": "127.0.0.1", "port": port}
        node = start_node({**peer, "tls": {name: str(tmp_path / file) for name, file in own.items()}})
        assert node.send(make_study("a")) == 0
        wait_until(lambda: node.said("answer=segmented"))
        assert sorted(path.name[:2] for path in stored.iterdir()) == ["SG", "SR"]
    finally:
        pacs.kill()
        pacs.wait()


def test_a_real_study(start_node, pacs):
    folder = os.environ.get("PROSTATE_REAL_DATA")
    if not folder:
        pytest.skip("no real data")
    node = start_node(pacs)
    assert node.send(Path(folder) / "dicom_prostatex" / "ProstateX-0000") == 0
    wait_until(lambda: node.said("answer=segmented images=164"))


def test_a_port_that_is_free_again(start_node, pacs):
    """A node that is started again at once gets its port, although connections to the former one still end."""
    node = start_node(pacs)
    with socket.create_connection(("127.0.0.1", node.port)):
        node.kill()
        node.start()
