"""A table, and its three ways onto paper: terminal, Markdown, HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

NOTHING = "–"


@dataclass(frozen=True)
class Line:
    """One line of a table; ``kind`` marks it with a colour on the page (a role)."""

    cells: Sequence[str]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Cells under heads; the first ``texts`` columns are words, the others figures."""

    columns: Sequence[str]
    lines: Sequence[Line]
    texts: int = 1

    def as_text(self) -> str:
        """The table in columns of equal width."""
        table = [self.columns, *(line.cells for line in self.lines)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if place < self.texts else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ).rstrip()
            for cells in table
        ]
        return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])

    def as_markdown(self) -> str:
        """The table as GitHub draws it."""
        rule = ["---" if place < self.texts else "---:" for place in range(len(self.columns))]
        table = [self.columns, rule, *([cell.replace("|", "\\|") for cell in line.cells] for line in self.lines)]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in table)

    def as_html(self) -> str:
        """The table as HTML; a rule above each new kind of line."""
        words = ' class="words"'
        head = "".join(
            f"<th{words if place < self.texts else ''}>{escape(name)}</th>" for place, name in enumerate(self.columns)
        )
        body, former = [], None
        for line in self.lines:
            name = f'<th scope="row">{escape(line.cells[0])}</th>'
            data = "".join(
                f"<td{words if place < self.texts else ''}>{escape(cell)}</td>"
                for place, cell in enumerate(line.cells[1:], start=1)
            )
            opens = " opens" if line.kind != former else ""
            body.append(f'<tr class="{line.kind}{opens}">{name}{data}</tr>')
            former = line.kind
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
