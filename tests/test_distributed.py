from typing import Any

import pytest
import torch
from torch import nn
from two_processes import in_two_processes

from custom_components.distributed import OfEveryProcess, is_not_first, mean_over_processes, synchronise_batch_norm


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


class Number:
    """A value that has a state."""

    def __init__(self, value: int) -> None:
        self.value = value

    def state_dict(self) -> int:
        return self.value

    def load_state_dict(self, state: int) -> None:
        self.value = state


def talk(rank: int) -> dict[str, Any]:
    """Compute the common results of two processes: the means of their values, and the states of both after loading."""
    values = ({"loss": 1.0, "weight@UCL": 0.25}, {"loss": 3.0, "weight@HK": 0.5})[rank]
    state, loaded = OfEveryProcess(Number(4 + rank)).state_dict(), Number(0)
    OfEveryProcess(loaded).load_state_dict(state)
    return {"means": mean_over_processes(values), "state": state, "loaded": loaded.value, "first": not is_not_first()}


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> list[dict[str, Any]]:
    return in_two_processes(talk, tmp_path_factory.mktemp("processes"))


def test_the_mean_is_over_the_processes_that_have_a_value(answers):
    for answer in answers:
        assert answer["means"] == pytest.approx({"loss": 2.0, "weight@UCL": 0.25, "weight@HK": 0.5})


def test_one_of_several_processes_is_the_first(answers):
    assert [answer["first"] for answer in answers] == [True, False]


def test_each_process_gets_its_own_state_back(answers):
    assert [answer["state"] for answer in answers] == [{"processes": [4, 5]}] * 2
    assert [answer["loaded"] for answer in answers] == [4, 5]


def test_the_state_of_two_processes_is_not_that_of_one(answers):
    number = Number(0)
    with pytest.raises(ValueError, match=r"\Asaved by 2 processes, this run has 1\Z"):
        OfEveryProcess(number).load_state_dict(answers[0]["state"])
    assert number.value == 0
