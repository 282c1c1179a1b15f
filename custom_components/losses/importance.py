"""Importance-map distillation, the first sum of equation (3) of the paper.

Sources: attention transfer (Zagoruyko and Komodakis, ICLR 2017) and EMKD (Qin et al. 2021, the paper's [4]).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from custom_components.losses._tensors import check_choice, check_number, check_pairs, in_full_precision
from custom_components.losses.gates import Gate
from custom_components.losses.term import Output, Taught, Term, weigh

DISTANCES = ("l1", "l2_squared", "l1_scaled", "l2")


class ImportanceMapLoss(Term):
    """The distance between the student's and the teacher's importance maps, each of unit length.

    The map of features F is M = Σ_k |F_k|^p over the channels, divided by its L2 norm over the n = h w pixels of the
    sample. If the sizes differ, the student's features are resized first (bilinear; in the paper "re-scaling the
    latter"). A gate multiplies the difference of the maps at each pixel.

    Args:
        power: p, at least 1. The paper does not state p; the reference code uses 4, attention transfer uses 2.
        distance: ``"l1"`` is the printed sum over pixels. It can reach √(2n), 272 for 192 x 192 features, and so be
            much larger than the segmentation loss. ``"l1_scaled"`` divides the sum by √n. ``"l2_squared"`` is the
            distance of the reference code, ``"l2"`` its square root.

    Raises:
        InputError: if the power is below 1 or the distance is unknown.

    >>> student, teacher = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 5.0]]]])
    >>> ImportanceMapLoss()([student], [teacher]).item()  # the unit maps (1, 0) and (0, 1)
    2.0
    """

    needs = frozenset({"features"})

    def __init__(self, power: float = 4.0, distance: str = "l1") -> None:
        super().__init__()
        check_number("power", power, least=1)
        check_choice("distance", distance, DISTANCES)
        self.power = power
        self.distance = distance

    def forward(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        """The mean of :meth:`per_sample` over the batch: a scalar."""
        return self.per_sample(student_features, teacher_features).mean()

    @in_full_precision
    def per_sample(self, student_features: Sequence[Tensor], teacher_features: Sequence[Tensor]) -> Tensor:
        """The distance for each sample.

        Args:
            student_features: one (B, K, h, w) per tap.
            teacher_features: the teacher's features in the same order; K, h and w may differ from the student's.

        Returns:
            Loss of each sample (B,), summed over the taps; the gradient reaches the student only.

        Raises:
            ValueError: if the numbers of features, batch sizes or devices differ.
        """
        check_pairs(student_features, teacher_features)
        return self._compare(student_features, [self._unit_map(teacher.detach()) for teacher in teacher_features])

    def summary_options(self) -> dict[str, Any]:
        return {"power": self.power}

    def summary(self, teacher: Output, labels: Tensor | None) -> list[Tensor]:
        """The importance map (B, h, w) of each tap."""
        return [self._unit_map(features) for features in teacher.features]

    def values(self, student: Output, labels: Tensor | None, taught: Taught | None = None) -> Tensor:
        """(B,): equation (6), the weighted sum over the teachers."""
        losses = [self._compare(student.features, maps, taught.gate) for maps in taught.summaries]
        return weigh(losses, taught.weights)

    def _compare(self, student: Sequence[Tensor], teacher: Sequence[Tensor], gate: Gate | None = None) -> Tensor:
        """Distances (B,) of the student's features (B, K, h, w) to the teacher's maps (B, h, w), summed over taps."""
        pairs = zip(student, teacher, strict=True)
        return torch.stack([self._distance(features, other, gate) for features, other in pairs]).sum(dim=0)

    def _distance(self, student: Tensor, teacher: Tensor, gate: Gate | None) -> Tensor:
        if student.shape[2:] != teacher.shape[1:]:
            student = F.interpolate(student, size=teacher.shape[1:], mode="bilinear", align_corners=False)
        difference = (self._unit_map(student) - teacher).flatten(1)
        if gate:
            difference = difference * gate.of_map(teacher.shape[1:], teacher.dtype).flatten(1)
        if self.distance == "l2_squared":
            return difference.square().sum(dim=1)
        if self.distance == "l2":
            return torch.linalg.vector_norm(difference, dim=1)
        l1 = difference.abs().sum(dim=1)
        return l1 / difference.shape[1] ** 0.5 if self.distance == "l1_scaled" else l1

    def _unit_map(self, features: Tensor) -> Tensor:
        """Importance map (B, h, w) of features (B, K, h, w)."""
        # The map does not depend on the features' scale. Dividing by the scale keeps the power from overflowing.
        low, high = (extreme(features.detach(), dim=(1, 2, 3), keepdim=True) for extreme in (torch.amin, torch.amax))
        scale = torch.maximum(high, -low).clamp(min=1e-12)
        importance = (features / scale).abs().pow(self.power).sum(dim=1)
        return F.normalize(importance.flatten(1), dim=1, eps=1e-12).view_as(importance)
