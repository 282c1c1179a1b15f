"""The figures as a page to read and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.measure import Figure

Results = Mapping[str, Sequence[Figure]]


def to_json(results: Results, machine: Mapping[str, Any]) -> dict[str, Any]:
    """``{"machine": {...}, "figures": [{"benchmark", "what", "values", "median", "target", "met", ...}]}``"""
    figures = [
        {"benchmark": name, **asdict(figure), "median": figure.median, "met": figure.met}
        for name, figures in results.items()
        for figure in figures
    ]
    return {"machine": dict(machine), "figures": figures}


def render(results: Results, machine: Mapping[str, Any]) -> str:
    """Markdown: one table, what each figure was made from, and the machine."""
    figures = [figure for figures in results.values() for figure in figures]
    lines = [
        "# Benchmarks",
        "",
        "Each ratio compares two things that took turns in one process; the median of the rounds counts. In brackets:",
        "the smallest and the largest round. Written by `make benchmarks`; the scripts are in `benchmarks/`.",
        "",
        "| figure | measured | rounds | target | met |",
        "|---|---:|---:|---:|---|",
        *map(_row, figures),
        "",
        "What they were made from, as medians:",
        "",
        *map(_parts, figures),
        "",
        _machine(machine),
    ]
    return "\n".join(lines) + "\n"


def _row(figure: Figure) -> str:
    cells = [figure.what, _spread(figure), len(figure.values), _target(figure), "yes" if figure.met else "no"]
    return f"| {' | '.join(map(str, cells))} |"


def _parts(figure: Figure) -> str:
    return f"- {figure.what}: " + "; ".join(f"{part} {value:.3g}" for part, value in figure.parts.items())


def _spread(figure: Figure) -> str:
    unit = f" {figure.unit}" if figure.unit else ""
    spread = f" ({min(figure.values):.3g} to {max(figure.values):.3g})" if len(figure.values) > 1 else ""
    return f"{figure.median:.3g}{unit}{spread}"


def _target(figure: Figure) -> str:
    return f"{'≥' if figure.at_least else '≤'} {figure.target:g}" + (f" {figure.unit}" if figure.unit else "")


def _machine(machine: Mapping[str, Any]) -> str:
    return (
        f"Machine: {machine['processor']}, {machine['cores']} cores, {machine['threads']} threads, torch "
        f"{machine['torch']}, {machine['gpu'] or 'no GPU'}. The load average before the start was "
        f"{machine['load_before']}; well above 0 means that other work shared the cores."
    )
