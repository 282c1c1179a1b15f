"""Trained bundles joined into one: its network, its provenance, its evaluation, and its use as a teacher."""

import json

import pytest
import torch

from custom_components.bundle import read_bundle
from custom_components.bundle.__main__ import main
from custom_components.bundle.joining import join_bundles
from custom_components.bundle.weights import load_weights, read_provenance
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import read_json, write_json
from custom_components.teachers import load_teacher


@pytest.fixture
def joined(make_trained, tmp_path):
    members = [make_trained("enet"), make_trained("espnet")]
    join_bundles([str(member.path) for member in members], tmp_path / "mean", flips=False)
    return members, read_bundle(str(tmp_path / "mean"))


def test_the_network_is_the_mean_of_the_trained_networks(joined, slices):
    members, bundle = joined
    images = slices(32)
    networks = [load_weights(member.build_network(), member.model_file).eval() for member in members]
    mean = sum(network(images).softmax(dim=1) for network in networks) / 2
    ensemble = load_weights(bundle.build_network(), bundle.model_file).eval()
    torch.testing.assert_close(ensemble(images).softmax(dim=1), mean)


def test_the_provenance_lists_the_cases_and_weights_of_all_members(joined):
    members, bundle = joined
    own = [read_provenance(member) for member in members]
    record = read_provenance(bundle)
    assert record["members"] == [
        {"bundle": member.name, "weights_sha256": one["weights_sha256"]}
        for member, one in zip(members, own, strict=True)
    ]
    assert record["cases"] == own[0]["cases"] == own[1]["cases"]  # both were trained on the same cases
    assert bundle.taps == {}
    assert bundle.out_channels == 2


def test_the_bundle_is_evaluated_by_its_own_config(joined, workflow):
    _, bundle = joined
    run = workflow(bundle.path, "evaluate", image_size=32)
    run.run()
    scores = read_json(bundle.path / "output" / "evaluation.json")
    assert scores["summary"]["all"]["n"] == 3
    assert scores["weights_sha256"] == read_provenance(bundle)["weights_sha256"]


def test_a_teacher_that_has_seen_a_test_case_is_found_in_the_ensemble(joined, cases):
    _, bundle = joined
    load_teacher(str(bundle.path))
    with pytest.raises(InputError, match="test cases were in this teacher's training"):
        load_teacher(str(bundle.path), held_out=cases)


def test_flips_are_kept_in_the_bundle(make_trained, tmp_path, capsys):
    member = make_trained("enet")
    assert main(["ensemble", str(member.path), "--flips", "--out", str(tmp_path / "flipped")]) == 0
    assert capsys.readouterr().out == f"written: {tmp_path}/flipped, the mean of 1 networks\n"
    for config in ("train", "evaluate", "inference"):
        assert read_json(tmp_path / "flipped" / "configs" / f"{config}.json")["network_def"]["flips"] is True


def test_members_of_another_preprocessing_are_refused(make_trained, tmp_path):
    members = [make_trained("enet"), make_trained("enet", image_size=64)]
    with pytest.raises(InputError, match="was trained with another preprocessing than"):
        join_bundles([str(member.path) for member in members], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_a_member_is_not_overwritten(make_trained):
    member = make_trained("enet")
    before = member.model_file.read_bytes()
    with pytest.raises(InputError, match=r"is the folder of a member, whose weights would be lost"):
        join_bundles([str(member.path)], member.path)
    assert member.model_file.read_bytes() == before


def test_an_untrained_member_is_refused(copy_bundles, tmp_path):
    folder = copy_bundles("enet")
    with pytest.raises(InputError, match=r"no trained weights; train the bundle first$"):
        join_bundles([str(folder / "enet")], tmp_path / "mean")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([{"_target_": "os.system", "command": "ls"}], r"network_def\.members\.0\._target_ is 'os\.system'"),
        ([{"_target_": "custom_components.networks.ENet", "in_channels": "$1"}], r"members\.0\.in_channels must be a"),
        ("ENet", r"network_def\.members must be a plain value"),
        ([], "an ensemble needs a member"),
    ],
)
def test_no_code_of_a_member_runs(joined, members, message):
    _, bundle = joined
    config = bundle.path / "configs" / "train.json"
    content = json.loads(config.read_text())
    write_json(config, content | {"network_def": {**content["network_def"], "members": members}})
    with pytest.raises(InputError, match=message):
        read_bundle(str(bundle.path)).build_network()
