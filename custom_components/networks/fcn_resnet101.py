"""FCN-ResNet101, a teacher.

Paper: Long et al., "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.
Variant: torchvision's ``fcn_resnet101`` without its auxiliary head.
Deviation: the stem takes the grey image directly (one input channel).
51,933,122 parameters.

Tap points: stride2 ``backbone.act`` (64 channels), stride8 ``backbone.layer4`` (2048).
"""

import torch
import torch.nn.functional as F
from torch import nn

from custom_components.networks.blocks import conv_bn_relu
from custom_components.networks.resnet_trunk import ResNetTrunk


class FCNResNet101(nn.Module):
    """Dilated ResNet101, one 3x3 convolution, one 1x1 classifier, bilinear upsampling by 8.

    Args:
        in_channels: channels of the input image.
        out_channels: number of classes C, background included.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2) -> None:
        super().__init__()
        self.backbone = ResNetTrunk([3, 4, 23, 3], in_channels)
        self.head = nn.Sequential(conv_bn_relu(2048, 512, 3), nn.Dropout(0.1), nn.Conv2d(512, out_channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B,in,H,W) of any size to logits (B,C,H,W)."""
        _, features = self.backbone(x)
        logits = self.head(features)
        return F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)
