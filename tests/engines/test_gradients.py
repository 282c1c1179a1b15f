import pytest
import torch
from torch import nn

from custom_components.engines.gradients import gradient_norms


def test_norms_by_hand_and_the_gradients_stay_untouched():
    first, second = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor(3.0))
    terms = {"both": 2 * first.sum() + second, "one": 3 * first[0] ** 2, "none": 0 * second}
    norms = gradient_norms(terms, [first, second])
    # The gradients are (2, 2, 1), (6, 0) and 0.
    assert {name: norm.item() for name, norm in norms.items()} == {"both": 3.0, "one": 6.0, "none": 0.0}
    assert first.grad is None
    sum(terms.values()).backward()
    assert first.grad.tolist() == [8.0, 2.0]


def test_the_scale_is_taken_out_again():
    weight = nn.Parameter(torch.tensor([1e-6], dtype=torch.float64))
    terms = {"tiny": weight.square().sum()}
    assert gradient_norms(terms, [weight], scale=2.0**16)["tiny"].item() == pytest.approx(2e-6)
