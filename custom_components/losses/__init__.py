"""Losses for teachers, students and distillation. All losses take logits (B, C, H, W) and labels (B, 1, H, W)."""

from custom_components.losses.distillation import DistillationLoss, DistillationLossOutput
from custom_components.losses.gates import Gate
from custom_components.losses.importance import ImportanceMapLoss
from custom_components.losses.lovasz import LovaszSoftmaxLoss
from custom_components.losses.prediction import PredictionDistillationLoss, mix_teachers
from custom_components.losses.presets import default_preset
from custom_components.losses.region_contrast import RegionContrastLoss
from custom_components.losses.segmentation import SegmentationLoss
from custom_components.losses.weights import adaptive_weights, teacher_cross_entropies, teacher_dice_losses

__all__ = [
    "DistillationLoss",
    "DistillationLossOutput",
    "Gate",
    "ImportanceMapLoss",
    "LovaszSoftmaxLoss",
    "PredictionDistillationLoss",
    "RegionContrastLoss",
    "SegmentationLoss",
    "adaptive_weights",
    "default_preset",
    "mix_teachers",
    "teacher_cross_entropies",
    "teacher_dice_losses",
]
