"""Handlers for a training (best model, log, checkpoint, lock, share of the cores) and for an inference (window)."""

from custom_components.handlers.best_model import BestModel
from custom_components.handlers.one_training import OneTraining
from custom_components.handlers.own_share import OwnShareOfCores
from custom_components.handlers.reference import named
from custom_components.handlers.resume import ResumeCheckpoint
from custom_components.handlers.training_log import TrainingLog
from custom_components.handlers.window_border import WindowBorder

__all__ = [
    "BestModel",
    "OneTraining",
    "OwnShareOfCores",
    "ResumeCheckpoint",
    "TrainingLog",
    "WindowBorder",
    "named",
]
