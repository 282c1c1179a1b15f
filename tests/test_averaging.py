import pytest
import torch
from ignite.engine import Engine
from torch import nn

from custom_components.averaging import average_state, network_to_keep, weight_average
from custom_components.foundation.errors import InputError


@pytest.fixture
def network() -> nn.Module:
    network = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.constant_(network[0].weight, 1.0)
    return network


def test_the_average_follows_the_weights_and_copies_the_statistics(network):
    average = weight_average(network, 0.75)
    steps = iter([3.0, 5.0])

    def step(engine, batch):
        with torch.no_grad():
            network[0].weight.fill_(next(steps))
            network[1].running_mean.fill_(7.0)

    trainer = Engine(step)
    average.attach(trainer)
    trainer.run([0, 0], max_epochs=1)
    kept = network_to_keep(network, average)
    # .75 (.75 * 1 + .25 * 3) + .25 * 5 = 2.375
    assert kept[0].weight.item() == pytest.approx(2.375)
    assert kept[1].running_mean.item() == 7.0
    assert network[0].weight.item() == 5.0
    assert average_state(average) is kept
    assert not any(parameter.requires_grad for parameter in kept.parameters())


def test_without_decay_the_network_itself_is_kept(network):
    assert weight_average(network, 0) is None
    assert network_to_keep(network, None) is network
    assert average_state(None) is None


@pytest.mark.parametrize("decay", [1, -0.1, True, "0.9", None])
def test_a_decay_that_is_no_share_is_refused(network, decay):
    with pytest.raises(InputError, match=r"\Aema_decay: .* is no share; give a number from 0 to below 1"):
        weight_average(network, decay)
