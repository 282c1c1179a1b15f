"""Region-contrast distillation, the second sum of equation (3) of the paper.

Source: EMKD (Qin et al. 2021, the paper's [4]). The paper's text calls this loss the affinity loss.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from custom_components.foundation.errors import InputError
from custom_components.losses._tensors import check_choice, check_number, check_pairs, class_labels, in_full_precision
from custom_components.losses.term import Output, Taught, Term, weigh

DISTANCES = ("l2", "squared")
RESIZES = ("nearest", "area")


class RegionContrastLoss(Term):
    """The distance between the student's and the teacher's contrast of the classes' regions.

    A region is the set of pixels of one class, and its vector is the mean of the features in it. The contrast V holds
    the cosines of all pairs of regions (one number for two classes). Student and teacher may differ in channels and
    size. A pair counts only if both regions hold pixels and both vectors are not nearly zero, in both networks;
    otherwise it adds 0. A gate multiplies a slice's value by the smallest share of pixels that it keeps in any region.

    Args:
        distance: ``"l2"`` is ||V^s - V^t||, as printed; ``"squared"`` is its square, as in the reference code.
        mask_resize: how to resize the label to the features' size. ``"area"`` keeps small prostates, which
            ``"nearest"`` (as in the reference code) deletes at low resolutions.
        num_classes: number of classes C, background included.

    Raises:
        InputError: if an option has another value.
    """

    needs = frozenset({"features", "mask"})

    def __init__(self, distance: str = "l2", mask_resize: str = "nearest", num_classes: int = 2) -> None:
        super().__init__()
        check_choice("distance", distance, DISTANCES)
        check_choice("mask_resize", mask_resize, RESIZES)
        check_number("num_classes", num_classes, least=2)
        self.distance = distance
        self.mask_resize = mask_resize
        self.num_classes = num_classes

    def forward(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor], target: Tensor) -> Tensor:
        """The mean of :meth:`per_sample` over the batch: a scalar."""
        return self.per_sample(student_features, teacher_features, target).mean()

    @in_full_precision
    def per_sample(
        self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor], target: Tensor
    ) -> Tensor:
        """The distance for each sample.

        Args:
            student_features: one (B, K, h, w) per tap.
            teacher_features: the teacher's features in the same order.
            target: labels (B, 1, H, W).

        Returns:
            Loss of each sample (B,), summed over the taps; the gradient reaches the student only.

        Raises:
            ValueError: if features and target do not fit.
            InputError: if a label is not one of 0 to C-1.
        """
        check_pairs(student_features, teacher_features)
        labels = class_labels(target, student_features[0], self.num_classes)
        masks = self._masks(labels, student_features[0])
        return self._compare(student_features, self._contrasts([f.detach() for f in teacher_features], masks), masks)

    def summary_options(self) -> dict[str, Any]:
        return {"mask_resize": self.mask_resize, "num_classes": self.num_classes}

    def summary(self, teacher: Output, labels: Tensor) -> list[Tensor]:
        """For each tap two tensors (B, pairs of regions): the cosines, and whether each pair counts.

        Raises:
            InputError: if ``num_classes`` is not that of the logits.
        """
        if teacher.logits.shape[1] != self.num_classes:
            raise InputError(
                f"loss option region_contrast.num_classes={self.num_classes}, but the student has "
                f"{teacher.logits.shape[1]} classes; set the same number"
            )
        return self._contrasts(teacher.features, self._masks(labels, teacher.logits))

    def values(self, student: Output, labels: Tensor, taught: Taught | None = None) -> Tensor:
        """(B,): equation (6), the weighted sum over the teachers."""
        masks = self._masks(labels, student.logits)
        losses = weigh([self._compare(student.features, said, masks) for said in taught.summaries], taught.weights)
        return losses * taught.gate.of_regions(self.num_classes, losses.dtype) if taught.gate else losses

    def _masks(self, labels: Tensor, like: Tensor) -> Tensor:
        return F.one_hot(labels, self.num_classes).movedim(-1, 1).to(like.dtype)

    def _contrasts(self, features: Sequence[Tensor], masks: Tensor) -> list[Tensor]:
        return [tensor for tap in features for tensor in self._contrast(tap, masks)]

    def _compare(self, student: Sequence[Tensor], teacher: Sequence[Tensor], masks: Tensor) -> Tensor:
        """The distances (B,) of the student's features from the teacher's :meth:`summary`, summed over the taps."""
        taps = zip(student, teacher[::2], teacher[1::2], strict=True)
        return torch.stack([self._distance(*tap, masks) for tap in taps]).sum(dim=0)

    def _distance(self, student: Tensor, teacher_contrast: Tensor, teacher_counts: Tensor, masks: Tensor) -> Tensor:
        student_contrast, student_counts = self._contrast(student, masks)
        difference = (student_contrast - teacher_contrast) * (student_counts & teacher_counts)
        if self.distance == "squared":
            return difference.square().sum(dim=1)
        return torch.linalg.vector_norm(difference, dim=1)  # a root of squares has the gradient NaN at 0

    def _contrast(self, features: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The cosines of the C(C-1)/2 pairs of regions, and whether each pair counts, both (B, pairs)."""
        masks = F.interpolate(masks, size=features.shape[2:], mode=self.mask_resize).to(features.dtype).flatten(2)
        sizes = masks.sum(dim=2)
        vectors = masks @ features.flatten(2).mT / sizes.clamp(min=1e-12)[..., None]
        lengths = torch.linalg.vector_norm(vectors, dim=2)
        # The gradient of a cosine grows as 1 / length, so a very short vector must not count.
        counts = (sizes > 0) & (lengths.detach() >= 1e-6)
        units = vectors / lengths.clamp(min=1e-8)[..., None]
        first, second = torch.triu_indices(self.num_classes, self.num_classes, offset=1, device=features.device)
        return (units[:, first] * units[:, second]).sum(dim=2), counts[:, first] & counts[:, second]
