"""Pseudo-labels: the teachers' classes in place of a mask, for the supervised terms."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from custom_components.losses._tensors import IGNORED, check_choice, in_full_precision
from custom_components.losses.prediction import mix_teachers

NONE = "none"  # no pseudo-labels, also if the preset has them
SOFT = "soft"  # the mixture's probabilities in prediction distillation; samples with a mask follow the mask alone
OF_CLASSES = ("all", "pixels", "slices")
MODES = (*OF_CLASSES, SOFT)
# The teachers agree on a pixel if those that predict the mixture's class have at least this share of the weight.
PIXELS_AGREE = 0.9
# They agree on a slice if the weighted mean Dice of their masks with the mixture's mask is at least this value.
SLICES_AGREE = 0.8


def check_pseudo_labels(mode: str | None) -> None:
    """Raises InputError unless ``mode`` is one of :data:`MODES`, :data:`NONE` or None."""
    if mode is not None:
        check_choice("pseudo_labels", mode, (*MODES, NONE))


@in_full_precision
@torch.no_grad()
def pseudo_labels(teacher_logits: Sequence[Tensor], weights: Tensor, mode: str) -> Tensor:
    """The class y of the teachers' mixture Σ_j w_j p^j at each pixel, as a mask for samples that have none.

    Where teachers disagree, a student that learns their averaged probabilities stays below one half and finds no
    prostate. A student that learns the mixture's class finds some, but also learns the mixture's errors as if they were
    a mask. So pixels on which teachers disagree can be left out (Lee 2013, Pseudo-Label, keeps all pixels).

    Args:
        teacher_logits: of n teachers, each (B, C, H, W).
        weights: the teachers' weights, (n,) or (B, n), with sum 1 over n.
        mode: ``"all"`` keeps every pixel. ``"pixels"`` leaves out a pixel if the teachers that predict y have less than
            0.9 of the weight. ``"slices"`` leaves out a slice if the weighted mean Dice of the teachers' masks with the
            mixture's mask is below 0.8.

    Returns:
        Labels (B, H, W), int64; :data:`IGNORED` at the pixels that are left out.
    """
    labels = mix_teachers(teacher_logits, weights).argmax(dim=1)
    if mode == "all":
        return labels
    own = torch.stack([logits.argmax(dim=1) for logits in teacher_logits], dim=1)
    weights = weights.expand(len(labels), -1)
    if mode == "pixels":
        share = ((own == labels[:, None]) * weights[..., None, None]).sum(dim=1)
        return labels.where(share >= PIXELS_AGREE, IGNORED)
    if mode == "slices":
        dice = _dice(own, labels[:, None], teacher_logits[0].shape[1])
        return labels.where(((dice * weights).sum(dim=1) >= SLICES_AGREE)[:, None, None], IGNORED)
    return labels


def _dice(first: Tensor, second: Tensor, num_classes: int) -> Tensor:
    """Dice (B, n) of labels (B, n, H, W) and (B, 1, H, W), over all classes except the background.

    The Dice is 1 if both hold only background.
    """
    one, other = (F.one_hot(labels, num_classes)[..., 1:].flatten(2).float() for labels in (first, second))
    total = one.sum(dim=2) + other.sum(dim=2)
    return torch.where(total > 0, 2 * (one * other).sum(dim=2) / total.clamp(min=1), 1.0)
