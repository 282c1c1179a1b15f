import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from custom_components.foundation.errors import InputError
from custom_components.teachers import Taps


@pytest.fixture
def network() -> nn.Sequential:
    """A network of two layers: ``first`` doubles its input, and ``second`` adds one."""
    network = nn.Sequential()
    network.add_module("first", nn.Conv2d(1, 1, 1))
    network.add_module("second", nn.Conv2d(1, 1, 1))
    for layer, weight, bias in ((network.first, 2.0, 0.0), (network.second, 1.0, 1.0)):
        nn.init.constant_(layer.weight, weight)
        nn.init.constant_(layer.bias, bias)
    return network


IMAGE = torch.full((1, 1, 2, 2), 3.0)


def test_collects_the_named_activations_in_the_order_asked_for(network):
    taps = Taps(network, {"early": "first", "late": "second"})
    taps.arm()
    network(IMAGE)
    late, early = taps.collect(["late", "early"])
    assert torch.equal(early, torch.full((1, 1, 2, 2), 6.0))
    assert torch.equal(late, torch.full((1, 1, 2, 2), 7.0))


def test_gradients_flow_through_a_collected_activation(network):
    taps = Taps(network, {"early": "first"})
    taps.arm()
    network(IMAGE)
    taps.collect(["early"])[0].sum().backward()
    assert network.first.weight.grad.item() == 12.0


def test_keeps_nothing_unless_armed_and_nothing_after_collect(network):
    taps = Taps(network, {"early": "first"})
    network(IMAGE)
    assert taps._features == {}
    taps.arm()
    network(IMAGE)
    taps.collect(["early"])
    assert taps._features == {}
    network(IMAGE)
    with pytest.raises(RuntimeError, match=r"\Ataps \['early'\] saw no forward pass"):
        taps.collect(["early"])


def test_arming_again_forgets_the_pass_before(network):
    taps = Taps(network, {"early": "first"})
    taps.arm()
    network(IMAGE)
    taps.arm()
    with pytest.raises(RuntimeError, match=r"\Ataps \['early'\] saw"):
        taps.collect(["early"])


def test_a_module_that_did_not_run_is_named(network):
    taps = Taps(network, {"early": "first", "late": "second"})
    taps.arm()
    network.first(IMAGE)
    with pytest.raises(RuntimeError, match=r"\Ataps \['late'\] saw no forward pass"):
        taps.collect(["early", "late"])


@pytest.mark.parametrize(
    ("path", "hint"), [("secnd", "near ones: second"), ("zzz", "top level: first, second"), ("", "top level: first")]
)
def test_an_unknown_path_lists_what_there_is(network, path, hint):
    with pytest.raises(InputError, match=rf"\A\S*tap stride8: Sequential has no module '{path}' \({hint}"):
        Taps(network, {"stride8": path})


def test_sees_the_pass_of_a_ddp_wrapper(network, process_group):
    taps = Taps(network, {"early": "first"})
    wrapped = DistributedDataParallel(network)
    taps.arm()
    logits = wrapped(IMAGE)
    (early,) = taps.collect(["early"])
    (logits.sum() + early.sum()).backward()
    assert torch.equal(early, torch.full((1, 1, 2, 2), 6.0))
    assert network.first.weight.grad.item() == 24.0
