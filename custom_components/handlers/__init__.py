"""What listens to a training: the best model with its provenance, the log, the checkpoint to resume from, the lock."""

from custom_components.handlers.best_model import BestModel
from custom_components.handlers.named import named
from custom_components.handlers.one_training import OneTraining
from custom_components.handlers.own_share import OwnShareOfCores
from custom_components.handlers.resume import ResumeCheckpoint
from custom_components.handlers.training_log import TrainingLog

__all__ = ["BestModel", "OneTraining", "OwnShareOfCores", "ResumeCheckpoint", "TrainingLog", "named"]
