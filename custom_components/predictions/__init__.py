"""Predictions as a teacher: folders of probabilities that another program has written, or that ``predict`` writes."""

from custom_components.predictions.folder import PredictionFolder
from custom_components.predictions.prepared import PreparedPrediction, prepare_predictions
from custom_components.predictions.record import Record, read_record

__all__ = ["PredictionFolder", "PreparedPrediction", "Record", "prepare_predictions", "read_record"]
