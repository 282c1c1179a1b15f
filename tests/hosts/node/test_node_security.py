"""Strangers, hostile objects and idle connections are refused or bounded; only the images name a patient."""

import os
import resource
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
import requests
from dicom_studies import series_datasets
from node_process import wait_until
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from pynetdicom import AE

SECRETS = ("Doe", "John", "Patient", "t2_tse", "20110707")


@pytest.fixture
def send_object():
    """``send_object(node, dataset)``: the status of C-STORE, or None if the node broke off the association."""

    def send(node, dataset, syntax=ExplicitVRLittleEndian):
        dataset.file_meta.TransferSyntaxUID = syntax
        ae = AE("SCANNER")
        ae.dimse_timeout = 60
        ae.add_requested_context(dataset.SOPClassUID, syntax)
        association = ae.associate("127.0.0.1", node.port, ae_title="PROSTATE")
        assert association.is_established
        status = association.send_c_store(dataset).get("Status")
        if association.is_established:
            association.release()
        return status

    return send


@pytest.fixture
def image():
    return series_datasets()[0]


def large(dataset, megabytes):
    dataset.Columns = 50_000
    dataset.Rows = 10 * megabytes
    dataset.PixelData = bytes(dataset.Rows * dataset.Columns * 2)
    return dataset


def test_an_unknown_sender_and_an_unknown_title(start_node, pacs, make_study):
    node, study = start_node(pacs), make_study("a")
    assert node.send(study, title="STRANGER") != 0
    echo = ["echoscu", "-aet", "SCANNER", "-aec", "OTHER", "127.0.0.1", str(node.port)]
    assert subprocess.run(echo, capture_output=True).returncode != 0
    echo[4] = "PROSTATE"
    assert subprocess.run(echo, capture_output=True).returncode == 0
    assert node.said("association=refused reason=unknown-ae") == 1
    assert node.said("association=refused reason=other-ae-title") == 1
    assert node.studies("receiving") == 0


def test_an_object_that_is_too_large(start_node, pacs, make_study, answers, send_object, image):
    node = start_node(pacs, limits={"object_mb": 10})
    before = node.resident_mb()
    assert send_object(node, large(image, 12)) in (0xC000, None)
    assert send_object(node, large(image, 300)) is None
    assert node.resident_mb() < before + 100
    assert node.studies("receiving") == 0
    study = make_study("a")
    assert node.send(study) == 0
    wait_until(lambda: node.said("answer=segmented"))


def test_a_deflated_object_that_inflates_to_much(start_node, pacs, send_object, image):
    node = start_node(pacs, limits={"object_mb": 10})
    before = node.resident_mb()
    assert send_object(node, large(image, 300), DeflatedExplicitVRLittleEndian) == 0xC000
    assert node.resident_mb() < before + 100
    assert node.said("reason='an object is too large'") == 1
    assert send_object(node, series_datasets()[1], DeflatedExplicitVRLittleEndian) == 0


def test_pixels_that_decode_to_much(start_node, pacs, send_object, image):
    node = start_node(pacs, limits={"object_mb": 10})
    image.Rows = image.Columns = 65535
    assert send_object(node, image) == 0xC000


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyInstanceUID"])
def test_a_path_in_a_uid(start_node, pacs, send_object, image, tmp_path, keyword):
    node = start_node(pacs)
    before = {path for path in tmp_path.rglob("*") if node.state not in path.parents}
    with pydicom.config.disable_value_validation():
        image[keyword].value = "../../../evil"
        assert send_object(node, image) == 0xC000
    assert {path for path in tmp_path.rglob("*") if node.state not in path.parents} == before
    assert list((node.state / "receiving").glob("*/images/*")) == []


def test_ten_thousand_connections_opened_and_left(start_node, pacs, make_study, answers):
    node, study = start_node(pacs, limits={"idle_s": 3, "associations": 5}), make_study("a")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = []
    try:
        for _ in range(min(10_000, hard - 500)):
            try:
                connections.append(socket.create_connection(("127.0.0.1", node.port), timeout=5))
            except OSError:
                continue
            if len(connections) % 1000 == 0:
                assert node.metric("open_associations") <= 6
        threads = len(list(Path(f"/proc/{node.process.pid}/task").iterdir()))
        assert threads < 50
        node.send_until_taken(study)  # the idle ones are dropped, although they are still open on this side
        wait_until(lambda: node.said("answer=segmented"))
    finally:
        for connection in connections:
            connection.close()
    assert len(connections) > 500


def test_a_connection_that_says_half_a_message(start_node, pacs):
    node = start_node(pacs, limits={"idle_s": 1, "associations": 1})
    for start in (b"", b"\x01\x00\x00", b"\x01\x00\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", node.port)) as connection:
            connection.sendall(start)
            wait_until(lambda: node.metric("open_associations") == 0, 20)


def test_more_associations_than_allowed(start_node, pacs):
    node = start_node(pacs, limits={"associations": 2})
    ae = AE("SCANNER")
    ae.add_requested_context("1.2.840.10008.1.1")
    associations = [ae.associate("127.0.0.1", node.port, ae_title="PROSTATE") for _ in range(3)]
    assert [one.is_established for one in associations] == [True, True, False]
    assert associations[2].is_rejected
    for one in associations[:2]:
        one.release()
    wait_until(lambda: node.metric("open_associations") == 0)


def test_nothing_but_the_images_names_a_patient(start_node, own_pacs, make_study, request):
    own_pacs.kill()
    node, study = start_node(own_pacs), make_study("a")
    sagittal = make_study("b", orientation=(0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    damaged = pydicom.dcmread(study / "IM0003")
    secrets = [*SECRETS, damaged.StudyInstanceUID, damaged.SOPInstanceUID, damaged.SeriesInstanceUID]
    seen = []
    for files in ([study], [sagittal]):
        sender = node.sender(*files)
        while sender.poll() is None or not node.is_idle():
            seen += [str(path.relative_to(node.state)) for path in node.state.rglob("*")]
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if f"PPid:\t{node.process.pid}\n" in (process / "status").read_text():
                        seen += [(process / "cmdline").read_text(), (process / "environ").read_text()]
                except OSError:
                    continue
            if node.said("stored=no"):
                break
            time.sleep(0.05)
    own_pacs.start()
    wait_until(lambda: node.is_idle() and node.studies("answered") == 2)
    base = f"http://127.0.0.1:{node.metrics_port}"
    seen += [requests.get(f"{base}/{page}", timeout=10).text for page in ("metrics", "health", "other")]
    seen += [node.log.read_text(), *(path.read_text() for path in node.state.rglob("record.json"))]
    text = "\n".join(seen)
    assert "answer=segmented" in text
    assert "incoming" in text
    assert [secret for secret in secrets if secret in text] == []
    modes = {oct(path.stat().st_mode & 0o77) for path in [*node.state.iterdir(), node.state] if path.name != "lock"}
    assert modes == {"0o0"}


def test_tls(start_node, pacs, make_study, tmp_path):
    """A sender needs a certificate of the site's authority."""
    for name in ("authority", "stranger"):
        files = ["-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"]
        place = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *place]
        subprocess.run(command, check=True, capture_output=True)
    own = {name: str(tmp_path / file) for name, file in
           (("certificate", "authority.pem"), ("key", "authority.key"), ("ca", "authority.pem"))}  # fmt: skip
    node, study = start_node(pacs, listen={"tls": own}), make_study("a")
    assert node.send(study) != 0  # without encryption

    def encrypted(name):
        return ["+tls", tmp_path / f"{name}.key", tmp_path / f"{name}.pem", "+cf", tmp_path / "authority.pem"]

    assert node.send(study, options=encrypted("stranger")) != 0
    assert node.send(study, options=encrypted("authority")) == 0
    wait_until(lambda: node.said("answer=segmented"))


def test_rubbish_on_the_port(start_node, pacs, make_study):
    """Random bytes, and valid beginnings with random ends, end their connection and not the node."""
    node = start_node(pacs, limits={"idle_s": 2})
    rng = np.random.default_rng(0)
    for number in range(60):
        kind = bytes([number % 8, 0])
        body = rng.integers(0, 256, int(rng.integers(0, 400)), np.uint8).tobytes()
        with socket.create_connection(("127.0.0.1", node.port)) as connection:
            connection.settimeout(5)
            connection.sendall(kind + len(body).to_bytes(4, "big") + body)
    assert node.process.poll() is None
    study = make_study("a")
    node.send_until_taken(study)
    wait_until(lambda: node.said("answer=segmented"))
    assert os.path.exists(node.state / "answered")
