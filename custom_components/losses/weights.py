"""The adaptive weights of several teachers: the unnumbered equations before (6) of the paper, and a sharper one."""

from collections.abc import Callable, Sequence

import torch
from monai.losses import DiceLoss
from torch import Tensor
from torch.nn import functional as F

from custom_components.errors import InputError
from custom_components.losses._tensors import check_choice, check_number, in_full_precision, segmentation_labels

MODES = ("loss", "score", "inverse", "softmin", "uniform")

# Keeps 0/0 out: all-perfect teachers get equal weights. A floor, not an added constant: small losses stay exact.
FLOOR = 1e-30


@torch.no_grad()
def adaptive_weights(teacher_losses: Tensor, mode: str = "loss", temperature: float = 0.1) -> Tensor:
    """Weights of the teachers from their losses on the current batch.

    Args:
        teacher_losses: L, (n,) or, for weights of each sample, (B, n). Below 0 counts as 0.
        mode: ``"loss"`` is w_j = L_j / Σ_k L_k as printed. Mind that it favours the worse teacher: losses of .05, .4
            and .4 give weights of .06, .47 and .47. ``"score"`` weighs by 1 - L_j, ``"inverse"`` by 1 / L_j, and
            ``"uniform"`` equally. ``"softmin"`` is w_j = exp(-L_j / τ) / Σ_k exp(-L_k / τ), the exponential weights
            of Freund and Schapire 1997 (Hedge): the same losses give .94, .03 and .03, where ``"inverse"`` gives
            .80, .10 and .10.
        temperature: τ of ``"softmin"``. A teacher whose loss is greater by τ ln 2 gets half the weight.

    Returns:
        The same shape, without gradient: non-negative, of sum 1 over n.

    Raises:
        InputError: on another mode, or a temperature of 0 or below.
        ValueError: on another shape.

    >>> losses = torch.tensor([0.1, 0.4])
    >>> adaptive_weights(losses)
    tensor([0.2000, 0.8000])
    >>> adaptive_weights(losses, "inverse")
    tensor([0.8000, 0.2000])
    """
    check_choice("weighting", mode, MODES)
    check_number("weighting_temperature", temperature, least=0, above=True)
    if teacher_losses.ndim not in (1, 2) or not teacher_losses.shape[-1]:
        raise ValueError(f"teacher losses must be (n,) or (B, n), not {tuple(teacher_losses.shape)}")
    losses = teacher_losses.clamp(min=FLOOR)
    if mode == "softmin":
        return torch.softmax(-losses / temperature, dim=-1)
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
    """Dice loss of each teacher, as :class:`PooledDiceLoss` has it, at temperature 1, without gradient, at least 0.

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


@in_full_precision
@torch.no_grad()
def teacher_cross_entropies(teacher_logits: Sequence[Tensor], target: Tensor, per_sample: bool = False) -> Tensor:
    """Cross-entropy of each teacher, -log p of the mask's class, the mean over the pixels, at temperature 1.

    It also tells teachers apart on a slice without prostate. Arguments, result and errors are those of
    :func:`teacher_dice_losses`.
    """
    entropies = [
        F.cross_entropy(logits, segmentation_labels(logits, target), reduction="none").flatten(1).mean(dim=1)
        for logits in teacher_logits
    ]
    by_sample = torch.stack(entropies, dim=1)
    return by_sample if per_sample else by_sample.mean(dim=0)


# The losses by which teachers are judged, for their weights and for a gate.
JUDGES: dict[str, Callable[..., Tensor]] = {"dice": teacher_dice_losses, "cross_entropy": teacher_cross_entropies}


class TeacherWeights:
    """The w_j of equation (6), as a loss is told to take them.

    Args:
        weighting: a mode of :func:`adaptive_weights`, or a list of fixed weights in the order of the teachers, divided
            by its sum.
        temperature: of the mode ``"softmin"``.
        judged_by: the loss L_j of a teacher, ``"dice"`` or ``"cross_entropy"``.
        scope: adapt the weights to the ``"batch"`` or to each ``"sample"``. Fixed weights need neither.

    Raises:
        InputError: on other values.
    """

    SCOPES = ("batch", "sample")

    def __init__(self, weighting: str | Sequence[float], temperature: float, judged_by: str, scope: str) -> None:
        check_choice("scope", scope, self.SCOPES)
        check_choice("judged_by", judged_by, tuple(JUDGES))
        check_number("weighting_temperature", temperature, least=0, above=True)
        self.fixed = isinstance(weighting, list | tuple)
        if self.fixed:
            for weight in weighting:
                check_number("weighting", weight, least=0)
            if not sum(weighting):
                raise InputError(f"loss option weighting={list(weighting)} must hold a weight above 0")
        else:
            check_choice("weighting", weighting, MODES)
        if weighting == "score" and judged_by != "dice":
            raise InputError(f"loss option judged_by={judged_by!r}: the weighting 'score' is 1 - Dice loss; use 'dice'")
        self.weighting = weighting
        self.temperature = temperature
        self.judge = JUDGES[judged_by]
        self.scope = scope

    def __call__(self, teacher_logits: Sequence[Tensor], target: Tensor) -> Tensor:
        """
        Args:
            teacher_logits: of n teachers, each (B, C, H, W).
            target: labels (B, 1, H, W).

        Returns:
            (n,), or (B, n) under scope "sample" unless they are fixed.

        Raises:
            InputError: if the fixed weights are not n.
        """
        n, per_sample = len(teacher_logits), self.scope == "sample"
        if self.fixed:
            if len(self.weighting) != n:
                raise InputError(f"loss option weighting={self.weighting} must name {n} teachers' weights")
            weights = teacher_logits[0].new_tensor(self.weighting)
            return weights / weights.sum()
        if self.weighting == "uniform" or n == 1:  # whatever their losses are
            losses = teacher_logits[0].new_ones((len(target), n) if per_sample else (n,))
        else:
            losses = self.judge(teacher_logits, target, per_sample=per_sample)
        return adaptive_weights(losses, self.weighting, self.temperature)
