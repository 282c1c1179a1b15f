import numpy as np
import pytest
import torch
from torch import nn

from custom_components.foundation.errors import InputError
from integrations.flare.weights import load_arrays, to_arrays


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def test_weights_arrive_as_they_were_sent():
    sent, received = network(), network()
    sent[1].running_mean += 3
    load_arrays(received, to_arrays(sent.state_dict()), "north")
    assert all(torch.equal(received.state_dict()[name], value) for name, value in sent.state_dict().items())


def test_an_average_of_counts_is_a_count_again():
    arrays = to_arrays(network().state_dict())
    arrays["1.num_batches_tracked"] = np.float64(6.0)
    count = load_arrays(network(), arrays, "north").state_dict()["1.num_batches_tracked"]
    assert count.dtype == torch.int64
    assert count == 6


def test_weights_of_another_network_are_refused():
    with pytest.raises(InputError, match="north sent weights that do not fit Sequential: 2 missing"):
        load_arrays(network(), to_arrays(nn.Sequential(nn.Identity(), nn.BatchNorm2d(2)).state_dict()), "north")
