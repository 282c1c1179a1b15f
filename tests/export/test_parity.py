"""The check finds an export that differs, and allows for rounding."""

import pytest
import torch
from torch import nn

from custom_components.export import check_parity
from custom_components.foundation.errors import ParityError

IMAGES = torch.linspace(-3, 3, 64).reshape(1, 1, 8, 8)


class Logits(nn.Module):
    """Logits: 0 for the background, ``gain * image + offset`` for the prostate."""

    def __init__(self, gain: float = 1.0, offset: float = 0.0) -> None:
        super().__init__()
        self.gain, self.offset = gain, offset

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(image), self.gain * image + self.offset], dim=1)


def test_the_largest_difference_in_probability_is_told():
    # The sigmoid's slope is 1/4 at 0, where it is steepest.
    assert check_parity("x", Logits(offset=2e-4), Logits(), [IMAGES]) == pytest.approx(5e-5, rel=0.01)


@pytest.mark.parametrize("other", [Logits(offset=1e-3), Logits(gain=-1.0), Logits(offset=float("nan"))])
def test_another_network_is_refused(other):
    with pytest.raises(ParityError, match=r"\A\S*model\.onnx: is not the network"):
        check_parity("model.onnx", other, Logits(), [IMAGES])


def test_a_pixel_of_another_class_is_refused_however_small_the_difference():
    image = torch.full((1, 1, 8, 8), 5e-5)  # probabilities 2.5e-5 apart
    with pytest.raises(ParityError, match=r"\Amodel\.ts: is not the network: .* the class of 64 pixels"):
        check_parity("model.ts", Logits(gain=-1.0), Logits(), [image])


def test_a_tie_has_no_class():
    image = torch.full((1, 1, 8, 8), 1e-6)
    assert check_parity("model.ts", Logits(gain=-1.0), Logits(), [image]) < 1e-6
