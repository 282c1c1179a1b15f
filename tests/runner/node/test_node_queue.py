"""The queue on disk: which state a study has, what a restart finds, and the limits of its room."""

import os
import time

import pytest
from student_runner.node.config import LimitSettings, StudySettings
from student_runner.node.queue import NoRoomError

QUIET_S = 0.4


def nobody():
    return set()


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def complete(queue, study, *images):
    """Put a whole study into waiting."""
    for image in images:
        queue.add(study, image, image.encode())
    queue.mark_released([study])
    time.sleep(1.5 * QUIET_S)
    queue.settle(nobody)


def answered(queue, record=None):
    """Let the next study go through segmenting and sending, and return its images."""
    folder = queue.claim()
    (folder / "results").mkdir()
    images = sorted(path.name for path in (folder / "images").iterdir())
    queue.to_sending(folder)
    (sending,) = queue.folders("sending")
    queue.answer(sending, record or {"images": images})
    return images


def test_a_study_waits_when_its_association_has_ended_and_a_quiet_time_is_over(open_queue):
    queue = open_queue()
    queue.add("s", "a", b"1")
    queue.mark_released(["s"])
    queue.settle(lambda: set())
    assert queue.claim() is None  # the quiet time is not over
    time.sleep(1.5 * QUIET_S)
    queue.settle(lambda: {"s"})
    assert queue.claim() is None  # another association with its images is open
    queue.settle(nobody)
    folder = queue.claim()
    assert (folder.parent.name, files_of(folder / "images")) == ("segmenting", {"a": b"1"})
    assert queue.claim() is None


def test_a_transfer_that_broke_off_waits_ten_quiet_times(open_queue):
    queue = open_queue()
    queue.add("s", "a", b"1")
    time.sleep(1.5 * QUIET_S)
    queue.settle(nobody)
    assert queue.claim() is None
    past = time.time() - 10.1 * QUIET_S
    for path in (queue._root / "receiving" / "s", queue._root / "receiving" / "s" / "images"):
        os.utime(path, (past, past))
    queue.settle(nobody)
    assert queue.claim().name == "s"


def test_a_damaged_image_holds_its_study_until_it_comes_well(open_queue):
    queue = open_queue()
    queue.add("s", "a", b"1")
    queue.mark_failed("s", "b")
    queue.mark_released(["s"])
    time.sleep(1.5 * QUIET_S)
    queue.settle(nobody)
    assert queue.claim() is None
    complete(queue, "s", "b")
    folder = queue.claim()
    assert files_of(folder / "images") == {"a": b"1", "b": b"b"}
    assert list(folder.glob("failed-*")) == []


def test_a_damaged_image_that_comes_well_while_its_study_waits_or_is_segmented(open_queue):
    queue = open_queue()
    for study in ("s", "t"):
        queue.add(study, "a", b"1")
        queue.mark_failed(study, "b")
    past = time.time() - 10.1 * QUIET_S
    for path in (*(queue._root / "receiving").glob("*"), *(queue._root / "receiving").glob("*/images")):
        os.utime(path, (past, past))
    queue.settle(nobody)
    segmented = queue.claim()
    for study in ("s", "t"):
        complete(queue, study, "b")
    queue.give_back(segmented)
    for _ in range(2):
        folder = queue.claim()
        assert files_of(folder / "images") == {"a": b"1", "b": b"b"}
        assert list(folder.glob("failed-*")) == []


def test_an_image_that_came_again_replaces_the_one_that_is_given_back(open_queue):
    queue = open_queue()
    complete(queue, "s", "a")
    segmented = queue.claim()
    queue.add("s", "a", b"later")
    queue.mark_failed("s", "b")
    past = time.time() - 10.1 * QUIET_S
    for path in (queue._root / "receiving" / "s", queue._root / "receiving" / "s" / "images"):
        os.utime(path, (past, past))
    queue.settle(nobody)
    queue.give_back(segmented)
    folder = queue.claim()
    assert files_of(folder) == {"images/a": b"later", "failed-b": b""}


def test_an_image_that_is_damaged_later_holds_a_released_study(open_queue):
    queue = open_queue()
    queue.add("s", "a", b"1")
    queue.mark_released(["s"])
    queue.mark_failed("s", "b")
    queue.mark_released(["s"])
    time.sleep(1.5 * QUIET_S)
    queue.settle(nobody)
    assert queue.claim() is None


def test_new_images_join_a_study_that_still_waits(open_queue):
    queue = open_queue()
    complete(queue, "s", "a")
    queue.add("s", "b", b"new")
    assert queue.claim() is None  # more of it is coming
    complete(queue, "s", "a")
    assert files_of(queue.claim() / "images") == {"a": b"a", "b": b"new"}


def test_new_images_of_a_study_in_work_wait_for_its_answer(open_queue):
    queue = open_queue()
    complete(queue, "s", "a")
    folder = queue.claim()
    complete(queue, "s", "b")
    (folder / "results").mkdir()
    queue.to_sending(folder)
    assert queue.claim() is None
    queue.answer(queue.folders("sending")[0], {"images": ["a"]})
    assert files_of(queue.claim() / "images") == {"b": b"b"}
    assert queue.former_record("s") == {"images": ["a"]}


def test_the_images_are_removed_with_the_answer(open_queue):
    queue = open_queue()
    complete(queue, "s", "a", "b")
    assert answered(queue) == ["a", "b"]
    assert list(files_of(queue._root)) == ["answered/s/record.json"]


def test_kept_images_join_the_later_ones(open_queue):
    queue = open_queue(StudySettings(quiet_s=QUIET_S, keep_images_h=1))
    complete(queue, "s", "a", "b")
    answered(queue)
    queue.prune()
    queue.add("s", "b", b"later")
    complete(queue, "s", "c")
    assert files_of(queue.claim() / "images") == {"a": b"a", "b": b"later", "c": b"c"}


def test_kept_images_go_when_their_time_is_over_or_the_room_is_short(open_queue):
    queue = open_queue(StudySettings(quiet_s=QUIET_S, keep_images_h=1))
    for study in ("old", "new"):
        complete(queue, study, "a")
        answered(queue)
    past = time.time() - 3601
    os.utime(queue._root / "answered" / "old" / "record.json", (past, past))
    queue.prune()
    kept = sorted(path.parent.name for path in (queue._root / "answered").glob("*/images"))
    assert kept == ["new"]
    small = open_queue(
        StudySettings(quiet_s=QUIET_S, keep_images_h=1), LimitSettings(object_mb=0.01, queue_gb=1e-8, free_gb=0)
    )
    small.prune()
    assert list((queue._root / "answered").glob("*/images")) == []
    assert len(list((queue._root / "answered").glob("*/record.json"))) == 2


def test_a_restart_goes_on_in_every_state(open_queue):
    queue = open_queue()
    for study in ("sending", "segmenting", "waiting"):
        complete(queue, study, study)
        if study != "waiting":
            folder = queue.claim()
            (folder / "results.part").mkdir()
            (folder / "results.part" / "half").write_bytes(b"half")
        if study == "sending":
            (folder / "results.part").rename(folder / "results")
            queue.to_sending(folder)
    queue.add("receiving", "a", b"1")
    (queue._root / "incoming" / "half").write_bytes(b"half")
    again = open_queue()
    files = files_of(again._root)
    assert sorted(files) == [
        *("receiving/receiving/images/a", "sending/sending/images/sending"),
        *("sending/sending/released", "sending/sending/results/half"),
        *("waiting/segmenting/images/segmenting", "waiting/segmenting/released"),
        *("waiting/waiting/images/waiting", "waiting/waiting/released"),
    ]


def test_no_room(open_queue):
    queue = open_queue(limits=LimitSettings(object_mb=0.01, queue_gb=1.5e-6, free_gb=0))
    queue.add("s", "a", bytes(600))
    assert not queue.is_full()
    with pytest.raises(NoRoomError):
        queue.add("s", "b", bytes(600))
    assert list(files_of(queue._root)) == ["receiving/s/images/a"]
    queue.add("s", "c", bytes(350))
    assert queue.is_full()
    full_disk = open_queue(limits=LimitSettings(free_gb=1e6))
    assert full_disk.is_full()
    with pytest.raises(NoRoomError):
        full_disk.add("s", "b", b"1")


def test_the_same_image_twice_is_kept_once(open_queue):
    queue = open_queue()
    queue.add("s", "a", b"first")
    queue.add("s", "a", b"second")
    assert files_of(queue._root) == {"receiving/s/images/a": b"second"}
