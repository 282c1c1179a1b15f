"""The report of a study as one HTML file that needs nothing beside it."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from custom_components.files import write_text
from experiments.report import figures
from experiments.report.comparison import comparisons
from experiments.report.pictures import picture_grid
from experiments.report.study import Study, load_study
from experiments.report.table import html_table

STYLE = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")


def write_report(study: Path) -> Path:
    """Writes ``report.html`` into the study's folder and returns its path.

    Raises:
        InputError: When the study's files are missing or do not fit together.
    """
    loaded = load_study(study)
    path = study / "report.html"
    write_text(path, _page(loaded))
    return path


def _page(study: Study) -> str:
    sections = [_result(study), _pictures(study), _training(study), _weights(study), _what_was_run(study)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(study.title)}</title>
<style>
{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(study.title)}</h1>
<p>{escape(_cases_in_words(study))}</p>
</header>
{"".join(sections)}
</body>
</html>
"""


def _cases_in_words(study: Study) -> str:
    counts = ", ".join(f"{count} {part}" for part, count in study.split.get("counts", {}).items())
    done = len(study.evaluated)
    runs = f"{done} runs" if done == len(study.rows) else f"{done} of {len(study.rows)} runs so far"
    return f"{runs} on {study.dataset.name}" + (f", cases: {counts}" if counts else "")


def _result(study: Study) -> str:
    sentences = "".join(
        f'<p class="finding"><strong>{escape(str(found))}.</strong> {escape(found.verdict)}</p>'
        for found in comparisons(study)
    )
    note = (
        "Scores are per volume, on test cases that no run has seen: mean ± standard deviation over the cases. HD95 and "
        "ASD are surface distances in mm, smaller is better. A case is missed when the prediction shares no voxel with "
        "the prostate; where nothing at all was predicted, its distances are the diagonal of the image, and enter the "
        "mean. A row with dashes has not been run yet. Stripes: grey teachers, orange students alone, blue distilled "
        "students. Intervals: bootstrap over the test cases."
    )
    table = f'<div class="scroll">{html_table(study.rows)}</div>'
    return _section("Result", f'{sentences}{table}<p class="note">{note}</p>')


def _pictures(study: Study) -> str:
    content = ""
    for network in study.networks_of("student"):
        students = study.first_seed("student", network)
        if students:
            columns = [*study.first_seed("baseline", network), *students]
            content += _picture(picture_grid(columns, study.dataset), f"{network} on test cases")
            content += (
                f'<p class="note">The best, median and worst test case by the Dice of {escape(columns[-1].label)}, '
                "each at the slice with most prostate, seen from the feet. Yellow: ground truth. The figures are of "
                "the whole volume.</p>"
            )
    return _section("Pictures", content)


def _training(study: Study) -> str:
    trained = [row for row in study.rows if row.training]
    if not trained:
        return ""
    distilled = [row for row in trained if figures.has_distillation_terms(row)]
    content = "<h3>Validation Dice</h3>" + _picture(figures.validation_dice(trained), "Validation Dice over the epochs")
    content += "<h3>Segmentation terms</h3>" + _picture(figures.segmentation_losses(trained), "Segmentation loss terms")
    if distilled:
        content += "<h3>Distillation terms (log axis)</h3>"
        content += _picture(figures.distillation_losses(distilled), "Distillation loss terms")
    return _section("Training", content + '<p class="note">Terms before weighting, mean over an epoch.</p>')


def _weights(study: Study) -> str:
    weighted = [row for row in study.rows if figures.weight_columns(row.training)]
    if not weighted:
        return ""
    note = '<p class="note">Mean weight of each teacher in an epoch. Dotted: equal weights.</p>'
    return _section("Adaptive weights", _picture(figures.adaptive_weights(weighted), "Teachers' weights") + note)


def _what_was_run(study: Study) -> str:
    split = study.split
    facts: Mapping[str, Any] = {
        "dataset": study.dataset,
        "split": f"{split['name']}, sha256 {split['sha256']}",
        **study.machine,
        **study.settings,
    }
    lines = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(_in_words(value))}</dd>" for name, value in facts.items()
    )
    return _section("What was run", f"<dl>{lines}</dl>")


def _in_words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _section(head: str, content: str) -> str:
    return f"<section><h2>{head}</h2>{content}</section>\n" if content else ""


def _picture(figure: Figure, description: str) -> str:
    data = base64.b64encode(figures.png(figure)).decode()
    width = round(96 * figure.get_figwidth())  # CSS counts 96 pixels to the inch: letters keep their size
    return f'<img alt="{escape(description)}" width="{width}" src="data:image/png;base64,{data}">'
