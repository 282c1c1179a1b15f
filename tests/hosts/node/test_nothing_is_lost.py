"""Every complete study is answered exactly once, whatever happens to the node, the sender, the PACS and the disk."""

import random
import subprocess
import time

import pydicom
import pytest
from dicom_studies import SAGITTAL, save, series_datasets
from node_process import wait_until

ONCE = ["SEG", "SR"]


def test_a_study_is_answered(start_node, pacs, make_study, answers):
    node, study = start_node(pacs), make_study("a")
    assert node.send(study) == 0
    wait_until(lambda: node.said("answer=segmented images=12"))
    assert answers(pacs, study) == ONCE
    assert list((node.state / "answered").glob("*/images")) == []
    assert node.stop() == 0


def test_by_stow_with_the_picture(start_node, pacs, make_study, answers):
    study = make_study("a")
    node = start_node({"url": f"{pacs.root}/dicom-web"}, study={"picture": True})
    assert node.send(study) == 0
    wait_until(lambda: node.said("answer=segmented"))
    assert answers(pacs, study) == ["OT", *ONCE]


@pytest.mark.parametrize("seed", range(10))
def test_kill_9(start_node, pacs, make_study, answers, seed):
    """The node is killed while a study is received, segmented or sent; seed by seed at another moment."""
    rng = random.Random(seed)
    state = ("receiving", "segmenting", "sending")[seed % 3]
    node, studies = start_node(pacs), [make_study(f"{seed}a"), make_study(f"{seed}b", slices=25)]
    sender = node.sender(*studies)
    wait_until(lambda: node.studies(state))
    time.sleep(rng.uniform(0, {"receiving": 0.3, "segmenting": 1.5, "sending": 0.05}[state]))
    node.kill()
    sender.wait()
    node.start()
    if sender.returncode:
        node.send_until_taken(*studies)
    wait_until(lambda: node.is_idle() and node.studies("answered") == 2)
    assert [answers(pacs, study) for study in studies] == [ONCE, ONCE]


def test_kill_9_again_and_again(start_node, pacs, make_study, answers):
    rng = random.Random(0)
    node, studies = start_node(pacs), [make_study(f"s{number}") for number in range(4)]
    for study in studies:
        for _ in range(2):
            sender = node.sender(study)
            time.sleep(rng.uniform(0, 4))
            node.kill()
            sender.wait()
            node.start()
        node.send_until_taken(study)
    wait_until(lambda: node.is_idle() and node.studies("answered") == 4)
    assert [answers(pacs, study) for study in studies] == 4 * [ONCE]


def test_a_pacs_that_is_down(start_node, own_pacs, make_study, answers):
    own_pacs.kill()
    node, study = start_node(own_pacs), make_study("a")
    assert node.send(study) == 0
    wait_until(lambda: node.said("stored=no reason='it is not reached'"))
    assert node.metric("pacs_up") == 0
    node.kill()
    node.start()
    own_pacs.start()
    wait_until(lambda: node.said("answer=segmented"))
    assert answers(own_pacs, study) == ONCE
    assert node.metric("pacs_up") == 1


def test_a_pacs_that_refuses(start_node, own_pacs, make_study, answers):
    own_pacs.kill()
    own_pacs.start(DicomAlwaysAllowStore=False)  # and the node is none of its modalities
    node, study = start_node(own_pacs), make_study("a")
    assert node.send(study) == 0
    wait_until(lambda: node.said("stored=no"))
    assert answers(own_pacs, study) == []
    own_pacs.kill()
    own_pacs.start()
    wait_until(lambda: node.said("answer=segmented"))
    assert answers(own_pacs, study) == ONCE


@pytest.mark.parametrize(
    ("compress", "propose"),
    [
        (["dcmconv", "+ti"], "-xi"), (["dcmconv", "+tb"], "-xb"), (["dcmconv", "+td"], "-xd"),
        (["dcmcjpeg", "+e1"], "-xs"), (["dcmcrle"], "-xr"), (["dcmcjpls"], "-xt"),
    ],
)  # fmt: skip
def test_transfer_syntaxes(start_node, pacs, make_study, answers, tmp_path, compress, propose):
    """The masks are the same, whatever way the images came."""
    study, results = make_study("a"), []
    (tmp_path / "compressed").mkdir()
    for path in study.iterdir():
        subprocess.run([*compress, path, tmp_path / "compressed" / path.name], check=True, capture_output=True)
    node = start_node(pacs)
    for times, (folder, options) in enumerate(((study, []), (tmp_path / "compressed", [propose])), start=1):
        assert node.send(folder, options=options) == 0
        wait_until(lambda: node.said("answer=segmented images=12") == times)  # noqa: B023
        results.append(answers(pacs, study))
    assert results == [ONCE, ONCE]


def test_the_same_study_sent_twice(start_node, pacs, make_study, answers):
    node, study = start_node(pacs), make_study("a")
    for times in (1, 2):
        assert node.send(study) == 0
        wait_until(lambda: node.said("answer=segmented") == times)  # noqa: B023
    assert answers(pacs, study) == ONCE


def test_two_studies_interleaved_in_one_association(start_node, pacs, make_study, answers):
    node, studies = start_node(pacs), [make_study("a"), make_study("b")]
    files = [file for pair in zip(*(sorted(study.iterdir()) for study in studies), strict=True) for file in pair]
    assert node.send(*files) == 0
    wait_until(lambda: node.said("answer=segmented images=12") == 2)
    assert [answers(pacs, study) for study in studies] == [ONCE, ONCE]


def test_an_image_that_arrives_damaged_and_again(start_node, pacs, make_study, answers, tmp_path):
    node, study = start_node(pacs), make_study("a")
    damaged = pydicom.dcmread(study / "IM0003")
    damaged.PixelData = damaged.PixelData[:-100]
    damaged.save_as(tmp_path / "damaged")
    files = [path for path in study.iterdir() if path.name != "IM0003"]
    node.send(*files, tmp_path / "damaged", options=["--no-halt"])
    assert node.said("reason='the pixels of an image are truncated'") == 1
    time.sleep(3)  # three quiet times
    assert node.studies("receiving") == 1
    assert node.send(study / "IM0003") == 0
    wait_until(lambda: node.said("answer=segmented images=12"))
    assert answers(pacs, study) == ONCE


def test_an_image_that_arrives_damaged_and_never_again(start_node, pacs, make_study, answers):
    node, study = start_node(pacs, study={"quiet_s": 0.3, "report_refusals": True}), make_study("a")
    damaged = pydicom.dcmread(study / "IM0003")
    damaged.PixelData = damaged.PixelData[:-100]
    damaged.save_as(study / "IM0003")
    node.send(study, options=["--no-halt"])
    wait_until(lambda: node.said("answer=refused reason=damaged images=11"))
    assert answers(pacs, study) == ["SR"]


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_sender_that_aborts(start_node, pacs, make_study, answers, is_killed):
    node, study = start_node(pacs), make_study("a", slices=40)
    if is_killed:
        sender = node.sender(study)
        wait_until(lambda: list((node.state / "receiving").glob("*/images/*")))
        sender.kill()
        sender.wait()
    else:
        node.send(*sorted(study.iterdir())[:20], options=["--abort"])
    time.sleep(3)  # three quiet times
    assert node.studies("receiving") == 1
    assert node.send(study) == 0
    wait_until(lambda: node.said("answer=segmented images=40"))
    assert answers(pacs, study) == ONCE


def test_a_sender_that_always_aborts(start_node, pacs, make_study, answers):
    node, study = start_node(pacs, study={"quiet_s": 0.3}), make_study("a")
    node.send(study, options=["--abort"])
    wait_until(lambda: node.said("answer=segmented images=12"))
    assert answers(pacs, study) == ONCE


def all_are_answered_in_the_end(node, pacs, studies, codes, answers):
    """Start the PACS, and send the refused studies until the node has room for them."""
    pacs.start()
    for study, code in zip(studies, codes, strict=True):
        if code:
            node.send_until_taken(study)
    wait_until(lambda: node.is_idle() and node.studies("answered") == len(studies))
    assert [answers(pacs, study) for study in studies] == len(studies) * [ONCE]


def test_a_full_queue(start_node, own_pacs, make_study, answers):
    """The PACS is down, so the queue fills. What was taken is kept, and what was refused is sent again."""
    own_pacs.kill()
    node = start_node(own_pacs, limits={"object_mb": 0.1, "queue_gb": 0.0005})
    studies = [make_study(f"s{number}") for number in range(6)]
    codes = [node.send(study) for study in studies]
    assert codes[0] == 0
    assert codes[-1] != 0
    assert node.said("reason=no-room")
    assert node.metric("queue_bytes") <= 500_000
    all_are_answered_in_the_end(node, own_pacs, studies, codes, answers)


def test_a_full_disk(start_node, own_pacs, make_study, answers, tmp_path):
    (tmp_path / "node0" / "state").mkdir(parents=True)
    disk = tmp_path / "node0" / "state"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", disk]).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        own_pacs.kill()
        node = start_node(own_pacs, limits={"object_mb": 0.1, "free_gb": 0})
        studies = [make_study(f"s{number}") for number in range(6)]
        codes = [node.send(study) for study in studies]
        assert (codes[0], codes[-1] != 0) == (0, True)
        all_are_answered_in_the_end(node, own_pacs, studies, codes, answers)
    finally:
        node.kill()
        subprocess.run(["umount", disk], check=True)


def test_later_images_supersede(start_node, pacs, make_study, answers):
    """The rest of a study comes after its answer; the images are kept for a while, and the new report names the old."""
    node, study = start_node(pacs, study={"keep_images_h": 1}), make_study("a", slices=20)
    files = sorted(study.iterdir(), key=lambda path: pydicom.dcmread(path).InstanceNumber)
    assert node.send(*files[:15]) == 0
    wait_until(lambda: node.said("answer=segmented images=15"))
    assert node.send(*files[15:]) == 0
    wait_until(lambda: node.said("answer=segmented supersedes=yes images=20"))
    uid = pydicom.dcmread(files[0]).StudyInstanceUID
    reports = [one for one in pacs.instances("SR") if one.StudyInstanceUID == uid]
    old, new = sorted(reports, key=lambda one: "PredecessorDocumentsSequence" in one)
    (reference,) = new.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == old.SOPInstanceUID
    assert node.send(study) == 0
    wait_until(lambda: node.said("answer=segmented supersedes=yes images=20") == 2)
    assert answers(pacs, study) == [*2 * ["SEG"], *2 * ["SR"]]


def test_later_images_of_another_series_change_nothing(start_node, pacs, make_study, answers, request, tmp_path):
    node, study = start_node(pacs, study={"report_refusals": True}), make_study("a")
    assert node.send(study) == 0
    wait_until(lambda: node.said("answer=segmented"))
    other = series_datasets(
        orientation=SAGITTAL, number=5, patient="Patient a", study=f"{request.node.name} a", description="t2 sag"
    )
    save(other, tmp_path / "sagittal")
    assert node.send(tmp_path / "sagittal") == 0
    wait_until(lambda: node.said("answer=unchanged reason=no-new-axial-t2w images=6"))
    assert answers(pacs, study) == ONCE


def test_the_rest_of_a_removed_series_is_refused_until_all_comes_again(start_node, pacs, make_study, answers):
    node, study = start_node(pacs), make_study("a", slices=20)
    files = sorted(study.iterdir(), key=lambda path: pydicom.dcmread(path).InstanceNumber)
    assert node.send(*files[:15]) == 0
    wait_until(lambda: node.said("answer=segmented images=15"))
    assert node.send(*files[15:]) == 0
    wait_until(lambda: node.said("answer=refused reason=incomplete images=5"))
    assert answers(pacs, study) == ONCE
    assert node.send(study) == 0
    wait_until(lambda: node.said("answer=segmented supersedes=yes images=20"))
