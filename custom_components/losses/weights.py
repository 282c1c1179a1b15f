"""The adaptive weights of several teachers: the paper's unnumbered equations before (6), and a sharper weighting."""

from collections.abc import Callable, Sequence

import torch
from monai.losses import DiceLoss
from torch import Tensor
from torch.nn import functional as F

from custom_components.foundation.errors import InputError
from custom_components.losses._tensors import check_choice, check_number, in_full_precision, segmentation_labels

MODES = ("loss", "score", "inverse", "softmin", "uniform")

# The least loss of a teacher. It avoids 0/0: if all teachers are perfect, they get equal weights. Losses above it keep
# their exact value.
FLOOR = 1e-30


@torch.no_grad()
def adaptive_weights(teacher_losses: Tensor, mode: str = "loss", temperature: float = 0.1) -> Tensor:
    """Weights of the teachers from their losses on the current batch.

    Args:
        teacher_losses: L, (n,), or (B, n) if each sample has its own weights. A loss below 0 counts as 0.
        mode: ``"loss"`` is w_j = L_j / Σ_k L_k as printed. It gives the worse teacher the larger weight: losses of .05,
            .4 and .4 give weights of .06, .47 and .47. ``"score"`` weighs by 1 - L_j, ``"inverse"`` by 1 / L_j, and
            ``"uniform"`` equally. ``"softmin"`` is w_j = exp(-L_j / τ) / Σ_k exp(-L_k / τ), the exponential weights of
            Freund and Schapire 1997 (Hedge): the same losses give .94, .03 and .03, where ``"inverse"`` gives .80, .10
            and .10.
        temperature: τ of ``"softmin"``. A teacher whose loss is greater by τ ln 2 gets half the weight.

    Returns:
        Weights of the same shape, without gradient, non-negative, with sum 1 over n.

    Raises:
        InputError: if the mode is unknown, or the temperature is 0 or below.
        ValueError: if the losses have another shape.

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
    """The Dice loss of each teacher (:class:`PooledDiceLoss`), at temperature 1, without gradient, at least 0.

    Args:
        teacher_logits: of n teachers, each (B, C, H, W).
        target: labels (B, 1, H, W).
        per_sample: whether to give one loss per image. On an image without prostate it is about 1 for every teacher.

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
    """The cross-entropy of each teacher: -log p of the mask's class, averaged over the pixels, at temperature 1.

    Unlike Dice, cross-entropy differs between teachers on a slice without prostate. Arguments, result and errors are
    those of :func:`teacher_dice_losses`.
    """
    entropies = [
        F.cross_entropy(logits, segmentation_labels(logits, target), reduction="none").flatten(1).mean(dim=1)
        for logits in teacher_logits
    ]
    by_sample = torch.stack(entropies, dim=1)
    return by_sample if per_sample else by_sample.mean(dim=0)


# The losses that decide a teacher's weight and a gate.
JUDGES: dict[str, Callable[..., Tensor]] = {"dice": teacher_dice_losses, "cross_entropy": teacher_cross_entropies}


class FixedWeights:
    """Weights in the order of the teachers, divided by their sum.

    Args:
        option: the option's name, for messages.
        weights: the weights.

    Raises:
        InputError: if a weight is negative, or all are 0.
    """

    def __init__(self, option: str, weights: Sequence[float]) -> None:
        for weight in weights:
            check_number(option, weight, least=0)
        if not sum(weights):
            raise InputError(f"loss option {option}={list(weights)} must hold a weight above 0")
        self._option = option
        self._weights = weights

    def __call__(self, n: int, like: Tensor) -> Tensor:
        """The weights (n,), with the type and device of another tensor.

        Raises:
            InputError: if there are not n weights.
        """
        if len(self._weights) != n:
            raise InputError(f"loss option {self._option}={self._weights} must name {n} teachers' weights")
        weights = like.new_tensor(self._weights)
        return weights / weights.sum()


class TeacherWeights:
    """The weights w_j of equation (6), computed from the teachers' losses or fixed.

    Args:
        weighting: a mode of :func:`adaptive_weights`, or a list of fixed weights in the order of the teachers; the list
            is divided by its sum.
        temperature: the temperature τ of the mode ``"softmin"``.
        judged_by: the loss L_j of a teacher, ``"dice"`` or ``"cross_entropy"``.
        scope: whether each ``"batch"`` or each ``"sample"`` has weights of its own. Fixed weights ignore it.

    Raises:
        InputError: if an argument has another value.
    """

    SCOPES = ("batch", "sample")

    def __init__(self, weighting: str | Sequence[float], temperature: float, judged_by: str, scope: str) -> None:
        check_choice("scope", scope, self.SCOPES)
        check_choice("judged_by", judged_by, tuple(JUDGES))
        check_number("weighting_temperature", temperature, least=0, above=True)
        self.fixed = FixedWeights("weighting", weighting) if isinstance(weighting, list | tuple) else None
        if self.fixed is None:
            check_choice("weighting", weighting, MODES)
        if weighting == "score" and judged_by != "dice":
            raise InputError(f"loss option judged_by={judged_by!r}: the weighting 'score' is 1 - Dice loss; use 'dice'")
        self.weighting = weighting
        self.temperature = temperature
        self.judge = JUDGES[judged_by]
        self.scope = scope

    def __call__(self, teacher_logits: Sequence[Tensor], target: Tensor) -> Tensor:
        """The weights for a batch.

        Args:
            teacher_logits: of n teachers, each (B, C, H, W).
            target: labels (B, 1, H, W).

        Returns:
            (n,), or (B, n) with scope "sample" and weights that are not fixed.

        Raises:
            InputError: if the number of fixed weights is not n.
        """
        n, per_sample = len(teacher_logits), self.scope == "sample"
        if self.fixed:
            return self.fixed(n, teacher_logits[0])
        if self.weighting == "uniform" or n == 1:  # fixed weights do not depend on the losses
            losses = teacher_logits[0].new_ones((len(target), n) if per_sample else (n,))
        else:
            losses = self.judge(teacher_logits, target, per_sample=per_sample)
        return adaptive_weights(losses, self.weighting, self.temperature)
