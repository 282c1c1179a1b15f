"""The adaptive weights of several teachers: the unnumbered equations before (6) of the paper."""

from collections.abc import Sequence

import torch
from monai.losses import DiceLoss
from torch import Tensor

from custom_components.losses._tensors import check_choice, in_full_precision, segmentation_labels

MODES = ("loss", "score", "inverse", "uniform")

# Keeps 0/0 out: all-perfect teachers get equal weights. A floor, not an added constant: small losses stay exact.
FLOOR = 1e-30


@torch.no_grad()
def adaptive_weights(teacher_losses: Tensor, mode: str = "loss") -> Tensor:
    """Weights of the teachers from their Dice losses on the current batch.

    Args:
        teacher_losses: Dice losses L, (n,) or, for weights of each sample, (B, n). Below 0 counts as 0.
        mode: ``"loss"`` is w_j = L_j / Σ_k L_k as printed. Mind that it favours the worse teacher: losses of .05, .4
            and .4 give weights of .06, .47 and .47. ``"score"`` weighs by 1 - L_j, ``"inverse"`` by 1 / L_j, and
            ``"uniform"`` equally.

    Returns:
        The same shape, without gradient: non-negative, of sum 1 over n.

    Raises:
        InputError: on another mode.
        ValueError: on another shape.
    """
    check_choice("weighting", mode, MODES)
    if teacher_losses.ndim not in (1, 2) or not teacher_losses.shape[-1]:
        raise ValueError(f"teacher losses must be (n,) or (B, n), not {tuple(teacher_losses.shape)}")
    losses = teacher_losses.clamp(min=FLOOR)
    if mode == "score":
        merits = (1 - losses).clamp(min=FLOOR)
    elif mode == "inverse":
        merits = 1 / losses
    elif mode == "uniform":
        merits = torch.ones_like(losses)
    else:
        merits = losses
    return merits / merits.sum(dim=-1, keepdim=True)


@in_full_precision
@torch.no_grad()
def teacher_dice_losses(teacher_logits: Sequence[Tensor], target: Tensor, per_sample: bool = False) -> Tensor:
    """Dice loss of each teacher, as in :class:`SegmentationLoss`, at temperature 1, without gradient, at least 0.

    Args:
        teacher_logits: of n teachers, each (B, C, H, W).
        target: labels (B, 1, H, W).
        per_sample: one loss per image. On an image without prostate it is about 1 for every teacher.

    Returns:
        (n,), or (B, n) if ``per_sample``.

    Raises:
        ValueError: on shapes or devices that do not fit; InputError on labels outside 0 to C-1.
    """
    dice = DiceLoss(softmax=True, to_onehot_y=True, include_background=False, batch=not per_sample, reduction="none")
    labels = [segmentation_labels(logits, target)[:, None] for logits in teacher_logits]
    losses = [dice(logits, y) for logits, y in zip(teacher_logits, labels, strict=True)]
    if per_sample:
        return torch.stack([loss.flatten(1).mean(dim=1) for loss in losses], dim=1).clamp(min=0)
    return torch.stack([loss.mean() for loss in losses]).clamp(min=0)
