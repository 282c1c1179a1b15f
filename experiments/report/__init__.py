"""The report of a study: a table for the terminal, an HTML page, a Markdown page, and a JSON file for programs.

The HTML page answers first, and folds the sections of the Markdown page below the answers.
"""

from pathlib import Path

from custom_components.foundation.files import write_json, write_text
from experiments.report.page_sections import page_sections
from experiments.report.results_json import results
from experiments.report.run_record import RunRecord
from experiments.report.scores import score_table
from experiments.report.study import load_study
from experiments.report.study_sections import study_sections, study_summary
from reporting.html_page import html_page
from reporting.markdown_page import markdown_page

__all__ = ["load_study", "render_table", "write_report"]


def render_table(rows: list[RunRecord]) -> str:
    """The scores of every run as a table for the terminal."""
    return score_table(rows).as_text()


def write_report(folder: Path) -> Path:
    """Writes ``report.html``, ``report.md`` and ``results.json`` into a study's folder.

    Returns:
        The path of ``report.html``.

    Raises:
        InputError: when a file of the study is missing, or when its files do not fit together.
    """
    study = load_study(folder)
    title, summary, sections = study.title, study_summary(study), study_sections(study)
    write_text(folder / "report.html", html_page(title, summary, page_sections(study, sections), sortable=True))
    write_text(folder / "report.md", markdown_page(title, summary, sections))
    write_json(folder / "results.json", results(study))
    return folder / "report.html"
