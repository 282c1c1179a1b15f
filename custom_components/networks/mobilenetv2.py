"""MobileNetV2, a student.

Paper: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018. Variant: the MobileNetV2 of
EMKD (github.com/EagleMIT/EMKD): stage strides 1, 1, 2, 1, 1, 2, 1 behind a strided stem (output stride 8, no dilation),
the grey image repeated to three channels, a 1x1 convolution on the 1280 features. Deviations: EMKD's unused linear
classifier is left out; the 1x1 classifier starts with PyTorch's weights (Kaiming fan-out would make the first logits
larger than 10). 2,226,434 parameters. The parameters in ``features`` have torchvision's names, so that torchvision's
ImageNet weights fit.

Tap points: stride2 ``features.0`` (32 channels), stride8 ``features.18`` (1280).
"""

import torch
import torch.nn.functional as F
from torch import nn

from custom_components.networks.blocks import kaiming_init, rgb_repeats

# expansion factor, channels, number of blocks, stride of the first block
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 1),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _conv_bn_relu6(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """For features (B,K,h,w): a 1x1 convolution to more channels, a depthwise one, and a 1x1 one to fewer channels.

    The last convolution has no ReLU6 behind it. There is a shortcut if the shape stays the same.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = in_channels * expansion
        widen = [_conv_bn_relu6(in_channels, width, 1)] if expansion > 1 else []
        self.conv = nn.Sequential(
            *widen,
            _conv_bn_relu6(width, width, 3, stride, groups=width),
            nn.Conv2d(width, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.shortcut else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2 features at output stride 8, 1x1 classifier, bilinear upsampling by 8.

    Args:
        in_channels: channels of the input image; one channel is repeated to three.
        out_channels: number of classes C, background included.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2) -> None:
        super().__init__()
        self.repeats = rgb_repeats(in_channels)
        features: list[nn.Module] = [_conv_bn_relu6(in_channels * self.repeats, 32, 3, stride=2)]
        channels = 32
        for expansion, out, blocks, stride in STAGES:
            for i in range(blocks):
                features.append(InvertedResidual(channels, out, stride if i == 0 else 1, expansion))
                channels = out
        features.append(_conv_bn_relu6(channels, 1280, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Conv2d(1280, out_channels, 1)
        kaiming_init(self.features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B,in,H,W) of any size to logits (B,C,H,W)."""
        logits = self.classifier(self.features(x.repeat(1, self.repeats, 1, 1)))
        return F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=True)
