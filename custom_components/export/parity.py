"""A check that an exported network gives the same outputs as the original network."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from custom_components.foundation.errors import ParityError

TOLERANCE = 1e-4
# Two probabilities that differ by less than this are equal except for rounding, so either class is right.
TIE = 1e-5


def check_parity(
    name: str, exported: Callable[[torch.Tensor], torch.Tensor], network: nn.Module, batches: Iterable[torch.Tensor]
) -> float:
    """Compare class probabilities, and the class of every pixel.

    Args:
        name: name of the exported network in the error.
        exported: the exported network, from images (B, 1, H, W) to logits (B, C, H, W).
        network: the original network, in evaluation mode.
        batches: images (B, 1, H, W).

    Returns:
        The largest difference in probability.

    Raises:
        ParityError: if a probability differs by more than ``TOLERANCE``, or if a pixel's class differs without a tie.
    """
    largest = 0.0
    with torch.inference_mode():
        for images in batches:
            expected = network(images).softmax(dim=1)
            probs = exported(images).softmax(dim=1)
            difference = (probs - expected).abs().max().item()
            best, second = expected.topk(2, dim=1).values.unbind(dim=1)
            other_class = (probs.argmax(dim=1) != expected.argmax(dim=1)) & (best - second > TIE)
            # "difference > TOLERANCE" would accept NaN.
            if not difference <= TOLERANCE or other_class.any():
                raise ParityError(
                    f"{name}: is not the network: probabilities differ by {difference:.1e} (at most {TOLERANCE:g}) and "
                    f"the class of {int(other_class.sum())} pixels in a batch of {tuple(images.shape)}; nothing was "
                    "written"
                )
            largest = max(largest, difference)
    return largest
