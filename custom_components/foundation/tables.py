"""Tables of text, for a terminal and for Markdown.

A table is a row of column names and rows of cells; every row has one cell for each column. The first ``texts`` columns
hold words and stand to the left; the other columns hold figures and stand to the right. A line break within a cell
becomes a space.
"""

from collections.abc import Sequence

Cells = Sequence[str]


def text_lines(rows: Sequence[Cells], texts: int = 1) -> list[str]:
    """The rows as lines whose columns have equal widths, without a head.

    >>> text_lines([["ENet", "82.3"], ["ESPNet", "9.1"]])
    ['ENet    82.3', 'ESPNet   9.1']
    """
    return ["  ".join(cells).rstrip() for cells in _padded(rows, texts)]


def text_table(columns: Cells, rows: Sequence[Cells], texts: int = 1) -> str:
    """The table for a terminal, with a line of dashes below the column names.

    >>> print(text_table(["model", "Dice %"], [["ENet", "82.3"], ["ESPNet", "9.1"]]))
    model   Dice %
    --------------
    ENet      82.3
    ESPNet     9.1
    """
    head, *lines = text_lines([columns, *rows], texts)
    return "\n".join([head, "-" * max(map(len, [head, *lines])), *lines])


def markdown_table(columns: Cells, rows: Sequence[Cells], texts: int = 1, aligned: bool = False) -> str:
    """The table in GitHub's Markdown; a ``|`` within a cell is escaped.

    Args:
        columns: names of the columns.
        rows: the cells of each row.
        texts: number of columns, from the left, that hold words.
        aligned: whether spaces give the columns equal widths, so that the text also reads well unrendered.

    >>> print(markdown_table(["model", "Dice %"], [["ENet", "82.3"], ["a|b", "9.1"]]))
    | model | Dice % |
    | --- | ---: |
    | ENet | 82.3 |
    | a\\|b | 9.1 |
    """
    table = [[_one_line(cell).replace("|", "\\|") for cell in cells] for cells in (columns, *rows)]
    if aligned:
        table = _padded(table, texts, least_width=3)  # the rule below a name needs three characters
    figures = [place >= texts for place in range(len(columns))]
    widths = map(len, table[0]) if aligned else (3 + figure for figure in figures)
    rule = ["-" * (width - figure) + ":" * figure for width, figure in zip(widths, figures, strict=True)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (table[0], rule, *table[1:]))


def _padded(rows: Sequence[Cells], texts: int, least_width: int = 0) -> list[list[str]]:
    table = [[_one_line(cell) for cell in cells] for cells in rows]
    widths = [max(least_width, *map(len, column)) for column in zip(*table, strict=True)]
    return [
        [
            cell.ljust(width) if place < texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        for cells in table
    ]


def _one_line(cell: str) -> str:
    return " ".join(cell.split())
