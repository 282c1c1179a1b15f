"""The contract of every bundle's network: size, taps, shapes, gradient, seeds, learning, resuming.

test_contract_exports.py tests the exports. Both files also test a new bundle, without a change. To run the tests of one
bundle: ``pytest tests/bundles -k enet``.
"""

from collections.abc import Callable

import pytest
import torch
from shipped_bundles import NAMES, WITH_WEIGHTS, docstring_of_network, parameters_told, shipped, taps_told
from torch import nn

from custom_components import networks
from custom_components.foundation.errors import InputError
from custom_components.teachers import Taps

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

EPOCHS = "train::trainer::max_epochs"
STRIDES = {"stride2": 2, "stride8": 8}
# These networks are trained here. A training of a large network takes minutes, and tests the same code.
SMALL = [name for name in WITH_WEIGHTS if (parameters_told(name) or 0) < 10_000_000]

every_network = pytest.mark.parametrize("name", WITH_WEIGHTS)
every_small_network = pytest.mark.parametrize("name", SMALL)


@pytest.fixture(scope="module")
def network() -> Callable[[str], nn.Module]:
    """``network("enet")`` in eval mode. Each network is built once, because a large one takes a second."""
    built = {}

    def get(name: str) -> nn.Module:
        if name not in built:
            torch.manual_seed(0)
            built[name] = shipped(name).build_network()
        return built[name].eval()

    return get


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_every_network_has_a_bundle_and_every_bundle_a_network():
    assert set(NAMES) - set(WITH_WEIGHTS) == {"distillation"}
    named = [shipped(name).network_def["_target_"] for name in WITH_WEIGHTS]
    # An ensemble gets its bundle when trained bundles are joined.
    assert sorted(named) == [f"custom_components.networks.{name}" for name in networks.__all__ if name != "Ensemble"]


@every_network
def test_the_docstring_tells_the_number_of_parameters(network, name):
    told = parameters_told(name)
    assert told, "the docstring of the network's module lacks a line such as '353,761 parameters.'"
    assert sum(parameter.numel() for parameter in network(name).parameters()) == told


@every_network
def test_the_docstring_tells_the_taps_of_the_bundle(name):
    assert "Tap points: " in docstring_of_network(name)
    assert {key: path for key, (path, _) in taps_told(name).items()} == shipped(name).taps


@every_network
def test_taps(name):
    """The taps have the right channels and stride, and no later layer writes into a tensor that a hook has captured."""
    bundle = shipped(name)
    net = bundle.build_network().eval()
    taps = Taps(net, bundle.taps)
    assert taps.keys == tuple(STRIDES)
    for key, (path, channels) in taps_told(name).items():
        captured = []

        def keep(module, inputs, output, captured=captured):
            captured.extend([output, output.clone()])

        handle = net.get_submodule(path).register_forward_hook(keep)
        taps.arm()
        with torch.no_grad():
            net(torch.randn(2, 1, 96, 64))
        handle.remove()
        assert len(captured) == 2, f"{path} ran {len(captured) // 2} times"
        assert captured[0].shape == (2, channels, 96 // STRIDES[key], 64 // STRIDES[key])
        assert torch.equal(*captured)
        (collected,) = taps.collect([key])
        assert torch.equal(collected, captured[0])


@every_network
@pytest.mark.parametrize("size", [(64, 64), (96, 80)])
def test_logits_have_the_size_of_the_input(network, name, size):
    with torch.no_grad():
        logits = network(name)(torch.randn(2, 1, *size))
    assert logits.shape == (2, 2, *size)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@every_network
@pytest.mark.parametrize("size", [(60, 64), (64, 65), (53, 47)])
def test_another_size_is_segmented_or_refused(network, name, size):
    try:
        with torch.no_grad():
            logits = network(name)(torch.randn(1, 1, *size))
    except InputError as refusal:
        if f"multiples of 8, got {size[0]}x{size[1]};" not in str(refusal):
            raise
    else:
        assert logits.shape == (1, 2, *size)


@every_network
def test_other_channels_and_classes(name):
    kind = getattr(networks, shipped(name).network_def["_target_"].rpartition(".")[2])
    with torch.no_grad():
        assert kind(in_channels=2, out_channels=4).eval()(torch.randn(1, 2, 32, 32)).shape == (1, 4, 32, 32)


@every_network
def test_gradient_reaches_every_parameter(name):
    net = shipped(name).build_network()
    net(torch.randn(2, 1, 64, 64)).square().sum().backward()
    assert [key for key, parameter in net.named_parameters() if parameter.grad is None] == []


@every_network
def test_script_equals_eager(network, name):
    net, x = network(name), torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(net)(x), net(x))


@every_small_network
def test_trace_equals_eager_at_another_size(network, name):
    net, x = network(name), torch.randn(2, 1, 48, 64)
    with torch.no_grad():
        traced = torch.jit.trace(net, torch.randn(1, 1, 32, 32))
        torch.testing.assert_close(traced(x), net(x))


@every_network
def test_same_seed_same_network(network, name):
    torch.manual_seed(0)
    again = shipped(name).build_network().state_dict()
    for key, value in network(name).state_dict().items():
        assert torch.equal(value, again[key]), key


@every_small_network
def test_thirty_steps_lower_the_loss(name):
    net = shipped(name).build_network()
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


@every_small_network
def test_a_resumed_training_equals_the_uninterrupted_one(
    copy_bundles, workflow, assert_equal_trainings, tmp_path, name
):
    bundle = copy_bundles(name) / name

    def train(output: str, epochs: int) -> None:
        # The default schedule has 2000 steps, so in a few epochs its learning rate would hardly change.
        options = {"augmentation": 0.7, "lr_scheduler::step_size_up": 5, "batch_size": 5, "ema_decay": 0.9}
        folders = {"output_dir": str(tmp_path / output), "models_dir": str(tmp_path / output / "models")}
        workflow(bundle, "train", resume=True, **{**options, **folders, EPOCHS: epochs}).run()

    train("whole", 4)
    train("parts", 2)
    assert len((tmp_path / "parts" / "training.csv").read_text().splitlines()) == 3
    # Another process would begin with other random states.
    torch.manual_seed(99)
    train("parts", 4)
    assert_equal_trainings(tmp_path / "whole", tmp_path / "parts")
