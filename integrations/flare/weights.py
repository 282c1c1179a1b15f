"""Weights as they travel: numpy arrays by the names of the network's parameters and buffers; no pickled object."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from custom_components.errors import InputError
from custom_components.state_dict import difference


def to_arrays(state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """A state dict, ready to be sent."""
    return {name: tensor.numpy(force=True) for name, tensor in state.items()}


def load_arrays(network: nn.Module, arrays: Mapping[str, np.ndarray], sender: str) -> nn.Module:
    """Load what was sent strictly into ``network``, and give it back.

    An average of integers, such as a count of batches, comes as a float and is cast back.

    Raises:
        InputError: if these are not the weights of this network; names the sender and the keys.
    """
    state = {name: torch.as_tensor(array) for name, array in arrays.items()}
    if differing := difference(network.state_dict(), state):
        raise InputError(f"{sender} sent no weights of a {type(network).__name__}: {differing}")
    network.load_state_dict(state)
    return network
