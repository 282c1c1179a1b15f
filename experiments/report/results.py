"""The figures of a study, for other programs and for keeping: numbers, names and hashes, no image and no weight."""

from typing import Any

from experiments.report.comparison import Comparison, comparisons, over_teachers
from experiments.report.paper import paper_dice
from experiments.report.study import Row, Study


def results(study: Study) -> dict[str, Any]:
    """Every run's scores and every comparison."""
    return {
        "title": study.title,
        "dataset": study.dataset.name,
        "split": study.split,
        "machine": study.machine,
        "settings": study.settings,
        "rows": [_row(row, study) for row in study.evaluated],
        "comparisons": [{"baseline": found.baseline.label, **_comparison(found)} for found in comparisons(study)],
        "over_teachers": [{"teacher": found.baseline.label, **_comparison(found)} for found in over_teachers(study)],
    }


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "student": found.student.label,
        "dice_points": round(found.difference, 2),
        "interval_95": [round(found.low, 2), round(found.high, 2)],
        "cases": found.cases,
        "seeds": found.seeds,
    }


def _row(row: Row, study: Study) -> dict[str, Any]:
    made = row.provenance or {}
    return {
        "name": row.name,
        "label": row.label,
        "role": row.role,
        "network": row.network,
        "sites": row.sites,
        "teachers": row.teachers,
        "seed": row.seed,
        "settings": row.settings,
        "epoch": made.get("epoch"),
        "weights_sha256": made.get("weights_sha256"),
        "git_revision": made.get("git_revision"),
        "paper_dice_percent": paper_dice(row, study),
        "summary": row.evaluation["summary"],
        "cases": row.evaluation["cases"],
    }
