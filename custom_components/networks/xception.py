"""Xception-65 without its classifier, dilated to output stride 8: the trunk of DeepLabV3+.

Paper: Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation", ECCV 2018
(modified aligned Xception). Variant: the Xception-65 of EMKD (github.com/EagleMIT/EMKD), with its quirk: the second
separable convolution of the exit block has no batch norm behind it.
Deviation: EMKD's in-place ReLU at the head of a block also rectifies the block's shortcut; here, as in the paper, the
shortcut is linear.

Tap points: ``stem`` (stride 2, 32 channels), ``entry1`` (4, 128, before its ReLU), ``exit_flow`` (8, 2048).
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from custom_components.networks.blocks import conv_bn_relu


def _separable_conv(in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3x3 depthwise convolution, batch norm, 1x1 convolution."""
    return nn.Sequential(
        nn.Conv2d(in_channels, in_channels, 3, stride, dilation, dilation, groups=in_channels, bias=False),
        nn.BatchNorm2d(in_channels),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
    )


class XceptionBlock(nn.Module):
    """Three separable convolutions with a shortcut around them, for features (B,K,h,w).

    Args:
        channels: channels before, between and after the three convolutions.
        stride: stride of the last convolution and of the shortcut.
        dilation: dilation of all three.
        leading_relu: whether the block starts with a ReLU; false if the input comes from a ReLU.
        middle_norm: whether there is a batch norm after the second convolution.
    """

    def __init__(
        self,
        channels: tuple[int, int, int, int],
        stride: int = 1,
        dilation: int = 1,
        leading_relu: bool = True,
        middle_norm: bool = True,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(channels)):
            if i > 0 or leading_relu:
                layers.append(nn.ReLU())
            layers.append(_separable_conv(before, after, stride if i == 2 else 1, dilation))
            if i != 1 or middle_norm:
                layers.append(nn.BatchNorm2d(after))
        self.convs = nn.Sequential(*layers)
        if channels[0] == channels[3] and stride == 1:
            self.shortcut: nn.Module = nn.Identity()
        else:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels[0], channels[3], 1, stride, bias=False), nn.BatchNorm2d(channels[3])
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.convs(x) + self.shortcut(x)


class Xception65(nn.Module):
    """Entry, middle and exit flow at output stride 8.

    Args:
        in_channels: channels of the input image.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.stem = conv_bn_relu(in_channels, 32, 3, stride=2)
        self.stem_rest = conv_bn_relu(32, 64, 3)
        self.entry1 = XceptionBlock((64, 128, 128, 128), stride=2, leading_relu=False)
        self.entry2 = XceptionBlock((128, 256, 256, 256), stride=2, leading_relu=False)
        self.entry3 = XceptionBlock((256, 728, 728, 728))
        self.middle_flow = nn.Sequential(*(XceptionBlock((728, 728, 728, 728), dilation=2) for _ in range(16)))
        self.exit_block = XceptionBlock((728, 728, 1024, 1024), dilation=2, middle_norm=False)
        exit_layers: list[nn.Module] = [nn.ReLU()]
        for before, after in ((1024, 1536), (1536, 1536), (1536, 2048)):
            exit_layers += [_separable_conv(before, after, dilation=4), nn.BatchNorm2d(after), nn.ReLU()]
        self.exit_flow = nn.Sequential(*exit_layers)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the features of an image (B,in,H,W).

        Returns:
            Low-level features (B,128,H/4,W/4) and exit features (B,2048,H/8,W/8). Sizes round up.
        """
        low = F.relu(self.entry1(self.stem_rest(self.stem(x))))
        x = self.entry3(self.entry2(low))
        high = self.exit_flow(self.exit_block(self.middle_flow(x)))
        return low, high
