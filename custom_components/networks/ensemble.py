"""The mean of several networks, as one network."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Slices are in RAS order, so the first axis of a slice (B, C, H, W) runs from the patient's left to the right.
LEFT_RIGHT = 2


class Ensemble(nn.Module):
    """The mean of the probabilities of several networks.

    The logits are log Σ_j p^j / n. Their softmax is the mean of the members' probabilities (Lakshminarayanan et al.
    2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", section 2.4).

    Args:
        members: networks from (B, in, H, W) to (B, C, H, W) logits, with the same C.
        flips: whether each member also sees the slice with left and right exchanged; the mean is then over 2n outputs.

    >>> one, other = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 1)
    >>> image = torch.rand(1, 1, 8, 8)
    >>> mean = (one(image).softmax(1) + other(image).softmax(1)) / 2
    >>> torch.allclose(Ensemble([one, other])(image).softmax(1), mean)
    True
    """

    def __init__(self, members: Sequence[nn.Module], flips: bool = False) -> None:
        super().__init__()
        if not members:
            raise ValueError("an ensemble needs a member")
        self.members = nn.ModuleList(members)
        self.flips = flips

    def forward(self, image: Tensor) -> Tensor:
        """The mean of the members' probabilities.

        Args:
            image: (B, in, H, W).

        Returns:
            Logits (B, C, H, W): the logarithm of the mean probabilities.
        """
        outputs = [member(image).log_softmax(dim=1) for member in self.members]
        if self.flips:
            mirrored = image.flip(LEFT_RIGHT)
            outputs += [member(mirrored).flip(LEFT_RIGHT).log_softmax(dim=1) for member in self.members]
        return torch.stack(outputs).logsumexp(dim=0) - math.log(len(outputs))
