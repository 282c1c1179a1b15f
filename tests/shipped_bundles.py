"""The bundles of this project, for tests: a list, the facts in the networks' docstrings, and random weights.

A plain module without fixtures, so that the tests of every host can import it.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from custom_components import networks
from custom_components.bundle import Bundle, read_bundle
from custom_components.foundation.files import read_json

FOLDERS = sorted(path.parent for path in Path(__file__).parents[1].glob("bundles/*/bundle.yaml"))
NAMES = [folder.name for folder in FOLDERS]
# The distillation bundle has no weights of its own.
WITH_WEIGHTS = [folder.name for folder in FOLDERS if "student" not in read_json(folder / "configs" / "train.json")]


def shipped(name: str) -> Bundle:
    return read_bundle(name, FOLDERS[0].parent)


def docstring_of_network(name: str) -> str:
    """The docstring of the module that defines a bundle's network."""
    network = getattr(networks, shipped(name).network_def["_target_"].rpartition(".")[2])
    return sys.modules[network.__module__].__doc__ or ""


def parameters_told(name: str) -> int | None:
    """The number of parameters in the docstring of the network's module; None if it holds no number."""
    told = re.search(r"\b([\d,]+) parameters", docstring_of_network(name))
    return int(told[1].replace(",", "")) if told else None


def taps_told(name: str) -> Mapping[str, tuple[str, int]]:
    """The path and the channels of each tap in the docstring of the network's module."""
    _, _, text = docstring_of_network(name).partition("Tap points: ")
    told = re.findall(r"(stride\d+) ``([\w.]+)`` \([^()]*?(\d+)(?: channels)?\)", text)
    return {key: (path, int(channels)) for key, path, channels in reversed(told)}  # the first of two variants counts


def give_random_weights(bundle: Bundle, images: torch.Tensor | None = None, seed: int = 0) -> nn.Module:
    """Write ``models/model.pt`` of a bundle as a training would, and return the network in eval mode.

    Args:
        bundle: a copy of a bundle, so that the checkout stays as it is.
        images: (B, 1, H, W). The statistics of batch norms move halfway to those of the images, so that the
            probabilities spread. None leaves the batch norms as they start.
        seed: seed of the weights.
    """
    torch.manual_seed(seed)
    network = bundle.build_network()
    if images is not None:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.5
        with torch.no_grad():
            network.train()(images)
    bundle.model_file.parent.mkdir()
    torch.save(network.state_dict(), bundle.model_file)
    return network.eval()
