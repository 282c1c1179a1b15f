"""ESPNet, a student.

Paper: Mehta et al., "ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic Segmentation", ECCV 2018.
Variant: the ESPNet of EMKD (github.com/EagleMIT/EMKD): p=2 and q=3 blocks, the grey image repeated to three channels, a
last ESP block of 5 channels for any number of classes. Deviation: an untrained classifier is plain upsampling instead
of random weights, so that each channel is the logit of its own class (as in Long et al., "Fully Convolutional Networks
for Semantic Segmentation", CVPR 2015). The classifier has no bias. With random weights at the start, a training could
turn every channel into evidence for background and make the PReLU slopes negative. Then the network would never find a
prostate again. 183,725 parameters.

Tap points: stride2 ``level1`` (16 channels), stride8 ``merge3`` (256).
"""

import torch
from torch import nn

from custom_components.networks.blocks import require_multiple_of_8, rgb_repeats


def _bn_prelu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels, eps=1e-3), nn.PReLU(channels))


def _conv_bn_prelu(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False), *_bn_prelu(out_channels)
    )


def _double(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2, bias=False)


class ESPBlock(nn.Module):
    """Efficient spatial pyramid: one convolution to a fifth of the channels, then five dilation rates in parallel.

    To avoid gridding, the outputs of the dilated convolutions are summed up step by step before they are concatenated
    (hierarchical feature fusion).

    Args:
        in_channels: channels of the input (B,in,h,w).
        out_channels: channels of the output; the remainder of the division by five goes to the undilated convolution.
        downsample: whether to halve the size (the reducing convolution is 3x3 with stride 2 instead of 1x1).
        residual: whether to add the input to the output.
    """

    def __init__(self, in_channels: int, out_channels: int, downsample: bool = False, residual: bool = False) -> None:
        super().__init__()
        fifth = out_channels // 5
        if downsample:
            self.reduce = nn.Conv2d(in_channels, fifth, 3, stride=2, padding=1, bias=False)
        else:
            self.reduce = nn.Conv2d(in_channels, fifth, 1, bias=False)
        self.undilated = nn.Conv2d(fifth, out_channels - 4 * fifth, 3, padding=1, bias=False)
        self.dilation2, *wider = (
            nn.Conv2d(fifth, fifth, 3, padding=rate, dilation=rate, bias=False) for rate in (2, 4, 8, 16)
        )
        self.wider = nn.ModuleList(wider)
        self.out = _bn_prelu(out_channels)
        self.residual = residual

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        reduced = self.reduce(x)
        levels = [self.undilated(reduced), self.dilation2(reduced)]
        for conv in self.wider:
            levels.append(levels[-1] + conv(reduced))
        merged = torch.cat(levels, dim=1)
        return self.out(x + merged if self.residual else merged)


class ESPNet(nn.Module):
    """Encoder of three levels, each with the image at reduced size as a further input, and a decoder of C channels.

    Args:
        in_channels: channels of the input image; one channel is repeated to three.
        out_channels: number of classes C, background included.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2) -> None:
        super().__init__()
        self.repeats = rgb_repeats(in_channels)
        image = in_channels * self.repeats
        self.shrink = nn.AvgPool2d(3, stride=2, padding=1)

        self.level1 = _conv_bn_prelu(image, 16, stride=2)
        self.merge1 = _bn_prelu(16 + image)
        self.down2 = ESPBlock(16 + image, 64, downsample=True)
        self.level2 = nn.Sequential(*(ESPBlock(64, 64, residual=True) for _ in range(2)))
        self.merge2 = _bn_prelu(64 + 64 + image)
        self.down3 = ESPBlock(64 + 64 + image, 128, downsample=True)
        self.level3 = nn.Sequential(*(ESPBlock(128, 128, residual=True) for _ in range(3)))
        self.merge3 = _bn_prelu(128 + 128)

        self.score3 = nn.Sequential(
            nn.Conv2d(256, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels, eps=1e-3),
            _double(out_channels, out_channels),
        )
        self.score2 = nn.Conv2d(64 + 64 + image, out_channels, 1, bias=False)
        self.decode2 = nn.Sequential(
            _bn_prelu(2 * out_channels),
            ESPBlock(2 * out_channels, 5),
            _double(5, out_channels),
            _bn_prelu(out_channels),
        )
        self.decode1 = _conv_bn_prelu(out_channels + 16 + image, out_channels)
        self.classifier = _double(out_channels, out_channels)
        with torch.no_grad():
            self.classifier.weight.copy_(torch.eye(out_channels)[:, :, None, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B,in,H,W) to logits (B,C,H,W).

        Raises:
            InputError: if H or W is not a multiple of 8.
        """
        require_multiple_of_8(x)
        image = x.repeat(1, self.repeats, 1, 1)
        half = self.shrink(image)
        quarter = self.shrink(half)

        level1 = self.merge1(torch.cat([self.level1(image), half], dim=1))
        down2 = self.down2(level1)
        level2 = self.merge2(torch.cat([self.level2(down2), down2, quarter], dim=1))
        down3 = self.down3(level2)
        level3 = self.merge3(torch.cat([down3, self.level3(down3)], dim=1))

        scores = self.decode2(torch.cat([self.score2(level2), self.score3(level3)], dim=1))
        return self.classifier(self.decode1(torch.cat([scores, level1], dim=1)))
