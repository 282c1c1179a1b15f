"""A segmenting process that dies does not end the node, and its study is answered or waits."""

import json

import pytest
from student_runner.node import worker as worker_module
from student_runner.node.config import LimitSettings, ListenSettings, NodeSettings, PacsSettings, StudySettings
from student_runner.node.job import NO_ROOM_CODE
from student_runner.node.queue import Queue
from student_runner.node.worker import Worker


@pytest.fixture
def queue_and_worker(tmp_path, student_files, monkeypatch, repository):
    """A queue with one waiting study, and a worker of it."""
    monkeypatch.setenv("PYTHONPATH", f"{repository}:{repository / 'runner'}")
    monkeypatch.setattr(worker_module, "PAUSE_S", 0.01)
    listen, pacs = ListenSettings("PROSTATE", ("SCANNER",)), PacsSettings("PACS", "127.0.0.1")
    config = NodeSettings(
        student_files["whole"], tmp_path / "state", listen, pacs, StudySettings(), LimitSettings(free_gb=0)
    )
    queue = Queue(config)
    images = tmp_path / "state" / "waiting" / "study" / "images"
    images.mkdir(parents=True)
    (images / "a").write_bytes(b"no image")
    (tmp_path / "state" / "key").write_text("0" * 64)
    return queue, Worker(config, queue, tmp_path / "state" / "key")


def work_once(worker, queue):
    worker._work()
    return [state for state in ("waiting", "segmenting", "sending") if queue.folders(state)]


def outcome_of(queue):
    (folder,) = queue.folders("sending")
    return json.loads((folder / "results" / "outcome.json").read_text())


def test_a_process_that_always_dies_ends_with_a_refusal(queue_and_worker, monkeypatch, caplog):
    queue, worker = queue_and_worker
    monkeypatch.setattr(worker_module, "COMMAND", ("sh", "-c", "kill -9 $$"))
    assert [work_once(worker, queue) for _ in range(3)] == [["waiting"], ["waiting"], ["sending"]]
    outcome = outcome_of(queue)
    assert (outcome["answer"], outcome["reason"], outcome["images"]) == ("refused", "failed", ["a"])
    assert [record.getMessage() for record in caplog.records] == [
        f"study=study segmentation=failed attempt={attempt} detail='exit code -9'" for attempt in (1, 2, 3)
    ]


def test_a_damaged_file_on_the_disk_is_refused(queue_and_worker):
    queue, worker = queue_and_worker
    assert work_once(worker, queue) == ["sending"]
    assert (outcome_of(queue)["answer"], outcome_of(queue)["reason"]) == ("refused", "damaged")


@pytest.mark.parametrize("command", [f"exit {NO_ROOM_CODE}", "kill -15 $$"])
def test_a_full_disk_and_an_end_by_the_system_are_no_attempt(queue_and_worker, monkeypatch, command):
    queue, worker = queue_and_worker
    monkeypatch.setattr(worker_module, "COMMAND", ("sh", "-c", command))
    for _ in range(5):
        assert work_once(worker, queue) == ["waiting"]
    assert list((queue.folders("waiting")[0]).glob("attempts")) == []


def test_a_process_that_takes_too_long_is_ended(queue_and_worker, monkeypatch):
    queue, worker = queue_and_worker
    monkeypatch.setattr(worker_module, "COMMAND", ("sleep", "60"))
    monkeypatch.setattr(worker_module, "LONGEST_S", 0.2)
    assert work_once(worker, queue) == ["waiting"]
    assert json.loads((queue.folders("waiting")[0] / "attempts").read_text()) == {"failures": 1}


def test_the_student_is_checked_before_the_node_listens(queue_and_worker, monkeypatch, tmp_path):
    _, worker = queue_and_worker
    worker.check()
    monkeypatch.setattr(worker_module, "COMMAND", ("sh", "-c", "echo x: is no student >&2; exit 1"))
    with pytest.raises(Exception, match=r"\Ax: is no student\Z"):
        worker.check()
