import json
import subprocess
from types import SimpleNamespace

import monai
import pytest

from custom_components.bundle import read_bundle
from custom_components.data import prepare_cases
from custom_components.data.describe import describe
from custom_components.provenance import _git_revision, provenance, public_provenance


@pytest.fixture
def record(cases, preprocessing, dataset_dir, repository, tmp_path):
    prepared = prepare_cases(cases, preprocessing, tmp_path)
    monai.utils.set_determinism(seed=7)
    return provenance(
        repository / "bundles" / "enet", dataset_dir / "splits" / "all.json", preprocessing, prepared[1:], prepared[:1]
    )


def test_says_all_that_a_distillation_asks_of_a_teacher(record, cases, preprocessing):
    assert record["bundle"] == "enet"
    assert record["network_def"]["_target_"] == "custom_components.networks.ENet"
    assert record["preprocessing"] == describe(preprocessing.transforms)
    keys = ("case", "site", "patient", "voxel_sha256", "label_sha256")
    assert record["cases"]["validation"] == [{key: cases[0][key] for key in keys}]
    assert [case["case"] for case in record["cases"]["training"]] == [case["case"] for case in cases[1:]]
    assert record["teachers"] == {}


def test_says_how_to_repeat_the_run(record, dataset_dir):
    split = json.loads((dataset_dir / "splits" / "all.json").read_text())
    assert record["split"] == {"name": "all", "sha256": split["sha256"]}
    assert record["seed"] == 7
    assert record["pretrained"] is None
    assert record["versions"]["monai"] == monai.__version__
    assert json.loads(json.dumps(record)) == record


def test_tells_the_run_and_not_the_file(copy_bundles, workflow):
    """The record has the network that the command line changed and the cases of a host. Its settings hold no path."""
    bundle, espnet = copy_bundles("mobilenetv2") / "mobilenetv2", "custom_components.networks.ESPNet"
    run = workflow(bundle, "train", **{"network_def::_target_": espnet, "optimizer::weight_decay": 0.1})
    record = run.parser.get_parsed_content("provenance")
    assert record["network_def"] == {**read_bundle(str(bundle)).network_def, "_target_": espnet}
    assert record["split"]["name"] == "all"
    settings = record["run"]["settings"]
    assert (settings["optimizer::weight_decay"], settings["optimizer::lr"]) == (0.1, 0.01)
    assert str(bundle.parents[1]) not in json.dumps(record["run"])
    assert public_provenance(record)["run"] == {key: record["run"][key] for key in ("version", "sha256")}

    case = run.parser.get_parsed_content("train#dataset").cases[0].info
    brought = [{"image": case["image"], "label": case["label"], "case": "mine"}]
    record = workflow(bundle, "train", **{"train#dataset#data": brought}).parser.get_parsed_content("provenance")
    assert record["split"] is None
    assert [case[0] for case in record["run"]["cases"]["training"]] == ["mine"]


def test_a_host_that_has_no_datalist(cases, preprocessing, repository, tmp_path):
    bare = [{key: cases[0][key] for key in ("image", "label")}]
    prepared = prepare_cases(bare, preprocessing, tmp_path)
    record = provenance(repository / "bundles" / "enet", "dataset/splits/all.json", preprocessing, prepared, [])
    assert record["split"] is None
    assert record["cases"] == {"training": [{"case": cases[0]["case"]}], "validation": []}


def test_teachers_are_named_with_their_weights(cases, preprocessing, dataset_dir, repository):
    seen = {"nnunet": {"saw_test_cases": False, "by": "the user's word"}}
    teachers = SimpleNamespace(names=["pspnet", "fcn", "nnunet"], weights_sha256=["aa", "bb", None], seen=seen)
    split = dataset_dir / "splits" / "all.json"
    record = provenance(repository / "bundles" / "enet", split, preprocessing, [], [], teachers)
    assert record["teachers"] == {"pspnet": "aa", "fcn": "bb", "nnunet": None}
    assert record["predicted_teachers"] == public_provenance(record)["predicted_teachers"] == seen


def test_the_git_revision_tells_of_changes(tmp_path):
    assert _git_revision(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    revision = _git_revision(tmp_path)
    assert len(revision) == 40
    (tmp_path / "file").write_text("a")
    subprocess.run([*git, "add", "file"], check=True)
    assert _git_revision(tmp_path) == f"{revision}+changes"
