"""The scores of every run of a study, over all sites and for each site."""

from collections.abc import Mapping, Sequence

from experiments.report.run_record import RunRecord
from reporting.table import NOTHING, Line, Table

MEASURES = ("Dice %", "HD95 mm", "ASD mm", "missed")


def score_table(rows: Sequence[RunRecord]) -> Table:
    """The scores of every run. A column that is named after a site holds the mean Dice of its cases in percent."""
    seeds = ["seed"] if len({row.seed for row in rows}) > 1 else []
    sites = sorted({site for row in rows if row.evaluation for site in row.evaluation["summary"]["sites"]})
    columns = ["model", "role", "trained on", *seeds, *MEASURES, *sites, "params"]
    lines = []
    for row in rows:
        head = [row.label, row.role, row.trained_on, *([str(row.seed)] if seeds else [])]
        scores = _scores(row, sites) if row.evaluation else [NOTHING] * (len(columns) - len(head))
        lines.append(Line([*head, *scores], row.role))
    return Table(columns, lines, texts=3)


def site_tables(rows: Sequence[RunRecord]) -> dict[str, Table]:
    """For each site, the scores of every evaluated run on the cases of this site."""
    seeds = ["seed"] if len({row.seed for row in rows}) > 1 else []
    lines: dict[str, list[Line]] = {}
    for row in rows:
        for site, summary in row.evaluation["summary"]["sites"].items() if row.evaluation else ():
            head = [row.label, row.role, *([str(row.seed)] if seeds else [])]
            lines.setdefault(site, []).append(Line([*head, *_measures(summary)], row.role))
    return {site: Table(["model", "role", *seeds, *MEASURES], lines[site], texts=2) for site in sorted(lines)}


def _scores(row: RunRecord, sites: Sequence[str]) -> list[str]:
    by_site = row.evaluation["summary"]["sites"]
    return [
        *_measures(row.evaluation["summary"]["all"]),
        *(f"{100 * by_site[site]['dice_mean']:.1f}" if site in by_site else NOTHING for site in sites),
        count(row.evaluation["params"]),
    ]


def _measures(summary: Mapping[str, float]) -> list[str]:
    return [
        f"{100 * summary['dice_mean']:.1f} ± {100 * summary['dice_std']:.1f}",
        f"{summary['hd95_mm_mean']:.1f}",
        f"{summary['asd_mm_mean']:.1f}",
        f"{summary['missed']} of {summary['n']}",
    ]


def count(params: int) -> str:
    """A number of parameters with its unit, such as ``46.71 M`` or ``354 k``."""
    return f"{params / 1e6:.2f} M" if params >= 1_000_000 else f"{params / 1000:.0f} k"
