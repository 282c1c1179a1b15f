"""Loading of published ImageNet weights from a local file, as the start of a training.

| network | layout of the file |
|---|---|
| FCNResNet101 | torchvision's ``resnet101`` |
| DeepLabV3Plus with ``backbone="resnet50"`` | torchvision's ``resnet50`` |
| ResNeXt101 | torchvision's ``resnext101_32x8d`` |
| MobileNetV2 | torchvision's ``mobilenet_v2`` |
| PSPNet | the ResNet50 with a deep stem (``conv1`` to ``conv3``) of github.com/hszhao/semseg, ``resnet50_v2`` |

There are no such weights for DeepLabV3Plus with its Xception-65, for ENet and for ESPNet.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from custom_components.checkpoint import read_checkpoint
from custom_components.foundation.errors import InputError
from custom_components.networks.mobilenetv2 import MobileNetV2
from custom_components.networks.resnet_trunk import ResNetTrunk
from custom_components.state_dict import difference

logger = logging.getLogger(__name__)

# The layers of the deep stem after its first convolution: this project's names and the published names.
DEEP_STEM = {"stem_rest.0.0": "conv2", "stem_rest.0.1": "bn2", "stem_rest.1.0": "conv3", "stem_rest.1.1": "bn3"}
CLASSIFIERS = ("fc.", "classifier.")


def load_pretrained(network: nn.Module, file: str | Path | None) -> nn.Module:
    """Fill the trunk of ``network`` strictly with ImageNet weights, and return the network.

    Every tensor of the trunk is filled, and every tensor of the file is used, except its 1000-class layer. The head
    keeps its random weights. A stem for grey images (B,1,H,W) takes the sum of the RGB kernels. Its output then equals
    the output of the RGB stem for the grey image repeated to three channels.

    Args:
        network: one of this project's networks.
        file: a state dict in a published layout (see above). It may lie below the key ``state_dict`` or ``model``, and
            its keys may start with ``module.``. None does not change the network.

    Raises:
        InputError: if there is no such file, if there is no published layout for this network, or if the file is of
            another network (the message names the keys).
    """
    if file is None:
        return network
    places = _places_by_published_key(network)
    if not Path(file).is_file():
        raise InputError(f"{file}: no such file; 'pretrained' names a local file of ImageNet weights, or null")
    published = {key: value for key, value in _read(file).items() if not key.startswith(CLASSIFIERS)}
    own = network.state_dict()
    # Files from before PyTorch 0.4.1 lack batch norm's counters; the networks do not use the counters.
    expected = {
        key: own[place] for key, place in places.items() if key in published or not key.endswith(".num_batches_tracked")
    }
    if "conv2.weight" in places and "conv2.weight" not in published and "layer1.0.conv1.weight" in published:
        raise InputError(
            f"{file}: a ResNet with the plain 7x7 stem; {type(network).__name__}'s stem is deep (conv1, conv2, conv3): "
            "give a file in the layout of resnet50_v2, as published with github.com/hszhao/semseg"
        )
    stem_is_grey = _sum_rgb(expected, published)
    if differing := difference(expected, published):
        raise InputError(f"{file}: not the ImageNet weights of {_trunk_name(network)}: {differing}")
    network.load_state_dict({places[key]: value for key, value in published.items()}, strict=False)
    grey = "; its stem for grey images takes the sum of the RGB kernels" if stem_is_grey else ""
    logger.info(f"the trunk of {type(network).__name__} starts with {file}{grey}")
    return network


def _places_by_published_key(network: nn.Module) -> dict[str, str]:
    """The published key of each tensor of the trunk, and its place in the network's state dict."""
    if isinstance(network, MobileNetV2):
        return {f"features.{key}": f"features.{key}" for key in network.features.state_dict()}
    trunk = getattr(network, "backbone", None)
    if not isinstance(trunk, ResNetTrunk):
        raise InputError(
            f"pretrained: there is no published ImageNet layout for {_trunk_name(network)}; leave --pretrained "
            "away to train it from scratch"
        )
    places = {}
    for key in trunk.state_dict():
        module, tensor = key.rsplit(".", 1)
        places[f"{DEEP_STEM.get(module, module)}.{tensor}"] = f"backbone.{key}"
    return places


def _read(file: str | Path) -> dict[str, torch.Tensor]:
    content = read_checkpoint(file)
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise InputError(f"{file}: not a state dict")
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _sum_rgb(expected: Mapping[str, torch.Tensor], published: dict[str, torch.Tensor]) -> bool:
    """Sum the RGB kernels of a ResNet's stem if the network's stem is grey; return whether they were summed."""
    own, rgb = expected.get("conv1.weight"), published.get("conv1.weight")
    if own is None or rgb is None:
        return False
    is_grey = own.shape[1] == 1 and rgb.shape == (own.shape[0], 3, *own.shape[2:])
    if is_grey:
        published["conv1.weight"] = rgb.sum(dim=1, keepdim=True)
    return is_grey


def _trunk_name(network: nn.Module) -> str:
    trunk = getattr(network, "backbone", None)
    return type(network).__name__ + (f" with {type(trunk).__name__}" if trunk is not None else "")
