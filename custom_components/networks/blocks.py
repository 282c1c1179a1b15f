"""Building blocks that several networks use."""

import torch
from torch import nn

from custom_components.foundation.errors import InputError


def conv_bn_relu(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Convolution without bias that keeps the size (or halves it with stride 2), batch norm, ReLU.

    The ReLU is not in-place: a forward hook may hold its input or output. Autograd keeps the same tensors either way.
    """
    padding = dilation * (kernel_size // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def kaiming_init(module: nn.Module) -> None:
    """Kaiming-normal weights (fan-out) for every convolution without bias; these convolutions stand before a batch
    norm.

    The last 1x1 convolutions have a bias and keep PyTorch's weights: with a fan-out of two classes their first logits
    would be larger than 10.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and part.bias is None:
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")


def rgb_repeats(in_channels: int) -> int:
    """The number of copies of the input's channels: three for a grey image, so that RGB weights fit, otherwise one."""
    return 3 if in_channels == 1 else 1


def require_multiple_of_8(x: torch.Tensor) -> None:
    """Check the input of a network that halves its input three times and doubles it three times.

    Args:
        x: (B,C,H,W). Not checked while tracing, where sizes are not plain numbers.

    Raises:
        InputError: H or W is not a multiple of 8.
    """
    if torch.jit.is_tracing():
        return
    height, width = x.shape[2], x.shape[3]
    if height % 8 != 0 or width % 8 != 0:
        raise InputError(
            f"input height and width must be multiples of 8, got {height}x{width}; set --image_size to one"
        )


def require_batch_of_two(x: torch.Tensor, training: bool) -> None:
    """Check the batch size before a batch norm over globally pooled features, which gets one value per image and
    channel.

    Args:
        x: (B,C,H,W). Not checked while tracing, where sizes are not plain numbers.
        training: whether the calling module is in training mode.

    Raises:
        InputError: B is 1 in training mode.
    """
    if torch.jit.is_tracing():
        return
    if training and x.shape[0] == 1:
        raise InputError(
            "a training batch of 1 leaves the batch norm behind global pooling a single value per channel; "
            "set --batch_size 2 or more, and drop_last if the last batch of an epoch may hold one slice"
        )
