import ignite.distributed as idist
import pytest
import torch
from torch import nn

from custom_components.distributed import is_not_first, mean_over_processes, synchronise_batch_norm


def test_batch_norm_over_one_process_is_plain_batch_norm(process_group):
    torch.manual_seed(0)
    plain, synchronised = (nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).double() for _ in range(2))
    synchronised.load_state_dict(plain.state_dict())
    assert synchronise_batch_norm(synchronised) is synchronised
    image = torch.randn(4, 2, 8, 8, dtype=torch.float64)
    results = []
    for network in (plain, synchronised):
        inputs = image.clone().requires_grad_()
        outputs = network(inputs)
        (outputs**3).sum().backward()
        results.append([outputs, inputs.grad, *(parameter.grad for parameter in network.parameters())])
    for own, expected in zip(*reversed(results), strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-9, atol=1e-9)
    assert synchronised.state_dict().keys() == plain.state_dict().keys()
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(synchronised.state_dict()[key], value, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(synchronised.eval()(image), plain.eval()(image), rtol=1e-9, atol=1e-9)


def test_one_process_alone_is_the_first():
    assert not is_not_first()


@pytest.mark.parametrize("rank", [0, 1])
def test_which_of_several_processes_is_the_first(process_group, monkeypatch, rank):
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    assert is_not_first() is (rank == 1)


def test_the_mean_is_over_the_processes_that_have_a_value(monkeypatch):
    other = {"loss": 3.0, "weight@HK": 0.5}
    monkeypatch.setattr(idist, "all_gather", lambda own: [own, other])
    assert mean_over_processes({"loss": 1.0, "weight@UCL": 0.25}) == pytest.approx(
        {"loss": 2.0, "weight@UCL": 0.25, "weight@HK": 0.5}
    )
