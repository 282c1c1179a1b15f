"""The scores of every run of a study, as one table."""

from collections.abc import Sequence

from experiments.report.study import Row
from reporting import NOTHING, Line, Table


def score_table(rows: Sequence[Row]) -> Table:
    """Every run with its scores. The columns named after a site hold that site's mean Dice in percent."""
    seeds = ["seed"] if len({row.seed for row in rows}) > 1 else []
    sites = sorted({site for row in rows if row.evaluation for site in row.evaluation["summary"]["sites"]})
    columns = ["model", "role", "trained on", *seeds, "Dice %", "HD95 mm", "ASD mm", "missed", *sites, "params"]
    lines = []
    for row in rows:
        head = [row.label, row.role, " + ".join(row.sites) or "all sites", *([str(row.seed)] if seeds else [])]
        scores = _scores(row, sites) if row.evaluation else [NOTHING] * (len(columns) - len(head))
        lines.append(Line([*head, *scores], row.role))
    return Table(columns, lines, texts=3)


def _scores(row: Row, sites: Sequence[str]) -> list[str]:
    overall, by_site = row.evaluation["summary"]["all"], row.evaluation["summary"]["sites"]
    return [
        f"{100 * overall['dice_mean']:.1f} ± {100 * overall['dice_std']:.1f}",
        f"{overall['hd95_mm_mean']:.1f}",
        f"{overall['asd_mm_mean']:.1f}",
        f"{overall['missed']} of {overall['n']}",
        *(f"{100 * by_site[site]['dice_mean']:.1f}" if site in by_site else NOTHING for site in sites),
        count(row.evaluation["params"]),
    ]


def count(params: int) -> str:
    """A number of parameters in words: 46.71 M, 354 k."""
    return f"{params / 1e6:.2f} M" if params >= 1_000_000 else f"{params / 1000:.0f} k"
