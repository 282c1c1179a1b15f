"""Scores of each volume, and the files that an evaluation writes."""

from custom_components.metrics.evaluation_report import EvaluationReport
from custom_components.metrics.volume import summarise, volume_scores

__all__ = ["EvaluationReport", "summarise", "volume_scores"]
