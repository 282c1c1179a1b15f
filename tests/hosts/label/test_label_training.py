"""Trainings from a client: alone, distilled, and refused. The served weights change only after a good training."""

import json
import re
import time

import nibabel
import pytest

from custom_components.foundation.files import file_sha256, read_json, write_json

QUICK = {"max_epochs": 1, "val_split": 0.25}


@pytest.fixture(scope="module")
def server(start, studies, bundles):
    return start(studies, "--models", bundles / "enet", bundles / "espnet", "--teachers", bundles / "espnet")


@pytest.fixture(scope="module")
def phantoms(studies):
    return sorted(file.name for file in studies.glob("*.nii.gz") if file.name != "real.nii.gz")


def weights(bundle):
    return file_sha256(bundle / "models" / "model.pt")


def entropy(server, model, image):
    return server.post(f"/infer/{model}?image={image}&output=json").json()["entropy_bits"]


def test_without_labels_nothing_is_trained(server, bundles):
    before = weights(bundles / "espnet")
    server.post("/train/espnet", json=QUICK)
    task = server.finish("/train/")
    assert task["status"] == "ERROR"
    assert task["details"][-1] == "error: 0 labelled images, 0 of them to validate with; label more first"
    assert weights(bundles / "espnet") == before


def test_a_student_learns_from_the_labels_and_is_served_at_once(server, bundles, dataset_dir, phantoms):
    for file in phantoms:
        assert server.save_label(file.removesuffix(".nii.gz"), dataset_dir / "labels" / file).status_code == 200
    bundle = bundles / "espnet"
    image = phantoms[0].removesuffix(".nii.gz")
    before, unsure = weights(bundle), entropy(server, "espnet", image)

    assert server.post("/train/espnet", json={**QUICK, "teachers": ""}).status_code == 200
    while server.get("/train/").json()["status"] == "SUBMITTED":
        time.sleep(0.1)
    second = server.post("/train/espnet", json=QUICK)
    assert (second.status_code, second.json()["detail"]) == (429, "++++++++++ Train Task is Already Running")
    # During a training, the server answers with the weights from before the training.
    assert entropy(server, "espnet", image) == unsure
    task = server.finish("/train/")
    assert task["status"] == "DONE", task

    assert weights(bundle) != before
    assert file_sha256(bundle / "models" / "before" / "model.pt") == before
    assert entropy(server, "espnet", image) != unsure
    record = read_json(bundle / "models" / "provenance.json")
    assert (record["pretrained"], record["weights_sha256"]) == (before, weights(bundle))
    assert {part: len(cases) for part, cases in record["cases"].items()} == {"training": 3, "validation": 1}
    stats = server.get("/info/").json()["train_stats"]
    assert re.fullmatch(r"0:0\d:\d\d", time_taken := stats["espnet"].pop("total_time"))
    assert time_taken != "0:00:00"
    assert stats == {"espnet": {"best_metric": record["metrics"]["val_mean_dice"]}, "enet": {"total_time": "0:00:00"}}
    # Weights from elsewhere are not shown as trained here.
    write_json(bundle / "models" / "provenance.json", {**record, "weights_sha256": before})
    assert server.get("/info/").json()["train_stats"]["espnet"] == {"total_time": "0:00:00"}
    write_json(bundle / "models" / "provenance.json", record)


def test_a_teacher_that_the_server_was_not_started_with_is_refused(server, bundles):
    before = weights(bundles / "enet")
    server.post("/train/enet", json={**QUICK, "teachers": "/tmp"})
    task = server.finish("/train/")
    assert task["status"] == "ERROR"
    assert task["details"][-1] == "error: teachers: no '/tmp'; the server was started with ['espnet']"
    assert weights(bundles / "enet") == before


def test_a_student_is_distilled_from_a_teacher_on_the_labels(server, bundles):
    """A test above has trained the teacher. Without a training, the teacher has no provenance and is refused."""
    before = weights(bundles / "enet")
    teachers = server.get("/info/").json()["trainers"]["enet"]["config"]["teachers"]
    assert teachers == "espnet"
    server.post("/train/enet", json={**QUICK, "pretrained": False})
    task = server.finish("/train/")
    assert task["status"] == "DONE", json.dumps(task, indent=1)
    record = read_json(bundles / "enet" / "models" / "provenance.json")
    assert record["teachers"] == {"espnet": weights(bundles / "espnet")}
    assert record["pretrained"] is None
    assert weights(bundles / "enet") == record["weights_sha256"] != before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teachers": ""}, "unlabeled: needs a teacher; name one in 'teachers', or set unlabeled to false"),
        ({"pseudo_labels": "$exit()"}, "pseudo_labels: '$exit()' is unknown; choose one of none, all, pixels, slices"),
        ({"unlabeled": "maybe"}, "--unlabeled maybe: neither True nor False"),
    ],
)
def test_images_without_labels_need_a_teacher_and_known_options(server, bundles, options, message):
    before = weights(bundles / "enet")
    server.post("/train/enet", json={**QUICK, "unlabeled": True, **options})
    task = server.finish("/train/")
    assert task["status"] == "ERROR"
    assert task["details"][-1] == f"error: {message}"
    assert weights(bundles / "enet") == before


def test_a_student_also_learns_from_the_images_without_labels(server, bundles, studies, phantoms):
    image = nibabel.load(studies / phantoms[0])
    nibabel.save(nibabel.Nifti1Image(image.get_fdata() + 1, image.affine), studies / "new.nii.gz")
    while "new" not in server.get("/datastore/?output=all").json()["objects"]:
        time.sleep(0.2)
    options = {"unlabeled": True, "adapt_teachers": True, "pseudo_labels": "all", "unlabeled_weighting": "agreement"}
    server.post("/train/enet", json={**QUICK, "pretrained": False, **options})
    task = server.finish("/train/")
    assert task["status"] == "DONE", json.dumps(task, indent=1)
    record = read_json(bundles / "enet" / "models" / "provenance.json")
    assert "new" in [case["case"] for case in record["cases"]["unlabeled"]]
    assert record["adapted_teachers"] == ["espnet"]
    assert record["run"]["settings"]["loss::pseudo_labels"] == "all"


def test_a_training_that_is_stopped_leaves_the_weights(server, bundles):
    before = weights(bundles / "enet")
    server.post("/train/enet", json={"max_epochs": 500, "val_split": 0.25, "teachers": ""})
    # Wait until the training has begun.
    while "/500" not in str((task := server.get("/train/").json()).get("details")):
        assert task["status"] in ("SUBMITTED", "RUNNING"), task
        time.sleep(0.1)
    assert server.delete("/train/").json()["status"] == "STOPPED"
    assert weights(bundles / "enet") == before
    assert server.get("/train/?check_if_running=true").status_code == 404
