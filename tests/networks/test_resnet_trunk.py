"""The ResNet trunk: its dilation, and its key names, which fit torchvision's weights."""

import pytest
import torch

from custom_components.networks.resnet_trunk import ResNetTrunk

SHALLOW = [1, 1, 1, 1]


@pytest.mark.parametrize(("dilated", "stride"), [(True, 8), (False, 32)])
def test_output_stride(dilated, stride):
    low, high = ResNetTrunk(SHALLOW, 1, dilated=dilated).eval()(torch.randn(1, 1, 96, 64))
    assert low.shape == (1, 256, 24, 16)
    assert high.shape == (1, 2048, 96 // stride, 64 // stride)


def test_dilation_rates_follow_torchvision():
    trunk = ResNetTrunk([1, 1, 2, 2], 1)
    rates = [block.conv2.dilation for stage in (trunk.layer2, trunk.layer3, trunk.layer4) for block in stage]
    assert rates == [(1, 1), (1, 1), (2, 2), (2, 2), (4, 4)]


def test_dilated_stage_computes_the_strided_one_and_what_lies_between():
    torch.manual_seed(0)
    strided = ResNetTrunk(SHALLOW, 1, dilated=False).eval()
    dilated = ResNetTrunk(SHALLOW, 1, dilated=True).eval()
    dilated.load_state_dict(strided.state_dict())
    features = torch.randn(1, 512, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(dilated.layer3(features)[:, :, ::2, ::2], strided.layer3(features))


def test_keys_are_torchvisions():
    keys = set(ResNetTrunk(SHALLOW, 3).state_dict())
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.downsample.0.weight", "layer4.0.bn3.bias"} <= keys
    assert {key.split(".")[0] for key in keys} == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}
