"""A teacher's batch-norm statistics on a site's slices: re-estimating them, and their distance from the former ones."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from custom_components.data.prepared import PreparedCase
from custom_components.foundation.errors import InputError

# Statistics of fewer slices are noisy. Each batch mixes slices of several cases.
BATCH_SIZE = 16


def batches_of_slices(cases: Sequence[PreparedCase], device: torch.device | str = "cpu") -> Iterator[Tensor]:
    """All slices of prepared cases, shuffled, in batches (B, 1, H, W) of nearly equal size. Every call shuffles alike.

    Raises:
        InputError: if there are fewer than two slices.
    """
    slices = [(case, depth) for case in cases for depth in range(case.image.shape[2])]
    if len(slices) < 2:
        raise InputError(f"batch-norm statistics need at least 2 slices, and there are {len(slices)}; add images")
    order = torch.randperm(len(slices), generator=torch.Generator().manual_seed(0))
    for chosen in order.tensor_split(math.ceil(len(slices) / BATCH_SIZE)):
        yield torch.stack([case.image.slice(depth) for case, depth in map(slices.__getitem__, chosen)]).to(device)


@torch.no_grad()
def adapt_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running mean and variance of every batch-norm layer by those of the given slices (AdaBN).

    Li et al. 2016, "Revisiting Batch Normalization For Practical Domain Adaptation" (arXiv 1603.04779). The mean over
    the batches is cumulative (``momentum=None``), so every batch counts the same. While the batches run, each
    batch-norm layer normalises by the batch, as in a training, and the next layers see these features. No weight
    changes, and all other layers run as in evaluation.

    Args:
        network: the network. It is changed in place, and is in evaluation mode afterwards.
        batches: slices (B, 1, H, W) of the site, such as :func:`batches_of_slices`.

    Raises:
        InputError: if the network has no batch norm with running statistics.
    """
    layers = batch_norm_layers(network)
    network.eval()
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    for images in batches:
        network(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.eval()


@torch.no_grad()
def batch_norm_distance(network: nn.Module, batches: Iterable[Tensor]) -> float:
    """The distance of the batch-norm statistics of the given slices from those that the network was trained with.

    For each channel, D = KL(N(m, v) || N(μ, σ²)) + KL(N(μ, σ²) || N(m, v))
    = (v + (m - μ)²) / 2σ² + (σ² + (m - μ)²) / 2v - 1. Here m and v are the mean and the variance of the layer's input
    on the slices, and μ and σ² are the running ones. The layer's eps is added to both variances. The result is the mean
    of D over a layer's channels, then over the layers. D is the feature divergence of Pan et al. 2018 (IBN-Net, arXiv
    1807.09441), taken before the layer's own normalisation.

    Args:
        network: the network; it is put into evaluation mode.
        batches: slices (B, 1, H, W) of the site, such as :func:`batches_of_slices`.

    Raises:
        InputError: if the network has no batch norm with running statistics.

    >>> network = nn.BatchNorm2d(1, eps=0).eval()  # running mean 0, running variance 1
    >>> slices = torch.tensor([-1.0, 3.0]).view(2, 1, 1, 1)  # mean 1, variance 4: (4 + 1) / 2 + (1 + 1) / 8 - 1
    >>> batch_norm_distance(network, [slices])
    1.75
    """
    layers = batch_norm_layers(network)
    network.eval()
    sums = {layer: _Sums() for layer in layers}
    with _before(layers, lambda layer, features: sums[layer].add(features)):
        for images in batches:
            network(images)
    distances = []
    for layer, own in sums.items():
        variance, expected = own.variance + layer.eps, layer.running_var.double() + layer.eps
        offset = (own.mean - layer.running_mean.double()).square()
        divergence = (variance + offset) / (2 * expected) + (expected + offset) / (2 * variance) - 1
        distances.append(divergence.mean())
    return torch.stack(distances).mean().item()


def batch_norm_layers(network: nn.Module) -> list[_BatchNorm]:
    """The batch-norm layers with running statistics.

    Raises:
        InputError: if there is none.
    """
    if layers := _batch_norm_layers(network):
        return layers
    raise InputError(f"{type(network).__name__}: has no batch-norm statistics; choose a teacher with batch norm")


def has_batch_norm(network: nn.Module) -> bool:
    """Whether the network has batch-norm layers with running statistics."""
    return bool(_batch_norm_layers(network))


def _batch_norm_layers(network: nn.Module) -> list[_BatchNorm]:
    return [layer for layer in network.modules() if isinstance(layer, _BatchNorm) and layer.running_mean is not None]


class _Sums:
    """Mean and variance of each channel over all batches."""

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, 0.0, 0.0

    def add(self, features: Tensor) -> None:
        features = features.double().movedim(1, 0).flatten(1)
        self.count += features.shape[1]
        self.total = self.total + features.sum(dim=1)
        self.squares = self.squares + features.square().sum(dim=1)

    @property
    def mean(self) -> Tensor:
        return self.total / self.count

    @property
    def variance(self) -> Tensor:
        return (self.squares / self.count - self.mean.square()).clamp(min=0)


@contextmanager
def _before(layers: Iterable[nn.Module], look: Callable[[nn.Module, Tensor], None]) -> Iterator[None]:
    """Let a function look at each layer and its input, before the layer runs."""
    hooks = [layer.register_forward_pre_hook(lambda layer, inputs: look(layer, inputs[0])) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
