"""The trainer of a distillation."""

from custom_components.engines.distillation import DistillationTrainer

__all__ = ["DistillationTrainer"]
