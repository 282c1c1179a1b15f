"""The form of weights for sending: numpy arrays by the names of parameters and buffers, without pickled objects."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from custom_components.foundation.errors import InputError
from custom_components.state_dict import difference


def to_arrays(state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Convert a state dict to arrays for sending."""
    return {name: tensor.numpy(force=True) for name, tensor in state.items()}


def load_arrays(network: nn.Module, arrays: Mapping[str, np.ndarray], sender: str) -> nn.Module:
    """Load received arrays strictly into ``network``, and return the network.

    The server's average of integers, such as counts of batches, is a float. PyTorch converts it back to an integer.

    Raises:
        InputError: if the arrays are not the weights of this network; the message names the sender and the keys.
    """
    state = {name: torch.as_tensor(array) for name, array in arrays.items()}
    if differing := difference(network.state_dict(), state):
        raise InputError(f"{sender} sent weights that do not fit {type(network).__name__}: {differing}")
    network.load_state_dict(state)
    return network
