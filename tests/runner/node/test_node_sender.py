"""Results reach the PACS by C-STORE, and are tried again until it takes them."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
from dicom_studies import gland, segmentation, series_datasets
from orthanc import free_port
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import SegmentationStorage
from student_runner.node.config import LimitSettings, ListenSettings, NodeSettings, PacsSettings, StudySettings
from student_runner.node.queue import Queue
from student_runner.node.sender import FIRST_DELAY_S, DicomArchive, NotStoredError, Sender, WebArchive

OUTCOME = {"answer": "segmented", "reason": "", "images": ["a"], "series": ["x"], "fitting": ["x"], "seconds": 1}


class ScriptedPacs:
    """A PACS that answers C-STORE with the statuses of a list, one after the other, and then with success."""

    def __init__(self):
        self.statuses, self.stored, self.port, self.breaks_off = [], [], free_port(), False
        self._ae = AE("PACS")
        self._ae.require_called_aet = True
        self._ae.add_supported_context(SegmentationStorage)

    def start(self):
        handlers = [(evt.EVT_C_STORE, self._on_store)]
        self._server = self._ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)

    def stop(self):
        self._server.shutdown()

    def _on_store(self, event):
        if self.breaks_off:
            event.assoc.abort()
            return 0
        status = self.statuses.pop(0) if self.statuses else 0
        if status in (0, 0x0111, 0xB000):
            self.stored.append(str(event.request.AffectedSOPInstanceUID))
        return status


@pytest.fixture
def pacs():
    server = ScriptedPacs()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def document():
    return segmentation(series_datasets(), {"gland": gland()})


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000])
def test_statuses_that_mean_stored(pacs, document, status):
    pacs.statuses = [status]
    DicomArchive(PacsSettings("PACS", "127.0.0.1", pacs.port), "NODE").store([document])
    assert pacs.stored == [document.SOPInstanceUID]


@pytest.mark.parametrize(("status", "line"), [(0xA700, "0xA700"), (0xC000, "0xC000"), (0x0122, "0x0122")])
def test_statuses_that_mean_refused(pacs, document, status, line):
    pacs.statuses = [status]
    archive = DicomArchive(PacsSettings("PACS", "127.0.0.1", pacs.port), "NODE")
    with pytest.raises(NotStoredError, match=rf"\Ait refused with status {line}\Z") as caught:
        archive.store([document])
    assert caught.value.is_reached


def test_other_failures(pacs, document):
    with pytest.raises(NotStoredError, match=r"\Ait refuses the association\Z") as caught:
        DicomArchive(PacsSettings("OTHER", "127.0.0.1", pacs.port), "NODE").store([document])
    assert caught.value.is_reached
    with pytest.raises(NotStoredError, match=r"\Ait is not reached\Z") as caught:
        DicomArchive(PacsSettings("PACS", "127.0.0.1", free_port()), "NODE").store([document])
    assert not caught.value.is_reached
    (image, *_) = series_datasets()
    with pytest.raises(NotStoredError, match=r"\Ait takes none of the results' classes\Z"):
        DicomArchive(PacsSettings("PACS", "127.0.0.1", pacs.port), "NODE").store([image])
    with pytest.raises(NotStoredError, match=r"\Ait does not take MR Image Storage\Z"):
        DicomArchive(PacsSettings("PACS", "127.0.0.1", pacs.port), "NODE").store([document, image])


def test_a_pacs_that_breaks_off_is_tried_again(pacs, document, monkeypatch):
    pacs.breaks_off = True
    archive = DicomArchive(PacsSettings("PACS", "127.0.0.1", pacs.port), "NODE")
    with pytest.raises(NotStoredError, match=r"\Ait broke off the association\Z") as caught:
        archive.store([document])
    assert not caught.value.is_reached
    pacs.breaks_off = False
    send = Association.send_c_store

    def send_and_lose_the_association(association, one):
        status = send(association, one)
        association.abort()
        return status

    monkeypatch.setattr(Association, "send_c_store", send_and_lose_the_association)
    with pytest.raises(NotStoredError, match=r"\Ait broke off the association\Z"):
        archive.store([document, document])
    assert pacs.stored == [document.SOPInstanceUID]


XML, JSON = "application/dicom+xml", "application/dicom+json"


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (XML, "<html>Sign in<br>"),
        (XML, "<html/>"),
        (JSON, "[]"),
        (JSON, "no JSON"),
        (JSON, '{"00081199": {"vr": "SQ", "Value": [{}]}}'),
        ("text/html", "<html/>"),
    ],
)
def test_an_answer_that_is_none_of_a_pacs_is_not_stored(document, kind, answer):
    with pytest.raises(NotStoredError, match=r"\Ait (refused a document|gives no answer of DICOMweb: \w+)\Z"):
        store_where_the_answer_is(kind, answer, document)


@pytest.mark.parametrize("kind", [JSON, f"{JSON}; charset=utf-8", "Application/JSON;charset=UTF-8"])
def test_an_answer_may_name_its_character_set(document, kind):
    item = {"00081155": {"vr": "UI", "Value": [document.SOPInstanceUID]}}
    store_where_the_answer_is(kind, json.dumps({"00081199": {"vr": "SQ", "Value": [item]}}), document)


def store_where_the_answer_is(kind, answer, document):
    """Store a document by STOW-RS in a server that gives one answer of a media type."""

    class Page(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        WebArchive(PacsSettings(url=f"http://127.0.0.1:{server.server_port}")).store([document])


def test_refused_results_are_tried_again_and_do_not_hold_up_others(pacs, document, tmp_path, monkeypatch):
    # A clock of the test's own, so that a slow machine changes nothing.
    clock = SimpleNamespace(monotonic=lambda: now[0])
    now = [0.0]
    monkeypatch.setattr("student_runner.node.sender.time", clock)
    listen, where = ListenSettings("NODE", ("SCANNER",)), PacsSettings("PACS", "127.0.0.1", pacs.port)
    config = NodeSettings(tmp_path, tmp_path / "state", listen, where, StudySettings(), LimitSettings(free_gb=0))
    queue = Queue(config)
    for study in ("first", "second"):
        folder = tmp_path / "state" / "sending" / study
        (folder / "images").mkdir(parents=True)
        (folder / "results").mkdir()
        document.save_as(folder / "results" / "prostate_seg.dcm")
        uids = {"SOPInstanceUID": document.SOPInstanceUID}
        (folder / "results" / "outcome.json").write_text(
            json.dumps(OUTCOME | {"documents": {"prostate_seg.dcm": uids}})
        )
        time.sleep(0.01)
    pacs.statuses = [0xA700]
    sender = Sender(config, queue)

    def send_all():
        for folder in queue.folders("sending"):
            sender._send(folder)
        return [folder.name for folder in queue.folders("sending")]

    assert send_all() == ["first"]
    assert send_all() == ["first"]  # its time has not come
    now[0] = FIRST_DELAY_S + 0.1
    assert send_all() == []
    assert len(pacs.stored) == 2
    assert (sender.answers, sender.failed_attempts) == ({("segmented", ""): 2}, 1)
    assert queue.former_record("first")["images"] == ["a"]
