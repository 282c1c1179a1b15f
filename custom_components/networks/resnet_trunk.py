"""ResNet without its classifier: the trunk of FCN-ResNet101, PSPNet, ResNeXt101 and the DeepLabV3+ ResNet50 variant.

Paper: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; dilation as in Chen et al., "Rethinking
Atrous Convolution for Semantic Image Segmentation", 2017. The layers are MONAI's, with torchvision's parameter names
(``conv1``, ``bn1``, ``layer1`` ...), so that ImageNet weights of torchvision fit the plain stem.

Tap points: ``act`` (stride 2, 64 channels), ``layer1`` (4, 256), ``layer2`` (8, 512), ``layer3`` and ``layer4``
(1024 and 2048; stride 8 when dilated, else 16 and 32).
"""

import torch
from monai.networks.nets.resnet import ResNet, ResNetBottleneck
from torch import nn

from custom_components.networks.blocks import conv_bn_relu, kaiming_init


class ResNetTrunk(ResNet):
    """Bottleneck ResNet that returns feature maps.

    Args:
        layers: number of blocks in each of the four stages, such as [3, 4, 6, 3] for ResNet50.
        in_channels: channels of the input image.
        block: the residual block.
        dilated: whether stages 3 and 4 have dilation 2 and 4 instead of a stride: output stride 8 instead of 32.
        deep_stem: whether the stem has three 3x3 convolutions (64, 64, 128 channels) instead of one 7x7 (64 channels).
    """

    def __init__(
        self,
        layers: list[int],
        in_channels: int,
        block: type[ResNetBottleneck] = ResNetBottleneck,
        dilated: bool = True,
        deep_stem: bool = False,
    ) -> None:
        super().__init__(
            block,
            layers,
            [64, 128, 256, 512],
            spatial_dims=2,
            n_input_channels=in_channels,
            conv1_t_size=3 if deep_stem else 7,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
            act=("relu", {"inplace": False}),  # the stride-2 tap
        )
        self.stem_rest = nn.Identity()
        if deep_stem:
            self._deepen_stem()
        if dilated:
            _dilate(self.layer3, 2)
            _dilate(self.layer4, 4)

    def _deepen_stem(self) -> None:
        self.stem_rest = nn.Sequential(conv_bn_relu(64, 64, 3), conv_bn_relu(64, 128, 3))
        first_block = self.layer1[0]
        first_block.conv1 = nn.Conv2d(128, 64, kernel_size=1, bias=False)
        first_block.downsample[0] = nn.Conv2d(128, 256, kernel_size=1, bias=False)
        for replaced in (self.stem_rest, first_block):
            kaiming_init(replaced)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the features of an image (B,in,H,W).

        Returns:
            layer1 (B,256,H/4,W/4) and layer4 (B,2048,H/8,W/8), the latter H/32 by W/32 if not dilated. Sizes round up.
        """
        x = self.act(self.bn1(self.conv1(x)))
        x = self.maxpool(self.stem_rest(x))
        low = self.layer1(x)
        high = self.layer4(self.layer3(self.layer2(low)))
        return low, high


def _dilate(stage: nn.Module, dilation: int) -> None:
    """Replace the stride of a stage by dilation.

    The first 3x3 convolution of the stage, which had the stride, gets half of ``dilation``, as in the stage before.
    """
    for conv in stage.modules():
        if not isinstance(conv, nn.Conv2d):
            continue
        if conv.kernel_size == (3, 3):
            rate = dilation // 2 if conv.stride == (2, 2) else dilation
            conv.dilation = conv.padding = (rate, rate)
        conv.stride = (1, 1)
