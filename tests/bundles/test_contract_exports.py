"""The contract of every bundle, second part: MONAI's own tools accept it, and its exports equal the network."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from monai.bundle import ckpt_export, load_bundle_config, onnx_export, verify_metadata, verify_net_in_out
from shipped_bundles import FOLDERS, NAMES, give_random_weights

from custom_components.bundle import read_bundle
from custom_components.export import OnnxNetwork

pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),
    # The tracer warns about sizes that it reads. The older exporter warns about itself, but is 20 times faster.
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:.*legacy TorchScript-based ONNX export:DeprecationWarning"),
]

SCHEMA = Path(__file__).parent / "meta_schema_20240725.json"
DYNAMIC = {0: "batch", 2: "height", 3: "width"}
ONNX_OPTIONS = {
    "dynamo": False,
    "input_names": ["image"],
    "output_names": ["pred"],
    "dynamic_axes": {"image": DYNAMIC, "pred": DYNAMIC},
}


@pytest.fixture(scope="module")
def images(slices) -> torch.Tensor:
    """Three slices of 64x80 pixels of the tiny dataset, preprocessed as in training."""
    return slices(80)[:3, :, 8:72]


@pytest.fixture(scope="module", params=NAMES)
def exported(request, tmp_path_factory, copy_bundles_to, images) -> SimpleNamespace:
    """A bundle exported by MONAI's tools at 64x64 (``model.ts``, ``model.onnx``), and its eager network.

    The distillation bundle has no weights of its own. It exports the weights of its student, which is ESPNet here.
    """
    folder = tmp_path_factory.mktemp(request.param)
    names = [request.param, "espnet"] if request.param == "distillation" else [request.param]
    bundle = copy_bundles_to(folder, *names) / request.param
    owner = folder / names[-1]
    options = {
        "net_id": "network_def",
        "ckpt_file": str(owner / "models" / "model.pt"),
        "meta_file": str(bundle / "configs" / "metadata.json"),
        "config_file": str(bundle / "configs" / "inference.json"),
        "bundle_root": str(bundle),
        **({"student": "espnet"} if request.param == "distillation" else {}),
    }
    network = give_random_weights(read_bundle(str(owner)), images)
    ckpt_export(filepath=str(folder / "model.ts"), **options)
    onnx_export(
        filepath=str(folder / "model.onnx"),
        input_shape=[2, 1, 64, 64],
        use_trace=True,
        converter_kwargs=dict(ONNX_OPTIONS),
        **options,
    )
    yield SimpleNamespace(name=request.param, folder=folder, bundle=bundle, options=options, network=network)
    shutil.rmtree(folder)  # ResNeXt's three files are a gigabyte


@pytest.fixture(scope="module")
def real_slice(real_data, checked_in_preprocessing) -> torch.Tensor:
    """A slice (1,1,96,96) through the gland of a real case."""
    image = real_data / "promise12_multisite" / "RUNMC"
    first = sorted(path for path in image.glob("Case*.nii.gz") if "_" not in path.name)[0]
    volume = checked_in_preprocessing("inference", image_size=96)({"image": str(first)})["image"]
    return torch.as_tensor(volume)[None, ..., volume.shape[-1] // 2]


@pytest.fixture(scope="module")
def onnx_network(exported) -> OnnxNetwork:
    return OnnxNetwork(exported.folder / "model.onnx")


def test_torchscript_says_what_the_network_says(exported, images, assert_says_the_same):
    assert_says_the_same(torch.jit.load(exported.folder / "model.ts"), exported.network, images)


def test_onnx_says_what_the_network_says_at_another_batch_and_size(
    exported, onnx_network, images, assert_says_the_same
):
    """The export has images of 2x1x64x64. The test runs it with 3x1x64x80 and with turned images of 1x1x80x64."""
    for batch in (images, images[:1].transpose(2, 3).contiguous()):
        assert_says_the_same(onnx_network, exported.network, batch)


def test_exports_say_on_a_real_slice_what_the_network_says(exported, onnx_network, real_slice, assert_says_the_same):
    for network in (torch.jit.load(exported.folder / "model.ts"), onnx_network):
        assert_says_the_same(network, exported.network, real_slice)


def test_the_network_takes_and_gives_what_the_metadata_say(exported):
    options = {key: value for key, value in exported.options.items() if key != "ckpt_file"}
    verify_net_in_out(device="cpu", n=8, **options)


def test_model_ts_alone_is_a_bundle(exported, tmp_path):
    """A host has only this file, without the bundle's folder, the weights and the student."""
    alone = Path(shutil.copy(exported.folder / "model.ts", tmp_path / "model.ts"))
    parser = load_bundle_config(str(alone), "inference.json")
    assert parser["_meta_"]["version"] == json.loads((exported.bundle / "configs/metadata.json").read_text())["version"]
    parser["output_dir"] = str(tmp_path)
    transforms = [type(step).__name__ for step in parser.get_parsed_content("preprocessing").transforms]
    assert transforms[:3] == ["LoadImaged", "EnsureChannelFirstd", "Orientationd"]
    assert type(parser.get_parsed_content("inferer")).__name__ == "SliceInferer"
    transforms = [type(step).__name__ for step in parser.get_parsed_content("postprocessing").transforms]
    assert transforms[-2:] == ["KeepLargestConnectedComponentd", "SaveImaged"]


@pytest.mark.parametrize("bundle", FOLDERS, ids=NAMES)
def test_monai_verifies_the_metadata(bundle, tmp_path):
    # The schema lies where the tool would download it to.
    schema = shutil.copy(SCHEMA, tmp_path / SCHEMA.name)
    verify_metadata(meta_file=str(bundle / "configs" / "metadata.json"), filepath=schema)


@pytest.mark.parametrize("bundle", FOLDERS, ids=NAMES)
def test_the_metadata_name_a_version_of_the_changelog_and_the_tested_pins(bundle, repository):
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert metadata["version"] in metadata["changelog"]
    lines = (repository / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    asked = {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
        **metadata["required_packages_version"],
    }
    assert asked == {package: pins.get(package) for package in asked}
