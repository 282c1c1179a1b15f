"""``predict`` writes a model's probabilities for a dataset, and runs a bundle's code only if the user names it."""

import json
import sys

import nibabel
import numpy as np
import pytest
import torch
from monai.networks.nets import UNet

from custom_components.bundle.__main__ import main
from custom_components.bundle.segmenting import Segmenting, open_bundle
from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, read_json, write_json
from custom_components.predictions import PredictionFolder, read_record
from custom_components.predictions.predicting import images_to_predict, predict, probabilities
from custom_components.predictions.predictors import open_predictor

STUDENT = ("background", "prostate")


@pytest.fixture
def images(dataset_dir):
    return dict(list(images_to_predict(dataset_dir).items())[:2])


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A bundle as the model zoo has them: a 3-D UNet of MONAI, patches, and a config that leaves a trace if it runs."""
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "zoo" / "prostate_3d"
    network = {"spatial_dims": 3, "in_channels": 1, "out_channels": 3, "channels": [4, 8], "strides": [2]}
    keys = {"keys": "image"}
    transforms = [
        {"_target_": "LoadImaged", **keys},
        {"_target_": "EnsureChannelFirstd", **keys},
        {"_target_": "Orientationd", **keys, "axcodes": "RAS", "labels": None},
        {"_target_": "Spacingd", **keys, "pixdim": [1.5, 1.5, 3.0], "mode": "bilinear"},
        {"_target_": "NormalizeIntensityd", **keys},
        {"_target_": "EnsureTyped", **keys},
    ]
    inference = {
        "imports": ["$import os"],
        "bundle_root": ".",
        "device": "$torch.device('cpu')",
        "trace": "$open('trace', 'w').close()",
        "network_def": {"_target_": "UNet", **network},
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": transforms, "_requires_": "@trace"},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 4], "sw_batch_size": 4, "overlap": 0.25},
        "postprocessing": {"_target_": "Compose", "transforms": [{"_target_": "Activationsd", "softmax": True}]},
    }
    classes = {"0": "background", "1": "peripheral zone", "2": "TZ"}
    metadata = {"network_data_format": {"outputs": {"pred": {"channel_def": classes}}}}
    write_json(folder / "configs" / "inference.json", inference)
    write_json(folder / "configs" / "metadata.json", metadata)
    torch.manual_seed(0)
    (folder / "models").mkdir()
    torch.save({"model": UNet(**network).state_dict()}, folder / "models" / "model.pt")
    return folder


def test_a_bundle_of_this_project_says_what_its_own_inference_says(make_trained, images, dataset_dir, tmp_path):
    bundle = make_trained("enet")
    model = open_predictor(str(bundle.path))
    assert predict(model, images, tmp_path / "maps") == 2
    segment = Segmenting(open_bundle(bundle.path), tmp_path, "cpu", keep_probs=True)
    folder = PredictionFolder(tmp_path / "maps", list(images), STUDENT)
    for case, image in images.items():
        found, expected = folder.read(case, image), segment(image).probs
        assert expected.std() > 0.01
        np.testing.assert_allclose(found, expected, atol=1e-5)
    record = read_record(tmp_path / "maps")
    assert (record.name, record.classes) == ("enet", ["background", "prostate"])
    assert record.weights_sha256 == file_sha256(bundle.model_file)
    assert record.images == {case: file_sha256(image) for case, image in images.items()}
    known = {case["voxel_sha256"] for case in read_json(bundle.provenance_file)["cases"]["training"]}
    assert {case["voxel_sha256"] for case in record.cases["training"]} == known
    assert not {"case", "patient"} & set(record.cases["training"][0])


def test_finished_cases_stay(make_trained, images, tmp_path):
    bundle = make_trained("enet")
    model = open_predictor(str(bundle.path))
    first, second = (tmp_path / "maps" / f"{case}_prostate.nii.gz" for case in images)
    predict(model, dict([next(iter(images.items()))]), tmp_path / "maps")
    stamp = first.stat().st_mtime_ns
    assert predict(model, images, tmp_path / "maps") == 1
    assert predict(model, images, tmp_path / "maps") == 0
    second.unlink()
    assert predict(model, images, tmp_path / "maps") == 1
    assert first.stat().st_mtime_ns == stamp
    assert sorted(file.name for file in (tmp_path / "maps").iterdir()) == sorted(
        [".lock", first.name, second.name, "predictions.json"]
    )


def test_a_changed_image_is_predicted_anew(make_trained, images, tmp_path):
    model = open_predictor(str(make_trained("enet").path))
    case, image = next(iter(images.items()))
    own = tmp_path / "image.nii.gz"
    own.write_bytes(image.read_bytes())
    predict(model, {case: own}, tmp_path / "maps")
    volume = nibabel.load(image)
    nibabel.save(nibabel.Nifti1Image(volume.get_fdata()[::-1], volume.affine), own)
    assert predict(model, {case: own}, tmp_path / "maps") == 1


def test_the_folder_of_another_model_is_not_mixed(make_trained, images, tmp_path):
    predict(open_predictor(str(make_trained("enet").path)), images, tmp_path / "maps")
    before = (tmp_path / "maps" / "predictions.json").read_bytes()
    with pytest.raises(InputError, match=r"\A\S*predictions\.json: is of another model \(enet, .*\w{12}\); .*--out"):
        predict(open_predictor(str(make_trained("espnet").path)), images, tmp_path / "maps")
    assert (tmp_path / "maps" / "predictions.json").read_bytes() == before


def test_a_folder_of_something_else_is_left_alone(make_trained, images, tmp_path):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"\A\S*maps: is not empty and has no predictions\.json;"):
        predict(open_predictor(str(make_trained("enet").path)), images, tmp_path / "maps")


def test_other_weights_than_those_of_the_provenance_are_refused(make_trained):
    bundle = make_trained("enet")
    network = bundle.build_network()
    torch.save(network.state_dict(), bundle.model_file)
    with pytest.raises(InputError, match=r"\A\S*model\.pt: not the weights that provenance\.json names"):
        open_predictor(str(bundle.path))


def test_another_image_size_than_that_of_the_training_is_refused(make_trained):
    bundle = make_trained("enet")
    file = bundle.path / "configs" / "inference.json"
    write_json(file, {**read_json(file), "image_size": 64})
    with pytest.raises(InputError, match=r"\A\S*configs: other settings than .* was trained with: preprocessing;"):
        open_predictor(str(bundle.path))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"image_size": "$open('trace', 'w').close()"}, "image_size"),
        ({"preprocessing": "$open('trace', 'w').close()"}, "preprocessing"),
        ({"inferer": {"_target_": "os.mkdir", "path": "trace"}}, "inferer"),
        ({"device": "$open('trace', 'w').close()", "imports": ["$import os; os.mkdir('trace')"]}, None),
    ],
)
def test_the_code_in_a_guests_config_is_not_run(make_trained, tmp_path, monkeypatch, changes, named):
    monkeypatch.chdir(tmp_path)
    bundle = make_trained("enet")
    file = bundle.path / "configs" / "inference.json"
    write_json(file, {**read_json(file), **changes})
    if named is None:
        open_predictor(str(bundle.path))  # these parts are taken from a shipped bundle
    else:
        with pytest.raises(InputError, match=rf"\A\S*inference\.json: its {named} is not this .* --run-code-of enet"):
            open_predictor(str(bundle.path))
    assert not (tmp_path / "trace").exists()


def test_a_foreign_bundle_is_not_run_unless_it_is_named(foreign, tmp_path):
    message = (
        r"inference\.json: its preprocessing is not this project's, .*; if you trust it, give --run-code-of prostate_3d"
    )
    with pytest.raises(InputError, match=message):
        open_predictor(str(foreign))
    with pytest.raises(InputError, match=r"\A\S*--run-code-of other: the bundle is called prostate_3d; name that one"):
        open_predictor(str(foreign), run_code_of="other")
    assert not (tmp_path / "trace").exists()


def test_a_three_dimensional_network_teaches_two_classes(foreign, images, tmp_path):
    """A 3-D UNet with patches and another spacing predicts on the images' own grids; its two zones become one class."""
    model = open_predictor(str(foreign), run_code_of="prostate_3d")
    predict(model, images, tmp_path / "maps")
    assert (tmp_path / "trace").exists()
    record = read_record(tmp_path / "maps")
    assert (record.name, record.classes, record.cases) == ("prostate_3d", ["background", "peripheral_zone", "TZ"], None)
    table = {"prostate": ["peripheral_zone", 2]}
    folder = PredictionFolder(tmp_path / "maps", list(images), STUDENT, table)
    for case, image in images.items():
        expected, affine = probabilities(model, image)
        assert expected.shape == (3, *nibabel.load(image).shape)
        np.testing.assert_allclose(affine, nibabel.load(image).affine)
        assert expected.std() > 0.02
        np.testing.assert_allclose(folder.read(case, image)[0], expected[0], atol=1e-4)


def test_the_weights_of_another_network_are_refused(foreign):
    torch.save({"weight": torch.zeros(1)}, foreign / "models" / "model.pt")
    with pytest.raises(InputError, match=r"\A\S*model\.pt: not the weights of a UNet: "):
        open_predictor(str(foreign), run_code_of="prostate_3d")


def test_one_channel_with_a_sigmoid_is_the_foreground(foreign, images, tmp_path):
    file = foreign / "configs" / "inference.json"
    config = read_json(file)
    config["network_def"]["out_channels"] = 1
    config["postprocessing"]["transforms"] = [{"_target_": "monai.transforms.Activationsd", "sigmoid": True}]
    write_json(file, config)
    write_json(foreign / "configs" / "metadata.json", {})
    options = {key: value for key, value in config["network_def"].items() if key != "_target_"}
    torch.save(UNet(**options).state_dict(), foreign / "models" / "model.pt")
    model = open_predictor(str(foreign), run_code_of="prostate_3d")
    image = next(iter(images.values()))
    found, _ = probabilities(model, image)
    assert found.shape[0] == 2
    np.testing.assert_allclose(found.sum(dim=0), 1, atol=1e-6)
    predict(model, images, tmp_path / "maps")
    assert read_record(tmp_path / "maps").classes == ["background", "1"]
    np.testing.assert_allclose(
        PredictionFolder(tmp_path / "maps", list(images), STUDENT, {"prostate": 1}).read(next(iter(images)), image),
        found,
        atol=1e-4,
    )


def test_channels_that_overlap_are_refused(foreign, images):
    file = foreign / "configs" / "inference.json"
    config = read_json(file)
    config["postprocessing"]["transforms"] = [{"_target_": "Activationsd", "sigmoid": True}]
    write_json(file, config)
    with pytest.raises(InputError, match=r"\Aprostate_3d gives 3 channels with a sigmoid, which may overlap;"):
        probabilities(open_predictor(str(foreign), run_code_of="prostate_3d"), next(iter(images.values())))


def test_an_image_that_the_network_cannot_take_is_named(foreign, images):
    file = foreign / "configs" / "inference.json"
    config = read_json(file)
    config["network_def"]["in_channels"] = 2
    write_json(file, config)
    options = {key: value for key, value in config["network_def"].items() if key != "_target_"}
    torch.save(UNet(**options).state_dict(), foreign / "models" / "model.pt")
    image = next(iter(images.values()))
    with pytest.raises(InputError, match=rf"\A{image}: prostate_3d cannot predict it \(.*channels.*\)\Z"):
        probabilities(open_predictor(str(foreign), run_code_of="prostate_3d"), image)


def test_torchscript_takes_the_preprocessing_of_a_bundle(make_trained, images, tmp_path):
    bundle = make_trained("enet")
    network = open_bundle(bundle.path).network.eval()
    torch.jit.script(network).save(tmp_path / "exported.ts")
    with pytest.raises(InputError, match=r"\A\S*exported\.ts: is a file, .* --preprocessing-of BUNDLE"):
        open_predictor(str(tmp_path / "exported.ts"))
    model = open_predictor(str(tmp_path / "exported.ts"), preprocessing_of=str(bundle.path))
    image = next(iter(images.values()))
    np.testing.assert_allclose(
        probabilities(model, image)[0], probabilities(open_predictor(str(bundle.path)), image)[0], atol=1e-5
    )
    (tmp_path / "exported.ts").write_text("no network")
    with pytest.raises(InputError, match=r"\A\S*exported\.ts: is no TorchScript model;"):
        open_predictor(str(tmp_path / "exported.ts"), preprocessing_of=str(bundle.path))


def test_the_command_writes_the_parts_of_a_split(make_trained, dataset_dir, tmp_path, capsys):
    bundle, datalist = make_trained("enet"), dataset_dir / "splits" / "all.json"
    arguments = ["predict", str(bundle.path), "--dataset", str(dataset_dir), "--out", str(tmp_path / "maps")]
    arguments += ["--datalist", str(datalist), "--part", "training", "--device", "cpu"]
    assert main(arguments) == 0
    cases = [case["case"] for case in read_json(datalist)["training"]]
    assert sorted(read_record(tmp_path / "maps").images) == sorted(cases)
    assert capsys.readouterr().out == f"{tmp_path}/maps: {len(cases)} cases predicted by enet, 0 were there\n"
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{tmp_path}/maps: 0 cases predicted by enet, {len(cases)} were there\n"


def test_all_cases_of_a_dataset_are_the_default(dataset_dir):
    cases = read_json(dataset_dir / "dataset.json")["cases"]
    assert list(images_to_predict(dataset_dir)) == [case["case"] for case in cases]
    assert all(image.is_file() for image in images_to_predict(dataset_dir).values())
    listed = images_to_predict(dataset_dir, dataset_dir / "splits" / "all.json")
    assert sorted(listed) == sorted(case["case"] for case in cases)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cases": [{"image": "a.nii.gz"}, {"case": "a", "image": "b.nii.gz"}]}, "two cases are called a;"),
        ({"cases": []}, "lists no case;"),
        ({"name": "Task05"}, "has no list 'cases' of cases with images;"),
    ],
)
def test_a_dataset_without_images_is_refused(tmp_path, content, message):
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"\A\S*dataset\.json: {message}"):
        images_to_predict(tmp_path)


@pytest.mark.parametrize("device", ["gpu9", "cuda:99"])
def test_a_device_that_is_none_is_refused(make_trained, device):
    with pytest.raises(InputError, match=rf"\A--device {device}: "):
        open_predictor(str(make_trained("enet").path), device=device)
