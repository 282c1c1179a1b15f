"""The table of a study, once for the terminal and once for the page."""

from collections.abc import Sequence
from html import escape

from experiments.report.study import Row

NOT_RUN = "–"


def columns_of(rows: Sequence[Row]) -> list[str]:
    """The heads of the table's columns. Seeds get a column when they differ."""
    seed = ["seed"] if len({row.seed for row in rows}) > 1 else []
    scores = ["Dice %", "HD95 mm", "ASD mm", "missed", *_test_sites(rows), "params"]
    return ["model", "role", "trained on", *seed, *scores]


def cells_of(row: Row, rows: Sequence[Row]) -> list[str]:
    """The cells of one row of a study: ``columns_of`` says what they are."""
    seed = [str(row.seed)] if "seed" in columns_of(rows) else []
    head = [row.label, row.role, " + ".join(row.sites) or "all sites", *seed]
    if row.evaluation is None:
        return head + [NOT_RUN] * (len(columns_of(rows)) - len(head))
    overall, sites = row.evaluation["summary"]["all"], row.evaluation["summary"]["sites"]
    return [
        *head,
        f"{100 * overall['dice_mean']:.1f} ± {100 * overall['dice_std']:.1f}",
        f"{overall['hd95_mm_mean']:.1f}",
        f"{overall['asd_mm_mean']:.1f}",
        f"{overall['missed']} of {overall['n']}",
        *(f"{100 * sites[site]['dice_mean']:.1f}" if site in sites else NOT_RUN for site in _test_sites(rows)),
        _count(row.evaluation["params"]),
    ]


def render_table(rows: Sequence[Row]) -> str:
    """The table as text. The columns named after a site hold that site's mean Dice in percent."""
    table = [columns_of(rows), *(cells_of(row, rows) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    first_number = table[0].index("trained on") + 1
    lines = [
        "  ".join(
            cell.ljust(width) if place < first_number else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def html_table(rows: Sequence[Row]) -> str:
    """The table as HTML; a group of rows for each role, the sites' columns under one head."""
    columns, sites = columns_of(rows), _test_sites(rows)
    columns.remove("role")
    above = (
        "".join(
            f'<th colspan="{len(sites)}" class="group">Dice % by site</th>'
            if name == sites[0]
            else f'<th rowspan="2">{escape(name)}</th>'
            for name in columns
            if name not in sites[1:]
        )
        if sites
        else "".join(f"<th>{escape(name)}</th>" for name in columns)
    )
    below = "".join(f"<th>{escape(site)}</th>" for site in sites)
    body, former = [], None
    for row in rows:
        cells = cells_of(row, rows)
        cells.pop(1)
        name = f'<th scope="row">{escape(cells[0])}</th>'
        data = "".join(f"<td>{escape(cell)}</td>" for cell in cells[1:])
        opens = ' opens"' if row.role != former else '"'
        body.append(f'<tr class="{row.role}{opens}>{name}{data}</tr>')
        former = row.role
    return f"<table><thead><tr>{above}</tr><tr>{below}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _test_sites(rows: Sequence[Row]) -> list[str]:
    return sorted({site for row in rows if row.evaluation for site in row.evaluation["summary"]["sites"]})


def _count(params: int) -> str:
    return f"{params / 1e6:.2f} M" if params >= 1_000_000 else f"{params / 1000:.0f} k"
