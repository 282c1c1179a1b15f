"""The teachers' weights on samples without a mask, on which nobody knows which teacher is right."""

from collections.abc import Sequence

import torch
from torch import Tensor

from custom_components.losses._tensors import check_choice, in_full_precision
from custom_components.losses.weights import FixedWeights, adaptive_weights

# Two modes whose weights must be measured before the training.
MEASURED = ("site", "statistics")
MODES = ("uniform", "agreement", *MEASURED)


@in_full_precision
@torch.no_grad()
def agreement_losses(teacher_logits: Sequence[Tensor]) -> Tensor:
    """1 - soft Dice of each teacher with the consensus, for each sample. The consensus p is the mean of all p_j.

    Dice_j = (2 Σ p_j p + 1) / (Σ p_j² + Σ p² + 1), with sums over the pixels and the classes other than background. If
    no teacher finds anything on a slice, all losses are about 0. If a teacher finds nothing where another teacher finds
    a prostate, its loss is near 1, however sure it is. If most teachers are wrong in the same way, they have the least
    loss.

    Args:
        teacher_logits: the logits of n teachers, each (B, C, H, W).

    Returns:
        Losses (B, n), between 0 and 1.

    >>> sure, blind = torch.tensor([-9.0, 9.0]).view(1, 2, 1, 1), torch.tensor([9.0, -9.0]).view(1, 2, 1, 1)
    >>> agreement_losses([sure.expand(1, 2, 8, 8), blind.expand(1, 2, 8, 8)])  # 1 - 65 / 81 and 1 - 1 / 17
    tensor([[0.1975, 0.9412]])
    """
    probs = torch.stack([logits.softmax(dim=1)[:, 1:].flatten(1) for logits in teacher_logits], dim=1)
    consensus = probs.mean(dim=1, keepdim=True)
    # The 1 is a smoothing by one pixel. On an empty slice both sums are small, and their ratio alone would be noise.
    shared = 2 * (probs * consensus).sum(dim=2) + 1
    return 1 - shared / (probs.square().sum(dim=2) + consensus.square().sum(dim=2) + 1)


class UnlabeledWeights:
    """The weights w_j of equation (6) on samples without a mask.

    Args:
        weighting: ``"uniform"``; ``"agreement"``, the softmin of :func:`agreement_losses` on each slice; ``"site"`` or
            ``"statistics"``, one weight for each teacher, which :func:`custom_components.teachers.measured_weights`
            computes and :meth:`use` sets before the training; or a list with a weight for each teacher, which is
            divided by its sum.
        temperature: τ of the softmin of ``"agreement"``.

    Raises:
        InputError: if ``weighting`` has another value.
    """

    def __init__(self, weighting: str | Sequence[float], temperature: float) -> None:
        self.weighting = weighting
        self._temperature = temperature
        self._fixed: FixedWeights | None = None
        if isinstance(weighting, list | tuple):
            self.use(weighting)
        else:
            check_choice("unlabeled_weighting", weighting, MODES)

    def use(self, weights: Sequence[float]) -> None:
        """Set the teachers' weights, which are divided by their sum."""
        self._fixed = FixedWeights("unlabeled_weighting", weights)

    def __call__(self, teacher_logits: Sequence[Tensor]) -> Tensor:
        """Weights (B, n) for the logits (B, C, H, W) of n teachers.

        Raises:
            InputError: if the number of fixed weights is not n.
            ValueError: if the weights are not measured yet.
        """
        like = teacher_logits[0]
        if self._fixed is not None:
            return self._fixed(len(teacher_logits), like).expand(len(like), -1).clone()
        if self.weighting in MEASURED:
            raise ValueError(f"unlabeled_weighting {self.weighting}: the weights were not measured before the training")
        if self.weighting == "uniform":
            return like.new_full((len(like), len(teacher_logits)), 1 / len(teacher_logits))
        return adaptive_weights(agreement_losses(teacher_logits), "softmin", self._temperature)
