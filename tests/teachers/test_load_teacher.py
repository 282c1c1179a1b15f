"""A fitting teacher is loaded, and any other is refused in one line. No code of a teacher runs."""

import pickle
import re
import shutil

import pytest
import torch

from custom_components.bundle import read_bundle
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256
from custom_components.teachers import load_teacher, load_weights


def refused(message: str):
    """Check that the block is refused in one line that matches ``message``."""
    return pytest.raises(InputError, match=rf"\A[^\n]*{message}[^\n]*\Z")


def rewrite_weights(folder, change_json, state) -> None:
    torch.save(state, folder / "models" / "model.pt")
    change_json(folder / "models" / "provenance.json", weights_sha256=file_sha256(folder / "models" / "model.pt"))


def test_loads_the_weights_frozen_and_with_taps(make_teacher, preprocessing):
    folder = make_teacher("espnet")
    teacher = load_teacher("espnet", folder.parent, preprocessing, [{"case": "HK_Case01", "patient": "patient 2"}])
    stored = torch.load(folder / "models" / "model.pt", weights_only=True)
    assert all(torch.equal(value, stored[key]) for key, value in teacher.network.state_dict().items())
    assert teacher.name == "espnet"
    assert teacher.taps.keys == ("stride2", "stride8")
    assert teacher.weights_sha256 == file_sha256(folder / "models" / "model.pt")
    assert not teacher.network.training
    assert not any(parameter.requires_grad for parameter in teacher.network.parameters())


def test_a_bundle_may_be_given_by_its_folder(make_teacher):
    assert load_teacher(str(make_teacher("espnet")), "/nowhere").name == "espnet"


def test_unknown_bundle_says_where_it_was_looked_for(make_teacher):
    bundles = make_teacher("espnet").parent
    with refused(f"no bundle 'espnett': neither espnett nor {bundles}/espnett has configs/train.json"):
        load_teacher("espnett", bundles)


@pytest.mark.parametrize(("file", "what"), [("model.pt", "no checkpoint"), ("provenance.json", "no provenance")])
def test_missing_file(make_teacher, file, what):
    folder = make_teacher()
    (folder / "models" / file).unlink()
    with refused(f"models/{file}: teacher 'espnet' has {what}; run its training first"):
        load_teacher(str(folder))


def test_tampered_weights(make_teacher):
    folder = make_teacher()
    state = torch.load(folder / "models" / "model.pt", weights_only=True)
    next(iter(state.values())).add_(1e-3)
    torch.save(state, folder / "models" / "model.pt")
    with refused("models/model.pt: not the weights that provenance.json names"):
        load_teacher(str(folder))


def test_weights_of_another_network_name_the_difference(make_teacher, change_json):
    folder = make_teacher("espnet")
    rewrite_weights(folder, change_json, {"stem.weight": torch.zeros(1)})
    with refused(r"not the weights of a ESPNet: \d+ missing \(.*, …\), 1 unknown \(stem.weight\)"):
        load_teacher(str(folder))


def test_weights_of_another_shape_name_the_key(make_teacher, change_json):
    folder = make_teacher()
    state = torch.load(folder / "models" / "model.pt", weights_only=True)
    key = next(iter(state))
    rewrite_weights(folder, change_json, {**state, key: torch.zeros(1, 2, 3)})
    with refused(rf"1 other shape \({re.escape(key)}\)"):
        load_teacher(str(folder))


def test_other_preprocessing_names_the_setting(make_teacher, checked_in_preprocessing):
    folder = make_teacher()
    with refused(
        r"provenance.json: other preprocessing: Resized.\S+ is \[32, 32, -1\], the student's is \[64, 64, -1\]"
    ):
        load_teacher(str(folder), preprocessing=checked_in_preprocessing(image_size=64))


def test_fewer_transforms_than_the_student(make_teacher, preprocessing, change_json):
    folder = make_teacher(preprocessing=[])
    with refused("other preprocessing: 0 transforms, not 6"):
        load_teacher(str(folder), preprocessing=preprocessing)


def test_other_classes(make_teacher):
    with refused("teacher has 2 classes, the student 3"):
        load_teacher(str(make_teacher()), out_channels=3)


def test_classes_left_to_the_default_are_known(make_teacher, change_json):
    network_def = {"_target_": "custom_components.networks.ESPNet"}
    folder = make_teacher(network_def=network_def)
    change_json(folder / "configs" / "train.json", network_def=network_def)
    with refused("teacher has 2 classes, the student 3"):
        load_teacher(str(folder), out_channels=3)


def test_network_changed_since_the_training(make_teacher, change_json):
    folder = make_teacher()
    change_json(folder / "configs" / "train.json", network_def={"_target_": "custom_components.networks.ENet"})
    with refused("train.json: network_def is not the one that was trained"):
        load_teacher(str(folder))


def test_a_network_that_the_command_line_changed_is_named(make_teacher):
    network_def = {"_target_": "custom_components.networks.ESPNet", "in_channels": 1, "out_channels": 2, "p": 3}
    with refused(r"not the one that was trained: p \(was 3, now not set\); set it in the bundle's configs, or train"):
        load_teacher(str(make_teacher(network_def=network_def)))


def test_weights_of_another_network_say_how_they_were_trained(make_teacher, change_json):
    folder = make_teacher("espnet")
    other = read_bundle(str(folder)).build_network()
    with refused(r"a Sequential: \d+ missing .*; they were trained as ESPNet with --network_def::in_channels 1 "):
        load_weights(torch.nn.Sequential(other), folder / "models" / "model.pt")


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"case": "mine", "voxel_sha256": "aa", "patient": "patient 7"}, "same voxel: mine"),
        ({"case": "mine", "voxel_sha256": "bb", "patient": "patient 1"}, "same patient: mine"),
    ],
)
@pytest.mark.parametrize("part", ["training", "validation", "unlabeled"])
def test_a_test_case_that_the_teacher_has_seen(make_teacher, case, why, part):
    seen = [{"case": "BMC_Case00", "patient": "patient 1", "voxel_sha256": "aa"}]
    folder = make_teacher(cases={"training": [], "validation": [], part: seen})
    with refused(rf"1 of the student's test cases were in this teacher's training \({why}\)"):
        load_teacher(str(folder), held_out=[case])


@pytest.mark.parametrize("cases", [{}, [], None])
def test_a_provenance_without_cases_cannot_rule_out_a_leak(make_teacher, cases):
    with refused("provenance.json: does not list the cases trained on"):
        load_teacher(str(make_teacher(cases=cases)), held_out=[{"case": "mine", "patient": "patient 7"}])


def _note_that_code_ran(path: str) -> dict:
    open(path, "w").close()
    return {}


class Payload:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return _note_that_code_ran, (self.path,)


def test_a_pickle_with_code_is_refused_and_not_run(make_teacher, change_json, tmp_path):
    folder = make_teacher()
    rewrite_weights(folder, change_json, {"weight": Payload(str(tmp_path / "ran"))})
    with refused("more than tensors in it .* it was not loaded"):
        load_teacher(str(folder))
    assert not (tmp_path / "ran").exists()
    # The payload really runs when it is unpickled.
    pickle.loads(pickle.dumps(Payload(str(tmp_path / "ran"))))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half of a zip", b"\x80\x02."])
def test_a_file_that_is_no_checkpoint(make_teacher, content, tmp_path):
    (tmp_path / "model.pt").write_bytes(content)
    network = load_teacher(str(make_teacher())).network
    with refused("model.pt: "):
        load_weights(network, tmp_path / "model.pt")


def test_a_checkpoint_that_is_no_state_dict(make_teacher, tmp_path):
    torch.save([1, 2], tmp_path / "model.pt")
    with refused("model.pt: not the weights of a ESPNet: not a state dict"):
        load_weights(load_teacher(str(make_teacher())).network, tmp_path / "model.pt")


def test_weights_of_a_bundle_that_is_not_trained(make_teacher, tmp_path):
    with refused("model.pt: no such checkpoint; train the bundle first"):
        load_weights(load_teacher(str(make_teacher())).network, tmp_path / "model.pt")


@pytest.mark.parametrize("target", ["os.system", "torch.nn.Conv2d", "$print('run')", None])
def test_a_network_of_elsewhere_is_refused(make_teacher, change_json, target):
    network_def = {"_target_": target, "in_channels": 1, "out_channels": 2}
    folder = make_teacher(network_def=network_def)
    change_json(folder / "configs" / "train.json", network_def=network_def)
    with refused("network_def._target_ is .*, not one of this project's networks"):
        load_teacher(str(folder))


@pytest.mark.parametrize("value", ["$__import__('os').mkdir('ran')", "@device", "%x.json::y", [1], {"a": 1}])
def test_an_argument_that_is_no_plain_value_is_refused_and_not_run(
    make_teacher, change_json, value, tmp_path, monkeypatch
):
    network_def = {"_target_": "custom_components.networks.ESPNet", "in_channels": value}
    folder = make_teacher(network_def=network_def)
    change_json(folder / "configs" / "train.json", network_def=network_def)
    monkeypatch.chdir(tmp_path)
    with refused("network_def.in_channels must be a plain value"):
        load_teacher(str(folder))
    assert not (tmp_path / "ran").exists()


def test_an_unknown_argument_is_refused(make_teacher, change_json):
    network_def = {"_target_": "custom_components.networks.ESPNet", "depth": 3}
    folder = make_teacher(network_def=network_def)
    change_json(folder / "configs" / "train.json", network_def=network_def)
    with refused("train.json: network_def: .*'depth'"):
        load_teacher(str(folder))


def test_expressions_elsewhere_in_a_teachers_config_are_not_run(make_teacher, change_json, tmp_path, monkeypatch):
    folder = make_teacher()
    change_json(folder / "configs" / "train.json", imports=["$__import__('os').mkdir('ran')"])
    monkeypatch.chdir(tmp_path)
    load_teacher(str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("key", ["network_def", "taps"])
def test_a_config_that_lacks_a_key(make_teacher, change_json, key):
    folder = make_teacher()
    change_json(folder / "configs" / "train.json", **{key: None})
    with refused(f"train.json: key '{key}' is missing or not a mapping"):
        load_teacher(str(folder))


def test_a_folder_that_was_moved_is_still_a_teacher(make_teacher, tmp_path):
    folder = shutil.move(make_teacher(), tmp_path / "from_elsewhere")
    assert load_teacher(str(folder)).name == "from_elsewhere"


def test_cases_without_hash_or_patient_cannot_rule_out_a_leak(make_teacher):
    folder = make_teacher(cases={"training": [{"case": "a"}], "validation": []})
    with pytest.raises(
        InputError, match=r"\A\S*json: cannot tell whether the student's test cases were in this teacher's training"
    ):
        load_teacher(str(folder), held_out=[{"case": "mine", "patient": "patient 7", "voxel_sha256": "aa"}])
