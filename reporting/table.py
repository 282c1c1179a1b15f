"""A table of a report."""

from collections.abc import Sequence
from dataclasses import dataclass

from custom_components.foundation.tables import markdown_table, text_table

NOTHING = "–"  # stands in a cell that has no value


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        cells: one text for each column.
        kind: the role of the line's model (``teacher``, ``baseline``, ``student``), which the HTML page shows as a
            colour; empty if the line is not about a model.
    """

    cells: Sequence[str]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """Lines of cells under column names.

    Attributes:
        columns: names of the columns.
        lines: the lines, from top to bottom.
        texts: number of columns, from the left, that hold words; the other columns hold figures.
    """

    columns: Sequence[str]
    lines: Sequence[Line]
    texts: int = 1

    def as_text(self) -> str:
        """The table for a terminal."""
        return text_table(self.columns, [line.cells for line in self.lines], self.texts)

    def as_markdown(self) -> str:
        """The table in GitHub's Markdown."""
        return markdown_table(self.columns, [line.cells for line in self.lines], self.texts)
