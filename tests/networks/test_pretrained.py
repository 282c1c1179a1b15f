"""ImageNet weights from a local file. The files here have the published keys and shapes, and small made-up contents."""

import json

import pytest
import torch
import torch.nn.functional as F

from custom_components.foundation.files import file_sha256
from custom_components.networks import DeepLabV3Plus, ENet, FCNResNet101, MobileNetV2, PSPNet, ResNeXt101
from custom_components.networks.pretrained import load_pretrained


def resnet(depths, width=1, deep_stem=False):
    """Published shapes of a bottleneck ResNet; width 4 is a ResNeXt of 32 groups of 8."""
    stem = [(64, 3, 3), (64, 64, 3), (128, 64, 3)] if deep_stem else [(64, 3, 7)]
    groups = 32 if width > 1 else 1
    shapes = {}
    for number, (out, inside, size) in enumerate(stem, start=1):
        shapes |= conv_bn(f"conv{number}", f"bn{number}", out, inside, size)
    channels = stem[-1][0]
    for stage, depth in enumerate(depths):
        planes = 64 * 2**stage
        for block in range(depth):
            name, middle = f"layer{stage + 1}.{block}", planes * width
            shapes |= conv_bn(f"{name}.conv1", f"{name}.bn1", middle, channels, 1)
            shapes |= conv_bn(f"{name}.conv2", f"{name}.bn2", middle, middle // groups, 3)
            shapes |= conv_bn(f"{name}.conv3", f"{name}.bn3", 4 * planes, middle, 1)
            if block == 0:
                shapes |= conv_bn(f"{name}.downsample.0", f"{name}.downsample.1", 4 * planes, channels, 1)
            channels = 4 * planes
    return shapes | {"fc.weight": (1000, 2048), "fc.bias": (1000,)}


def mobilenet_v2():
    shapes = conv_bn("features.0.0", "features.0.1", 32, 3, 3)
    channels, number = 32, 1
    for expansion, out, depth in [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]:
        for _ in range(depth):
            name, wide = f"features.{number}.conv", channels * expansion
            if expansion > 1:
                shapes |= conv_bn(f"{name}.0.0", f"{name}.0.1", wide, channels, 1)
            place = int(expansion > 1)
            shapes |= conv_bn(f"{name}.{place}.0", f"{name}.{place}.1", wide, 1, 3)
            shapes |= conv_bn(f"{name}.{place + 1}", f"{name}.{place + 2}", out, wide, 1)
            channels, number = out, number + 1
    shapes |= conv_bn("features.18.0", "features.18.1", 1280, 320, 1)
    return shapes | {"classifier.1.weight": (1000, 1280), "classifier.1.bias": (1000,)}


def conv_bn(conv, bn, out, inside, size):
    vectors = {f"{bn}.{key}": (out,) for key in ("weight", "bias", "running_mean", "running_var")}
    return {f"{conv}.weight": (out, inside, size, size), **vectors, f"{bn}.num_batches_tracked": ()}


# network, published shapes, published number of parameters, place of the trunk
LAYOUTS = {
    "resnet101": (FCNResNet101, resnet([3, 4, 23, 3]), 44_549_160, "backbone."),
    "resnet50": (lambda: DeepLabV3Plus(backbone="resnet50"), resnet([3, 4, 6, 3]), 25_557_032, "backbone."),
    "resnext101_32x8d": (ResNeXt101, resnet([3, 4, 23, 3], width=4), 88_791_336, "backbone."),
    "resnet50_v2": (PSPNet, resnet([3, 4, 6, 3], deep_stem=True), 25_680_808, "backbone."),
    "mobilenet_v2": (MobileNetV2, mobilenet_v2(), 3_504_872, ""),
}
STEM_REST = {"conv2": "stem_rest.0.0", "bn2": "stem_rest.0.1", "conv3": "stem_rest.1.0", "bn3": "stem_rest.1.1"}


def contents(layout):
    """A state dict of the layout. Each tensor repeats one value of its own, so that the files stay small."""
    state = {}
    for number, (key, shape) in enumerate(LAYOUTS[layout][1].items()):
        is_count = key.endswith("num_batches_tracked")
        state[key] = torch.tensor(number) if is_count else torch.tensor([number / 1000]).expand(shape)
    return state


@pytest.fixture
def write(tmp_path):
    """``write(state)`` saves a checkpoint, and returns its path."""

    def save(content):
        torch.save(content, tmp_path / "weights.pth")
        return tmp_path / "weights.pth"

    return save


@pytest.fixture
def refusal(one_error_line):
    """The line that a user sees. The network must not change."""

    def line(network, file):
        before = {key: value.clone() for key, value in network.state_dict().items()}
        shown = one_error_line(lambda: load_pretrained(network, file))
        assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
        return shown

    return line


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_tensor_of_the_trunk_is_that_of_the_file_and_the_head_is_left(write, layout):
    build, shapes, published_params, trunk = LAYOUTS[layout]
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    params = sum(torch.Size(shape).numel() for key, shape in shapes.items() if not key.endswith(statistics))
    assert params == published_params

    state, network = contents(layout), build()
    grey = network.state_dict().get("backbone.conv1.weight", torch.empty(0, 3)).shape[1] == 1
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert load_pretrained(network, write(state)) is network
    after = network.state_dict()
    filled = set()
    for key, value in state.items():
        if key.startswith(("fc.", "classifier.")):
            continue
        module, tensor = key.rsplit(".", 1)
        place = f"{trunk}{STEM_REST.get(module, module)}.{tensor}"
        expected = value.sum(dim=1, keepdim=True) if key == "conv1.weight" and grey else value
        assert torch.equal(after[place], expected), key
        filled.add(place)
    assert {key for key in after if key.startswith(("backbone.", "features."))} == filled
    head = after.keys() - filled
    assert head
    assert all(torch.equal(after[key], before[key]) for key in head)


def test_a_grey_stem_answers_as_the_rgb_stem_on_the_image_replicated(write, caplog):
    state = contents("resnet50")
    state["conv1.weight"] = torch.randn(64, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    network = DeepLabV3Plus(backbone="resnet50")
    with caplog.at_level("INFO"):
        load_pretrained(network, write(state))
    image = torch.randn(2, 1, 32, 32)
    expected = F.conv2d(image.repeat(1, 3, 1, 1), state["conv1.weight"], stride=2, padding=3)
    torch.testing.assert_close(network.backbone.conv1(image), expected, rtol=1e-4, atol=1e-4)
    assert "takes the sum of the RGB kernels" in caplog.text


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_a_checkpoint_of_parallel_training_and_one_without_counters(write, wrapper):
    state = {key: value for key, value in contents("mobilenet_v2").items() if not key.endswith("num_batches_tracked")}
    network = load_pretrained(
        MobileNetV2(), write({wrapper: {f"module.{key}": value for key, value in state.items()}, "epoch": 90})
    )
    assert torch.equal(network.features[18][0].weight, state["features.18.0.weight"])


def test_without_a_file_the_network_is_left_as_it_is():
    network = MobileNetV2()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert load_pretrained(network, None) is network
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_what_does_not_fit_is_named(write, refusal, tmp_path):
    network = MobileNetV2()
    state = contents("mobilenet_v2")
    del state["features.7.conv.2.weight"]
    line = refusal(network, write(state))
    assert "weights.pth: not the ImageNet weights of MobileNetV2: 1 missing (features.7.conv.2.weight)" in line
    state = contents("mobilenet_v2")
    state["features.0.0.weight"] = torch.zeros(32, 1, 3, 3)
    assert "1 other shape (features.0.0.weight)" in refusal(network, write(state))
    state = contents("mobilenet_v2") | {"extra.weight": torch.zeros(1)}
    assert "1 unknown (extra.weight)" in refusal(network, write(state))
    line = refusal(network, write(contents("resnet50")))
    assert "260 missing (features.0.0.weight, features.0.1.weight, features.0.1.bias, …)" in line
    assert "unknown (conv1.weight, " in line
    assert "weights.pth: not a state dict" in refusal(network, write({"epoch": 3}))
    assert "no_such.pth: no such file" in refusal(network, tmp_path / "no_such.pth")
    (tmp_path / "text.pth").write_text("not weights")
    assert "text.pth: no" in refusal(network, tmp_path / "text.pth")


def test_pspnet_says_why_a_plain_resnet50_does_not_fit(write, refusal):
    line = refusal(PSPNet(), write(contents("resnet50")))
    assert "weights.pth: a ResNet with the plain 7x7 stem; PSPNet's stem is deep" in line


@pytest.mark.parametrize(("build", "name"), [(ENet, "ENet"), (DeepLabV3Plus, "DeepLabV3Plus with Xception65")])
def test_networks_without_a_published_layout(refusal, build, name):
    assert f"no published ImageNet layout for {name};" in refusal(build(), "any.pth")


def test_a_training_starts_with_the_file_and_remembers_it(copy_bundles, workflow, one_error_line, write):
    bundle = copy_bundles("mobilenetv2") / "mobilenetv2"
    file = write(contents("mobilenet_v2"))
    settings = {"learning_rate": 1e-6, "train::trainer::max_epochs": 1}
    workflow(bundle, "train", pretrained=str(file), **settings).run()
    provenance = json.loads((bundle / "models" / "provenance.json").read_text())
    assert provenance["pretrained"] == file_sha256(file)
    trained = torch.load(bundle / "models" / "model.pt", weights_only=True)["features.18.0.weight"]
    torch.testing.assert_close(trained, contents("mobilenet_v2")["features.18.0.weight"], rtol=0, atol=1e-4)

    line = one_error_line(lambda: workflow(bundle, "train", resume=True, **settings).run())
    assert "last.pt: saved by a training with other pretrained" in line
    line = one_error_line(lambda: workflow(bundle, "train", pretrained="no_such.pth").run())
    assert "no_such.pth: no such file" in line


def test_from_scratch_is_the_default_and_a_student_is_distilled_from_the_file(copy_bundles, workflow, write):
    bundles = copy_bundles("mobilenetv2", "distillation")
    state = contents("mobilenet_v2")
    started = []
    for options in ({"pretrained": str(write(state))}, {}):
        config = workflow(bundles / "distillation", "train", student="mobilenetv2", **options).parser
        network = config.get_parsed_content("network")
        assert network is config.get_parsed_content("network_def")
        started.append(torch.equal(network.features[0][0].weight, state["features.0.0.weight"]))
    assert started == [True, False]
