"""PSPNet with a ResNet50, a teacher.

Paper: Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017.
Variant: the PSPNet of EMKD (github.com/EagleMIT/EMKD): deep stem 64-64-128, pyramid bins 1, 2, 3 and 6, no auxiliary
branch, the grey image repeated to three channels.
Deviations: batch norms start with bias 0; the head's convolutions start with Kaiming weights by fan-out instead of
fan-in; the pyramid's pooling is a matrix product. The product equals ``nn.AdaptiveAvgPool2d``, which ONNX has for fixed
sizes only.
46,706,626 parameters.

Tap points: stride2 ``backbone.act`` (first convolution of the stem, 64 channels), stride8 ``backbone.layer4`` (2048).
"""

import torch
import torch.nn.functional as F
from torch import nn

from custom_components.networks.blocks import conv_bn_relu, kaiming_init, require_batch_of_two, rgb_repeats
from custom_components.networks.resnet_trunk import ResNetTrunk


def bin_averages(bins: int, length: int) -> torch.Tensor:
    """A matrix (bins, length); row i averages positions floor(i length / bins) to ceil((i+1) length / bins).

    >>> bin_averages(bins=2, length=3)
    tensor([[0.5000, 0.5000, 0.0000],
            [0.0000, 0.5000, 0.5000]])
    """
    edges = torch.arange(bins + 1) * length
    start, end = edges[:-1, None] // bins, (edges[1:, None] + bins - 1) // bins
    position = torch.arange(length)
    inside = (start <= position) & (position < end)
    return inside / (end - start)


class GridAverage(nn.Module):
    """Averages over a grid of bins x bins: (B,K,h,w) to (B,K,bins,bins), as ``nn.AdaptiveAvgPool2d(bins)``."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        rows = bin_averages(self.bins, features.shape[2]).to(features)
        columns = bin_averages(self.bins, features.shape[3]).to(features)
        return rows @ (features @ columns.T)


class PyramidPooling(nn.Module):
    """Concatenates features and their averages over grids of 1x1, 2x2, 3x3 and 6x6 bins: (B,K,h,w) to (B,2K,h,w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        bins = (1, 2, 3, 6)
        self.branches = nn.ModuleList(
            nn.Sequential(GridAverage(size), conv_bn_relu(channels, channels // len(bins), 1)) for size in bins
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Concatenate ``features`` (B,K,h,w) with the four pooled maps, K/4 channels each.

        Raises:
            InputError: if the batch holds one image in training mode.
        """
        require_batch_of_two(features, self.training)
        levels = [features]
        for branch in self.branches:
            pooled = branch(features)
            levels.append(F.interpolate(pooled, size=features.shape[-2:], mode="bilinear", align_corners=True))
        return torch.cat(levels, dim=1)


class PSPNet(nn.Module):
    """Dilated ResNet50, pyramid pooling, one 3x3 convolution, one 1x1 classifier, bilinear upsampling by 8.

    Args:
        in_channels: channels of the input image; one channel is repeated to three.
        out_channels: number of classes C, background included.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2) -> None:
        super().__init__()
        self.repeats = rgb_repeats(in_channels)
        self.backbone = ResNetTrunk([3, 4, 6, 3], in_channels * self.repeats, deep_stem=True)
        self.head = nn.Sequential(
            PyramidPooling(2048), conv_bn_relu(4096, 512, 3), nn.Dropout2d(0.1), nn.Conv2d(512, out_channels, 1)
        )
        kaiming_init(self.head)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B,in,H,W) of any size to logits (B,C,H,W).

        Raises:
            InputError: if the batch holds one image in training mode.
        """
        _, features = self.backbone(x.repeat(1, self.repeats, 1, 1))
        logits = self.head(features)
        return F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=True)
