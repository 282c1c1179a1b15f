"""The measured figures: a Markdown page for readers, JSON for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.measure import Figure
from custom_components.foundation.tables import markdown_table
from experiments.complexity import render_machine

COLUMNS = ("figure", "measured", "rounds", "target", "met")
Results = Mapping[str, Sequence[Figure]]  # figures by the name of their benchmark


def to_json(results: Results, machine: Mapping[str, Any]) -> dict[str, Any]:
    """``{"machine": {...}, "figures": [{"benchmark", "what", "values", "median", "target", "met", ...}]}``"""
    figures = [
        {"benchmark": name, **asdict(figure), "median": figure.median, "met": figure.met}
        for name, figures in results.items()
        for figure in figures
    ]
    return {"machine": dict(machine), "figures": figures}


def render(results: Results, machine: Mapping[str, Any]) -> str:
    """The page in Markdown: a table of the figures, the values that each figure was computed from, and the machine."""
    figures = [figure for figures in results.values() for figure in figures]
    parts = "\n".join(_parts(figure) for figure in figures if figure.parts or figure.note)
    return f"""# Benchmarks

Each ratio compares two measurements that took turns in one process. Each figure is the median of its rounds; the
smallest and the largest round stand in brackets. `make benchmarks` writes this page from the scripts in `benchmarks/`.

{markdown_table(COLUMNS, [_cells(figure) for figure in figures])}

The medians that each figure was computed from, and notes on its measurement:

{parts}

{render_machine(machine)}
"""


def _cells(figure: Figure) -> list[str]:
    met = "yes" if figure.met else "no"
    return [figure.what, _measured(figure), str(len(figure.values)), _target(figure), met]


def _parts(figure: Figure) -> str:
    parts = [f"{part} {value:.3g}" for part, value in figure.parts.items()]
    return f"- {figure.what}: " + "; ".join([*parts, figure.note] if figure.note else parts)


def _measured(figure: Figure) -> str:
    unit = f" {figure.unit}" if figure.unit else ""
    spread = f" ({min(figure.values):.3g} to {max(figure.values):.3g})" if len(figure.values) > 1 else ""
    return f"{figure.median:.3g}{unit}{spread}"


def _target(figure: Figure) -> str:
    return f"{'≥' if figure.at_least else '≤'} {figure.target:g}" + (f" {figure.unit}" if figure.unit else "")
