"""ENet, a student.

Paper: Paszke et al., "ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation", 2016.
Variant: the ENet of EMKD (github.com/EagleMIT/EMKD): the grey image is repeated to three channels, one PReLU slope per
layer, a 1x1 projection on the shortcut of the downsampling blocks, dropout 0.1 throughout.
Deviations: all eight blocks of stage 3 run (EMKD builds its fifth and never calls it); unpooling is a scatter, equal
bit for bit to ``max_unpool2d``, which neither traces nor exports to ONNX.
353,761 parameters.

Tap points: stride2 ``initial`` (16 channels), stride8 ``stage3`` (128).
"""

import torch
from torch import nn

from custom_components.networks.blocks import require_multiple_of_8, rgb_repeats


def max_unpool_2x(x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Undo a 2x2 max pooling: each value goes to the place of its maximum, and all other places are 0.

    Args:
        x: (B,K,h,w).
        indices: (B,K,h,w), positions of the maxima in the flattened 2h x 2w plane, as ``nn.MaxPool2d`` returns them.

    Returns:
        (B,K,2h,2w).

    >>> x = torch.tensor([[[[1.0, 7.0], [2.0, 3.0]]]])
    >>> max_unpool_2x(*torch.nn.functional.max_pool2d(x, 2, return_indices=True))
    tensor([[[[0., 7.],
              [0., 0.]]]])
    """
    batch, channels, height, width = x.shape
    plane = torch.zeros([batch, channels, 4 * height * width], dtype=x.dtype, device=x.device)
    plane = plane.scatter(2, indices.flatten(2), x.flatten(2))
    return plane.view(batch, channels, 2 * height, 2 * width)


def _conv_bn(in_channels: int, out_channels: int, kernel_size: int) -> list[nn.Module]:
    return [nn.Conv2d(in_channels, out_channels, kernel_size, bias=False), nn.BatchNorm2d(out_channels)]


def _bottleneck(in_channels: int, inner: int, out_channels: int, middle: list[nn.Module]) -> nn.Sequential:
    """1x1 convolution to ``inner`` channels, the ``middle`` convolution, 1x1 convolution to ``out_channels``."""
    return nn.Sequential(
        *_conv_bn(in_channels, inner, 1),
        nn.PReLU(),
        *middle,
        nn.BatchNorm2d(inner),
        nn.PReLU(),
        *_conv_bn(inner, out_channels, 1),
        nn.Dropout2d(0.1),
    )


class InitialBlock(nn.Module):
    """Map (B,in,H,W) to (B,16,H/2,W/2): a strided 3x3 convolution and the max-pooled input, concatenated."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 16 - in_channels, 3, stride=2, padding=1, bias=False)
        self.pool = nn.MaxPool2d(2)
        self.bn = nn.BatchNorm2d(16)
        self.act = nn.PReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(torch.cat([self.conv(x), self.pool(x)], dim=1)))


class Bottleneck(nn.Module):
    """Residual block for (B,K,h,w): a 3x3 convolution, dilated or not, or a 5x1 and a 1x5 one (asymmetric)."""

    def __init__(self, channels: int, inner: int, dilation: int = 1, asymmetric: bool = False) -> None:
        super().__init__()
        if asymmetric:
            middle: list[nn.Module] = [
                nn.Conv2d(inner, inner, (5, 1), padding=(2, 0), bias=False),
                nn.Conv2d(inner, inner, (1, 5), padding=(0, 2), bias=False),
            ]
        else:
            middle = [nn.Conv2d(inner, inner, 3, padding=dilation, dilation=dilation, bias=False)]
        self.branch = _bottleneck(channels, inner, channels, middle)
        self.act = nn.PReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.branch(x))


class DownsamplingBottleneck(nn.Module):
    """Residual block that halves the size, and also returns the positions of the maxima (B,in,h/2,w/2)."""

    def __init__(self, in_channels: int, inner: int, out_channels: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2, return_indices=True)
        self.project = nn.Sequential(*_conv_bn(in_channels, out_channels, 1))
        self.branch = _bottleneck(in_channels, inner, out_channels, [nn.Conv2d(inner, inner, 2, stride=2, bias=False)])
        self.act = nn.PReLU()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled, indices = self.pool(x)
        return self.act(self.project(pooled) + self.branch(x)), indices


class UpsamplingBottleneck(nn.Module):
    """Residual block that doubles the size; its shortcut is unpooled to the encoder's ``indices`` (B,out,h,w)."""

    def __init__(self, in_channels: int, inner: int, out_channels: int) -> None:
        super().__init__()
        self.project = nn.Sequential(*_conv_bn(in_channels, out_channels, 1))
        self.branch = _bottleneck(
            in_channels, inner, out_channels, [nn.ConvTranspose2d(inner, inner, 2, stride=2, bias=False)]
        )
        self.act = nn.PReLU()

    def forward(self, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        return self.act(max_unpool_2x(self.project(x), indices) + self.branch(x))


def _context_blocks() -> list[nn.Module]:
    """The eight blocks of stage 2, and also of stage 3. Their receptive field grows to the size of the image."""
    return [
        Bottleneck(128, 32),
        Bottleneck(128, 32, dilation=2),
        Bottleneck(128, 32, asymmetric=True),
        Bottleneck(128, 32, dilation=4),
        Bottleneck(128, 32),
        Bottleneck(128, 32, dilation=8),
        Bottleneck(128, 32, asymmetric=True),
        Bottleneck(128, 32, dilation=16),
    ]


class ENet(nn.Module):
    """Encoder of three stages (stride 2, 4, 8) and a smaller decoder of two.

    Args:
        in_channels: channels of the input image; one channel is repeated to three.
        out_channels: number of classes C, background included.
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2) -> None:
        super().__init__()
        self.repeats = rgb_repeats(in_channels)
        self.initial = InitialBlock(in_channels * self.repeats)
        self.down1 = DownsamplingBottleneck(16, 16, 64)
        self.stage1 = nn.Sequential(*(Bottleneck(64, 16) for _ in range(4)))
        self.down2 = DownsamplingBottleneck(64, 32, 128)
        self.stage2 = nn.Sequential(*_context_blocks())
        self.stage3 = nn.Sequential(*_context_blocks())
        self.up4 = UpsamplingBottleneck(128, 16, 64)
        self.stage4 = nn.Sequential(*(Bottleneck(64, 16) for _ in range(2)))
        self.up5 = UpsamplingBottleneck(64, 4, 16)
        self.stage5 = Bottleneck(16, 4)
        self.classifier = nn.ConvTranspose2d(16, out_channels, 2, stride=2, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images (B,in,H,W) to logits (B,C,H,W).

        Raises:
            InputError: if H or W is not a multiple of 8.
        """
        require_multiple_of_8(x)
        x = self.initial(x.repeat(1, self.repeats, 1, 1))
        x, indices1 = self.down1(x)
        x, indices2 = self.down2(self.stage1(x))
        x = self.stage3(self.stage2(x))
        x = self.stage4(self.up4(x, indices2))
        x = self.stage5(self.up5(x, indices1))
        return self.classifier(x)
