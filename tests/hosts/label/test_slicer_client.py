"""The requests of 3D Slicer's module, sent by the module's own code.

The module's ``MONAILabelLib/client.py`` comes with MONAI Label as ``monailabel.client``; the two differ in one line of
the log and in the answer without a file. Slicer's windows are not tested.
"""

import time

import numpy as np
import pytest
import SimpleITK
from monailabel.client import MONAILabelClient


@pytest.fixture(scope="module")
def server(start, studies, bundles):
    return start(studies, "--models", bundles / "enet")


@pytest.fixture
def client(server, tmp_path):
    return MONAILabelClient(server.url, tmpdir=str(tmp_path))


def test_an_annotators_session(client, server, studies, dataset_dir):
    info = client.info()
    assert (list(info["models"]), info["labels"]) == (["enet"], ["prostate"])
    assert list(info["strategies"]) == ["first", "random", "most_uncertain"]
    assert info["train_stats"] == {"enet": {"total_time": "0:00:00"}}
    image = client.next_sample("most_uncertain", {})["id"]
    assert image in client.datastore()["objects"]

    session = client.create_session(str(studies / f"{image}.nii.gz"))["session_id"]
    wanted = {"result_extension": ".nrrd", "result_dtype": "uint8"}
    file, params = client.infer("enet", image, dict(wanted), session_id=session)
    same, _ = client.infer("enet", image, dict(wanted))
    mask = SimpleITK.ReadImage(file)
    assert mask.GetPixelID() == SimpleITK.sitkUInt8
    np.testing.assert_array_equal(
        SimpleITK.GetArrayFromImage(mask), SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(same))
    )
    assert params["label_names"] == {"prostate": 1}

    label = sorted((dataset_dir / "labels").iterdir())[0]
    labelled = label.name.removesuffix(".nii.gz")
    client.save_label(labelled, str(label), params={"label_info": [{"name": "prostate"}]})
    assert client.info()["datastore"]["completed"] == 1
    assert client.next_sample("first", {})["id"] != labelled


def test_a_training_is_seen_and_stopped(client):
    assert client.train_status(check_if_running=True) is False
    client.train_start("enet", {"max_epochs": 500, "val_split": 0})
    while client.train_status()["status"] == "SUBMITTED":
        time.sleep(0.1)
    assert client.train_status(check_if_running=True) is True
    while not any("epoch 2/500" in line for line in client.train_status()["details"]):
        time.sleep(0.1)
    stats = client.info()["train_stats"]["enet"]
    assert stats["total_epochs"] == 500
    assert 2 <= stats["epoch"] < 500
    client.train_stop()
    assert client.train_status(check_if_running=True) is False
    assert client.info()["train_stats"] == {"enet": {"total_time": "0:00:00"}}
