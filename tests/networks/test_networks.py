"""Tests of single networks: the sizes that they accept, the layers before a tap, variants, and refusals.

tests/bundles/test_contract.py holds the tests of all networks.
"""

import pytest
import torch
from shipped_bundles import shipped

from custom_components.foundation.errors import InputError
from custom_components.networks import DeepLabV3Plus, ENet, ESPNet, PSPNet

TAPS_BEHIND_A_RELU = ["deeplabv3plus", "fcn_resnet101", "mobilenetv2", "pspnet", "resnext101"]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", [ENet, ESPNet])
@pytest.mark.parametrize("size", [(60, 64), (64, 65)])
def test_sizes_not_divisible_by_8_are_refused(kind, size):
    with pytest.raises(InputError, match=rf"\Ainput height and width must be multiples of 8, got {size[0]}x{size[1]};"):
        kind()(torch.randn(1, 1, *size))


@pytest.mark.parametrize("name", TAPS_BEHIND_A_RELU)
def test_odd_sizes_and_taps_behind_a_relu(name):
    bundle = shipped(name)
    network, captured = bundle.build_network().eval(), []
    for path in bundle.taps.values():
        network.get_submodule(path).register_forward_hook(lambda m, i, o: captured.append(o))
    with torch.no_grad():
        assert network(torch.randn(1, 1, 53, 47)).shape == (1, 2, 53, 47)
        captured.clear()
        network(torch.randn(1, 1, 64, 64))
    assert [tap.min() for tap in captured] == [0, 0]


@pytest.mark.parametrize("kind", [DeepLabV3Plus, PSPNet])
def test_training_batch_of_one_is_refused(kind):
    with pytest.raises(InputError, match=r"\Aa training batch of 1"):
        kind().train()(torch.randn(1, 1, 64, 64))


def test_deeplab_with_resnet50():
    net = DeepLabV3Plus(backbone="resnet50").eval()
    assert sum(parameter.numel() for parameter in net.parameters()) == 40_341_026
    with torch.no_grad():
        assert net(torch.randn(1, 1, 64, 64)).shape == (1, 2, 64, 64)


def test_deeplab_with_unknown_backbone():
    with pytest.raises(ValueError, match=r'\Abackbone must be "xception65" or "resnet50"'):
        DeepLabV3Plus(backbone="vgg16")
