"""ResNeXt101-32x8d, a teacher.

Paper: Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017. Variant: torchvision's
``resnext101_32x8d`` without its classifier; a 1x1 convolution gives the classes at stride 32 and the logits are
upsampled by 32. This interpretation fits the size that the distillation paper prints. Deviation: the stem takes the
grey image directly (one input channel). 86,740,162 parameters.

Tap points: stride2 ``backbone.act`` (64 channels), stride8 ``backbone.layer2`` (512).
"""

import torch
import torch.nn.functional as F
from monai.networks.nets.resnet import ResNetBottleneck
from torch import nn

from custom_components.networks.resnet_trunk import ResNetTrunk


class GroupedBottleneck(ResNetBottleneck):
    """MONAI's bottleneck with a 3x3 convolution in 32 groups of 8 channels (16, 32 and 64 in the later stages)."""

    def __init__(
        self, in_planes: int, planes: int, spatial_dims: int = 2, stride: int = 1, downsample=None, **kwargs
    ) -> None:
        super().__init__(in_planes, planes, spatial_dims, stride, downsample, **kwargs)
        groups = 32
        width = groups * (planes // 8)
        self.conv1 = nn.Conv2d(in_planes, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, planes * self.expansion, 1, bias=False)


class ResNeXt101(nn.Module):
    """ResNeXt101-32x8d at output stride 32, 1x1 classifier, bilinear upsampling by 32.

    Args:
        in_channels: channels of the input image.
        out_channels: number of classes C, background included.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2) -> None:
        super().__init__()
        self.backbone = ResNetTrunk([3, 4, 23, 3], in_channels, block=GroupedBottleneck, dilated=False)
        self.classifier = nn.Conv2d(2048, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B,in,H,W) of any size to logits (B,C,H,W)."""
        _, features = self.backbone(x)
        logits = self.classifier(features)
        return F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)
