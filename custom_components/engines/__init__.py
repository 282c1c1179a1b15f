"""What trains: the engine that distils, and the precision of a forward pass."""

from custom_components.engines.distillation import DistillationTrainer
from custom_components.engines.precision import PrecisionInferer

__all__ = ["DistillationTrainer", "PrecisionInferer"]
