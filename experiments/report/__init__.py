"""The report of a study: a table for the terminal, a page to read, the same as Markdown, and the figures as JSON."""

from pathlib import Path

from custom_components.files import write_json, write_text
from experiments.report.content import sections, summary
from experiments.report.markdown import markdown_page
from experiments.report.results import results
from experiments.report.scores import score_table
from experiments.report.study import Row, load_study
from reporting import html_page

__all__ = ["load_study", "render_table", "write_report"]


def render_table(rows: list[Row]) -> str:
    """The scores of every run, for the terminal."""
    return score_table(rows).as_text()


def write_report(folder: Path) -> Path:
    """Writes ``report.html``, ``report.md`` and ``results.json`` into a study's folder; returns the page's path.

    Raises:
        InputError: When the study's files are missing or do not fit together.
    """
    study = load_study(folder)
    parts = sections(study)
    write_text(folder / "report.html", html_page(study.title, summary(study), parts))
    write_text(folder / "report.md", markdown_page(study, parts))
    write_json(folder / "results.json", results(study))
    return folder / "report.html"
