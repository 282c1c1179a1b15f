"""Region-contrast distillation, the second sum of equation (3) of the paper.

After EMKD (Qin et al. 2021, the paper's [4]), where the paper's text calls it the affinity loss.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from custom_components.errors import InputError
from custom_components.losses._tensors import check_choice, check_number, check_pairs, class_labels, in_full_precision
from custom_components.losses.term import Output, Taught, Term, weigh

DISTANCES = ("l2", "squared")
RESIZES = ("nearest", "area")


class RegionContrastLoss(Term):
    """How differently student and teacher tell the regions of the classes apart.

    A region's vector is the mean of the features in it; the contrast V holds the cosines of all pairs of regions (one
    number for two classes). Student and teacher may differ in channels and size. A pair of regions counts only
    where both are non-empty, and their vectors not nearly zero, in both networks; elsewhere it adds 0. A gate
    multiplies a slice's value by the share that it leaves of the slice's worst region.

    Args:
        distance: ``"l2"`` as printed, ||V^s - V^t||; ``"squared"`` is the reference code's.
        mask_resize: how the label is brought to the features' size. ``"area"`` keeps small prostates that
            ``"nearest"`` (the reference code's) deletes in the low resolutions.
        num_classes: C, background included.

    Raises:
        InputError: on other options.
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
        """
        Args:
            student_features: one (B, K, h, w) per tap.
            teacher_features: their partners in the same order.
            target: labels (B, 1, H, W).

        Returns:
            Loss of each sample (B,), summed over the pairs; its gradient reaches the student only.

        Raises:
            ValueError: if features and target do not fit; InputError on labels outside 0 to C-1.
        """
        check_pairs(student_features, teacher_features)
        labels = class_labels(target, student_features[0], self.num_classes)
        masks = self._masks(labels, student_features[0])
        return self._compare(student_features, self._contrasts([f.detach() for f in teacher_features], masks), masks)

    def summary(self, teacher: Output, labels: Tensor) -> list[Tensor]:
        """Two tensors (B, pairs of regions) of each tap: the cosines, and whether they count.

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
        """(B,), the sum over the taps: the student's features, what :meth:`summary` says of the teacher."""
        taps = zip(student, teacher[::2], teacher[1::2], strict=True)
        return torch.stack([self._distance(*tap, masks) for tap in taps]).sum(dim=0)

    def _distance(self, student: Tensor, teacher_contrast: Tensor, teacher_counts: Tensor, masks: Tensor) -> Tensor:
        student_contrast, student_counts = self._contrast(student, masks)
        difference = (student_contrast - teacher_contrast) * (student_counts & teacher_counts)
        if self.distance == "squared":
            return difference.square().sum(dim=1)
        return torch.linalg.vector_norm(difference, dim=1)  # not a root of squares: its gradient at 0 would be NaN

    def _contrast(self, features: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines of the C(C-1)/2 pairs of regions, and which of them count, both (B, pairs)."""
        masks = F.interpolate(masks, size=features.shape[2:], mode=self.mask_resize).to(features.dtype).flatten(2)
        sizes = masks.sum(dim=2)
        vectors = masks @ features.flatten(2).mT / sizes.clamp(min=1e-12)[..., None]
        lengths = torch.linalg.vector_norm(vectors, dim=2)
        # The gradient of a cosine grows as 1 / length.
        counts = (sizes > 0) & (lengths.detach() >= 1e-6)
        units = vectors / lengths.clamp(min=1e-8)[..., None]
        first, second = torch.triu_indices(self.num_classes, self.num_classes, offset=1, device=features.device)
        return (units[:, first] * units[:, second]).sum(dim=2), counts[:, first] & counts[:, second]
