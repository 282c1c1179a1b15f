"""The part that only ESPNet has: the start of its classifier."""

import torch
import torch.nn.functional as F

from custom_components.networks import ESPNet


def test_a_new_classifier_shows_the_channels_of_the_classes_enlarged():
    network = ESPNet(out_channels=3)
    before = []
    network.decode1.register_forward_hook(lambda module, inputs, output: before.append(output))
    logits = network(torch.randn(2, 1, 32, 32))
    assert torch.equal(logits, F.interpolate(before[0], scale_factor=2, mode="nearest"))
