"""The content of ``results.json``: the numbers, names and hashes of a study, without images and weights."""

from typing import Any

from experiments.report.comparison import Comparison, comparisons, over_teachers
from experiments.report.new_sites import SiteDifference, new_site_differences
from experiments.report.paper import paper_dice
from experiments.report.run_record import RunRecord
from experiments.report.study import StudyRecord


def results(study: StudyRecord) -> dict[str, Any]:
    """The scores of every run, and every comparison of a student with a baseline or a teacher."""
    return {
        "title": study.title,
        "dataset": study.dataset.name,
        "split": study.split,
        "machine": study.machine,
        "settings": study.settings,
        "rows": [_row(row, study) for row in study.evaluated],
        "comparisons": [{"baseline": found.baseline.label, **_comparison(found)} for found in comparisons(study)],
        "new_sites": [_site_difference(found) for found in new_site_differences(study)],
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


def _site_difference(found: SiteDifference) -> dict[str, Any]:
    return {
        "student": found.student,
        "minus": found.against,
        "dice_points": round(found.mean, 2),
        "interval_95": [round(found.low, 2), round(found.high, 2)],
        "sites": {site: round(value, 2) for site, value in found.sites.items()},
        "cases": found.cases,
    }


def _row(row: RunRecord, study: StudyRecord) -> dict[str, Any]:
    provenance = row.provenance or {}
    return {
        "name": row.name,
        "label": row.label,
        "role": row.role,
        "network": row.network,
        "sites": row.sites,
        "teachers": row.teachers,
        "seed": row.seed,
        "masks": row.masks,
        "settings": row.settings,
        "epoch": provenance.get("epoch"),
        "weights_sha256": provenance.get("weights_sha256"),
        "git_revision": provenance.get("git_revision"),
        "paper_dice_percent": paper_dice(row, study),
        "summary": row.evaluation["summary"],
        "cases": row.evaluation["cases"],
    }
