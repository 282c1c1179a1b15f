"""The whole distillation loss, equations (5) and (6) of the paper."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from custom_components.errors import InputError
from custom_components.losses._tensors import check_choice, check_number, in_full_precision
from custom_components.losses.importance import ImportanceMapLoss
from custom_components.losses.prediction import PredictionDistillationLoss
from custom_components.losses.region_contrast import RegionContrastLoss
from custom_components.losses.segmentation import SegmentationLoss
from custom_components.losses.weights import MODES, adaptive_weights, teacher_dice_losses

# The options of a loss; those of its parts are what differs from the parts' own defaults, which are the paper's.
PAPER: dict[str, Any] = {"alpha": 0.1, "beta": 0.1, "weighting": "loss", "scope": "batch"}
EMKD: dict[str, Any] = {
    **PAPER,
    "prediction": {"direction": "teacher_student"},
    "importance": {"distance": "l2_squared"},
    "region_contrast": {"distance": "squared"},
}
# What did best on validation cases of real data: docs/adr/0006-defaults-by-measurement.md.
MEASURED: dict[str, Any] = {
    **EMKD,
    "beta": 1.0,
    "segmentation": {"cross_entropy_weight": 0.5},
    "weighting": "inverse",
    "scope": "sample",
}
PRESETS = {"paper": PAPER, "emkd": EMKD, "measured": MEASURED}
SCOPES = ("batch", "sample")


class DistillationLossOutput(NamedTuple):
    """
    Attributes:
        loss: scalar, with gradient to the student.
        terms: the unweighted terms, detached scalars by name: those of the segmentation loss, then ``importance`` and
            ``region_contrast`` unless α is 0, and ``prediction`` unless β is 0.
        weighted_terms: the terms times their weights, with gradient; ``loss`` is their sum.
        weights: of the teachers, detached, of sum 1: (n,), or (B, n) under scope "sample".
    """

    loss: Tensor
    terms: dict[str, Tensor]
    weighted_terms: dict[str, Tensor]
    weights: Tensor


class DistillationLoss(nn.Module):
    """Seg + α Σ_j w_j (importance + region contrast)(T_j, S) + β KL(student, Σ_j w_j p^j), of one teacher or several.

    All arguments are plain values, so that a bundle's config sets them as JSON, for example
    ``{"preset": "emkd", "alpha": 0.2, "prediction": {"temperature": 2.0}}``. What is None is as the preset has it.

    Args:
        preset: ``"paper"``, as printed; ``"emkd"``, as the reference code of EMKD has it: KL(teacher || student),
            squared L2 distances of importance maps and of region contrasts; or ``"measured"``, what did best on real
            data.
        alpha: α of equation (5), of the features' loss. With 0 no features are needed.
        beta: β of equation (5), of the predictions' loss.
        weighting: the w_j of equation (6): a mode of :func:`adaptive_weights`, or a list of fixed weights in the
            order of the teachers, divided by its sum.
        scope: adapt the weights to the ``"batch"`` or to each ``"sample"``. Fixed weights need neither.
        segmentation: options of :class:`SegmentationLoss`, by keyword.
        prediction: options of :class:`PredictionDistillationLoss`, which go over the preset's.
        importance: options of :class:`ImportanceMapLoss`, likewise.
        region_contrast: options of :class:`RegionContrastLoss`, likewise.

    Raises:
        InputError: on an unknown option or value.
    """

    def __init__(
        self,
        preset: str = "paper",
        alpha: float | None = None,
        beta: float | None = None,
        weighting: str | Sequence[float] | None = None,
        scope: str | None = None,
        segmentation: Mapping[str, Any] | None = None,
        prediction: Mapping[str, Any] | None = None,
        importance: Mapping[str, Any] | None = None,
        region_contrast: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_choice("preset", preset, tuple(PRESETS))
        given = {"alpha": alpha, "beta": beta, "weighting": weighting, "scope": scope}
        options = PRESETS[preset] | {name: value for name, value in given.items() if value is not None}
        alpha, beta, weighting, scope = (options[name] for name in given)
        check_number("alpha", alpha, least=0)
        check_number("beta", beta, least=0)
        check_choice("scope", scope, SCOPES)
        if isinstance(weighting, list | tuple):
            _check_fixed_weights(weighting)
        else:
            check_choice("weighting", weighting, MODES)
        self.preset = preset
        self.alpha = alpha
        self.beta = beta
        self.weighting = weighting
        self.scope = scope
        self.last_terms: dict[str, Tensor] = {}
        self.segmentation = _part(SegmentationLoss, "segmentation", options, segmentation)
        self.prediction = _part(PredictionDistillationLoss, "prediction", options, prediction)
        self.importance = _part(ImportanceMapLoss, "importance", options, importance)
        self.region_contrast = _part(RegionContrastLoss, "region_contrast", options, region_contrast)
        self.term_weights = dict(self.segmentation.term_weights)
        if alpha:
            self.term_weights |= {"importance": alpha, "region_contrast": alpha}
        if beta:
            self.term_weights |= {"prediction": beta}

    @in_full_precision
    def forward(
        self,
        student_logits: Tensor,
        target: Tensor,
        student_features: Sequence[Tensor],
        teacher_logits: Sequence[Tensor],
        teacher_features: Sequence[Sequence[Tensor]],
    ) -> DistillationLossOutput:
        """
        Args:
            student_logits: (B, C, H, W).
            target: labels (B, 1, H, W).
            student_features: one (B, K, h, w) per tap.
            teacher_logits: of n teachers, each (B, C, H, W).
            teacher_features: of n teachers, each one (B, K, h, w) per tap, in the student's order.

        Raises:
            ValueError: on shapes, devices or counts that do not fit; InputError on labels outside 0 to C-1, or if the
                region contrast is set for another C.
        """
        if not teacher_logits or (self.alpha and len(teacher_features) != len(teacher_logits)):
            raise ValueError(f"logits of {len(teacher_logits)} and features of {len(teacher_features)} teachers given")
        if self.alpha and student_logits.shape[1] != self.region_contrast.num_classes:
            raise InputError(
                f"loss option region_contrast.num_classes={self.region_contrast.num_classes}, but the student has "
                f"{student_logits.shape[1]} classes; set the same number"
            )
        weights = self._teacher_weights(teacher_logits, target)
        terms = self.segmentation.terms(student_logits, target)
        if self.alpha:
            importance = [self.importance.per_sample(student_features, f) for f in teacher_features]
            contrast = [self.region_contrast.per_sample(student_features, f, target) for f in teacher_features]
            terms["importance"] = _weigh(importance, weights)
            terms["region_contrast"] = _weigh(contrast, weights)
        if self.beta:
            terms["prediction"] = self.prediction(student_logits, teacher_logits, weights)
        weighted_terms = self.weighted(terms)
        return DistillationLossOutput(
            loss=sum(weighted_terms.values()),
            terms={name: term.detach() for name, term in terms.items()},
            weighted_terms=weighted_terms,
            weights=weights,
        )

    def weighted(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The summands of equation (5): each term times its weight."""
        return {name: weight * terms[name] for name, weight in self.term_weights.items()}

    def _teacher_weights(self, teacher_logits: Sequence[Tensor], target: Tensor) -> Tensor:
        """(n,), or (B, n) under scope "sample"."""
        count = len(teacher_logits)
        if self.weighting == "uniform" or (isinstance(self.weighting, str) and count == 1):
            # Whatever their Dice losses are.
            shape = (len(target), count) if self.scope == "sample" else (count,)
            return teacher_logits[0].new_full(shape, 1 / count)
        if isinstance(self.weighting, str):
            losses = teacher_dice_losses(teacher_logits, target, per_sample=self.scope == "sample")
            return adaptive_weights(losses, self.weighting)
        if len(self.weighting) != len(teacher_logits):
            raise InputError(
                f"loss option weighting={self.weighting} must name {len(teacher_logits)} teachers' weights"
            )
        weights = teacher_logits[0].new_tensor(self.weighting)
        return weights / weights.sum()


def _weigh(losses: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Equation (6): losses (B,) of n teachers, weights (n,) or (B, n), to a scalar, the mean over the batch."""
    return (torch.stack(losses, dim=1) * weights).sum(dim=1).mean()


def _part(
    kind: Callable[..., nn.Module], name: str, preset: Mapping[str, Mapping], options: Mapping[str, Any] | None
) -> nn.Module:
    try:
        return kind(**{**preset.get(name, {}), **(options or {})})
    except TypeError as error:
        raise InputError(f"loss option {name}={dict(options or {})}: {error}") from None


def _check_fixed_weights(weights: Sequence[float]) -> None:
    for weight in weights:
        check_number("weighting", weight, least=0)
    if not sum(weights):
        raise InputError(f"loss option weighting={list(weights)} must hold a weight above 0")
