"""Batch-norm statistics of a site: by hand for one layer, and against torch for a network."""

import pytest
import torch
from torch import nn

from custom_components.data import prepare_cases
from custom_components.foundation.errors import InputError
from custom_components.networks import ESPNet
from custom_components.teachers.batch_norm import adapt_batch_norm, batch_norm_distance, batches_of_slices


@pytest.fixture
def batches() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [3 + 2 * torch.randn(4, 1, 32, 32, generator=generator) for _ in range(3)]


def test_statistics_are_the_mean_over_the_batches():
    # Batches with the means 1 and 5 and the unbiased variances 2 and 8.
    batches = [torch.tensor([0.0, 2.0]).view(2, 1, 1, 1), torch.tensor([3.0, 7.0]).view(2, 1, 1, 1)]
    layer = nn.BatchNorm2d(1)
    adapt_batch_norm(layer, batches)
    assert (layer.running_mean.item(), layer.running_var.item()) == (3.0, 5.0)
    assert (layer.momentum, layer.training) == (0.1, False)


def test_no_weight_changes_and_a_second_time_gives_the_same(batches):
    torch.manual_seed(0)
    network = ESPNet().train()
    weights = {name: parameter.clone() for name, parameter in network.named_parameters()}
    adapt_batch_norm(network, batches)
    assert all(torch.equal(parameter, weights[name]) for name, parameter in network.named_parameters())
    assert not any(module.training for module in network.modules())
    once = {name: value.clone() for name, value in network.state_dict().items()}
    adapt_batch_norm(network, batches)
    assert all(torch.equal(value, once[name]) for name, value in network.state_dict().items())
    # With one batch, the result is that of torch with momentum 1, which forgets everything before the batch.
    adapt_batch_norm(network, batches[:1])
    adapted = {name: value.clone() for name, value in network.state_dict().items()}
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train().momentum = 1.0
    network(batches[0])
    after = network.state_dict()
    counted = {name for name in after if not name.endswith("num_batches_tracked")}
    assert all(torch.equal(adapted[name], after[name]) for name in counted)


def test_the_distance_is_that_of_two_gaussians_in_each_channel():
    layer = nn.BatchNorm2d(2, eps=0).eval()
    layer.running_mean.copy_(torch.tensor([0.0, 1.0]))
    layer.running_var.copy_(torch.tensor([1.0, 4.0]))
    # Channel 0 has the mean 1 and the variance 4, channel 1 the teacher's own.
    features = torch.stack([torch.tensor([-1.0, 3.0]), torch.tensor([-1.0, 3.0])], dim=1).view(2, 2, 1, 1)
    own, other = torch.distributions.Normal(1.0, 2.0), torch.distributions.Normal(0.0, 1.0)
    divergence = torch.distributions.kl_divergence(own, other) + torch.distributions.kl_divergence(other, own)
    assert divergence.item() == pytest.approx(1.75)
    assert batch_norm_distance(layer, [features[:1], features[1:]]) == pytest.approx(1.75 / 2)


def test_an_adapted_network_is_nearer(batches):
    torch.manual_seed(0)
    network = ESPNet()
    far = batch_norm_distance(network, batches)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    adapt_batch_norm(network, batches)
    assert batch_norm_distance(network, batches) < 0.05 * far
    assert far > 0
    network.load_state_dict(before)
    assert batch_norm_distance(network, batches) == far, "measuring changes nothing"


@pytest.mark.parametrize("act", [adapt_batch_norm, batch_norm_distance])
def test_a_network_without_batch_norm_is_refused(act):
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
    with pytest.raises(
        InputError, match=r"\ASequential: has no batch-norm statistics; choose a teacher with batch norm"
    ):
        act(network, [torch.zeros(2, 1, 4, 4)])


def test_batches_mix_the_slices_of_all_cases_and_are_always_the_same(cases, preprocessing, tmp_path):
    prepared = prepare_cases(cases[:2], preprocessing, tmp_path) + prepare_cases(
        cases[2:5], preprocessing, tmp_path, masks=False
    )
    made = list(batches_of_slices(prepared))
    assert [len(batch) for batch in made] == [10, 10]
    assert all(torch.equal(*pair) for pair in zip(made, batches_of_slices(prepared), strict=True))
    expected = torch.cat([case.image.volume().movedim(-1, 0) for case in prepared]).flatten(1).sum(dim=1)
    assert torch.equal(torch.cat(made).flatten(1).sum(dim=1).sort().values, expected.sort().values)
    with pytest.raises(
        InputError, match=r"\Abatch-norm statistics need at least 2 slices, and there are 0; add images"
    ):
        next(batches_of_slices([]))
