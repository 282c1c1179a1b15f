"""What holds for all seven networks: size, output shape, tap points, TorchScript, seeds."""

import pytest
import torch

from custom_components import networks
from custom_components.errors import InputError
from custom_components.networks import DeepLabV3Plus

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

# name, parameters, stride-2 tap and its channels, stride-8 tap and its channels
CASES = {
    "DeepLabV3Plus": (54_746_962, ("backbone.stem", 32), ("backbone.exit_flow", 2048)),
    "FCNResNet101": (51_933_122, ("backbone.act", 64), ("backbone.layer4", 2048)),
    "PSPNet": (46_706_626, ("backbone.act", 64), ("backbone.layer4", 2048)),
    "ResNeXt101": (86_740_162, ("backbone.act", 64), ("backbone.layer2", 512)),
    "ENet": (353_761, ("initial", 16), ("stage3", 128)),
    "ESPNet": (183_725, ("level1", 16), ("merge3", 256)),
    "MobileNetV2": (2_226_434, ("features.0", 32), ("features.18", 1280)),
}
LARGE = ("DeepLabV3Plus", "FCNResNet101", "PSPNet", "ResNeXt101")
SMALL = ("ENet", "ESPNet", "MobileNetV2")
DIVIDING_BY_8_ONLY = ("ENet", "ESPNet")


@pytest.fixture(scope="module")
def network():
    """Each network is built once: the large ones take a second."""
    built = {}

    def get(name):
        if name not in built:
            torch.manual_seed(0)
            built[name] = getattr(networks, name)().eval()
        return built[name]

    return get


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", CASES)
def test_parameter_count(network, name):
    assert count(network(name)) == CASES[name][0]


def test_exported_names_are_the_seven():
    assert set(networks.__all__) == set(CASES)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [(64, 64), (96, 80)])
def test_logits_have_the_size_of_the_input(network, name, size):
    with torch.no_grad():
        logits = network(name)(torch.randn(2, 1, *size))
    assert logits.shape == (2, 2, *size)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", [name for name in CASES if name not in DIVIDING_BY_8_ONLY])
def test_odd_sizes(network, name):
    with torch.no_grad():
        assert network(name)(torch.randn(1, 1, 53, 47)).shape == (1, 2, 53, 47)


@pytest.mark.parametrize("name", DIVIDING_BY_8_ONLY)
@pytest.mark.parametrize("size", [(60, 64), (64, 65)])
def test_sizes_not_divisible_by_8_are_refused(network, name, size):
    with pytest.raises(InputError, match=f"multiples of 8, got {size[0]}x{size[1]}"):
        network(name)(torch.randn(1, 1, *size))


@pytest.mark.parametrize("name", CASES)
def test_taps(network, name):
    """Right channels, right stride, and nothing later in the network writes into what a hook has captured."""
    net, x = network(name), torch.randn(2, 1, 96, 64)
    for stride, (path, channels) in zip((2, 8), CASES[name][1:], strict=True):
        captured = []

        def keep(module, inputs, output, captured=captured):
            captured.extend([output, output.clone()])

        handle = net.get_submodule(path).register_forward_hook(keep)
        with torch.no_grad():
            net(x)
        handle.remove()
        assert len(captured) == 2, f"{path} ran {len(captured) // 2} times"
        assert captured[0].shape == (2, channels, 96 // stride, 64 // stride)
        assert torch.equal(*captured)


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("ENet", "ESPNet")])
def test_taps_are_behind_a_relu(network, name):
    for path, _ in CASES[name][1:]:
        captured = []
        handle = network(name).get_submodule(path).register_forward_hook(lambda m, i, o, c=captured: c.append(o))
        with torch.no_grad():
            network(name)(torch.randn(1, 1, 64, 64))
        handle.remove()
        assert captured[0].min() == 0


@pytest.mark.parametrize("name", CASES)
def test_script_equals_eager(network, name):
    net, x = network(name), torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(net)(x), net(x))


@pytest.mark.parametrize("name", SMALL)
def test_trace_equals_eager_at_another_size(network, name):
    net, x = network(name), torch.randn(2, 1, 48, 64)
    with torch.no_grad():
        traced = torch.jit.trace(net, torch.randn(1, 1, 32, 32))
        torch.testing.assert_close(traced(x), net(x))


@pytest.mark.parametrize("name", SMALL)
def test_same_seed_same_network(network, name):
    torch.manual_seed(0)
    again = getattr(networks, name)()
    for key, value in network(name).state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


@pytest.mark.parametrize("name", SMALL)
def test_thirty_steps_lower_the_loss(name):
    torch.manual_seed(0)
    net = getattr(networks, name)()
    label = torch.zeros(4, 64, 64, dtype=torch.long)
    label[:, 16:48, 20:44] = 1
    image = label[:, None] + 0.3 * torch.randn(4, 1, 64, 64)
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(net(image), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", SMALL)
def test_gradient_reaches_every_parameter(name):
    net = getattr(networks, name)()
    net(torch.randn(2, 1, 64, 64)).square().sum().backward()
    assert [key for key, parameter in net.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("name", SMALL)
def test_other_channels_and_classes(name):
    net = getattr(networks, name)(in_channels=2, out_channels=4).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 2, 32, 32)).shape == (1, 4, 32, 32)


@pytest.mark.parametrize("name", ["DeepLabV3Plus", "PSPNet"])
def test_training_batch_of_one_is_refused(network, name):
    net = network(name).train()
    try:
        with pytest.raises(InputError, match="training batch of 1"):
            net(torch.randn(1, 1, 64, 64))
    finally:
        net.eval()


def test_deeplab_with_resnet50():
    net = DeepLabV3Plus(backbone="resnet50").eval()
    assert count(net) == 40_341_026
    with torch.no_grad():
        assert net(torch.randn(1, 1, 64, 64)).shape == (1, 2, 64, 64)


def test_deeplab_with_unknown_backbone():
    with pytest.raises(ValueError, match='"xception65" or "resnet50"'):
        DeepLabV3Plus(backbone="vgg16")
