"""What listens to a training: the best model with its provenance, the log, and the checkpoint to resume
from; and to an inference: the window's border."""

from custom_components.handlers.best_model import BestModel
from custom_components.handlers.named import named
from custom_components.handlers.resume import ResumeCheckpoint
from custom_components.handlers.training_log import TrainingLog
from custom_components.handlers.window_border import WindowBorder

__all__ = ["BestModel", "ResumeCheckpoint", "TrainingLog", "WindowBorder", "named"]
