import pytest
import torch
from torch import nn

from custom_components.networks import ENet, Ensemble, ESPNet


class Fixed(nn.Module):
    """Gives the same probability of the second class at every pixel of the left half, and 1/2 elsewhere."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, image):
        probability = torch.full_like(image, 0.5)
        probability[:, :, : image.shape[2] // 2] = self.probability
        return torch.cat([1 - probability, probability], dim=1).log()


def test_the_probabilities_are_the_mean_of_the_members():
    image = torch.zeros(1, 1, 4, 2)
    foreground = Ensemble([Fixed(0.9), Fixed(0.4)])(image).softmax(dim=1)[0, 1]
    torch.testing.assert_close(foreground[:, 0], torch.tensor([0.65, 0.65, 0.5, 0.5]))


def test_with_flips_the_mirrored_slice_counts_too():
    image = torch.zeros(1, 1, 4, 2)
    foreground = Ensemble([Fixed(0.9)], flips=True)(image).softmax(dim=1)[0, 1]
    # The mirrored member has .9 on the right half: (.9 + .5) / 2 everywhere.
    torch.testing.assert_close(foreground, torch.full((4, 2), 0.7))


def test_with_flips_the_mirrored_slice_gets_the_mirrored_output():
    torch.manual_seed(0)
    network, image = Ensemble([ENet(), ESPNet()], flips=True).eval(), torch.randn(2, 1, 32, 40)
    torch.testing.assert_close(network(image.flip(2)), network(image).flip(2))


def test_an_ensemble_of_one_network_has_its_probabilities():
    torch.manual_seed(0)
    member, image = ENet().eval(), torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(Ensemble([member])(image).softmax(1), member(image).softmax(1))


def test_no_member_is_refused():
    with pytest.raises(ValueError, match=r"^an ensemble needs a member$"):
        Ensemble([])
