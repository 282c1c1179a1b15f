"""DeepLabV3+, a teacher.

Paper: Chen et al., "Encoder-Decoder with Atrous Separable Convolution for Semantic Image Segmentation", ECCV 2018.
Variant: the DeepLabV3+ of EMKD (github.com/EagleMIT/EMKD): Xception-65 at output stride 8, rates 12, 24 and 36, a 3x3
convolution to 48 channels on the skip, dense decoder convolutions, dropout 0.5 after ASPP. The distillation paper
prints the size of this variant, although its text names a ResNet50: ``backbone="resnet50"`` builds the ResNet50
variant, with the paper's 1x1 convolution on the skip. Deviations: that of the trunk (xception.py), and EMKD's
unused 1000-class layer is left out. 54,746,962 parameters (ResNet50: 40,341,026).

Tap points: stride2 ``backbone.stem`` (32 channels), stride8 ``backbone.exit_flow`` (2048).
With ResNet50: stride2 ``backbone.act`` (64), stride8 ``backbone.layer4`` (2048).
"""

import torch
import torch.nn.functional as F
from torch import nn

from custom_components.networks.blocks import conv_bn_relu, require_batch_of_two
from custom_components.networks.resnet_trunk import ResNetTrunk
from custom_components.networks.xception import Xception65


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: a 1x1 convolution, three dilated ones and the image mean, fused to 256 channels.

    Args:
        in_channels: channels K of the features.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.local = nn.ModuleList(
            [conv_bn_relu(in_channels, 256, 1)]
            + [conv_bn_relu(in_channels, 256, 3, dilation=rate) for rate in (12, 24, 36)]
        )
        self.image = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_bn_relu(in_channels, 256, 1))
        self.fuse = nn.Sequential(conv_bn_relu(5 * 256, 256, 1), nn.Dropout(0.5))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features (B,K,h,w) to (B,256,h,w).

        Raises:
            InputError: if the batch holds one image in training mode.
        """
        require_batch_of_two(features, self.training)
        branches = []
        for branch in self.local:
            branches.append(branch(features))
        branches.append(self.image(features).expand_as(branches[0]))
        return self.fuse(torch.cat(branches, dim=1))


class DeepLabV3Plus(nn.Module):
    """Dilated trunk, ASPP, and a decoder that adds the stride-4 features.

    Args:
        in_channels: channels of the input image.
        out_channels: number of classes C, background included.
        backbone: "xception65" or "resnet50".

    Raises:
        ValueError: if ``backbone`` is another text.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2, backbone: str = "xception65") -> None:
        super().__init__()
        if backbone == "xception65":
            self.backbone: nn.Module = Xception65(in_channels)
            self.skip = conv_bn_relu(128, 48, 3)
        elif backbone == "resnet50":
            self.backbone = ResNetTrunk([3, 4, 6, 3], in_channels)
            self.skip = conv_bn_relu(256, 48, 1)
        else:
            raise ValueError(f'backbone must be "xception65" or "resnet50", got "{backbone}"')
        self.aspp = ASPP(2048)
        self.decoder = nn.Sequential(
            conv_bn_relu(256 + 48, 256, 3),
            nn.Dropout(0.5),
            conv_bn_relu(256, 256, 3),
            nn.Dropout(0.1),
            nn.Conv2d(256, out_channels, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B,in,H,W) of any size to logits (B,C,H,W).

        Raises:
            InputError: if the batch holds one image in training mode.
        """
        low, high = self.backbone(x)
        context = F.interpolate(self.aspp(high), size=low.shape[-2:], mode="bilinear", align_corners=True)
        logits = self.decoder(torch.cat([context, self.skip(low)], dim=1))
        return F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=True)
