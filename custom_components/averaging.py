"""The moving average of a network's weights over the training, which is often better than the last weights."""

from ignite.handlers import EMAHandler
from torch import nn

from custom_components.foundation.errors import InputError


def weight_average(network: nn.Module, decay: float) -> EMAHandler | None:
    """The handler that keeps the exponential moving average of the weights; None if the decay is 0.

    After each step, average = decay · average + (1 - decay) · weights (Polyak and Juditsky 1992, with the exponential
    weights of Tarvainen and Valpola 2017, arXiv 1703.01780). Batch-norm statistics, which are averages already, are
    copied.

    Args:
        network: the network that is trained.
        decay: share of the former average, from 0 to below 1. With 0.99 the average reaches back about 100 steps.

    Raises:
        InputError: if the decay is not such a number.
    """
    if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 <= decay < 1:
        raise InputError(f"{decay!r} is no share", "ema_decay", advice="give a number from 0 to below 1, such as 0.99")
    return EMAHandler(network, momentum=1 - decay) if decay else None


def network_to_keep(network: nn.Module, average: EMAHandler | None) -> nn.Module:
    """The network that is validated and saved: the average if there is one, else the trained network.

    Args:
        network: the trained network, unwrapped.
        average: the result of :func:`weight_average`.
    """
    return average.ema_model if average else network


def average_state(average: EMAHandler | None) -> nn.Module | None:
    """The part of the average that a checkpoint must hold; None without an average."""
    return average.ema_model if average else None
