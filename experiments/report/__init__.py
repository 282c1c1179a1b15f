"""The report of a study: one table for the terminal, one page for the reader."""

from experiments.report.page import write_report
from experiments.report.study import load_study
from experiments.report.table import render_table

__all__ = ["load_study", "render_table", "write_report"]
