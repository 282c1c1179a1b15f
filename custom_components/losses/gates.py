"""Gates: rules for where the student does not follow wrong teachers. Neither the paper nor EMKD has a gate."""

import torch
from torch import Tensor
from torch.nn import functional as F

from custom_components.losses._tensors import check_choice

GATES = ("right", "better")


class Gate:
    """A factor g, from 0 to 1, of the distilling terms' values; a value with g = 0 adds 0 to the mean.

    A gate looks at the teachers' mixture p^t = Σ_j w_j p^j; y is the mask's class.

    ``"right"``, for each pixel: g = 1 where argmax_c p^t_c = y, else 0. The student follows the teachers only where
    they are right, as in the bias elimination of Zhang et al. 2024 (arXiv 2412.09874). The terms that compare features
    use p^t at temperature 1. Prediction distillation uses p^t at its own temperature, and also requires p^t_y >= p^s_y:
    a student that is surer than a right teacher would otherwise be pulled away from the mask's class. So no pixel's
    gradient points away from that class.

    ``"better"``, for each slice: g = 1 where the mixture's loss is below the student's, else 0.

    On a sample without a mask g = 1, because nobody knows where the teachers are right.

    Args:
        pixels: whether the student follows the teachers, (B, H, W), bool.
        labels: (B, H, W), int64.
        one_sided: whether prediction distillation also requires a teacher that is at least as sure as the student.
        has_mask: whether each sample has a mask, (B,), bool; None means that all have one.
    """

    def __init__(self, pixels: Tensor, labels: Tensor, one_sided: bool, has_mask: Tensor | None = None) -> None:
        self._no_mask = None if has_mask is None else ~has_mask[:, None, None]
        self._pixels = self._open(pixels)
        self._labels = labels
        self._one_sided = one_sided

    @classmethod
    def right(cls, log_mixture: Tensor, labels: Tensor, has_mask: Tensor | None = None) -> "Gate":
        """The gate ``"right"``.

        Args:
            log_mixture: log p^t (B, C, H, W).
            labels: (B, H, W).
            has_mask: (B,), bool, or None.
        """
        return cls(_is_right(log_mixture, labels), labels, True, has_mask)

    @classmethod
    def better(
        cls, mixture_losses: Tensor, student_losses: Tensor, labels: Tensor, has_mask: Tensor | None = None
    ) -> "Gate":
        """The gate ``"better"``.

        Args:
            mixture_losses: the mixture's loss on each slice, (B,).
            student_losses: the student's loss on each slice, (B,).
            labels: (B, H, W).
            has_mask: (B,), bool, or None.
        """
        pixels = (mixture_losses < student_losses)[:, None, None].expand_as(labels)
        return cls(pixels, labels, False, has_mask)

    def _open(self, pixels: Tensor) -> Tensor:
        """Set g = 1 on the samples without a mask."""
        return pixels if self._no_mask is None else pixels | self._no_mask

    @torch.no_grad()
    def of_predictions(self, log_student: Tensor, log_mixture: Tensor) -> Tensor:
        """g (B, H, W), bool, for prediction distillation.

        The arguments log p^s and log p^t are (B, C, H, W), at the same temperature.
        """
        if not self._one_sided:
            return self._pixels
        student, mixture = (
            log_probs.gather(1, self._labels[:, None])[:, 0] for log_probs in (log_student, log_mixture)
        )
        return self._open(_is_right(log_mixture, self._labels) & (mixture >= student))

    def of_map(self, size: torch.Size, dtype: torch.dtype) -> Tensor:
        """g (B, h, w) for a map of another size: for each of its pixels, the share of image pixels with g = 1."""
        return F.interpolate(self._pixels[:, None].to(dtype), size=size, mode="area")[:, 0]

    def of_regions(self, num_classes: int, dtype: torch.dtype) -> Tensor:
        """g (B,) for the region contrast: the smallest share of pixels with g = 1 in any region of the slice."""
        regions = F.one_hot(self._labels, num_classes).flatten(1, 2).to(dtype)
        followed = self._pixels.flatten(1)[..., None] * regions
        shares = followed.sum(dim=1) / regions.sum(dim=1)  # an absent region gives 0/0, which is NaN
        return shares.nan_to_num(nan=1.0).amin(dim=1)


def check_gate(gate: str | None) -> None:
    """Raises InputError unless ``gate`` is one of :data:`GATES` or None."""
    if gate is not None:
        check_choice("gate", gate, GATES)


def _is_right(log_probs: Tensor, labels: Tensor) -> Tensor:
    return log_probs.argmax(dim=1) == labels
