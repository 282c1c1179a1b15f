"""The engine that distils."""

from custom_components.engines.distillation import DistillationTrainer

__all__ = ["DistillationTrainer"]
